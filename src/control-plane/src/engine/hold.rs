//! What of a workflow has the turn of a serial group, and for how long: a job until it is over, a lock job until all that
//! its unlock job waits for is.

use super::workflow::{Shape, Workflow};
use protocol::{
    JobStatus,
    pipeline::{Job, Kind},
};
use std::{collections::BTreeSet, sync::Arc};

/// That a job needs the turn of a serial group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hold {
    pub(crate) group: Arc<str>,
    /// The place of the job.
    pub(crate) job: usize,
    /// The jobs that must all be over before another one has the turn, this one among them.
    pub(crate) span: BTreeSet<usize>,
}

/// How a hold stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The job requires what is not over.
    Ahead,
    /// The job waits for its turn.
    Waits,
    /// It has its turn.
    Has,
    /// It needs it no more.
    Over,
}

/// What an event came to for the serial groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A job waits for its turn now.
    Waits { group: Arc<str>, job: usize },
    /// A job does not wait any more.
    Left { group: Arc<str>, job: usize },
    /// Nothing of the workflow has the turn any more.
    Freed { group: Arc<str> },
}

impl Hold {
    fn standing(&self, workflow: &Workflow) -> Standing {
        let is_over = |place: &usize| workflow.job_status(*place).is_terminal();
        match workflow.job_status(self.job) {
            _ if workflow.is_waiting(self.job) => Standing::Waits,
            JobStatus::Blocked => Standing::Ahead,
            JobStatus::Success if self.span.iter().all(is_over) => Standing::Over,
            JobStatus::Success => Standing::Has,
            status if status.is_terminal() => Standing::Over,
            _ => Standing::Has,
        }
    }
}

/// All holds of a workflow and how they stood when they were last looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holds {
    holds: Vec<Hold>,
    standings: Vec<Standing>,
}

impl Holds {
    /// Those of a workflow that has not begun.
    pub(crate) fn of(jobs: &[&Job], shapes: &[Shape]) -> Self {
        let holds: Vec<Hold> = (0..jobs.len()).filter_map(|place| hold(jobs, shapes, place)).collect();
        let standings = vec![Standing::Ahead; holds.len()];
        Self { holds, standings }
    }

    /// Looks at what an event has changed.
    pub(crate) fn look(&mut self, workflow: &Workflow) -> Vec<Step> {
        let had = self.had();
        let mut steps = Vec::new();
        for (hold, standing) in self.holds.iter().zip(&mut self.standings) {
            let now = hold.standing(workflow);
            let (group, job) = (hold.group.clone(), hold.job);
            match (std::mem::replace(standing, now), now) {
                (before, now) if before == now => {}
                (_, Standing::Waits) => steps.push(Step::Waits { group, job }),
                (Standing::Waits, _) => steps.push(Step::Left { group, job }),
                _ => {}
            }
        }
        let has = self.had();
        steps.extend(had.difference(&has).map(|group| Step::Freed { group: group.clone() }));
        steps
    }

    /// A job that waits for a turn that its workflow has already, and not for itself alone.
    pub(crate) fn within(&self, workflow: &Workflow) -> Option<usize> {
        let waiting = self.holds.iter().filter(|hold| hold.standing(workflow) == Standing::Waits);
        let covers = |lock: &Hold, inner: &Hold| {
            lock.job != inner.job
                && lock.group == inner.group
                && lock.span.contains(&inner.job)
                && lock.standing(workflow) == Standing::Has
        };
        let is_within = |inner: &&Hold| self.holds.iter().any(|lock| covers(lock, inner));
        waiting.filter(|inner| is_within(inner)).map(|inner| inner.job).next()
    }

    /// The groups whose turn the workflow has.
    pub(crate) fn had(&self) -> BTreeSet<Arc<str>> {
        self.standing(Standing::Has).map(|hold| hold.group.clone()).collect()
    }

    /// The jobs that wait, with their groups.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (&Arc<str>, usize)> {
        self.standing(Standing::Waits).map(|hold| (&hold.group, hold.job))
    }

    fn standing(&self, wanted: Standing) -> impl Iterator<Item = &Hold> {
        let all = self.holds.iter().zip(&self.standings);
        all.filter(move |(_, standing)| **standing == wanted).map(|(hold, _)| hold)
    }

    /// Of each hold that is more than its own job, all its jobs.
    pub(crate) fn spans(&self) -> impl Iterator<Item = &BTreeSet<usize>> {
        self.holds.iter().map(|hold| &hold.span).filter(|span| span.len() > 1)
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.holds.is_empty()
    }
}

fn hold(jobs: &[&Job], shapes: &[Shape], place: usize) -> Option<Hold> {
    let group = jobs[place].serial_group.as_deref().filter(|_| shapes[place].is_serial)?;
    let span = match jobs[place].kind {
        Kind::Lock => span(jobs, shapes, (place, group)),
        _ => BTreeSet::from([place]),
    };
    Some(Hold { group: group.into(), job: place, span })
}

/// All that the unlock jobs after a lock job wait for and the lock job does not. Without one the lock is for all of the
/// workflow.
fn span(jobs: &[&Job], shapes: &[Shape], (lock, group): (usize, &str)) -> BTreeSet<usize> {
    let is_unlock = |place: &usize| {
        jobs[*place].kind == Kind::Unlock && jobs[*place].serial_group.as_deref() == Some(group)
    };
    let unlocks = (0..jobs.len()).filter(is_unlock).map(|place| before(shapes, place));
    let after: Vec<_> = unlocks.filter(|before| before.contains(&lock)).collect();
    if after.is_empty() {
        return (0..jobs.len()).collect();
    }
    let mut ahead = before(shapes, lock);
    ahead.remove(&lock);
    after.into_iter().flatten().filter(|place| !ahead.contains(place)).collect()
}

/// A job and all that it requires, also by way of others.
fn before(shapes: &[Shape], place: usize) -> BTreeSet<usize> {
    let (mut found, mut next) = (BTreeSet::from([place]), vec![place]);
    while let Some(place) = next.pop() {
        next.extend(shapes[place].requires.iter().map(|need| need.job).filter(|job| found.insert(*job)));
    }
    found
}
