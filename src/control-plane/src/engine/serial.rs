//! Serial groups: names of which one workflow at a time has its turn, over all pipelines.
//!
//! Who waits is served by the time it came. Of one project no older pipeline comes after a newer one: it is skipped.

use protocol::WorkflowId;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use store::ProjectId;

/// The longest that a job waits for its turn: five hours.
pub(crate) const LONGEST_MS: i64 = 5 * 60 * 60 * 1000;

/// A workflow, and how old its pipeline is among those of its project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Party {
    pub(crate) workflow: WorkflowId,
    pub(crate) project: ProjectId,
    /// The pipeline's.
    pub(crate) number: u64,
}

/// A job that waits for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiter {
    pub(crate) party: Party,
    /// Its place in the workflow.
    pub(crate) job: usize,
    /// Milliseconds since 1970.
    pub(crate) since_ms: i64,
}

/// What becomes of a job that waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It has its turn; its workflow has it until it is freed.
    Turn,
    /// A newer pipeline of its project has the turn or waits for it, this one.
    Skipped { by: u64 },
    /// It has waited for too long.
    Expired,
}

/// A job that waits no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) group: Arc<str>,
    pub(crate) waiter: Waiter,
    pub(crate) verdict: Verdict,
}

/// All groups that somebody has or waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Groups(BTreeMap<Arc<str>, Group>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Group {
    holder: Option<Party>,
    /// By the time they came.
    waiting: Vec<Waiter>,
}

impl Groups {
    /// A job waits from now on.
    pub(crate) fn join(&mut self, group: &Arc<str>, waiter: Waiter) {
        let waiting = &mut self.0.entry(group.clone()).or_default().waiting;
        let place = waiting.partition_point(|other| other.since_ms <= waiter.since_ms);
        waiting.insert(place, waiter);
    }

    /// A job does not wait any more.
    pub(crate) fn leave(&mut self, group: &Arc<str>, workflow: WorkflowId, job: usize) {
        let is_it = |waiter: &Waiter| waiter.party.workflow == workflow && waiter.job == job;
        self.change(group, |group| group.waiting.retain(|waiter| !is_it(waiter)));
    }

    /// A workflow that was taken up again has the turn.
    pub(crate) fn take_up(&mut self, group: &Arc<str>, party: Party) {
        self.0.entry(group.clone()).or_default().holder = Some(party);
    }

    /// A workflow gives the turn back.
    pub(crate) fn free(&mut self, group: &Arc<str>, workflow: WorkflowId) {
        self.change(group, |group| {
            group.holder.take_if(|holder| holder.workflow == workflow);
        });
    }

    /// The memory of a workflow is lost: what it has it keeps until it is read again, and none of it has its turn before.
    pub(crate) fn pause(&mut self, workflow: WorkflowId) {
        self.0
            .values_mut()
            .for_each(|group| group.waiting.retain(|waiter| waiter.party.workflow != workflow));
    }

    /// A workflow has nothing to do with any group any more.
    pub(crate) fn forget(&mut self, workflow: WorkflowId) {
        self.pause(workflow);
        for group in self.0.values_mut() {
            group.holder.take_if(|holder| holder.workflow == workflow);
        }
        self.0.retain(|_, group| !group.is_empty());
    }

    /// Decides of one job that waits, if of any: to be asked again until it is none.
    pub(crate) fn next(&mut self, now_ms: i64) -> Option<Decision> {
        self.0.iter_mut().find_map(|(name, group)| {
            let (waiter, verdict) = group.next(now_ms)?;
            Some(Decision { group: name.clone(), waiter, verdict })
        })
    }

    fn change(&mut self, name: &Arc<str>, work: impl FnOnce(&mut Group)) {
        let Some(group) = self.0.get_mut(name) else { return };
        work(group);
        if group.is_empty() {
            self.0.remove(name);
        }
    }

    /// Who has the turn, and who waits for it.
    #[cfg(test)]
    pub(crate) fn standing(&self, name: &str) -> (Option<Party>, Vec<Waiter>) {
        self.0.get(name).map(|group| (group.holder, group.waiting.clone())).unwrap_or_default()
    }
}

impl Group {
    fn next(&mut self, now_ms: i64) -> Option<(Waiter, Verdict)> {
        if self.waiting.is_empty() {
            return None;
        }
        let newest = self.newest();
        let verdict = |waiter: &Waiter| match newest[&waiter.party.project] {
            by if by > waiter.party.number => Some(Verdict::Skipped { by }),
            _ if now_ms.saturating_sub(waiter.since_ms) > LONGEST_MS => Some(Verdict::Expired),
            _ => None,
        };
        let first = self.waiting.iter().enumerate().find_map(|(place, one)| Some((place, verdict(one)?)));
        if let Some((place, verdict)) = first {
            return Some((self.waiting.remove(place), verdict));
        }
        if self.holder.is_some() {
            return None;
        }
        let waiter = self.waiting.remove(0);
        self.holder = Some(waiter.party);
        Some((waiter, Verdict::Turn))
    }

    /// The newest pipeline of each project that has the turn or waits for it.
    fn newest(&self) -> HashMap<ProjectId, u64> {
        let mut newest = HashMap::new();
        for party in self.waiting.iter().map(|waiter| &waiter.party).chain(&self.holder) {
            let number = newest.entry(party.project).or_default();
            *number = party.number.max(*number);
        }
        newest
    }

    fn is_empty(&self) -> bool {
        self.holder.is_none() && self.waiting.is_empty()
    }
}
