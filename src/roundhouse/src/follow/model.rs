//! A pipeline as its follower knows it: the last view, moved on by news. Pure.
//!
//! A feed is told from its beginning after every fresh view, so news may be older than the view: whatever would
//! move a thing backwards changes nothing.

use super::words;
use protocol::{
    JobStatus, StepNumber, StepStatus, TaskId, WorkflowId, WorkflowStatus,
    api::{JobView, PipelineView, StepView, TaskView, WorkflowView},
    feed::News,
};
use std::{collections::HashMap, ops::Range};

/// Where a task stands in the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Among the workflows.
    pub(crate) workflow: usize,
    /// Among the workflow's jobs.
    pub(crate) job: usize,
}

/// A pipeline as its follower knows it.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    view: PipelineView,
    /// The one workflow that is followed, if not all are.
    only: Option<WorkflowId>,
    /// The places of the last runs of those: all else is past, or another's.
    shown: Vec<usize>,
    places: HashMap<TaskId, Place>,
}

/// How many jobs stand how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// All of them.
    pub(crate) all: usize,
    /// Those that run now.
    pub(crate) running: usize,
    /// Those whose tasks wait for a launch-agent.
    pub(crate) queued: usize,
    /// Those that wait for somebody's approval.
    pub(crate) on_hold: usize,
    /// Those that succeeded.
    pub(crate) succeeded: usize,
    /// Those that never run.
    pub(crate) not_run: usize,
    /// Those that ended in any other way.
    pub(crate) failed: usize,
}

impl Model {
    /// Begins with this view.
    pub(crate) fn new(view: PipelineView) -> Self {
        Self::of(view, None)
    }

    /// Begins with this view, for one workflow and its reruns alone.
    pub(crate) fn of(view: PipelineView, only: Option<WorkflowId>) -> Self {
        let mut model = Self { view, only, shown: Vec::new(), places: HashMap::new() };
        model.find_places();
        model
    }

    /// Takes up workflows that came since, as if they had not begun; their places.
    pub(crate) fn extend(&mut self, view: &PipelineView) -> Range<usize> {
        let known = self.view.workflows.len();
        self.view.workflows.extend(view.workflows.iter().skip(known).map(not_begun));
        self.find_places();
        known..self.view.workflows.len()
    }

    /// The view with the last runs of what is followed alone.
    pub(crate) fn outcome(&self) -> PipelineView {
        let workflows = self.shown.iter().map(|place| self.view.workflows[*place].clone()).collect();
        PipelineView { workflows, ..self.view.clone() }
    }

    /// Goes on from a fresh view.
    pub(crate) fn replace(&mut self, view: PipelineView) {
        self.view = view;
        self.find_places();
    }

    fn find_places(&mut self) {
        self.shown = self.view.last_runs(self.only);
        self.places.clear();
        for (workflow, view) in self.view.workflows.iter().enumerate() {
            for (job, view) in view.jobs.iter().enumerate() {
                self.places.extend(view.tasks.iter().map(|task| (task.id, Place { workflow, job })));
            }
        }
    }

    /// The view as it stands.
    pub(crate) fn view(&self) -> &PipelineView {
        &self.view
    }

    /// Whether nothing can change any more.
    pub(crate) fn is_over(&self) -> bool {
        let over = |workflow: &WorkflowView| {
            workflow.status.is_terminal() && workflow.jobs.iter().all(|job| job.status.is_terminal())
        };
        self.shown.iter().all(|place| over(&self.view.workflows[*place]))
    }

    /// Where a task stands.
    pub(crate) fn place(&self, task: TaskId) -> Option<Place> {
        self.places.get(&task).copied()
    }

    /// The job at a place.
    pub(crate) fn job(&self, at: Place) -> &JobView {
        &self.view.workflows[at.workflow].jobs[at.job]
    }

    /// A task.
    pub(crate) fn task(&self, task: TaskId) -> Option<&TaskView> {
        self.job(self.place(task)?).tasks.iter().find(|view| view.id == task)
    }

    /// A step of a task.
    pub(crate) fn step(&self, task: TaskId, step: StepNumber) -> Option<&StepView> {
        self.task(task)?.steps.iter().find(|view| view.number == step)
    }

    /// All jobs with their places, in the order of the configuration.
    pub(crate) fn jobs(&self) -> impl Iterator<Item = (Place, &JobView)> {
        self.shown.iter().flat_map(|&workflow| {
            let view = &self.view.workflows[workflow];
            view.jobs.iter().enumerate().map(move |(job, view)| (Place { workflow, job }, view))
        })
    }

    /// How many jobs stand how.
    pub(crate) fn counts(&self) -> Counts {
        self.jobs().fold(Counts::default(), |counts, (_, job)| counts.with(job.status))
    }

    /// What people call a job: its name, with its workflow's where another workflow has a job of that name.
    pub(crate) fn job_label(&self, at: Place) -> String {
        let name = &self.job(at).name;
        let alone = self.jobs().filter(|(_, job)| job.name == *name).count() == 1;
        let workflow = &self.view.workflows[at.workflow].name;
        words::shown(&if alone { name.clone() } else { format!("{workflow}/{name}") })
    }

    /// What people call a task: its job, with the index where the job is several tasks.
    pub(crate) fn task_label(&self, task: TaskId) -> String {
        let Some(at) = self.place(task) else { return task.to_string() };
        let tasks = &self.job(at).tasks;
        match tasks.iter().find(|view| view.id == task) {
            Some(view) if tasks.len() > 1 => format!("{}[{}]", self.job_label(at), view.index),
            _ => self.job_label(at),
        }
    }

    /// Takes one piece of news; whether it changed anything.
    pub(crate) fn apply(&mut self, news: &News) -> bool {
        self.applied(news).is_some()
    }

    fn applied(&mut self, news: &News) -> Option<()> {
        match news {
            News::Workflow { workflow, status } => {
                self.view.workflows.get_mut(*workflow).and_then(|view| move_workflow(view, *status))
            }
            News::Job { workflow, job, status, reason } => {
                self.job_mut(*workflow, *job).and_then(|view| move_job(view, *status, reason.as_deref()))
            }
            News::Task { workflow, job, task, index } => self.add_task(*workflow, *job, *task, *index),
            News::TaskClaimed { task, runner } => claim(self.task_mut(*task)?, runner),
            News::TaskEnded { task, outcome, message } => {
                let view = self.task_mut(*task).filter(|view| view.outcome.is_none())?;
                view.outcome = Some(*outcome);
                view.message.clone_from(message);
                Some(())
            }
            News::StepStarted { task, step, name } => start_step(self.task_mut(*task)?, *step, name),
            News::StepEnded { task, step, status, exit_code, duration_ms } => {
                let view = self.step_mut(*task, *step).filter(|view| view.status == StepStatus::Running)?;
                (view.status, view.exit_code, view.duration_ms) = (*status, *exit_code, Some(*duration_ms));
                Some(())
            }
            News::LogGrew { task, step, length } => {
                let view = self.step_mut(*task, *step).filter(|view| view.log_bytes < *length)?;
                view.log_bytes = *length;
                Some(())
            }
        }
    }

    fn job_mut(&mut self, workflow: usize, job: usize) -> Option<&mut JobView> {
        self.view.workflows.get_mut(workflow)?.jobs.get_mut(job)
    }

    fn task_mut(&mut self, task: TaskId) -> Option<&mut TaskView> {
        let place = self.place(task)?;
        self.job_mut(place.workflow, place.job)?.tasks.iter_mut().find(|view| view.id == task)
    }

    fn step_mut(&mut self, task: TaskId, step: StepNumber) -> Option<&mut StepView> {
        self.task_mut(task)?.steps.iter_mut().find(|view| view.number == step)
    }

    fn add_task(&mut self, workflow: usize, job: usize, task: TaskId, index: u32) -> Option<()> {
        if self.places.contains_key(&task) {
            return None;
        }
        let view = self.job_mut(workflow, job)?;
        view.tasks.push(TaskView {
            id: task,
            index,
            outcome: None,
            message: None,
            runner: None,
            steps: Vec::new(),
            artifacts: Vec::new(),
        });
        view.tasks.sort_by_key(|task| task.index);
        self.places.insert(task, Place { workflow, job });
        Some(())
    }
}

/// A workflow as it was before anything of it ran.
fn not_begun(view: &WorkflowView) -> WorkflowView {
    let blocked = |job: &JobView| JobView {
        status: JobStatus::Blocked,
        reason: None,
        started_ms: None,
        ended_ms: None,
        tasks: Vec::new(),
        ..job.clone()
    };
    let jobs = view.jobs.iter().map(|job| if job.inherited { job.clone() } else { blocked(job) });
    WorkflowView { status: WorkflowStatus::Running, jobs: jobs.collect(), ..view.clone() }
}

fn move_workflow(view: &mut WorkflowView, status: WorkflowStatus) -> Option<()> {
    let forward = match view.status {
        WorkflowStatus::Running | WorkflowStatus::OnHold => status != view.status,
        WorkflowStatus::Failing => status.is_terminal() || status == WorkflowStatus::OnHold,
        _ => false,
    };
    forward.then(|| view.status = status)
}

fn move_job(view: &mut JobView, status: JobStatus, reason: Option<&str>) -> Option<()> {
    // A job that waited for its turn is queued as before once it has it, but for the reason.
    let is_news = status == view.status && view.reason.is_some() && reason.is_none();
    if !is_news && rank(status) <= rank(view.status) {
        return None;
    }
    view.status = status;
    view.reason = reason.map(str::to_owned);
    Some(())
}

fn rank(status: JobStatus) -> u8 {
    match status {
        JobStatus::Blocked => 0,
        JobStatus::Queued | JobStatus::OnHold => 1,
        JobStatus::Running => 2,
        _ => 3,
    }
}

fn claim(view: &mut TaskView, runner: &str) -> Option<()> {
    (view.runner.as_deref() != Some(runner)).then(|| view.runner = Some(runner.to_owned()))
}

fn start_step(view: &mut TaskView, step: StepNumber, name: &str) -> Option<()> {
    if view.steps.iter().any(|known| known.number == step) {
        return None;
    }
    view.steps.push(StepView {
        number: step,
        name: name.to_owned(),
        status: StepStatus::Running,
        exit_code: None,
        started_ms: 0,
        duration_ms: None,
        log_bytes: 0,
    });
    view.steps.sort_by_key(|step| step.number);
    Some(())
}

impl Counts {
    fn with(mut self, status: JobStatus) -> Self {
        self.all += 1;
        match status {
            JobStatus::Running => self.running += 1,
            JobStatus::Queued => self.queued += 1,
            JobStatus::OnHold => self.on_hold += 1,
            JobStatus::Success => self.succeeded += 1,
            JobStatus::Blocked => {}
            JobStatus::NotRun => self.not_run += 1,
            _ => self.failed += 1,
        }
        self
    }

    /// Those that are over.
    pub(crate) fn done(self) -> usize {
        self.succeeded + self.not_run + self.failed
    }
}

#[cfg(test)]
mod tests;
