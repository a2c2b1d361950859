//! Schedules that people make: at which times a project's pipeline is started, in the shapes of the public API v2.

use crate::times::Times;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Branch xor tag, and pipeline parameters: texts, whole numbers and booleans.
pub type Parameters = BTreeMap<String, serde_json::Value>;

/// When a schedule is due, in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Timetable {
    /// How often within each of its hours, evenly.
    pub per_hour: u32,
    /// From 0 to 23.
    pub hours_of_day: Vec<u32>,
    /// These or those of the month.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days_of_week: Vec<Weekday>,
    /// From 1 to 31.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days_of_month: Vec<u32>,
    /// None: all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub months: Vec<Month>,
}

/// A day of the week.
#[expect(missing_docs, reason = "they are what they are called")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Weekday {
    Sun,
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
}

/// A month.
#[expect(missing_docs, reason = "they are what they are called")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Month {
    Jan,
    Feb,
    Mar,
    Apr,
    May,
    Jun,
    Jul,
    Aug,
    Sep,
    Oct,
    Nov,
    Dec,
}

/// As whose the pipelines of a schedule count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// Whoever made it.
    Current,
    /// Nobody's.
    System,
}

impl Actor {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::System => "system",
        }
    }
}

/// A schedule to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct NewSchedule {
    /// As people call it.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When.
    pub timetable: Timetable,
    /// As whose its pipelines count.
    pub attribution_actor: Actor,
    /// Of what.
    pub parameters: Parameters,
}

/// What is to be otherwise about a schedule; what is not there stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct ScheduleChange {
    /// As people call it.
    pub name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// When.
    pub timetable: Option<Timetable>,
    /// As whose its pipelines count.
    pub attribution_actor: Option<Actor>,
    /// Of what.
    pub parameters: Option<Parameters>,
}

/// A schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Schedule {
    /// Its name as an id.
    pub id: Uuid,
    /// As people call it.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Whose.
    pub project_slug: String,
    /// When.
    pub timetable: Timetable,
    /// Of what.
    pub parameters: Parameters,
    /// As whose its pipelines count.
    pub actor: Person,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub updated_at: String,
}

/// Somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Stays the same.
    pub id: Uuid,
    /// As they are called here.
    pub login: String,
    /// As people call them.
    pub name: String,
}

/// A timetable that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTimetable {
    /// Too often or never.
    #[error("`per-hour` is a number from 1 to 60")]
    PerHour,
    /// No hour, or one that no day has.
    #[error("`hours-of-day` has at least one number, each from 0 to 23")]
    Hours,
    /// No day, or both sorts of them.
    #[error("a timetable has either `days-of-week` or `days-of-month`")]
    Days,
    /// One that no month has.
    #[error("`days-of-month` has numbers from 1 to 31")]
    DaysOfMonth,
}

impl Timetable {
    /// The minutes that it stands for.
    pub fn times(&self) -> Result<Times, NoTimetable> {
        let bits = |numbers: &[u32], most: u32| {
            let all = numbers.iter().all(|number| *number <= most);
            all.then(|| numbers.iter().fold(0_u32, |bits, number| bits | 1 << number))
        };
        if !(1..=60).contains(&self.per_hour) {
            return Err(NoTimetable::PerHour);
        }
        if self.days_of_week.is_empty() == self.days_of_month.is_empty() {
            return Err(NoTimetable::Days);
        }
        let hours = bits(&self.hours_of_day, 23).filter(|hours| *hours != 0).ok_or(NoTimetable::Hours)?;
        let days =
            bits(&self.days_of_month, 31).filter(|days| days & 1 == 0).ok_or(NoTimetable::DaysOfMonth)?;
        let weekdays = self.days_of_week.iter().fold(0_u8, |bits, day| bits | 1 << *day as u8);
        let months = self.months.iter().fold(0_u16, |bits, month| bits | 2 << *month as u16);
        let all = Times::ALWAYS;
        Ok(Times {
            minutes: (0..self.per_hour).fold(0, |bits, part| bits | 1 << (part * 60 / self.per_hour)),
            hours,
            days_of_month: if days == 0 { all.days_of_month } else { days },
            days_of_week: if weekdays == 0 { all.days_of_week } else { weekdays },
            months: if months == 0 { all.months } else { months },
            is_either_day: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Result<Times, NoTimetable> {
        serde_json::from_str::<Timetable>(text).unwrap().times()
    }

    #[test]
    fn a_timetable_stands_for_evenly_spread_minutes_of_its_hours_and_days() {
        let text = r#"{"per-hour": 3, "hours-of-day": [1, 15], "days-of-week": ["MON", "SUN"], "months": ["JAN", "DEC"]}"#;
        let expected = Times {
            minutes: 1 | 1 << 20 | 1 << 40,
            hours: 1 << 1 | 1 << 15,
            days_of_week: 0b11,
            months: 1 << 1 | 1 << 12,
            ..Times::ALWAYS
        };
        assert_eq!(table(text), Ok(expected));
        let text = r#"{"per-hour": 60, "hours-of-day": [0], "days-of-month": [31]}"#;
        let all = table(text).unwrap();
        assert_eq!((all.minutes, all.days_of_month), (Times::ALWAYS.minutes, 1 << 31));
    }

    #[test]
    fn a_timetable_has_hours_and_one_sort_of_days() {
        for (text, wrong) in [
            (r#"{"per-hour": 0, "hours-of-day": [1], "days-of-week": ["MON"]}"#, NoTimetable::PerHour),
            (r#"{"per-hour": 61, "hours-of-day": [1], "days-of-week": ["MON"]}"#, NoTimetable::PerHour),
            (r#"{"per-hour": 1, "hours-of-day": [], "days-of-week": ["MON"]}"#, NoTimetable::Hours),
            (r#"{"per-hour": 1, "hours-of-day": [24], "days-of-week": ["MON"]}"#, NoTimetable::Hours),
            (r#"{"per-hour": 1, "hours-of-day": [1]}"#, NoTimetable::Days),
            (
                r#"{"per-hour": 1, "hours-of-day": [1], "days-of-week": ["MON"], "days-of-month": [1]}"#,
                NoTimetable::Days,
            ),
            (r#"{"per-hour": 1, "hours-of-day": [1], "days-of-month": [0]}"#, NoTimetable::DaysOfMonth),
            (r#"{"per-hour": 1, "hours-of-day": [1], "days-of-month": [32]}"#, NoTimetable::DaysOfMonth),
        ] {
            assert_eq!(table(text), Err(wrong), "{text}");
        }
        assert!(
            serde_json::from_str::<Timetable>(r#"{"per-hour": 1, "hours-of-day": [1], "days": []}"#).is_err()
        );
    }
}
