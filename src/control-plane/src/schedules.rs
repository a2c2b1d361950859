//! What starts by the clock: workflows with schedules of their own, as the last push of each branch has them, and schedules
//! that people made.
//!
//! ```text
//! each minute: rows of the store ──due?──▶ newest commit of the branch ──▶ fetch ──▶ pipeline, in one write with its minute
//! ```

mod due;
mod people;

use crate::{
    pipelines::{create::Failed, occasion::Occasion},
    plane::{Plane, clock::rfc3339},
    refusal::Refusal,
    triggers::{self, Event},
};
use due::{Due, due};
use protocol::{
    Actor,
    api::{NewPipeline, ScheduledBy, Selection, Trigger},
    schedule::Parameters,
};
use slog::{info, warn};
use std::{
    collections::HashSet,
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};
use store::{Fired, ProjectId, RepositoryRow, StoreError, Write};

/// How often the clock is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// After so many looks what could not be started is tried again.
const AGAIN: u32 = 15;
/// What a pipeline of a schedule says of its trigger.
const WORD: &str = "schedule";
/// So many are started at once; the others are due a little later.
const AT_ONCE: usize = 64;

/// What is being started.
pub(crate) type Starting = std::sync::Mutex<HashSet<Fired>>;

/// What is to be started.
#[derive(Clone, Debug)]
struct Start {
    what: Fired,
    project: String,
    project_id: ProjectId,
    by: ScheduledBy,
    actor: Actor,
    of: people::Of,
    due: Due,
}

impl Plane {
    /// Starts what is due until the control plane stops.
    pub(crate) async fn keep_schedules(self: Arc<Self>) {
        let (mut looked, mut looks) = (i64::MIN, 0);
        let mut period = tokio::time::interval(LOOK);
        let mut closed = std::pin::pin!(self.closed());
        loop {
            tokio::select! {
                () = &mut closed => return,
                _ = period.tick() => {}
            }
            let minute = self.clock.wall_ms().div_euclid(60_000);
            looks += 1;
            if minute == looked && looks < AGAIN {
                continue;
            }
            (looked, looks) = (minute, 0);
            if let Err(error) = self.start_due().await {
                warn!(self.log, "schedules cannot be read"; "error" => %error);
            }
        }
    }

    async fn start_due(self: &Arc<Self>) -> Result<(), StoreError> {
        let now_ms = self.clock.wall_ms();
        // Before the rows are read: what ends while they are has one that does not say yet that it was started.
        let busy = starting(&self.starting).clone();
        let mut starts = self.due_workflows(now_ms).await?;
        starts.extend(self.due_schedules(now_ms).await?);
        for start in starts {
            if !claim(&self.starting, &busy, &start.what) {
                continue;
            }
            let plane = self.clone();
            triggers::spawn(async move {
                let _done = Done { plane: &plane, what: &start.what };
                plane.start(&start).await;
            });
        }
        Ok(())
    }

    async fn due_workflows(&self, now_ms: i64) -> Result<Vec<Start>, StoreError> {
        let rows = self.store.scheduled_workflows().await?;
        let starts = rows.into_iter().filter_map(|(name, row)| {
            let since_ms = row.fired_ms.map_or(row.since_ms, |fired_ms| fired_ms.max(row.since_ms));
            let due = due(&compiler::times(&row.schedule.cron)?, since_ms, now_ms)?;
            let (project, branch, workflow) = (row.project, row.branch, row.schedule.workflow);
            let by = ScheduledBy { id: None, name: workflow.clone() };
            let what = Fired::Workflow { project, branch: branch.clone(), workflow, cron: row.schedule.cron };
            let of = people::Of { branch: Some(branch), tag: None, parameters: Parameters::new() };
            let actor = Actor::Schedule;
            Some(Start { what, project: name, project_id: project, by, actor, of, due })
        });
        Ok(starts.collect())
    }

    async fn due_schedules(&self, now_ms: i64) -> Result<Vec<Start>, StoreError> {
        let rows = self.store.schedules(None).await?;
        let starts = rows.into_iter().filter_map(|(project, row)| {
            let since_ms = row.fired_ms.map_or(row.updated_ms, |fired_ms| fired_ms.max(row.updated_ms));
            let due = due(&row.timetable.times().ok()?, since_ms, now_ms)?;
            let actor = self.actor_of(&row);
            let by = ScheduledBy { id: Some(row.id), name: row.name };
            let of = people::Of::read(row.parameters).ok()?;
            let what = Fired::Schedule(row.id);
            Some(Start { what, project, project_id: row.project, by, actor, of, due })
        });
        Ok(starts.collect())
    }

    /// What could not be started is due still, and tried again.
    async fn start(self: &Arc<Self>, start: &Start) {
        let (name, minute) = (start.by.name.as_str(), rfc3339(start.due.minute_ms));
        if start.due.is_late {
            warn!(self.log, "a schedule starts late, for the last of the times that went by; others are not made up for";
                "schedule" => name, "time" => &minute);
        }
        match self.started(start).await {
            Ok(Some(number)) => {
                info!(self.log, "a schedule started a pipeline";
                    "schedule" => name, "time" => minute, "number" => number);
            }
            Ok(None) => info!(self.log, "a branch with a schedule is gone"; "schedule" => name),
            Err(refusal) => {
                warn!(self.log, "a schedule could not start its pipeline, and is tried again";
                    "schedule" => name, "time" => minute, "error" => %refusal);
            }
        }
    }

    /// The number of the pipeline; none where the branch is gone that a workflow was for.
    async fn started(self: &Arc<Self>, start: &Start) -> Result<Option<u64>, Refusal> {
        let Some(row) = self.store.repository(&start.project).await? else {
            let why = "the project has no repository any more: `roundhouse project create` names one";
            return self.not_scheduled(start, start.bare(), why).await;
        };
        let event = start.event();
        let reference = event.reference().unwrap_or_default();
        match self.fetches.newest(self, &row, &reference).await {
            Ok(Some(found)) => {
                let (revision, default_branch) = (found.revision, found.default_branch);
                self.scheduled(start, &row, &Event { revision, default_branch, ..event }).await
            }
            Ok(None) if matches!(start.what, Fired::Workflow { .. }) => self.gone(start).await,
            Ok(None) => {
                self.not_scheduled(start, start.bare(), &format!("the repository has no `{reference}`")).await
            }
            Err(error) if error.is_ours() => Err(Refusal::Unavailable(error.to_string())),
            Err(error) => self.not_scheduled(start, start.bare(), &error.to_string()).await,
        }
    }

    async fn scheduled(
        self: &Arc<Self>,
        start: &Start,
        row: &RepositoryRow,
        event: &Event,
    ) -> Result<Option<u64>, Refusal> {
        let repository = (row.url.as_str(), row.class.clone());
        let mut new = triggers::pipeline(&start.project, repository, event, Some(start.trigger()));
        new.actor = start.actor.clone();
        new.selection = start.selection();
        new.parameters = start.of.texts();
        match self.fetches.fetch(self, row, event).await {
            Ok(fetched) => (new.config, new.git.commit) = (fetched.config, fetched.commit),
            Err(error) if error.is_ours() => return Err(Refusal::Unavailable(error.to_string())),
            Err(error) => return self.not_scheduled(start, new, &error.to_string()).await,
        }
        let occasion = Occasion::Fired(start.what.clone(), start.due.minute_ms);
        match self.create_pipeline_on(new.clone(), occasion).await {
            Ok(created) => Ok(Some(created.number)),
            Err(Refusal::Diagnosed(refused)) => self.failed(start, new, refused.diagnostics).await,
            Err(Refusal::Bad(why)) => self.not_scheduled(start, new, &why).await,
            Err(other) => Err(other),
        }
    }

    /// A workflow's branch is gone, and its schedules with it.
    async fn gone(&self, start: &Start) -> Result<Option<u64>, Refusal> {
        let branch = start.of.branch.clone().unwrap_or_default();
        let (project, schedules, at_ms) = (start.project_id, Vec::new(), start.due.minute_ms);
        self.write(vec![Write::ScheduledWorkflows { project, branch, schedules, at_ms }]).await?;
        Ok(None)
    }

    async fn not_scheduled(
        self: &Arc<Self>,
        start: &Start,
        new: NewPipeline,
        why: &str,
    ) -> Result<Option<u64>, Refusal> {
        self.failed(start, new, vec![format!("{}: error: {why}\n", triggers::PATH)]).await
    }

    async fn failed(
        self: &Arc<Self>,
        start: &Start,
        new: NewPipeline,
        errors: Vec<String>,
    ) -> Result<Option<u64>, Refusal> {
        let along = vec![Write::Fired(start.what.clone(), start.due.minute_ms)];
        let (_, number) = self.create_failed(Failed { new, errors, along }).await?;
        Ok(Some(number))
    }
}

impl Start {
    /// Of a branch or tag whose commit is not known yet.
    fn event(&self) -> Event {
        let (branch, tag) = (self.of.branch.clone(), self.of.tag.clone());
        Event { branch, tag, action: WORD.to_owned(), ..Event::default() }
    }

    fn trigger(&self) -> Trigger {
        Trigger {
            provider: WORD.to_owned(),
            event: WORD.to_owned(),
            action: WORD.to_owned(),
            pull_request: None,
            fork: None,
            schedule: Some(self.by.clone()),
        }
    }

    /// A workflow's own schedule starts that alone.
    fn selection(&self) -> Selection {
        let workflow = match &self.what {
            Fired::Workflow { workflow, .. } => Some(workflow.clone()),
            Fired::Schedule(_) => None,
        };
        Selection { workflow, ..Selection::default() }
    }

    /// A pipeline of which no commit is known.
    fn bare(&self) -> NewPipeline {
        let mut new = triggers::pipeline(&self.project, ("", None), &self.event(), Some(self.trigger()));
        (new.git.url, new.git.revision) = (None, None);
        new.actor = self.actor.clone();
        new
    }
}

/// Something that is being started, until this is dropped.
struct Done<'p> {
    plane: &'p Plane,
    what: &'p Fired,
}

impl Drop for Done<'_> {
    fn drop(&mut self) {
        starting(&self.plane.starting).remove(self.what);
    }
}

fn starting(all: &Starting) -> MutexGuard<'_, HashSet<Fired>> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether nobody starts it yet, nobody did when its row was read, and there is room.
fn claim(all: &Starting, busy: &HashSet<Fired>, what: &Fired) -> bool {
    let mut starting = starting(all);
    !busy.contains(what) && starting.len() < AT_ONCE && starting.insert(what.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_was_read_while_its_schedule_was_being_started_starts_it_no_second_time() {
        let (all, what) = (Starting::default(), Fired::Schedule(uuid::Uuid::nil()));
        let busy = || starting(&all).clone();
        assert!(claim(&all, &busy(), &what));
        assert!(!claim(&all, &HashSet::new(), &what), "it is being started");
        let before = busy();
        starting(&all).remove(&what);
        assert!(!claim(&all, &before, &what), "it may be that the row is of before");
        assert!(claim(&all, &busy(), &what));
    }
}
