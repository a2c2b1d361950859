//! A task's spec: its job as compiled, with the variables that CircleCI's documentation promises.

use super::{credentials::Filled, orbs::digest_of};
use crate::plane::{
    Plane,
    live::{Live, LiveJob, Pipeline},
    projects::stable_id,
};
use crate::refusal::Refusal;
use protocol::{
    Actor, Epoch, TaskId,
    api::{Fork, Variables},
    http::Lease,
    repository::{self, Login, Ssh},
    task::{Source, TaskSpec, Variable},
};

impl Plane {
    /// What a task's holder is to run, with the keys and the login that its steps ask for.
    pub(crate) async fn spec_with_keys(&self, lease: Lease) -> Result<TaskSpec, Refusal> {
        let pipeline = self.pipeline_of(lease)?;
        let job = self.held(lease, |(live, place), _| live.jobs[place].definition.clone())?;
        let variables = self.variables_of(&pipeline, &job).await?;
        let mut spec = self.spec(lease, &variables)?;
        spec.ssh = self.ssh_of(&pipeline, &spec.steps).await?;
        spec.login = self.login_of(&pipeline, &spec.steps).await?;
        Ok(spec)
    }

    /// What a task's holder is to run.
    fn spec(&self, lease: Lease, variables: &Variables) -> Result<TaskSpec, Refusal> {
        let max_run_time_ms = u64::try_from(self.rules.max_run_time.as_millis()).unwrap_or(u64::MAX);
        self.held(lease, |(live, place), task| {
            let job = &live.jobs[place];
            let index = job.tasks.iter().position(|other| other.id == task.id).unwrap_or_default();
            let mut spec = spec(live, job, (task.id, lease.epoch, index), (max_run_time_ms, variables));
            spec.environment = environment((live, variables), job, index, self.identity(live, job));
            let page = self.rules.page.as_ref().map(|page| format!("{page}/jobs/{}", job.id));
            // Lowest of all: whoever knows a better address says it.
            spec.environment.splice(0..0, page.map(|page| plain("CIRCLE_BUILD_URL", page)));
            spec
        })
    }
}

fn spec(
    live: &Live,
    job: &LiveJob,
    (task, epoch, index): (TaskId, Epoch, usize),
    (max_run_time_ms, variables): (u64, &Variables),
) -> TaskSpec {
    let definition = &job.definition;
    let containers = Filled::of(definition, variables);
    TaskSpec {
        task,
        epoch,
        job: definition.name.clone(),
        job_number: job.number,
        node_index: u32::try_from(index).unwrap_or(u32::MAX),
        node_total: definition.parallelism,
        environment: Vec::new(),
        masks: containers.passwords,
        working_directory: definition.working_directory.clone(),
        source: live.pipeline.source.clone(),
        steps: definition.steps.clone(),
        max_run_time_ms,
        containers: containers.containers,
        is_setup: live.is_setup,
        ssh: Ssh::default(),
        login: Login::None,
        mirror: mirror_of(&live.pipeline),
    }
}

/// Of a project and its repository. What comes from a pull request of a stranger uses no copy and leaves none.
fn mirror_of(pipeline: &Pipeline) -> Option<String> {
    let Source::Git { url, branch, tag, .. } = &pipeline.source else { return None };
    let is_request = |branch: &String| !repository::reference_of(branch).starts_with("refs/heads/");
    let is_foreign =
        pipeline.git.fork().is_some() || tag.is_none() && branch.as_ref().is_some_and(is_request);
    let name = format!("{}\0{url}", pipeline.project_name);
    (!is_foreign).then(|| digest_of(&name).as_str().to_owned())
}

/// All variables, lowest precedence first: project, contexts from left to right, built-in, the job's own.
fn environment(
    (live, given): (&Live, &Variables),
    job: &LiveJob,
    index: usize,
    identity: Vec<Variable>,
) -> Vec<Variable> {
    let contexts = job.definition.contexts.iter().filter_map(|name| given.contexts.get(name)).flatten();
    let mut environment: Vec<_> = given.environment.iter().chain(contexts).cloned().collect();
    environment.extend(built_in(live, job, index));
    environment.extend(identity);
    environment.extend(continuation_key(live));
    environment.extend(job.definition.environment.iter().map(|(name, value)| plain(name, value.clone())));
    environment
}

fn plain(name: &str, value: String) -> Variable {
    Variable { name: name.to_owned(), value, secret: false }
}

/// For the jobs of a setup workflow alone.
fn continuation_key(live: &Live) -> Option<Variable> {
    let continuation = live.pipeline.variables.continuation.as_ref().filter(|_| live.is_setup)?;
    let (name, value) = ("CIRCLE_CONTINUATION_KEY".to_owned(), continuation.key.clone());
    Some(Variable { name, value, secret: true })
}

fn built_in(live: &Live, job: &LiveJob, index: usize) -> Vec<Variable> {
    let pipeline = &*live.pipeline;
    let workflow = live.guard.workflow.to_string();
    let mut variables = vec![
        plain("CI", "true".to_owned()),
        plain("CIRCLECI", "true".to_owned()),
        plain("CIRCLE_BUILD_NUM", job.number.to_string()),
        plain("CIRCLE_JOB", job.definition.name.clone()),
        plain("CIRCLE_NODE_INDEX", index.to_string()),
        plain("CIRCLE_NODE_TOTAL", job.definition.parallelism.to_string()),
        plain("CIRCLE_PIPELINE_ID", pipeline.id.to_string()),
        plain("CIRCLE_PROJECT_ID", stable_id(&pipeline.project_name).to_string()),
        plain("CIRCLE_WORKFLOW_ID", workflow),
        plain("CIRCLE_WORKFLOW_JOB_ID", job.id.to_string()),
        plain("CIRCLE_WORKFLOW_WORKSPACE_ID", live.first.to_string()),
        plain("CIRCLE_WORKING_DIRECTORY", job.definition.working_directory.clone()),
    ];
    variables.extend(user(live.actor()));
    variables.extend(of_project(pipeline));
    variables.extend(of_commit(pipeline));
    variables
}

/// Somebody who pushed, or is known.
fn user(actor: &Actor) -> Option<Variable> {
    let is_somebody = matches!(actor, Actor::Person { .. } | Actor::Account { .. });
    is_somebody.then(|| plain("CIRCLE_USERNAME", actor.login().to_owned()))
}

/// The last two parts of `vcs/org/repo` or `local/<name>` name owner and repository.
fn of_project(pipeline: &Pipeline) -> Vec<Variable> {
    let mut parts = pipeline.project_name.rsplit('/');
    let repository = parts.next().unwrap_or_default();
    let owner = parts.next().unwrap_or_default();
    let organization = pipeline.project_name.rsplit_once('/').map_or("", |(organization, _)| organization);
    vec![
        plain("CIRCLE_ORGANIZATION_ID", stable_id(organization).to_string()),
        plain("CIRCLE_PROJECT_REPONAME", repository.to_owned()),
        plain("CIRCLE_PROJECT_USERNAME", owner.to_owned()),
    ]
}

/// Branch xor tag, as known.
fn of_commit(pipeline: &Pipeline) -> Vec<Variable> {
    let git = &pipeline.git;
    let branch = git.branch.as_ref().filter(|_| git.tag.is_none());
    let pull_request = git.trigger.as_ref().and_then(|trigger| trigger.pull_request.as_ref());
    let known = [
        ("CIRCLE_BRANCH", branch),
        ("CIRCLE_PULL_REQUEST", pull_request),
        ("CIRCLE_PULL_REQUESTS", pull_request),
        ("CIRCLE_REPOSITORY_URL", git.url.as_ref()),
        ("CIRCLE_SHA1", git.revision.as_ref()),
        ("CIRCLE_TAG", git.tag.as_ref()),
    ];
    let known = known.into_iter().filter_map(|(name, value)| Some(plain(name, value?.clone())));
    known.chain(git.fork().into_iter().flat_map(of_fork)).collect()
}

/// As CircleCI has them, of pull requests of forks alone.
fn of_fork(fork: &Fork) -> Vec<Variable> {
    let mut variables = vec![plain("CIRCLE_PR_NUMBER", fork.number.to_string())];
    if let Some((owner, name)) = fork.path.rsplit_once('/') {
        variables.push(plain("CIRCLE_PR_USERNAME", owner.to_owned()));
        variables.push(plain("CIRCLE_PR_REPONAME", name.to_owned()));
    }
    variables
}
