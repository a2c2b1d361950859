//! One workflow: which of its jobs may run, what becomes of those that never can, and how it all ends.
//!
//! The work per event is that of the jobs it concerns: counters stand for everything that would need a look at all.

use protocol::{JobStatus, Outcome, WorkflowStatus, pipeline::Ending};

/// What the workflow needs to know of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// The jobs that must be over first.
    pub(crate) requires: Vec<Need>,
    /// What it does once they are.
    pub(crate) work: Work,
    /// Whether it waits before that for its turn in a serial group.
    pub(crate) is_serial: bool,
}

/// That a job must be over before another one's turn comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    /// The place of the job that must be over; in the list of a job's dependents, of the one that waits.
    pub(crate) job: usize,
    /// How it may have ended: in any of these ways.
    pub(crate) endings: Vec<Ending>,
}

/// What a job does once its turn has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// So many tasks run.
    Tasks(u32),
    /// It waits for somebody's approval.
    Approval,
    /// It waits for the word of whoever carries out its plan.
    Release,
    /// Nothing: it succeeds at once.
    Nothing,
}

/// How a requirement stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// The required job can never end as it would have to.
    Lost,
    /// The required job is not over.
    Waits,
    /// The required job ended as it had to.
    Met,
}

impl Need {
    /// How this stands while the required job stands so.
    pub(crate) fn standing(&self, required: JobStatus) -> Standing {
        match required.is_terminal() {
            false => Standing::Waits,
            true if self.endings.iter().any(|ending| ending.includes(required)) => Standing::Met,
            true => Standing::Lost,
        }
    }
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
    work: Work,
    is_serial: bool,
    /// Whether it waits for its turn in its serial group.
    is_waiting: bool,
    /// Requirements that are not met yet.
    waits_for: usize,
    /// The jobs that require this one.
    dependents: Vec<Need>,
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
    /// A job has its turn in its serial group.
    Turn(usize),
    /// A job that waits for its turn never gets it.
    Skip(usize),
    /// A job may not run, whose tasks were to be queued.
    Refuse(usize),
    /// Somebody approves a job.
    Approve(usize),
    /// Somebody says how the release ended that a job waits for.
    Released { job: usize, succeeded: bool },
    /// A job waited for too long for an answer, or for its turn.
    Expire(usize),
    /// Somebody cancels it.
    Cancel,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// A job changed its status.
    Job(usize, JobStatus),
    /// A job is queued until it has its turn in its serial group.
    AwaitTurn(usize),
    /// A job's tasks are to be made and queued.
    QueueTasks(usize),
    /// A job's tasks are to be canceled.
    CancelTasks(usize),
    /// The workflow changed its status.
    Workflow(WorkflowStatus),
}

/// How a job was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) status: JobStatus,
    /// Tasks that a launch-agent holds.
    pub(crate) held: u32,
    /// How the others ended that are over.
    pub(crate) ended: Vec<Outcome>,
    /// Whether it waits for its turn in its serial group.
    pub(crate) is_waiting: bool,
}

impl Left {
    /// A job of which no task goes on.
    pub(crate) fn at(status: JobStatus) -> Self {
        Self { status, held: 0, ended: Vec::new(), is_waiting: false }
    }
}

/// A workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Workflow {
    jobs: Vec<Job>,
    status: WorkflowStatus,
    canceled: bool,
    tally: Tally,
}

/// How many of its jobs stand how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    blocked: usize,
    on_hold: usize,
    /// Queued or running.
    busy: usize,
    failed: usize,
    stopped: usize,
    /// Over in any other way.
    done: usize,
}

impl Workflow {
    /// A workflow that has not started.
    pub(crate) fn new(shapes: &[Shape]) -> Result<Self, ShapeError> {
        let mut jobs: Vec<Job> = shapes.iter().map(Job::new).collect();
        for (place, shape) in shapes.iter().enumerate() {
            for Need { job, endings } in &shape.requires {
                let dependent = Need { job: place, endings: endings.clone() };
                jobs.get_mut(*job).ok_or(ShapeError::Dangling)?.dependents.push(dependent);
            }
        }
        if jobs.iter().any(|job| job.work == Work::Tasks(0)) {
            return Err(ShapeError::Dangling);
        }
        let status = if jobs.is_empty() { WorkflowStatus::NotRun } else { WorkflowStatus::Running };
        let tally = Tally { blocked: jobs.len(), ..Tally::default() };
        let workflow = Self { jobs, status, canceled: false, tally };
        if workflow.is_acyclic() { Ok(workflow) } else { Err(ShapeError::Cycle) }
    }

    fn is_acyclic(&self) -> bool {
        let mut waits: Vec<usize> = self.jobs.iter().map(|job| job.waits_for).collect();
        let mut free: Vec<usize> = (0..waits.len()).filter(|place| waits[*place] == 0).collect();
        let mut reached = 0;
        while let Some(place) = free.pop() {
            reached += 1;
            for Need { job, .. } in &self.jobs[place].dependents {
                waits[*job] -= 1;
                if waits[*job] == 0 {
                    free.push(*job);
                }
            }
        }
        reached == waits.len()
    }

    /// How it stands.
    pub(crate) fn status(&self) -> WorkflowStatus {
        self.status
    }

    /// Whether a job waits for its turn in its serial group.
    pub(crate) fn is_waiting(&self, place: usize) -> bool {
        self.jobs[place].is_waiting
    }

    /// How a job of it stands.
    pub(crate) fn job_status(&self, place: usize) -> JobStatus {
        self.jobs[place].status
    }

    /// Takes up a workflow where it was left.
    pub(crate) fn restore(&mut self, canceled: bool, jobs: impl IntoIterator<Item = Left>) {
        self.canceled = canceled;
        for (place, Left { status, held, ended, is_waiting }) in jobs.into_iter().enumerate() {
            let job = &mut self.jobs[place];
            job.held = held;
            job.is_waiting = is_waiting;
            job.ended = u32::try_from(ended.len()).unwrap_or(u32::MAX);
            job.worst = ended.into_iter().max_by_key(|outcome| weight(*outcome));
            self.turn(place, status);
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
            Event::Turn(job) => self.have_turn(job, &mut effects),
            Event::Skip(job) => self.lose_turn(job, JobStatus::NotRun, &mut effects),
            Event::Refuse(job) => self.refuse(job, &mut effects),
            Event::Approve(job) => self.answer((job, Work::Approval), JobStatus::Success, &mut effects),
            Event::Released { job, succeeded } => {
                let status = if succeeded { JobStatus::Success } else { JobStatus::Failed };
                self.answer((job, Work::Release), status, &mut effects);
            }
            Event::Expire(job) => self.expire(job, &mut effects),
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
                self.begin(place, effects);
                self.settle(place, effects);
            }
        }
    }

    /// All that a job requires is as it should be.
    fn begin(&mut self, place: usize, effects: &mut Vec<Effect>) {
        if self.jobs[place].is_serial {
            self.jobs[place].is_waiting = true;
            self.turn(place, JobStatus::Queued);
            effects.push(Effect::AwaitTurn(place));
        } else {
            self.work(place, effects);
        }
    }

    fn work(&mut self, place: usize, effects: &mut Vec<Effect>) {
        match self.jobs[place].work {
            Work::Tasks(_) => {
                self.set(place, JobStatus::Queued, effects);
                effects.push(Effect::QueueTasks(place));
            }
            Work::Approval | Work::Release => self.set(place, JobStatus::OnHold, effects),
            Work::Nothing => self.set(place, JobStatus::Success, effects),
        }
    }

    /// Carries on what a job decides by being over, if it is, and what that decides in turn.
    fn settle(&mut self, place: usize, effects: &mut Vec<Effect>) {
        let (mut moved, mut next) = (vec![place], 0);
        while let Some(&place) = moved.get(next) {
            next += 1;
            let status = self.jobs[place].status;
            if !status.is_terminal() {
                continue;
            }
            for at in 0..self.jobs[place].dependents.len() {
                let dependent = &self.jobs[place].dependents[at];
                let (job, standing) = (dependent.job, dependent.standing(status));
                match standing {
                    Standing::Lost if self.jobs[job].status == JobStatus::Blocked => {
                        self.set(job, JobStatus::NotRun, effects);
                    }
                    Standing::Met if self.jobs[job].is_free() => self.begin(job, effects),
                    Standing::Lost | Standing::Met | Standing::Waits => continue,
                }
                moved.push(job);
            }
        }
    }

    fn have_turn(&mut self, place: usize, effects: &mut Vec<Effect>) {
        if std::mem::take(&mut self.jobs[place].is_waiting) {
            self.work(place, effects);
            self.settle(place, effects);
        }
    }

    /// Ends a job's waiting for its turn.
    fn lose_turn(&mut self, place: usize, status: JobStatus, effects: &mut Vec<Effect>) {
        if std::mem::take(&mut self.jobs[place].is_waiting) {
            self.set(place, status, effects);
            self.settle(place, effects);
        }
    }

    fn refuse(&mut self, place: usize, effects: &mut Vec<Effect>) {
        let job = &self.jobs[place];
        if job.status == JobStatus::Queued && !job.is_waiting && job.held == 0 {
            self.set(place, JobStatus::Unauthorized, effects);
            self.settle(place, effects);
        }
    }

    fn expire(&mut self, place: usize, effects: &mut Vec<Effect>) {
        self.lose_turn(place, JobStatus::Canceled, effects);
        self.answer((place, self.jobs[place].work), JobStatus::Canceled, effects);
    }

    /// Ends a job's waiting, where it is for such an answer.
    fn answer(&mut self, (place, work): (usize, Work), status: JobStatus, effects: &mut Vec<Effect>) {
        if self.jobs[place].status == JobStatus::OnHold && self.jobs[place].work == work {
            self.set(place, status, effects);
            self.settle(place, effects);
        }
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
        self.settle(place, effects);
    }

    /// A job's status from its tasks.
    fn refresh(&mut self, place: usize, effects: &mut Vec<Effect>) {
        let job = &self.jobs[place];
        let status = match job.worst {
            Some(worst) if Work::Tasks(job.ended) == job.work => worst.job_status(),
            None if job.held == 0 => JobStatus::Queued,
            _ => JobStatus::Running,
        };
        if !job.status.is_terminal() && job.status != status {
            self.set(place, status, effects);
        }
    }

    fn cancel(&mut self, effects: &mut Vec<Effect>) {
        if self.canceled || self.status.is_terminal() {
            return;
        }
        self.canceled = true;
        for place in 0..self.jobs.len() {
            let is_waiting = std::mem::take(&mut self.jobs[place].is_waiting);
            match self.jobs[place].status {
                _ if is_waiting => self.set(place, JobStatus::Canceled, effects),
                JobStatus::Blocked | JobStatus::OnHold => self.set(place, JobStatus::Canceled, effects),
                status if !status.is_terminal() => effects.push(Effect::CancelTasks(place)),
                _ => {}
            }
        }
    }

    fn set(&mut self, place: usize, status: JobStatus, effects: &mut Vec<Effect>) {
        self.turn(place, status);
        effects.push(Effect::Job(place, status));
    }

    /// Gives a job a status, and keeps every count right.
    fn turn(&mut self, place: usize, status: JobStatus) {
        let before = std::mem::replace(&mut self.jobs[place].status, status);
        *self.tally.of(before) -= 1;
        *self.tally.of(status) += 1;
        if before.is_terminal() || !status.is_terminal() {
            return;
        }
        for at in 0..self.jobs[place].dependents.len() {
            let dependent = &self.jobs[place].dependents[at];
            if dependent.standing(status) == Standing::Met {
                let job = dependent.job;
                self.jobs[job].waits_for -= 1;
            }
        }
    }

    fn status_now(&self) -> WorkflowStatus {
        let Tally { blocked, on_hold, busy, failed, stopped, .. } = self.tally;
        match blocked + on_hold + busy {
            _ if self.jobs.is_empty() => WorkflowStatus::NotRun,
            0 if stopped > 0 && (self.canceled || failed == 0) => WorkflowStatus::Canceled,
            0 if failed > 0 => WorkflowStatus::Failed,
            0 => WorkflowStatus::Success,
            _ if on_hold > 0 && busy == 0 => WorkflowStatus::OnHold,
            _ if failed > 0 => WorkflowStatus::Failing,
            _ => WorkflowStatus::Running,
        }
    }
}

impl Tally {
    fn of(&mut self, status: JobStatus) -> &mut usize {
        match status {
            JobStatus::Blocked => &mut self.blocked,
            JobStatus::OnHold => &mut self.on_hold,
            JobStatus::Queued | JobStatus::Running => &mut self.busy,
            JobStatus::Failed
            | JobStatus::Timedout
            | JobStatus::InfrastructureFail
            | JobStatus::Unauthorized => &mut self.failed,
            JobStatus::Canceled => &mut self.stopped,
            JobStatus::Success | JobStatus::NotRun => &mut self.done,
        }
    }
}

impl Job {
    fn new(shape: &Shape) -> Self {
        Self {
            status: JobStatus::Blocked,
            work: shape.work,
            is_serial: shape.is_serial,
            is_waiting: false,
            waits_for: shape.requires.len(),
            dependents: Vec::new(),
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
