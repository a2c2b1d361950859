//! Schedules of projects on a control plane: made, listed and deleted.

use crate::{
    arguments::{NewScheduleOptions, ScheduleCommand},
    connect::{Access, block_on, failed},
    failure::{Failure, OrFail},
    follow::words::shown,
    resources::columns,
    say,
};
use protocol::schedule::{Actor, NewSchedule, Parameters, Schedule, Timetable, Weekday};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// `roundhouse schedule`.
pub(crate) fn schedules(command: &ScheduleCommand) -> Result<(), Failure> {
    match command {
        ScheduleCommand::Create(options) => {
            let new = new(options)?;
            let operator = Access::of(&options.connection)?.operator();
            let made =
                block_on(async { operator.create_schedule(&options.project, &new).await.map_err(failed) })?;
            say::note(format_args!("{} starts {}", shown(&made.name), when(&made.timetable)));
            say::print(format_args!("{}\n", made.id))
        }
        ScheduleCommand::List { project, json, connection } => {
            let operator = Access::of(connection)?.operator();
            let all = block_on(async { operator.schedules(project).await.map_err(failed) })?;
            if *json {
                let text = serde_json::to_string_pretty(&all).or_machinery("cannot write the document")?;
                return say::print(format_args!("{text}\n"));
            }
            let rows = all.iter().map(row).collect();
            say::print(columns(["NAME", "OF", "WHEN (UTC)", "ID"], rows))
        }
        ScheduleCommand::Delete { id, connection } => {
            let operator = Access::of(connection)?.operator();
            block_on(async { operator.delete_schedule(id).await.map_err(failed) })?;
            say::note(format_args!("the schedule {} is deleted", shown(id)));
            Ok(())
        }
    }
}

fn new(options: &NewScheduleOptions) -> Result<NewSchedule, Failure> {
    let timetable = timetable(options)?;
    timetable.times().map_err(|wrong| Failure::usage(wrong.to_string()))?;
    let mut parameters = Parameters::new();
    for one in &options.parameters {
        let value =
            one.value.as_deref().ok_or_else(|| Failure::usage(format!("--param {}: no value", one.name)))?;
        parameters.insert(one.name.clone(), typed(value));
    }
    for (key, name) in [("branch", &options.branch), ("tag", &options.tag)] {
        parameters.extend(name.iter().map(|name| (key.to_owned(), Value::from(name.as_str()))));
    }
    Ok(NewSchedule {
        name: options.name.clone(),
        description: options.description.clone(),
        timetable,
        attribution_actor: Actor::Current,
        parameters,
    })
}

fn timetable(options: &NewScheduleOptions) -> Result<Timetable, Failure> {
    let mut days_of_week = words(&options.days, "--days", "SUN, MON, TUE, WED, THU, FRI, SAT")?;
    if days_of_week.is_empty() && options.days_of_month.is_empty() {
        use Weekday::{Fri, Mon, Sat, Sun, Thu, Tue, Wed};
        days_of_week = vec![Sun, Mon, Tue, Wed, Thu, Fri, Sat];
    }
    Ok(Timetable {
        per_hour: options.per_hour,
        hours_of_day: options.hours.clone(),
        days_of_week,
        days_of_month: options.days_of_month.clone(),
        months: words(&options.months, "--months", "JAN, FEB, and so on")?,
    })
}

/// Days or months as they are called, in small letters too.
fn words<T: DeserializeOwned>(given: &[String], option: &str, known: &str) -> Result<Vec<T>, Failure> {
    let read = |word: &String| {
        let named = Value::from(word.trim().to_uppercase());
        let wrong = || format!("{option}: `{word}` is none of {known}");
        serde_json::from_value(named).map_err(|_| Failure::usage(wrong()))
    };
    given.iter().map(read).collect()
}

/// A value as people type it: numbers and booleans are those.
fn typed(text: &str) -> Value {
    match (text.parse::<i64>(), text.parse::<bool>()) {
        (Ok(number), _) if number.to_string() == text => Value::from(number),
        (_, Ok(value)) => Value::from(value),
        _ => Value::from(text),
    }
}

fn row(schedule: &Schedule) -> [String; 4] {
    let named =
        |key: &str| schedule.parameters.get(key).and_then(Value::as_str).map(|name| format!("{key} {name}"));
    let of = named("branch").or_else(|| named("tag")).unwrap_or_default();
    [shown(&schedule.name), shown(&of), when(&schedule.timetable), schedule.id.to_string()]
}

/// A timetable in a few words.
fn when(timetable: &Timetable) -> String {
    let Timetable { per_hour, hours_of_day, days_of_week, days_of_month, months } = timetable;
    let mut text = match per_hour {
        1 => format!("at {} o'clock", listed(hours_of_day)),
        times => format!("{times} times in the hours {}", listed(hours_of_day)),
    };
    match days_of_week.len() {
        0 => text += &format!(", days {}", listed(days_of_month)),
        7 => {}
        _ => text += &format!(", {}", listed(days_of_week)),
    }
    if !months.is_empty() {
        text += &format!(", {}", listed(months));
    }
    text
}

fn listed<T: Serialize>(all: &[T]) -> String {
    let word = |one: &T| serde_json::to_string(one).unwrap_or_default().trim_matches('"').to_owned();
    all.iter().map(word).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timetable_is_said_in_a_few_words() {
        let of = |text: &str| when(&serde_json::from_str(text).unwrap());
        let text =
            r#"{"per-hour": 1, "hours-of-day": [9, 15], "days-of-week": ["MON", "FRI"], "months": ["JAN"]}"#;
        assert_eq!(of(text), "at 9,15 o'clock, MON,FRI, JAN");
        let text = r#"{"per-hour": 4, "hours-of-day": [0], "days-of-month": [1, 15]}"#;
        assert_eq!(of(text), "4 times in the hours 0, days 1,15");
    }

    #[test]
    fn words_and_values_are_read_as_people_type_them() {
        assert_eq!(words::<Weekday>(&["mon".to_owned(), "FRI".to_owned()], "--days", "").unwrap().len(), 2);
        assert!(
            words::<Weekday>(&["fun".to_owned()], "--days", "SUN").unwrap_err().message.contains("`fun`")
        );
        let values = ["7", "true", "07", "x"].map(typed);
        assert_eq!(values, [Value::from(7), Value::from(true), Value::from("07"), Value::from("x")]);
    }
}
