//! The shape of a build, and the words of version 1.1 for how it and its steps stand.

use crate::{
    api::{
        job::Found,
        newer::{action, command},
        slug,
    },
    plane::clock::rfc3339,
};
use protocol::{
    JobStatus, StepNumber, StepStatus,
    api::{JobView, StepView, TaskView},
    task::{Action as Does, Run},
};
use serde::Serialize;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Where a build's parts are.
pub(super) struct Places {
    /// What the addresses of its output begin with.
    pub(super) output: String,
    /// Of the page that shows it, where there is one.
    pub(super) page: Option<String>,
}

/// A job with its steps.
#[derive(Debug, Serialize)]
pub(super) struct Build {
    build_num: u64,
    username: String,
    reponame: String,
    branch: Option<String>,
    vcs_tag: Option<String>,
    vcs_revision: Option<String>,
    vcs_url: Option<String>,
    build_url: Option<String>,
    subject: Option<String>,
    body: Option<String>,
    author_name: Option<String>,
    author_email: Option<String>,
    lifecycle: &'static str,
    outcome: Option<JobStatus>,
    status: &'static str,
    parallel: u32,
    queued_at: Option<String>,
    start_time: Option<String>,
    stop_time: Option<String>,
    build_time_millis: Option<i64>,
    platform: &'static str,
    workflows: OfWorkflow,
    steps: Vec<Step>,
}

#[derive(Debug, Serialize)]
struct OfWorkflow {
    job_name: String,
    job_id: Uuid,
    workflow_name: String,
    workflow_id: Uuid,
    workspace_id: Uuid,
}

/// A step in each task that came to it.
#[derive(Debug, Serialize)]
struct Step {
    name: String,
    actions: Vec<Action>,
}

/// A step in one task.
#[derive(Debug, Serialize)]
struct Action {
    index: u32,
    step: u32,
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    status: &'static str,
    exit_code: Option<i32>,
    start_time: String,
    end_time: Option<String>,
    run_time_millis: Option<u64>,
    bash_command: Option<String>,
    background: bool,
    parallel: bool,
    failed: Option<bool>,
    canceled: Option<bool>,
    timedout: Option<bool>,
    truncated: bool,
    has_output: bool,
    /// Where there is any.
    output_url: Option<String>,
}

impl Build {
    pub(super) fn of(found: &Found, places: &Places) -> Self {
        let (job, git, project) = (found.job(), &found.git, &found.pipeline.project);
        let (lifecycle, status) = words(job.status);
        let said = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Self {
            build_num: job.number,
            username: slug::last(slug::organization(project)).to_owned(),
            reponame: slug::last(project).to_owned(),
            branch: git.branch.clone(),
            vcs_tag: git.tag.clone(),
            vcs_revision: git.revision.clone(),
            vcs_url: git.url.clone(),
            build_url: places.page.clone(),
            subject: said(&git.commit.subject),
            body: said(&git.commit.body),
            author_name: said(&git.commit.author_name),
            author_email: said(&git.commit.author_email),
            lifecycle,
            outcome: Some(job.status).filter(|_| lifecycle == "finished"),
            status,
            parallel: job.parallelism,
            queued_at: found.queued_ms.map(rfc3339),
            start_time: job.started_ms.map(rfc3339),
            stop_time: job.ended_ms.map(rfc3339),
            build_time_millis: job.ended_ms.zip(job.started_ms).map(|(end, start)| end - start),
            platform: "2.0",
            workflows: of_workflow(found),
            steps: steps(found, places),
        }
    }
}

fn of_workflow(found: &Found) -> OfWorkflow {
    let (job, workflow) = (found.job(), found.workflow());
    OfWorkflow {
        job_name: job.name.clone(),
        job_id: job.id.0,
        workflow_name: workflow.name.clone(),
        workflow_id: workflow.id.0,
        workspace_id: workflow.id.0,
    }
}

/// How far a build has come, and how it stands.
fn words(status: JobStatus) -> (&'static str, &'static str) {
    match status {
        JobStatus::Blocked | JobStatus::OnHold => ("not_running", "not_running"),
        JobStatus::Queued => ("queued", "queued"),
        JobStatus::Running => ("running", "running"),
        JobStatus::Success => ("finished", "success"),
        JobStatus::Failed => ("finished", "failed"),
        JobStatus::Canceled => ("finished", "canceled"),
        JobStatus::Timedout => ("finished", "timedout"),
        JobStatus::InfrastructureFail => ("finished", "infrastructure_fail"),
        JobStatus::NotRun | JobStatus::Unauthorized => ("not_run", "not_run"),
    }
}

fn steps(found: &Found, places: &Places) -> Vec<Step> {
    let mut steps: BTreeMap<StepNumber, Step> = BTreeMap::new();
    for task in &found.job().tasks {
        for step in &task.steps {
            let same = steps.entry(step.number);
            let same = same.or_insert_with(|| Step { name: step.name.clone(), actions: Vec::new() });
            same.actions.push(shown(found, task, step, places));
        }
    }
    steps.into_values().collect()
}

fn shown(found: &Found, task: &TaskView, step: &StepView, places: &Places) -> Action {
    let (does, is) =
        (action(&found.definition, step.number), |status| (step.status == status).then_some(true));
    let lasted = step.duration_ms.and_then(|ms| i64::try_from(ms).ok());
    let has_output = step.log_bytes > 0;
    let JobView { parallelism, .. } = found.job();
    Action {
        index: task.index,
        step: step.number.0,
        name: step.name.clone(),
        kind: if does.is_some() { "test" } else { "infrastructure" },
        status: word(step.status),
        exit_code: step.exit_code,
        start_time: rfc3339(step.started_ms),
        end_time: lasted.map(|ms| rfc3339(step.started_ms.saturating_add(ms))),
        run_time_millis: step.duration_ms,
        bash_command: does.and_then(command).map(str::to_owned),
        background: matches!(does, Some(Does::Run(Run { background: true, .. }))),
        parallel: *parallelism > 1,
        failed: is(StepStatus::Failed),
        canceled: is(StepStatus::Canceled),
        timedout: is(StepStatus::Timedout),
        truncated: false,
        has_output,
        output_url: has_output.then(|| format!("{}/{}/{}", places.output, step.number.0, task.index)),
    }
}

fn word(status: StepStatus) -> &'static str {
    match status {
        StepStatus::Running => "running",
        StepStatus::Success => "success",
        StepStatus::Failed => "failed",
        StepStatus::Canceled => "canceled",
        StepStatus::Timedout => "timedout",
        StepStatus::Skipped => "not_run",
    }
}
