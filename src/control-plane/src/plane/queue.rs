//! Tasks that wait for a claim, and whose turn it is.
//!
//! Of those that want no more than a runner has, the next is of the project with the highest priority; of several such the
//! one that holds the fewest tasks of the class; of several such the one whose task has waited longest. A project or a class
//! that has as many as it may have is passed over until one of them is over.

use super::{
    Plane,
    core::Core,
    live::{Place, Want},
};
use crate::{engine::task::State, refusal::Refusal};
use protocol::{JobId, ResourceClass, TaskId, WorkflowId, queue::ProjectRules};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, PoisonError, RwLock},
};
use store::{ProjectId, Store, StoreError, Write};
use tokio::sync::Notify;
use uuid::Uuid;

/// Tasks that want the same and wait for a claim.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Of each project, by age; some may be over or claimed meanwhile.
    lanes: BTreeMap<ProjectId, VecDeque<TaskId>>,
    /// Rung once for each task that comes.
    pub(super) work: Arc<Notify>,
}

impl Queue {
    /// Ids count up with time: one that waits again keeps its place.
    pub(super) fn push(&mut self, project: ProjectId, task: TaskId) {
        let lane = self.lanes.entry(project).or_default();
        lane.insert(lane.partition_point(|other| *other < task), task);
        self.work.notify_one();
    }

    /// Drops what does not wait at the front of each project's.
    fn clean(&mut self, waits: impl Fn(TaskId) -> bool) {
        self.lanes.retain(|_, lane| {
            while lane.front().is_some_and(|task| !waits(*task)) {
                lane.pop_front();
            }
            !lane.is_empty()
        });
    }

    fn fronts(&self) -> impl Iterator<Item = (ProjectId, TaskId)> {
        self.lanes.iter().filter_map(|(project, lane)| Some((*project, *lane.front()?)))
    }
}

/// What administrators said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    projects: HashMap<ProjectId, ProjectRules>,
    classes: HashMap<ResourceClass, u32>,
}

impl Rules {
    pub(crate) fn of(&self, project: ProjectId) -> ProjectRules {
        self.projects.get(&project).copied().unwrap_or_default()
    }

    pub(crate) fn limit(&self, class: &ResourceClass) -> Option<u32> {
        self.classes.get(class).copied()
    }
}

/// The rules that hold now.
#[derive(Debug, Default)]
pub(crate) struct QueueRules(RwLock<Arc<Rules>>);

impl QueueRules {
    pub(crate) async fn read(store: &Store) -> Result<Self, StoreError> {
        let projects = store.project_rules().await?.into_iter().collect();
        let classes = store.classes().await?;
        let classes = classes.into_iter().filter_map(|row| Some((row.class, row.max_tasks?))).collect();
        Ok(Self(RwLock::new(Arc::new(Rules { projects, classes }))))
    }

    pub(crate) fn now(&self) -> Arc<Rules> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Rules)) {
        let mut rules = self.0.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut rules));
    }
}

/// How many tasks are held, counted for one claim, and what may be.
#[derive(Debug)]
pub(crate) struct Shares {
    rules: Arc<Rules>,
    class: ResourceClass,
    /// Of the class.
    all: u64,
    /// Of the class, by project.
    of_class: HashMap<ProjectId, u64>,
    /// Of any class.
    of_project: HashMap<ProjectId, u64>,
}

impl Shares {
    pub(super) fn new(class: &ResourceClass, rules: Arc<Rules>) -> Self {
        let class = class.clone();
        Self { rules, class, all: 0, of_class: HashMap::new(), of_project: HashMap::new() }
    }

    fn add(&mut self, project: ProjectId, class: Option<&ResourceClass>) {
        *self.of_project.entry(project).or_default() += 1;
        if class == Some(&self.class) {
            self.all += 1;
            *self.of_class.entry(project).or_default() += 1;
        }
    }

    /// What stands against a task of a project, if anything does.
    fn refusal(&self, project: ProjectId) -> Option<String> {
        let held = self.of_project.get(&project).copied().unwrap_or_default();
        let of_class = self.rules.limit(&self.class).filter(|most| self.all >= u64::from(*most));
        let of_project = self.rules.of(project).max_tasks.filter(|most| held >= u64::from(*most));
        let of_class =
            of_class.map(|most| format!("as many tasks of {} run as may run at once: {most}", self.class));
        of_class.or_else(|| {
            of_project.map(|most| format!("as many tasks of its project run as may run at once: {most}"))
        })
    }

    /// The smallest goes first.
    fn turn(&self, project: ProjectId, task: TaskId) -> (Reverse<i32>, u64, TaskId) {
        let held = self.of_class.get(&project).copied().unwrap_or_default();
        (Reverse(self.rules.of(project).priority), held, task)
    }
}

impl Core {
    /// What the tasks of a job want, and for which project.
    pub(crate) fn want_of(&mut self, workflow: WorkflowId, job: JobId) -> Option<(Want, ProjectId)> {
        let live = self.workflow(workflow)?;
        Some((live.jobs.iter().find(|one| one.id == job)?.want()?, live.pipeline.project))
    }

    /// Counts what is held.
    pub(crate) fn shares(&self, class: &ResourceClass, rules: Arc<Rules>) -> Shares {
        let mut shares = Shares::new(class, rules);
        for (task, _) in self.tokens.values() {
            if let Some((live, _, place)) = self.task(*task) {
                shares.add(live.pipeline.project, live.jobs[place.job].class.as_ref());
            }
        }
        shares
    }

    /// Whether any task may wait that wants no more than this.
    pub(crate) fn has_waiting(&self, most: &Want) -> bool {
        let waits = |want: &Want| self.queues.get(want).is_some_and(|queue| !queue.lanes.is_empty());
        waits(&most.plain()) || waits(most)
    }

    /// The task whose turn it is, of those that want no more than this.
    pub(crate) fn pop(&mut self, most: &Want, shares: &mut Shares) -> Option<(TaskId, Place)> {
        let wants = [most.plain(), most.clone()];
        let mut best = None;
        let mut is_passed_over = false;
        for want in &wants[usize::from(!most.containers)..] {
            self.clean(want);
            for (project, task) in self.queues.get(want).into_iter().flat_map(Queue::fronts) {
                let turn = shares.turn(project, task);
                if shares.refusal(project).is_some() {
                    is_passed_over = true;
                } else if best.as_ref().is_none_or(|(_, least)| turn < *least) {
                    best = Some(((want, project, task), turn));
                }
            }
        }
        if is_passed_over {
            self.passed_over.insert(most.plain());
            self.passed_over.insert(most.clone());
        }
        let ((want, project, task), _) = best?;
        self.queues.get_mut(want)?.lanes.get_mut(&project)?.pop_front();
        shares.add(project, Some(&want.class));
        Some((task, self.place(task)?))
    }

    fn clean(&mut self, want: &Want) {
        let Some(mut queue) = self.queues.remove(want) else { return };
        queue.clean(|task| self.task(task).is_some_and(|(_, task, _)| task.machine.state == State::Queued));
        self.queues.insert(want.clone(), queue);
    }

    /// So many tasks are held no more: whoever was passed over may have a turn.
    pub(super) fn freed(&mut self, tasks: usize) {
        if tasks == 0 || self.passed_over.is_empty() {
            return;
        }
        for want in std::mem::take(&mut self.passed_over) {
            let work = self.work(&want);
            (0..tasks).for_each(|_| work.notify_one());
        }
    }

    /// Other rules hold: all who wait for work look again.
    fn ring_all(&mut self) {
        self.passed_over.clear();
        for queue in self.queues.values() {
            queue.work.notify_waiters();
        }
    }
}

impl Plane {
    /// What was said of a project.
    pub(crate) async fn rules_of(&self, project: &str) -> Result<ProjectRules, Refusal> {
        let project = self.projects.get(&self.store, project).await?;
        Ok(self.queue_rules.now().of(project.id))
    }

    /// Says of a project how it takes part; what already runs goes on.
    pub(crate) async fn rule(&self, project: &str, rules: ProjectRules, told: Write) -> Result<(), Refusal> {
        if rules.max_tasks == Some(0) {
            return Err(nothing_runs());
        }
        let project = self.projects.get(&self.store, project).await?.id;
        self.write(vec![Write::ProjectRules(project, rules), told]).await?;
        self.queue_rules.change(|all| {
            all.projects.insert(project, rules);
        });
        self.core().ring_all();
        Ok(())
    }

    /// Says of a class how many of its tasks run at once at most.
    pub(crate) async fn limit_class(
        self: &Arc<Self>,
        (id, class): (Uuid, &ResourceClass),
        max_tasks: Option<u32>,
        told: Write,
    ) -> Result<(), Refusal> {
        if max_tasks == Some(0) {
            return Err(nothing_runs());
        }
        self.change_access(vec![Write::ClassLimit(id, max_tasks), told]).await?;
        self.queue_rules.change(|all| match max_tasks {
            Some(most) => _ = all.classes.insert(class.clone(), most),
            None => _ = all.classes.remove(class),
        });
        self.core().ring_all();
        Ok(())
    }

    /// What was said of a class that is removed does not hold for one that gets its name.
    pub(crate) fn unlimit_class(&self, class: &ResourceClass) {
        self.queue_rules.change(|all| _ = all.classes.remove(class));
        self.core().ring_all();
    }

    /// What stands against the tasks of a job that is queued, if it is not only that all runners are busy.
    pub(crate) fn why_it_waits(&self, want: &Want, project: ProjectId) -> Option<String> {
        let now = self.clock.wall_ms();
        let class = &want.class;
        // Of a control plane that serves its own host alone the one runner is on its way.
        if self.rules.only_class.is_some() {
            return None;
        }
        if !self.instances.serves(class, false, now) {
            return Some(format!("no live runner serves {class}"));
        }
        if want.containers && !self.instances.serves(class, true, now) {
            return Some(format!("no live runner of {class} has an engine for containers"));
        }
        self.core().shares(class, self.queue_rules.now()).refusal(project)
    }
}

fn nothing_runs() -> Refusal {
    Refusal::Bad("`max_tasks` is at least 1; null is no limit".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class() -> ResourceClass {
        "acme/linux".parse().unwrap()
    }

    fn shares(rules: &[(i64, ProjectRules)], limit: Option<u32>, held: &[i64]) -> Shares {
        let projects = rules.iter().map(|(id, rules)| (ProjectId(*id), *rules)).collect();
        let classes = limit.map(|most| (class(), most)).into_iter().collect();
        let mut shares = Shares::new(&class(), Arc::new(Rules { projects, classes }));
        held.iter().for_each(|id| shares.add(ProjectId(*id), Some(&class())));
        shares
    }

    /// Of a task of each of these projects, the first waiting longest: whose go first.
    fn order(shares: &mut Shares, waiting: &[i64]) -> Vec<i64> {
        let mut waiting: Vec<(ProjectId, TaskId)> = waiting
            .iter()
            .enumerate()
            .map(|(age, id)| (ProjectId(*id), TaskId(Uuid::from_u128(age as u128))))
            .collect();
        let mut order = Vec::new();
        while let Some(place) = (0..waiting.len())
            .filter(|place| shares.refusal(waiting[*place].0).is_none())
            .min_by_key(|place| shares.turn(waiting[*place].0, waiting[*place].1))
        {
            let (project, _) = waiting.remove(place);
            shares.add(project, Some(&class()));
            order.push(project.0);
        }
        order
    }

    fn rules(priority: i32, max_tasks: Option<u32>) -> ProjectRules {
        ProjectRules { priority, max_tasks, cancel_redundant: false }
    }

    #[test]
    fn projects_take_turns_and_one_alone_goes_by_age() {
        assert_eq!(order(&mut shares(&[], None, &[]), &[1, 1, 1, 2, 2]), [1, 2, 1, 2, 1]);
        // Who already has two waits until the other has as many.
        assert_eq!(order(&mut shares(&[], None, &[1, 1]), &[1, 1, 2, 2, 2]), [2, 2, 1, 2, 1]);
    }

    #[test]
    fn a_higher_priority_goes_first_and_a_limit_passes_its_project_over() {
        let ruled = [(2, rules(1, None)), (3, rules(5, Some(1)))];
        assert_eq!(order(&mut shares(&ruled, None, &[]), &[1, 2, 3, 3, 2]), [3, 2, 2, 1]);
    }

    #[test]
    fn a_class_has_no_more_than_it_may_and_says_so() {
        let mut few = shares(&[], Some(2), &[1]);
        assert_eq!(order(&mut few, &[1, 2]), [2]);
        let why = few.refusal(ProjectId(1)).unwrap();
        assert_eq!(why, "as many tasks of acme/linux run as may run at once: 2");
    }
}
