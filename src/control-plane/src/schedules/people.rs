//! Schedules that people make: checked, remembered, and shown in the public shape.

use crate::{
    plane::{Plane, clock::rfc3339, people::OPERATOR, projects::stable_id},
    refusal::Refusal,
};
use protocol::{
    repository,
    schedule::{Actor, NewSchedule, Parameters, Person, Schedule, ScheduleChange, Timetable},
};
use serde_json::Value;
use std::collections::BTreeMap;
use store::{ScheduleRow, Write};
use uuid::Uuid;

/// So many has one project.
const MOST: usize = 100;
/// The longest of its words, in letters.
const LONGEST: usize = 512;

/// Of what a schedule makes pipelines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Of {
    /// Branch xor tag.
    pub(super) branch: Option<String>,
    pub(super) tag: Option<String>,
    /// Of the pipeline.
    pub(super) parameters: Parameters,
}

impl Of {
    /// Branch or tag, and the parameters beside them.
    pub(super) fn read(mut parameters: Parameters) -> Result<Self, String> {
        let mut name = |key: &str| match parameters.remove(key) {
            None => Ok(None),
            Some(Value::String(name)) if repository::is_reference(&name) => Ok(Some(name)),
            Some(other) => Err(format!("`parameters.{key}`: {other} is no name of a {key}")),
        };
        let (branch, tag) = (name("branch")?, name("tag")?);
        if branch.is_some() == tag.is_some() {
            return Err("`parameters` names either a `branch` or a `tag`".to_owned());
        }
        let fits = |value: &Value| match value {
            Value::String(text) => text.chars().count() <= LONGEST,
            Value::Bool(_) => true,
            other => other.is_i64(),
        };
        match parameters.iter().find(|(_, value)| !fits(value)) {
            Some((name, _)) => Err(format!(
                "`parameters.{name}` is no text of at most {LONGEST} letters, whole number or boolean"
            )),
            None => Ok(Self { branch, tag, parameters }),
        }
    }

    /// Its parameters as typed.
    pub(super) fn texts(&self) -> BTreeMap<String, String> {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        self.parameters.iter().map(|(name, value)| (name.clone(), text(value))).collect()
    }
}

impl Plane {
    /// Makes a schedule of a project that has a repository.
    pub(crate) async fn create_schedule(
        &self,
        project: &str,
        new: NewSchedule,
        login: String,
    ) -> Result<Schedule, Refusal> {
        let Some(repository) = self.store.repository(project).await? else {
            let why = format!(
                "{project} has no repository to fetch from: name it first, `roundhouse project create`"
            );
            return Err(Refusal::Bad(why));
        };
        if self.store.schedules(Some(repository.project)).await?.len() >= MOST {
            return Err(Refusal::Conflict(format!("{project} has {MOST} schedules already")));
        }
        let now_ms = self.clock.wall_ms();
        let row = ScheduleRow {
            id: Uuid::now_v7(),
            project: repository.project,
            name: new.name,
            description: new.description,
            timetable: new.timetable,
            parameters: new.parameters,
            actor: new.attribution_actor,
            login,
            created_ms: now_ms,
            updated_ms: now_ms,
            fired_ms: None,
        };
        self.remember(project, row).await
    }

    /// Changes one; what went by before is not due by its new times.
    pub(crate) async fn change_schedule(
        &self,
        id: Uuid,
        change: ScheduleChange,
        login: String,
    ) -> Result<Schedule, Refusal> {
        let (project, row) = self.schedule_row(id).await?;
        let row = ScheduleRow {
            name: change.name.unwrap_or(row.name),
            description: change.description.or(row.description),
            timetable: change.timetable.unwrap_or(row.timetable),
            // Whoever says what it starts answers for that.
            login,
            actor: change.attribution_actor.unwrap_or(row.actor),
            parameters: change.parameters.unwrap_or(row.parameters),
            updated_ms: self.clock.wall_ms(),
            ..row
        };
        self.remember(&project, row).await
    }

    async fn remember(&self, project: &str, row: ScheduleRow) -> Result<Schedule, Refusal> {
        check(&row).map_err(Refusal::Bad)?;
        self.write(vec![Write::Schedule(Box::new(row.clone()))]).await?;
        Ok(shown(project.to_owned(), row))
    }

    /// As whom it starts pipelines: as whoever said last what they are, if they are still known.
    pub(super) fn actor_of(&self, row: &ScheduleRow) -> protocol::Actor {
        match row.actor {
            Actor::System => protocol::Actor::Schedule,
            Actor::Current => match self.somebody(&row.login) {
                Ok(somebody) => somebody.actor(),
                Err(_) if row.login == OPERATOR => protocol::Actor::Operator,
                Err(_) => protocol::Actor::Schedule,
            },
        }
    }

    /// Takes one away.
    pub(crate) async fn remove_schedule(&self, id: Uuid) -> Result<(), Refusal> {
        self.schedule_row(id).await?;
        self.write(vec![Write::RemoveSchedule(id)]).await?;
        Ok(())
    }

    /// One of them.
    pub(crate) async fn schedule(&self, id: Uuid) -> Result<Schedule, Refusal> {
        self.schedule_row(id).await.map(|(project, row)| shown(project, row))
    }

    /// Those of a project.
    pub(crate) async fn schedules_of(&self, project: &str) -> Result<Vec<Schedule>, Refusal> {
        let Some((id, ..)) = self.store.project(project).await? else { return Ok(Vec::new()) };
        let rows = self.store.schedules(Some(id)).await?;
        Ok(rows.into_iter().map(|(project, row)| shown(project, row)).collect())
    }

    async fn schedule_row(&self, id: Uuid) -> Result<(String, ScheduleRow), Refusal> {
        let missing = || Refusal::Missing(format!("there is no schedule {id}"));
        self.store.schedule(id).await?.ok_or_else(missing)
    }
}

/// What is wrong with it, if anything is.
fn check(row: &ScheduleRow) -> Result<(), String> {
    let words = [Some(&row.name), row.description.as_ref()];
    if row.name.trim().is_empty() {
        return Err("a schedule has a `name`".to_owned());
    }
    if words.into_iter().flatten().any(|text| text.chars().count() > LONGEST) {
        return Err(format!("`name` and `description` have at most {LONGEST} letters"));
    }
    let Timetable { hours_of_day, days_of_week, days_of_month, months, .. } = &row.timetable;
    if [hours_of_day.len(), days_of_week.len(), days_of_month.len(), months.len()]
        .iter()
        .any(|many| *many > LONGEST)
    {
        return Err("`timetable` says more than there are hours and days".to_owned());
    }
    row.timetable.times().map_err(|wrong| format!("`timetable`: {wrong}"))?;
    Of::read(row.parameters.clone()).map(drop)
}

fn shown(project_slug: String, row: ScheduleRow) -> Schedule {
    let (login, name) = match row.actor {
        Actor::Current => (row.login.as_str(), row.login.as_str()),
        Actor::System => ("system-actor", "Scheduled"),
    };
    let actor = Person { id: stable_id(login), login: login.to_owned(), name: name.to_owned() };
    Schedule {
        id: row.id,
        name: row.name,
        description: row.description,
        project_slug,
        timetable: row.timetable,
        parameters: row.parameters,
        actor,
        created_at: rfc3339(row.created_ms),
        updated_at: rfc3339(row.updated_ms),
    }
}
