//! Making a pipeline: compile, check, number, and queue what may run at once, in one write.

use super::continuation::kept_of;
use crate::{
    contexts::Gate,
    engine::{
        hold::Holds,
        workflow::{Event, Workflow},
    },
    pipelines::{
        compiling::{Compiling, compile},
        credentials::{self, Passwords},
        forks, hidden,
        occasion::{self, Occasion},
        policed::Case,
        texts::Texts,
    },
    plane::{
        Plane, Written,
        clock::{rfc3339, wall_ms},
        live::{Change, Live, LiveJob, Pipeline},
        projects::{Giver, Numbers, Project},
        redundant, report,
        restore::shapes,
    },
    refusal::Refusal,
    ssh_keys,
};
use compiler::Inputs;
use protocol::{
    Actor, JobId, JobStatus, PipelineId, PipelineState, ResourceClass, WorkflowId,
    api::{Created, NewPipeline, Refused, Reruns, Variables},
    pipeline::{Executor, Job, Kind, Pipeline as Compiled, Workflow as CompiledWorkflow},
    repository::{self, SshKey},
    task::Source,
    transfer::Content,
};
use std::sync::Arc;
use store::{Command, Guard, JobRow, PipelineRow, StoreError, WorkflowRow, Write};
use tokio::sync::oneshot;
use uuid::Uuid;

impl Plane {
    /// Compiles a configuration and runs it.
    pub(crate) async fn create_pipeline(self: &Arc<Self>, new: NewPipeline) -> Result<Created, Refusal> {
        self.create_pipeline_on(new, Occasion::Other).await
    }

    /// The same, and what its occasion is remembered by in the same write.
    pub(crate) async fn create_pipeline_on(
        self: &Arc<Self>,
        new: NewPipeline,
        occasion: Occasion,
    ) -> Result<Created, Refusal> {
        let new = forks::without_secrets(new);
        self.check_source(&new).await?;
        let ssh_keys = ssh_keys::given(&new.ssh_keys)?;
        let project = self.projects.get(&self.store, &new.project).await?;
        // Held until all is on disk: numbers have no gaps, also where a configuration is refused.
        let numbers = project.numbers.clone().lock_owned().await;
        let id = PipelineId(Uuid::now_v7());
        let inputs = self.inputs(&new, id, numbers.pipeline);
        let Compiling { mut compiled, mut warnings, text } = compile(&new, inputs).await?;
        if new.git.fork().is_some_and(|fork| fork.needs_approval) {
            forks::hold(&mut compiled);
        }
        let passwords = credentials::take(&mut compiled, new.native, Passwords::new());
        let classes = self.classes_of(&new, &compiled)?;
        warnings.extend(self.missing_contexts(&new, &compiled));
        warnings.extend(occasion::too_many(&compiled, &new.config_path));
        let masker = hidden::masker(&Default::default());
        let case = Case { new: &new, number: numbers.pipeline, compiled: &text, masker: &masker };
        let passed = self.police(case).await?;
        warnings.extend(passed.warnings);
        let number = numbers.pipeline;
        let jobs: usize = compiled.workflows.iter().map(|workflow| workflow.jobs.len()).sum();
        let next = Numbers { pipeline: number + 1, job: numbers.job + jobs as u64 };
        let is_setup = compiled.is_setup;
        let plan = Plan {
            id,
            number,
            first_job: numbers.job,
            first_place: 0,
            is_setup,
            actor: None,
            classes,
            project: &project,
        };
        let mut along = occasion.writes(project.id, &compiled, self.clock.wall_ms());
        along.extend(passed.along);
        along.push(Texts::new(&new.config, text).write(&self.vault, id));
        let branch = redundant::replaced(&new);
        let given = Given { new, passwords, ssh_keys, along };
        self.begin_pipeline(given, compiled, plan, (numbers, next))?.on_disk().await?;
        self.cancel_redundant((project.id, number), branch).await;
        Ok(Created { id, number, warnings })
    }

    /// Remembers a pipeline that does not come to be, and why.
    pub(crate) async fn create_failed(
        self: &Arc<Self>,
        failed: Failed,
    ) -> Result<(PipelineId, u64), Refusal> {
        let Failed { new, errors, along } = failed;
        let project = self.projects.get(&self.store, &new.project).await?;
        let numbers = project.numbers.clone().lock_owned().await;
        let (id, number) = (PipelineId(Uuid::now_v7()), numbers.pipeline);
        let next = Numbers { pipeline: number + 1, job: numbers.job };
        let texts = Texts::new(&new.config, String::new());
        let row = PipelineRow {
            id,
            project: project.id,
            number,
            created_ms: self.clock.wall_ms(),
            actor: new.actor,
            // Nothing of it is ever checked out.
            source: Source::None,
            git: new.git,
            state: PipelineState::Errored,
            errors,
            continued: None,
        };
        let project = project.id;
        let mut change = Change::default();
        change.writes.extend(report::unusable(project, &new.source, id));
        change.writes.push(Write::NextNumbers { project, pipeline: next.pipeline, job: next.job });
        change.writes.push(Write::Pipeline(row.into()));
        change.writes.push(texts.write(&self.vault, id));
        change.writes.extend(along);
        self.queue_new(id, Vec::new(), change, (numbers, next)).on_disk().await?;
        Ok((id, number))
    }

    async fn check_source(&self, new: &NewPipeline) -> Result<(), Refusal> {
        let (digest, size) = match &new.source {
            Source::Archive { digest, size } => (digest, size),
            Source::Git { url, revision, branch, tag } => {
                return check_repository(url, revision, [branch, tag].into_iter().flatten());
            }
            Source::None | Source::Tree { .. } => return Ok(()),
        };
        let scope = blobs::Scope::project(&new.project);
        let content = Content { digest: digest.clone(), size: *size };
        if self.are_stored(&scope, vec![content]).await? == [true] {
            return Ok(());
        }
        Err(Refusal::Bad(format!("the source {digest} of {size} bytes is not there: send it first")))
    }

    /// What a configuration is compiled with.
    pub(super) fn inputs(&self, new: &NewPipeline, id: PipelineId, number: u64) -> Inputs {
        Inputs {
            parameters: new.parameters.clone(),
            id: Some(id),
            number,
            project: new.project.clone(),
            git: new.git.clone(),
            selection: new.selection.clone(),
            native: new.native,
            orbs: Some(self.orbs_beside(new.orbs.clone())),
            received_at: Some(rfc3339(wall_ms())),
            ..Inputs::default()
        }
    }

    /// The class of each job that has tasks, workflow by workflow.
    pub(super) fn classes_of(&self, new: &NewPipeline, compiled: &Compiled) -> Result<Vec<Classes>, Refusal> {
        let mut problems = Vec::new();
        let mut class_of = |job: &Job| match self.class_of(new, job) {
            _ if job.kind != Kind::Build => Some(None),
            Ok(class) => Some(Some(class)),
            Err(problem) => {
                problems.push(format!("{}: error: {problem}\n", new.config_path));
                None
            }
        };
        let classes: Vec<Option<Classes>> = compiled
            .workflows
            .iter()
            .map(|workflow| {
                let classes: Vec<_> = workflow.jobs.iter().map(&mut class_of).collect();
                classes.into_iter().collect()
            })
            .collect();
        if problems.is_empty() {
            return Ok(classes.into_iter().flatten().collect());
        }
        let message = "the configuration asks for what this control plane has not".to_owned();
        Err(Refusal::Diagnosed(Refused { message, diagnostics: problems }))
    }

    fn class_of(&self, new: &NewPipeline, job: &Job) -> Result<ResourceClass, String> {
        let name = &job.name;
        if job.executor == Executor::Macos {
            return Err(format!("the job `{name}` runs on macOS, which no runner here is"));
        }
        if let Some(only) = &self.rules.only_class {
            return Ok(only.clone());
        }
        let own = job.resource_class.as_deref().and_then(|class| class.parse().ok());
        let Some(class) = own.or_else(|| new.default_class.clone()) else {
            return Err(format!(
                "the job `{name}` names no self-hosted resource class: add `resource_class: namespace/name`, or give \
                 a default class"
            ));
        };
        if !self.access.has_class(&class) {
            return Err(format!(
                "the job `{name}` wants the resource class `{class}`, which is not there: create it first"
            ));
        }
        if job.executor != Executor::Machine && self.instances.lack_containers(&class) {
            return Err(format!(
                "the job `{name}` runs in a container, which no runner of `{class}` offers: install Docker or Podman \
                 on one of its hosts, or run it directly on them with `--native`"
            ));
        }
        Ok(class)
    }

    /// Queues the one write that makes the pipeline; its workflows run from the moment it is on disk.
    fn begin_pipeline(
        self: &Arc<Self>,
        Given { new, passwords, ssh_keys, along }: Given,
        compiled: Compiled,
        plan: Plan<'_>,
        (numbers, next): (Giver, Numbers),
    ) -> Result<Written, Refusal> {
        let moment = self.clock.moment();
        let project = plan.project.id;
        let pipeline = Arc::new(plan.pipeline(new, (passwords, ssh_keys), self.gate()));
        let row = pipeline_row(&pipeline, moment.wall_ms);
        let text = serde_json::to_vec(&pipeline.variables).expect("variables have only string keys");
        let sealed = self.vault.seal(pipeline.id, &text);
        let mut change = Change::default();
        change.writes.push(Write::NextNumbers { project, pipeline: next.pipeline, job: next.job });
        change.writes.push(Write::Pipeline(row.into()));
        change.writes.push(Write::Secrets(pipeline.id, sealed));
        change.writes.extend(along);
        let mut lives = plan.workflows(compiled, &pipeline, &mut change)?;
        for live in &mut lives {
            live.guard.generation = self.core().next_generation();
            live.workflow_event(Event::Start, moment, &mut change);
        }
        // What has nothing to do is over by now.
        lives.retain(|live| !live.engine.status().is_terminal());
        Ok(self.queue_new(pipeline.id, lives, change, (numbers, next)))
    }

    pub(super) fn queue_new(
        self: &Arc<Self>,
        pipeline: PipelineId,
        lives: Vec<Live>,
        change: Change,
        (mut numbers, next): (Giver, Numbers),
    ) -> Written {
        let (tell, told) = oneshot::channel();
        let plane = self.clone();
        let Change { writes, news, joined, .. } = change;
        let to_tell = report::places(&writes);
        let done = Box::new(move |result: Result<Vec<u64>, StoreError>| {
            if let Ok(written) = &result {
                *numbers = next;
                // First, so that no follower takes news of workflows that its view does not have.
                if joined {
                    plane.feeds.renew(pipeline);
                }
                plane.tell(pipeline, news, &[]);
                plane.ring(&to_tell, written);
                let mut core = plane.core();
                lives.into_iter().for_each(|live| core.insert(live));
                plane.see_to_it();
            }
            // Who asked may have gone: the pipeline runs all the same.
            let _ = tell.send(result.map(drop));
        });
        self.store.submit(Command { guard: None, writes, done });
        Written::new(told)
    }
}

/// A pipeline that does not come to be.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) new: NewPipeline,
    /// Why.
    pub(crate) errors: Vec<String>,
    /// What is remembered with it.
    pub(crate) along: Vec<Write>,
}

/// What a pipeline is made of beside its compiled configuration.
struct Given {
    new: NewPipeline,
    passwords: Passwords,
    ssh_keys: Vec<SshKey>,
    along: Vec<Write>,
}

/// Of each job of a workflow, where its tasks go, if it is any.
pub(super) type Classes = Vec<Option<ResourceClass>>;

/// The names and numbers of a new pipeline, or of workflows that join one.
pub(super) struct Plan<'p> {
    pub(super) id: PipelineId,
    pub(super) number: u64,
    pub(super) first_job: u64,
    /// Of its first workflow.
    pub(super) first_place: usize,
    /// Whether the workflows have the key to continue the pipeline.
    pub(super) is_setup: bool,
    /// Who has them run, where that is not who had the pipeline made.
    pub(super) actor: Option<Actor>,
    pub(super) classes: Vec<Classes>,
    pub(super) project: &'p Project,
}

impl Plan<'_> {
    fn pipeline(
        &self,
        new: NewPipeline,
        (passwords, ssh_keys): (Passwords, Vec<SshKey>),
        gate: Gate,
    ) -> Pipeline {
        let continuation = self.is_setup.then(|| kept_of(&new, self.id));
        Pipeline {
            id: self.id,
            number: self.number,
            project: self.project.id,
            project_name: new.project,
            source: new.source,
            git: new.git,
            variables: Variables {
                environment: new.environment,
                contexts: new.contexts,
                passwords,
                continuation,
                ssh_keys,
            },
            actor: new.actor,
            gate,
        }
    }

    /// The rows of all workflows, none of which has started.
    pub(super) fn workflows(
        mut self,
        compiled: Compiled,
        pipeline: &Arc<Pipeline>,
        change: &mut Change,
    ) -> Result<Vec<Live>, Refusal> {
        let classes = std::mem::take(&mut self.classes);
        let mut lives = Vec::new();
        for (place, (workflow, classes)) in
            (self.first_place..).zip(compiled.workflows.into_iter().zip(classes))
        {
            lives.push(self.workflow(place, workflow, classes, pipeline, change)?);
        }
        Ok(lives)
    }

    fn workflow(
        &mut self,
        place: usize,
        compiled: CompiledWorkflow,
        classes: Classes,
        pipeline: &Arc<Pipeline>,
        change: &mut Change,
    ) -> Result<Live, Refusal> {
        let (engine, holds) = engine(&compiled)?;
        let guard = Guard { workflow: WorkflowId(Uuid::now_v7()), generation: 0 };
        let reruns = Reruns { most: compiled.max_auto_reruns, ..Reruns::default() };
        change.writes.push(Write::Workflow(WorkflowRow {
            id: guard.workflow,
            pipeline: self.id,
            place: u32::try_from(place).unwrap_or(u32::MAX),
            name: compiled.name.clone(),
            status: engine.status(),
            canceled: false,
            reruns,
            actor: self.actor.clone(),
            setup: self.is_setup,
        }));
        let masker = hidden::masker(&pipeline.variables);
        let mut jobs = Vec::with_capacity(compiled.jobs.len());
        for (mut job, class) in compiled.jobs.into_iter().zip(classes) {
            for step in &mut job.steps {
                step.name = hidden::hide(std::mem::take(&mut step.name), &masker);
            }
            jobs.push(self.job(guard.workflow, jobs.len(), job, class, change));
        }
        let (pipeline, name, first) = (pipeline.clone(), compiled.name, guard.workflow);
        let (is_setup, actor) = (self.is_setup, self.actor.clone());
        Ok(Live { guard, pipeline, place, name, reruns, actor, first, is_setup, engine, holds, jobs })
    }

    fn job(
        &mut self,
        workflow: WorkflowId,
        place: usize,
        definition: Job,
        class: Option<ResourceClass>,
        change: &mut Change,
    ) -> LiveJob {
        let (id, number) = (JobId(Uuid::now_v7()), self.first_job);
        self.first_job += 1;
        let row = JobRow {
            id,
            workflow,
            place: u32::try_from(place).unwrap_or(u32::MAX),
            origin: None,
            failed_of: None,
            number,
            class: class.clone(),
            definition: definition.clone(),
            status: JobStatus::Blocked,
            started_ms: None,
            ended_ms: None,
            approved_by: None,
            answered_by: None,
            waits_ms: None,
            reason: None,
        };
        change.writes.push(Write::Job(row.into()));
        let definition = Arc::new(definition);
        LiveJob::new((id, id), number, class, definition)
    }
}

/// Whether every checkout of it is one that jobs do.
fn check_repository<'a>(
    url: &str,
    revision: &str,
    mut names: impl Iterator<Item = &'a String>,
) -> Result<(), Refusal> {
    repository::transport(url).map_err(|error| Refusal::Bad(error.to_string()))?;
    if !repository::is_commit(revision) {
        return Err(Refusal::Bad(format!("`{revision}` is no commit: give its full id")));
    }
    match names.find(|name| !repository::is_reference(name)) {
        Some(name) => Err(Refusal::Bad(format!("`{name}` is no name of a branch or tag"))),
        None => Ok(()),
    }
}

fn pipeline_row(pipeline: &Pipeline, created_ms: i64) -> PipelineRow {
    PipelineRow {
        id: pipeline.id,
        project: pipeline.project,
        number: pipeline.number,
        created_ms,
        actor: pipeline.actor.clone(),
        source: pipeline.source.clone(),
        git: pipeline.git.clone(),
        state: match pipeline.variables.continuation {
            Some(_) => PipelineState::Setup,
            None => PipelineState::Created,
        },
        errors: Vec::new(),
        continued: None,
    }
}

fn engine(compiled: &CompiledWorkflow) -> Result<(Workflow, Holds), Refusal> {
    let jobs: Vec<&Job> = compiled.jobs.iter().collect();
    let wrong = |error| Refusal::Bad(format!("the workflow `{}` cannot run: {error}", compiled.name));
    let shapes = shapes(&jobs)?;
    Ok((Workflow::new(&shapes).map_err(wrong)?, Holds::of(&jobs, &shapes)))
}
