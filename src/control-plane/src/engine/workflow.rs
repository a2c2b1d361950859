//! One workflow: which of its jobs may run, what becomes of those that never can, and how it all ends.
//!
//! The work per event is that of the jobs it concerns: counters stand for everything that would need a look at all.

use protocol::{JobStatus, Outcome, WorkflowStatus};

/// What the workflow needs to know of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Places of the jobs that must succeed first.
    pub(crate) requires: Vec<usize>,
    /// How many tasks it is.
    pub(crate) parallelism: u32,
}

/// Shapes that are no workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ShapeError {
    /// Jobs require each other in a circle.
    #[error("its jobs require each other in a circle")]
    Cycle,
    /// A job requires one that is not there, or has no task.
    #[error("a job requires one that is not there, or has no task")]
    Dangling,
}

/// A job within the workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Job {
    status: JobStatus,
    /// Required jobs that have not succeeded yet.
    waits_for: usize,
    /// Places of the jobs that require this one.
    dependents: Vec<usize>,
    parallelism: u32,
    /// Tasks that a launch-agent holds.
    held: u32,
    ended: u32,
    /// Of the tasks that ended, the one that says most about the job.
    worst: Option<Outcome>,
}

/// What happens to a workflow. Jobs are named by their places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// It begins.
    Start,
    /// A task of a job was claimed.
    TaskClaimed(usize),
    /// A task of a job was given back or lost before it began.
    TaskRequeued(usize),
    /// A task of a job is over; whether somebody held it when it ended.
    TaskEnded { job: usize, outcome: Outcome, was_held: bool },
    /// Somebody cancels it.
    Cancel,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// A job changed its status.
    Job(usize, JobStatus),
    /// A job's tasks are to be made and queued.
    QueueTasks(usize),
    /// A job's tasks are to be canceled.
    CancelTasks(usize),
    /// The workflow changed its status.
    Workflow(WorkflowStatus),
}

/// A workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Workflow {
    jobs: Vec<Job>,
    status: WorkflowStatus,
    canceled: bool,
    /// Jobs that are not over.
    open: usize,
    failed: usize,
    stopped: usize,
}

impl Workflow {
    /// A workflow that has not started.
    pub(crate) fn new(shapes: &[Shape]) -> Result<Self, ShapeError> {
        let mut jobs: Vec<Job> = shapes.iter().map(Job::new).collect();
        for (place, shape) in shapes.iter().enumerate() {
            for required in &shape.requires {
                jobs.get_mut(*required).ok_or(ShapeError::Dangling)?.dependents.push(place);
            }
        }
        if jobs.iter().any(|job| job.parallelism == 0) {
            return Err(ShapeError::Dangling);
        }
        let status = if jobs.is_empty() { WorkflowStatus::NotRun } else { WorkflowStatus::Running };
        let open = jobs.len();
        let workflow = Self { jobs, status, canceled: false, open, failed: 0, stopped: 0 };
        if workflow.is_acyclic() { Ok(workflow) } else { Err(ShapeError::Cycle) }
    }

    fn is_acyclic(&self) -> bool {
        let mut waits: Vec<usize> = self.jobs.iter().map(|job| job.waits_for).collect();
        let mut free: Vec<usize> = (0..waits.len()).filter(|place| waits[*place] == 0).collect();
        let mut reached = 0;
        while let Some(place) = free.pop() {
            reached += 1;
            for dependent in &self.jobs[place].dependents {
                waits[*dependent] -= 1;
                if waits[*dependent] == 0 {
                    free.push(*dependent);
                }
            }
        }
        reached == waits.len()
    }

    /// How it stands.
    pub(crate) fn status(&self) -> WorkflowStatus {
        self.status
    }

    /// How a job of it stands.
    #[cfg(test)]
    pub(crate) fn job_status(&self, place: usize) -> JobStatus {
        self.jobs[place].status
    }

    /// Takes up a workflow where it was left: the status of each job and, of its tasks, how many are held and how the
    /// others ended.
    pub(crate) fn restore(
        &mut self,
        canceled: bool,
        jobs: impl IntoIterator<Item = (JobStatus, u32, Vec<Outcome>)>,
    ) {
        self.canceled = canceled;
        self.open = self.jobs.len();
        for (place, (status, held, ended)) in jobs.into_iter().enumerate() {
            let job = &mut self.jobs[place];
            job.held = held;
            job.ended = u32::try_from(ended.len()).unwrap_or(u32::MAX);
            job.worst = ended.into_iter().max_by_key(|outcome| weight(*outcome));
            job.status = status;
            if status.is_terminal() {
                self.count_end(place, status);
            }
            if status == JobStatus::Success {
                self.satisfy_dependents(place);
            }
        }
        self.status = self.status_now();
    }

    /// Changes the workflow by an event and says what is to be done, in order.
    pub(crate) fn apply(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Start => self.start(&mut effects),
            Event::TaskClaimed(job) => self.task_claimed(job, &mut effects),
            Event::TaskRequeued(job) => self.task_requeued(job, &mut effects),
            Event::TaskEnded { job, outcome, was_held } => {
                self.task_ended(job, outcome, was_held, &mut effects);
            }
            Event::Cancel => self.cancel(&mut effects),
        }
        let status = self.status_now();
        if status != self.status {
            self.status = status;
            effects.push(Effect::Workflow(status));
        }
        effects
    }

    fn start(&mut self, effects: &mut Vec<Effect>) {
        for place in 0..self.jobs.len() {
            if self.jobs[place].is_free() {
                self.queue(place, effects);
            }
        }
    }

    fn queue(&mut self, place: usize, effects: &mut Vec<Effect>) {
        self.set(place, JobStatus::Queued, effects);
        effects.push(Effect::QueueTasks(place));
    }

    fn task_claimed(&mut self, place: usize, effects: &mut Vec<Effect>) {
        self.jobs[place].held += 1;
        self.refresh(place, effects);
    }

    fn task_requeued(&mut self, place: usize, effects: &mut Vec<Effect>) {
        let job = &mut self.jobs[place];
        job.held = job.held.saturating_sub(1);
        self.refresh(place, effects);
    }

    fn task_ended(&mut self, place: usize, outcome: Outcome, was_held: bool, effects: &mut Vec<Effect>) {
        let job = &mut self.jobs[place];
        job.held = job.held.saturating_sub(u32::from(was_held));
        job.ended += 1;
        job.worst = job.worst.into_iter().chain([outcome]).max_by_key(|outcome| weight(*outcome));
        self.refresh(place, effects);
        match self.jobs[place].status {
            JobStatus::Success => self.release_dependents(place, effects),
            status if status.is_terminal() => self.give_up_dependents(place, effects),
            _ => {}
        }
    }

    /// A job's status from its tasks.
    fn refresh(&mut self, place: usize, effects: &mut Vec<Effect>) {
        let job = &self.jobs[place];
        let status = match job.worst {
            Some(worst) if job.ended == job.parallelism => worst.job_status(),
            None if job.held == 0 => JobStatus::Queued,
            _ => JobStatus::Running,
        };
        if !job.status.is_terminal() && job.status != status {
            self.set(place, status, effects);
        }
    }

    fn release_dependents(&mut self, place: usize, effects: &mut Vec<Effect>) {
        for dependent in self.satisfy_dependents(place) {
            if self.jobs[dependent].is_free() {
                self.queue(dependent, effects);
            }
        }
    }

    fn satisfy_dependents(&mut self, place: usize) -> Vec<usize> {
        let dependents = self.jobs[place].dependents.clone();
        for dependent in &dependents {
            self.jobs[*dependent].waits_for -= 1;
        }
        dependents
    }

    fn give_up_dependents(&mut self, place: usize, effects: &mut Vec<Effect>) {
        let mut lost = self.jobs[place].dependents.clone();
        while let Some(dependent) = lost.pop() {
            if self.jobs[dependent].status == JobStatus::Blocked {
                self.set(dependent, JobStatus::NotRun, effects);
                lost.extend(self.jobs[dependent].dependents.iter().copied());
            }
        }
    }

    fn cancel(&mut self, effects: &mut Vec<Effect>) {
        if self.canceled || self.status.is_terminal() {
            return;
        }
        self.canceled = true;
        for place in 0..self.jobs.len() {
            match self.jobs[place].status {
                JobStatus::Blocked => self.set(place, JobStatus::Canceled, effects),
                status if !status.is_terminal() => effects.push(Effect::CancelTasks(place)),
                _ => {}
            }
        }
    }

    fn set(&mut self, place: usize, status: JobStatus, effects: &mut Vec<Effect>) {
        self.jobs[place].status = status;
        effects.push(Effect::Job(place, status));
        if status.is_terminal() {
            self.count_end(place, status);
        }
    }

    fn count_end(&mut self, place: usize, status: JobStatus) {
        debug_assert!(self.jobs[place].status == status, "a job is counted as what it is");
        self.open -= 1;
        match status {
            JobStatus::Failed | JobStatus::Timedout | JobStatus::InfrastructureFail => self.failed += 1,
            JobStatus::Canceled => self.stopped += 1,
            _ => {}
        }
    }

    fn status_now(&self) -> WorkflowStatus {
        match self.open {
            _ if self.jobs.is_empty() => WorkflowStatus::NotRun,
            0 if self.stopped > 0 && (self.canceled || self.failed == 0) => WorkflowStatus::Canceled,
            0 if self.failed > 0 => WorkflowStatus::Failed,
            0 => WorkflowStatus::Success,
            _ if self.failed > 0 => WorkflowStatus::Failing,
            _ => WorkflowStatus::Running,
        }
    }
}

impl Job {
    fn new(shape: &Shape) -> Self {
        Self {
            status: JobStatus::Blocked,
            waits_for: shape.requires.len(),
            dependents: Vec::new(),
            parallelism: shape.parallelism,
            held: 0,
            ended: 0,
            worst: None,
        }
    }

    fn is_free(&self) -> bool {
        self.status == JobStatus::Blocked && self.waits_for == 0
    }
}

/// Which of several outcomes says most about a job: a cancel explains the rest, a failure is the job's own word.
fn weight(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Success => 0,
        Outcome::InfrastructureFail => 1,
        Outcome::Timedout => 2,
        Outcome::Failed => 3,
        Outcome::Canceled => 4,
    }
}
