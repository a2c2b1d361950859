//! Every change that can be made to the store.

use crate::{
    AuditRow, BundleRow, CacheRow, ChunkRow, ClassRow, EventRow, Fired, InstanceRow, JobRow, LayerRow,
    OrbRow, Outbox, PipelineRow, PolicyChange, ProjectId, RepositoryRow, Resealed, Rights, ScheduleRow,
    Secret, SshKeyRow, StatusRow, TaskRow, TestsRow, TokenRow, WebhookRow, WorkflowRow, access, aside, audit,
    batch::Batch, forget, kept, logs, outbox, queue, registry, repositories, runs, schedules, sealed,
    ssh_keys, steps, tasks, tested, webhooks,
};
use protocol::{
    Actor, Epoch, JobId, JobStatus, Outcome, PipelineId, PipelineState, ResourceClass, StepNumber,
    StepStatus, TaskId, WorkflowId, WorkflowStatus, pipeline::Schedule, queue::ProjectRules,
    transfer::Artifact,
};
use uuid::Uuid;

/// One change. Its number is how many rows it changed, unless it says otherwise.
#[derive(Clone, Debug)]
pub enum Write {
    /// Makes sure of a project; its number is the project's id.
    Project(String),
    /// A new project; nothing, where there is one of this name.
    NewProject(String),
    /// The numbers that the next pipeline and job of a project get.
    NextNumbers {
        /// Which.
        project: ProjectId,
        /// Of its next pipeline.
        pipeline: u64,
        /// Of its next job.
        job: u64,
    },
    /// A new pipeline.
    Pipeline(Box<PipelineRow>),
    /// A setup pipeline was continued, or with what was not valid.
    Continued {
        /// Which.
        pipeline: PipelineId,
        /// The new state.
        state: PipelineState,
        /// Why it errored.
        errors: Vec<String>,
        /// SHA-256 of the call.
        call: [u8; 32],
    },
    /// The sealed variables of a pipeline; they replace those it has.
    Secrets(PipelineId, Vec<u8>),
    /// What a pipeline was made of, sealed; it replaces what it has.
    Configuration(PipelineId, Vec<u8>),
    /// Forgets the variables of pipelines that are over and were made before then.
    ForgetSecrets(i64),
    /// Nothing, but a conflict where a job has not so many tasks any more: its pipeline is just being forgotten.
    HasTasks(JobId, u32),
    /// A new workflow.
    Workflow(WorkflowRow),
    /// A workflow changed its status.
    WorkflowStatus(WorkflowId, WorkflowStatus),
    /// Somebody canceled a workflow.
    WorkflowCanceled(WorkflowId),
    /// A workflow that cannot be understood is over as failed, and all of it that was not over yet.
    SetAside {
        /// Which.
        workflow: WorkflowId,
        /// Why, as its open tasks say.
        message: String,
        /// When.
        at_ms: i64,
    },
    /// A new job.
    Job(Box<JobRow>),
    /// A job changed its status; times that are given are kept where there is none yet.
    JobStatus {
        /// Which.
        job: JobId,
        /// The new status.
        status: JobStatus,
        /// Of its first claim, or of the moment from which it waits for an approval.
        started_ms: Option<i64>,
        /// Of its end.
        ended_ms: Option<i64>,
        /// Of the moment from which it waits for its turn in its serial group.
        waits_ms: Option<i64>,
        /// Why, where the status says too little.
        reason: Option<String>,
    },
    /// Somebody approved a job.
    JobApproved {
        /// Which.
        job: JobId,
        /// Who, as they said themselves.
        by: String,
        /// The same, as far as they are known.
        actor: Actor,
    },
    /// A new task.
    Task(Box<TaskRow>),
    /// Somebody claimed a task.
    TaskClaimed {
        /// Which.
        task: TaskId,
        /// Under which lease.
        epoch: Epoch,
        /// SHA-256 of the lease's token.
        hash: [u8; 32],
        /// The runner instance.
        runner: String,
        /// Its host.
        host: String,
        /// When.
        at_ms: i64,
    },
    /// A task's user code may run.
    TaskBegun(TaskId),
    /// A task waits again for a claim; what its lost holder sent is forgotten.
    TaskRequeued {
        /// Which.
        task: TaskId,
        /// How often it was given back.
        unclaims: u32,
    },
    /// A task is to be ended as canceled.
    TaskCanceled(TaskId),
    /// A task is over.
    TaskEnded {
        /// Which.
        task: TaskId,
        /// Another one than its last holder's means that the holder lost it.
        epoch: Epoch,
        /// How.
        outcome: Outcome,
        /// Why.
        message: Option<String>,
        /// When.
        at_ms: i64,
    },
    /// The sequence number of the journal record that comes next.
    NextRecord(TaskId, u64),
    /// A step began.
    StepStarted {
        /// Of which task.
        task: TaskId,
        /// Its place.
        step: StepNumber,
        /// When.
        at_ms: i64,
    },
    /// A step is over.
    StepEnded {
        /// Of which task.
        task: TaskId,
        /// Its place.
        step: StepNumber,
        /// How.
        status: StepStatus,
        /// Of its command.
        exit_code: Option<i32>,
        /// Monotonic.
        duration_ms: u64,
    },
    /// A piece of a log.
    Chunk(ChunkRow),
    /// How much of a log is stored.
    LogLength(TaskId, StepNumber, u64),
    /// A log lies as one object now: its chunks are there, in order.
    LogSealed(TaskId, StepNumber, protocol::transfer::Content),
    /// An artifact; the same path again replaces.
    Artifact(TaskId, Artifact),
    /// A bundle of artifacts and all its members; a repeat changes nothing.
    Bundle(Box<BundleRow>),
    /// A cache; its number is 0 where the key was saved before.
    Cache(CacheRow),
    /// A workspace layer; a repeat changes nothing.
    Layer(LayerRow),
    /// Test results; a repeat replaces.
    Tests(Box<TestsRow>),
    /// What a job is told of its former runs; what it was told before stays.
    Former(JobId, String),
    /// A new resource class.
    Class(ClassRow),
    /// How many tasks of a class run at once at most.
    ClassLimit(Uuid, Option<u32>),
    /// A project's part in the queue.
    ProjectRules(ProjectId, ProjectRules),
    /// Removes a resource class and, where told so, its tokens.
    RemoveClass {
        /// Which.
        id: Uuid,
        /// Whether its tokens go with it; without, a class that has any is a conflict.
        force: bool,
    },
    /// A new token.
    Token(TokenRow),
    /// Removes a token.
    RemoveToken(Uuid),
    /// A change of people, their roles and tokens.
    Rights(Rights),
    /// A value that is sealed anew; its number is 0 where it has changed meanwhile.
    Resealed(Box<Resealed>),
    /// A change of contexts and variables.
    Secret(Secret),
    /// A change of policies, or what they decided.
    Policy(PolicyChange),
    /// A line of the audit log.
    Audit(AuditRow),
    /// Forgets those of before then, and all but the newest.
    ForgetAudit {
        /// Then.
        before_ms: i64,
        /// So many stay at most.
        most: u64,
    },
    /// An SSH key of a project.
    SshKey(Box<SshKeyRow>),
    /// Takes one away again, by its fingerprint.
    RemoveSshKey(ProjectId, String),
    /// The repository of a project, in the place of the one it has.
    Repository(Box<RepositoryRow>),
    /// A project has none any more.
    RemoveRepository(ProjectId),
    /// What starts by the clock on a branch, in the place of what did.
    ScheduledWorkflows {
        /// Whose.
        project: ProjectId,
        /// Of which branch.
        branch: String,
        /// All of it.
        schedules: Vec<Schedule>,
        /// Since when, where it is new.
        at_ms: i64,
    },
    /// A schedule that somebody made or changed.
    Schedule(Box<ScheduleRow>),
    /// There is no such schedule any more.
    RemoveSchedule(Uuid),
    /// Something was started for this minute; never goes back.
    Fired(Fired, i64),
    /// A webhook of a project, or one of its events, was seen at this time, by its hash.
    Delivered(ProjectId, [u8; 32], i64),
    /// That one of its events was seen is remembered no more.
    ForgetDelivered(ProjectId, [u8; 32]),
    /// How something stands that ran a commit, if the commit's provider is told of it.
    Status(Box<StatusRow>),
    /// A webhook that a project has sent, new or in the place of what it was.
    Webhook(Box<WebhookRow>),
    /// It has it sent no more.
    RemoveWebhook(Uuid),
    /// Something ended, if a webhook tells of it.
    Event(EventRow),
    /// Others were told, or never will be.
    Told(Outbox, i64),
    /// Others are to be told again, at this time.
    Later(Outbox, i64, i64),
    /// Gives up what was to be told longest ago, beyond so many; its number is how many they were.
    Trim(Outbox, u64),
    /// Publishes an orb; its number is 0 where the version is there with another source.
    Orb(Box<OrbRow>),
    /// There is an orb of this name, from this time on, and its namespace; its number is 0 where it was there before.
    Package(String, i64),
    /// The same of a namespace alone.
    Namespace(String, i64),
    /// Gives a namespace to an organization, and makes it where it is not there; its number is 0 where it is somebody's.
    OwnNamespace {
        /// Its name.
        name: String,
        /// Whose it is.
        organization: String,
        /// From when on.
        created_ms: i64,
    },
    /// A runner instance was seen.
    Instance(ResourceClass, InstanceRow),
    /// Forgets runner instances that were not seen since then.
    ForgetInstances(i64),
    /// A cache was found again: of which project and trust class, under which key, and when.
    CacheUsed(ProjectId, String, String, i64),
    /// Forgets caches by their last use.
    ForgetCaches {
        /// Those not used since then go.
        unused_since_ms: i64,
        /// Of the others those used longest ago, until the rest has at most that many bytes.
        most_bytes: u64,
    },
    /// Forgets tasks of a pipeline that is over, at most that many; its number is how many they were.
    ForgetTasks(PipelineId, u32),
    /// Forgets a pipeline that is over, once its tasks are forgotten.
    ForgetPipeline(PipelineId),
}

impl Write {
    /// Adds its statements. What the last of them says is its number.
    pub(crate) fn add_to(&self, batch: &mut Batch) {
        match self {
            Self::Project(_)
            | Self::NewProject(_)
            | Self::NextNumbers { .. }
            | Self::Pipeline(_)
            | Self::Continued { .. }
            | Self::Secrets(..)
            | Self::Configuration(..)
            | Self::HasTasks(..)
            | Self::Workflow(_)
            | Self::WorkflowStatus(..)
            | Self::WorkflowCanceled(_)
            | Self::SetAside { .. }
            | Self::Job(_)
            | Self::JobStatus { .. }
            | Self::JobApproved { .. } => self.add_to_runs(batch),
            Self::Task(_)
            | Self::TaskClaimed { .. }
            | Self::TaskBegun(_)
            | Self::TaskRequeued { .. }
            | Self::TaskCanceled(_)
            | Self::TaskEnded { .. }
            | Self::NextRecord(..)
            | Self::StepStarted { .. }
            | Self::StepEnded { .. } => self.add_to_tasks(batch),
            Self::Status(_)
            | Self::Webhook(_)
            | Self::RemoveWebhook(_)
            | Self::Event(_)
            | Self::Told(..)
            | Self::Later(..)
            | Self::Trim(..) => self.add_to_outboxes(batch),
            _ => self.add_to_the_rest(batch),
        }
    }

    fn add_to_runs(&self, batch: &mut Batch) {
        match self {
            Self::Project(name) => runs::project(batch, name),
            Self::NewProject(name) => runs::new_project(batch, name),
            Self::NextNumbers { project, pipeline, job } => {
                runs::next_numbers(batch, *project, *pipeline, *job)
            }
            Self::Pipeline(row) => row.insert(batch),
            Self::Continued { pipeline, state, errors, call } => {
                runs::pipeline_state(batch, *pipeline, *state, errors, call)
            }
            Self::Secrets(pipeline, sealed) => sealed::insert_secrets(batch, *pipeline, sealed),
            Self::Configuration(pipeline, sealed) => sealed::insert_configuration(batch, *pipeline, sealed),
            Self::HasTasks(job, number) => forget::has_tasks(batch, *job, *number),
            Self::Workflow(row) => row.insert(batch),
            Self::WorkflowStatus(id, status) => runs::workflow_status(batch, *id, *status),
            Self::WorkflowCanceled(id) => runs::workflow_canceled(batch, *id),
            Self::SetAside { workflow, message, at_ms } => {
                aside::set_aside(batch, *workflow, message, *at_ms)
            }
            Self::Job(row) => row.insert(batch),
            Self::JobStatus { job, status, started_ms, ended_ms, waits_ms, reason } => {
                let times = [*started_ms, *ended_ms, *waits_ms];
                runs::job_status(batch, *job, (*status, reason.as_deref()), times)
            }
            Self::JobApproved { job, by, actor } => runs::job_approved(batch, *job, by, actor),
            other => unreachable!("{other:?} changes no run"),
        }
    }

    fn add_to_tasks(&self, batch: &mut Batch) {
        match self {
            Self::Task(row) => row.insert(batch),
            Self::TaskClaimed { task, epoch, hash, runner, host, at_ms } => {
                tasks::insert_lease(batch, *task, *epoch, hash);
                tasks::claimed(batch, *task, *epoch, runner, host, *at_ms)
            }
            Self::TaskBegun(task) => tasks::begun(batch, *task),
            Self::TaskRequeued { task, unclaims } => tasks::requeued(batch, *task, *unclaims),
            Self::TaskCanceled(task) => tasks::canceled(batch, *task),
            Self::TaskEnded { task, epoch, outcome, message, at_ms } => {
                tasks::ended(batch, (*task, *epoch), *outcome, message.as_deref(), *at_ms)
            }
            Self::NextRecord(task, next) => tasks::next_record(batch, *task, *next),
            Self::StepStarted { task, step, at_ms } => steps::started(batch, *task, *step, *at_ms),
            Self::StepEnded { task, step, status, exit_code, duration_ms } => {
                steps::ended(batch, *task, *step, *status, *exit_code, *duration_ms)
            }
            other => unreachable!("{other:?} changes no task"),
        }
    }

    fn add_to_outboxes(&self, batch: &mut Batch) {
        match self {
            Self::Status(row) => row.insert(batch),
            Self::Webhook(row) => row.insert(batch),
            Self::RemoveWebhook(id) => webhooks::remove(batch, id),
            Self::Event(row) => row.insert(batch),
            Self::Told(outbox, id) => outbox::told(batch, *outbox, *id),
            Self::Later(outbox, id, due_ms) => outbox::later(batch, *outbox, *id, *due_ms),
            Self::Trim(outbox, most) => outbox::trim(batch, *outbox, *most),
            other => unreachable!("{other:?} is nothing that others are told"),
        }
    }

    fn add_to_the_rest(&self, batch: &mut Batch) {
        match self {
            Self::Chunk(row) => row.insert(batch),
            Self::LogLength(task, step, length) => logs::length(batch, *task, *step, *length),
            Self::LogSealed(task, step, content) => logs::sealed(batch, *task, *step, content),
            Self::Artifact(task, artifact) => kept::artifact(batch, *task, artifact),
            Self::Bundle(row) => row.insert(batch),
            Self::Cache(row) => row.insert(batch),
            Self::Layer(row) => row.insert(batch),
            Self::Tests(row) => row.insert(batch),
            Self::Former(job, told) => tested::former(batch, *job, told),
            Self::Class(row) => row.insert(batch),
            Self::ClassLimit(id, max_tasks) => queue::limit_class(batch, *id, *max_tasks),
            Self::ProjectRules(project, rules) => queue::set_rules(batch, *project, *rules),
            Self::RemoveClass { id, force } => access::remove_class(batch, *id, *force),
            Self::Token(row) => row.insert(batch),
            Self::RemoveToken(id) => access::remove_token(batch, *id),
            Self::Rights(change) => change.add_to(batch),
            Self::Resealed(one) => one.add_to(batch),
            Self::Secret(change) => change.add_to(batch),
            Self::Policy(change) => change.add_to(batch),
            Self::Audit(row) => row.insert(batch),
            Self::SshKey(row) => row.insert(batch),
            Self::RemoveSshKey(project, fingerprint) => ssh_keys::remove(batch, *project, fingerprint),
            Self::Repository(row) => row.insert(batch),
            Self::ScheduledWorkflows { project, branch, schedules, at_ms } => {
                schedules::remember(batch, (*project, branch), schedules, *at_ms)
            }
            Self::Schedule(row) => row.insert(batch),
            Self::RemoveSchedule(id) => schedules::remove(batch, id),
            Self::Fired(what, minute_ms) => schedules::fired(batch, what, *minute_ms),
            Self::RemoveRepository(project) => repositories::remove(batch, *project),
            Self::Delivered(project, hash, at_ms) => repositories::delivered(batch, *project, hash, *at_ms),
            Self::ForgetDelivered(project, hash) => repositories::forget_delivered(batch, *project, hash),
            Self::Orb(row) => row.publish(batch),
            Self::Package(name, created_ms) => registry::package(batch, name, *created_ms),
            Self::Namespace(name, created_ms) => registry::namespace(batch, name, *created_ms),
            Self::OwnNamespace { name, organization, created_ms } => {
                registry::own_namespace(batch, name, organization, *created_ms)
            }
            Self::Instance(class, row) => row.upsert(batch, class),
            other => other.add_to_the_past(batch),
        }
    }

    fn add_to_the_past(&self, batch: &mut Batch) {
        match self {
            Self::ForgetInstances(unseen_since_ms) => access::forget_instances(batch, *unseen_since_ms),
            Self::CacheUsed(project, trust, key, at_ms) => {
                forget::cache_used(batch, (*project, trust), key, *at_ms)
            }
            Self::ForgetCaches { unused_since_ms, most_bytes } => {
                forget::caches(batch, *unused_since_ms, *most_bytes)
            }
            Self::ForgetAudit { before_ms, most } => audit::forget(batch, *before_ms, *most),
            Self::ForgetSecrets(before_ms) => forget::secrets(batch, *before_ms),
            Self::ForgetTasks(pipeline, most) => forget::tasks(batch, *pipeline, *most),
            Self::ForgetPipeline(pipeline) => forget::pipeline(batch, *pipeline),
            other => unreachable!("{other:?} is added elsewhere"),
        }
    }
}
