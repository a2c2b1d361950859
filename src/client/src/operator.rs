//! Calls with an operator's token: resource classes, tokens, pipelines and what became of them.

use crate::{
    bearer::Bearer,
    call::{Answer, Call, ClientError, Tries, escaped, escaped_path},
    file,
    transport::Link,
};
use awc::http::{Method, StatusCode};
use bytes::Bytes;
use protocol::{
    api::{
        Approve, Created, Entity, FoundOrb, Items, KnownSshKey, Named, NewOrb, NewPipeline, NewSshKey,
        OnHold, PipelineView, PublishedOrb, Refused, Released, Rerun, Resource, Token,
    },
    feed::Feed,
    ids::{JobId, PipelineId, ResourceClass, StepNumber, TaskId, WorkflowId},
    policies::ANSWERED_WITHIN_MS,
    queue::{ClassLimit, ProjectRules},
    schedule::{NewSchedule, Schedule},
    transfer::Content,
    webhook::{NewRepository, Repository},
};
use serde::de::DeserializeOwned;
use std::fs::File;

/// An operator as the control plane sees it.
#[derive(Clone, Debug)]
pub struct Operator {
    pub(crate) link: Link,
    pub(crate) token: Bearer,
}

/// A piece of a step's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPart {
    /// From the offset asked for.
    pub bytes: Bytes,
    /// Nothing will follow.
    pub terminal: bool,
}

impl Operator {
    pub(crate) fn new(link: Link, token: &str) -> Self {
        Self { link, token: Bearer::new(token) }
    }

    /// The resource classes of a namespace.
    pub async fn resources(&self, namespace: &str) -> Result<Vec<Resource>, ClientError> {
        let path = format!("/api/v3/runner/resource?namespace={}", escaped(namespace));
        Ok(self.get(path).send(&self.link).await?.read::<Items<Resource>>()?.items)
    }

    /// Makes a resource class.
    pub async fn create_resource(&self, resource: &Resource) -> Result<Resource, ClientError> {
        self.create("/api/v3/runner/resource").json(resource).send(&self.link).await?.read()
    }

    /// Removes a resource class; with its tokens where `force` is set.
    pub async fn delete_resource(&self, id: &str, force: bool) -> Result<(), ClientError> {
        let force = if force { "/force" } else { "" };
        self.delete(format!("/api/v3/runner/resource/{}{force}", escaped(id))).send(&self.link).await?.done()
    }

    /// Says how many tasks of a resource class run at once at most.
    pub async fn limit_resource(&self, id: &str, limit: &ClassLimit) -> Result<(), ClientError> {
        let path = format!("/api/v3/runner/resource/{}/limit", escaped(id));
        Call::new(Method::PUT, path, &self.token).json(limit).send(&self.link).await?.done()
    }

    /// A project's part in the queue.
    pub async fn project_rules(&self, project: &str) -> Result<ProjectRules, ClientError> {
        let path = format!("/api/v3/projects/{}/queue", escaped_path(project));
        self.get(path).send(&self.link).await?.read()
    }

    /// Says what it is.
    pub async fn rule_project(&self, project: &str, rules: &ProjectRules) -> Result<(), ClientError> {
        let path = format!("/api/v3/projects/{}/queue", escaped_path(project));
        Call::new(Method::PUT, path, &self.token).json(rules).send(&self.link).await?.done()
    }

    /// The tokens of a resource class, without their secrets.
    pub async fn tokens(&self, class: &ResourceClass) -> Result<Vec<Token>, ClientError> {
        let path = format!("/api/v3/runner/token?resource-class={}", escaped(class.as_str()));
        Ok(self.get(path).send(&self.link).await?.read::<Items<Token>>()?.items)
    }

    /// Makes a token; its secret is in this answer and in no other.
    pub async fn create_token(&self, token: &Token) -> Result<Token, ClientError> {
        self.create("/api/v3/runner/token").json(token).send(&self.link).await?.read()
    }

    /// Removes a token.
    pub async fn delete_token(&self, id: &str) -> Result<(), ClientError> {
        self.delete(format!("/api/v3/runner/token/{}", escaped(id))).send(&self.link).await?.done()
    }

    /// Compiles and runs a configuration, once the policies of its organization were asked; [`ClientError::Diagnosed`]
    /// where it is wrong.
    pub async fn create_pipeline(&self, pipeline: &NewPipeline) -> Result<Created, ClientError> {
        let call = self.create("/api/v3/pipelines").json(pipeline);
        compiled(call.held(ANSWERED_WITHIN_MS).send(&self.link).await?)
    }

    /// Publishes an orb; [`ClientError::Diagnosed`] where it is wrong, [`ClientError::Conflict`] where the version is
    /// published with another source.
    pub async fn publish_orb(&self, orb: &NewOrb) -> Result<PublishedOrb, ClientError> {
        // Twice is as once: the same source again changes nothing.
        let call = Call::new(Method::POST, "/api/v3/orbs", &self.token).json(orb);
        compiled(call.send(&self.link).await?)
    }

    /// All published orbs, by name and version.
    pub async fn orbs(&self) -> Result<Vec<PublishedOrb>, ClientError> {
        Ok(self.get("/api/v3/orbs").send(&self.link).await?.read::<Items<PublishedOrb>>()?.items)
    }

    /// The orb that a reference names; [`ClientError::Rejected`] says why it is not there.
    pub async fn orb(&self, reference: &str) -> Result<FoundOrb, ClientError> {
        self.get(format!("/api/v3/orbs/{}", escaped_path(reference))).send(&self.link).await?.read()
    }

    /// The SSH keys of a project, without their private halves.
    pub async fn ssh_keys(&self, project: &str) -> Result<Vec<KnownSshKey>, ClientError> {
        let path = format!("/api/v3/ssh-keys/{}", escaped_path(project));
        Ok(self.get(path).send(&self.link).await?.read::<Items<KnownSshKey>>()?.items)
    }

    /// Gives a project an SSH key.
    pub async fn create_ssh_key(&self, project: &str, key: &NewSshKey) -> Result<KnownSshKey, ClientError> {
        let path = format!("/api/v3/ssh-keys/{}", escaped_path(project));
        self.create(&path).json(key).send(&self.link).await?.read()
    }

    /// Takes one away from it again.
    pub async fn delete_ssh_key(&self, project: &str, fingerprint: &str) -> Result<(), ClientError> {
        let (project, fingerprint) = (escaped_path(project), escaped(fingerprint));
        let path = format!("/api/v3/ssh-keys/{project}?fingerprint={fingerprint}");
        self.delete(path).send(&self.link).await?.done()
    }

    /// The repositories of projects, without their secrets.
    pub async fn repositories(&self) -> Result<Vec<Repository>, ClientError> {
        Ok(self.get("/api/v3/repositories").send(&self.link).await?.read::<Items<Repository>>()?.items)
    }

    /// Names the repository of a project; with the secret that was made, if none came.
    pub async fn name_repository(
        &self,
        project: &str,
        new: &NewRepository,
    ) -> Result<Repository, ClientError> {
        let path = format!("/api/v3/repositories/{}", escaped_path(project));
        Call::new(Method::PUT, path, &self.token).json(new).send(&self.link).await?.read()
    }

    /// Takes it away from the project again.
    pub async fn forget_repository(&self, project: &str) -> Result<(), ClientError> {
        let path = format!("/api/v3/repositories/{}", escaped_path(project));
        self.delete(path).send(&self.link).await?.done()
    }

    /// The schedules of a project, the newest last.
    pub async fn schedules(&self, project: &str) -> Result<Vec<Schedule>, ClientError> {
        let path = format!("/api/v2/project/{}/schedule", escaped_path(project));
        Ok(self.get(path).send(&self.link).await?.read::<Items<Schedule>>()?.items)
    }

    /// Makes one.
    pub async fn create_schedule(&self, project: &str, new: &NewSchedule) -> Result<Schedule, ClientError> {
        let path = format!("/api/v2/project/{}/schedule", escaped_path(project));
        self.create(&path).json(new).send(&self.link).await?.read()
    }

    /// Takes one away again.
    pub async fn delete_schedule(&self, id: &str) -> Result<(), ClientError> {
        self.delete(format!("/api/v2/schedule/{}", escaped(id))).send(&self.link).await?.done()
    }

    /// A pipeline as it stands.
    pub async fn pipeline(&self, id: PipelineId) -> Result<PipelineView, ClientError> {
        self.get(format!("/api/v3/pipelines/{id}")).send(&self.link).await?.read()
    }

    /// What came after `after`; held open for `wait_ms` while there is nothing.
    pub async fn feed(&self, id: PipelineId, after: u64, wait_ms: u64) -> Result<Feed, ClientError> {
        let path = format!("/api/v3/pipelines/{id}/feed?after={after}&wait_ms={wait_ms}");
        self.get(path).held(wait_ms).send(&self.link).await?.read()
    }

    /// Cancels what still can be.
    pub async fn cancel(&self, id: PipelineId) -> Result<(), ClientError> {
        let call = Call::new(Method::POST, format!("/api/v3/pipelines/{id}/cancel"), &self.token);
        call.send(&self.link).await?.done()
    }

    /// Runs a workflow again: the id of the new one.
    pub async fn rerun(&self, id: WorkflowId, rerun: &Rerun) -> Result<WorkflowId, ClientError> {
        let call = self.create(&format!("/api/v3/workflows/{id}/rerun")).json(rerun);
        Ok(call.send(&self.link).await?.read::<Entity<Named<WorkflowId>>>()?.data.id)
    }

    /// The jobs that wait for somebody's approval, or for the end of their release.
    pub async fn on_hold(&self) -> Result<Vec<OnHold>, ClientError> {
        Ok(self.get("/api/v3/approvals").send(&self.link).await?.read::<Items<OnHold>>()?.items)
    }

    /// Approves a job that waits for it; [`ClientError::Conflict`] where it does not.
    pub async fn approve(&self, workflow: WorkflowId, job: JobId, by: &str) -> Result<(), ClientError> {
        let approve = Approve { by: Some(by.to_owned()) };
        let call = self.create(&format!("/api/v2/workflow/{workflow}/approve/{job}"));
        call.json(&approve).send(&self.link).await?.done()
    }

    /// Says how the release ended that a job waits for; [`ClientError::Conflict`] where it does not.
    pub async fn release(
        &self,
        workflow: WorkflowId,
        job: JobId,
        released: &Released,
    ) -> Result<(), ClientError> {
        let call = self.create(&format!("/api/v3/workflows/{workflow}/release/{job}"));
        call.json(released).send(&self.link).await?.done()
    }

    /// At most `limit` bytes of a step's log; held open for `wait_ms` while there are none.
    pub async fn log(
        &self,
        (task, step): (TaskId, StepNumber),
        offset: u64,
        limit: u64,
        wait_ms: u64,
    ) -> Result<LogPart, ClientError> {
        let step = step.0;
        let query = format!("offset={offset}&limit={limit}&wait_ms={wait_ms}");
        let call = self.get(format!("/api/v3/tasks/{task}/steps/{step}/log?{query}")).held(wait_ms);
        let answer = call.send(&self.link).await?;
        if !answer.status.is_success() {
            return Err(answer.error());
        }
        let terminal = answer.headers.get("x-terminal").is_some_and(|value| value.as_bytes() == b"true");
        Ok(LogPart { bytes: answer.body, terminal })
    }

    /// Fetches an artifact into a file, from its start, and checks size and digest.
    pub async fn artifact(
        &self,
        (job, index): (JobId, u32),
        path: &str,
        content: &Content,
        into: &File,
    ) -> Result<(), ClientError> {
        let path = format!("/api/v3/artifacts/{job}/{index}/{}", escaped_path(path));
        file::get(&self.link, file::Target { path: &path, token: Some(&self.token) }, content, into).await
    }

    /// Sends the archive of a source, so that a pipeline of this project can name it.
    pub async fn put_source(&self, project: &str, content: &Content, from: &File) -> Result<(), ClientError> {
        let path = format!("/api/v3/source/{}/{}", escaped_path(project), content.digest);
        file::put(&self.link, file::Target { path: &path, token: Some(&self.token) }, content, from).await
    }

    pub(crate) fn get(&self, path: impl Into<String>) -> Call {
        Call::new(Method::GET, path, &self.token)
    }

    pub(crate) fn delete(&self, path: String) -> Call {
        Call::new(Method::DELETE, path, &self.token).tries(Tries::Connect)
    }

    /// Twice would make two.
    pub(crate) fn create(&self, path: &str) -> Call {
        Call::new(Method::POST, path, &self.token).tries(Tries::Connect)
    }
}

/// What became of a text that was to be compiled.
fn compiled<T: DeserializeOwned>(answer: Answer) -> Result<T, ClientError> {
    let is_bad = answer.status == StatusCode::BAD_REQUEST;
    match serde_json::from_slice::<Refused>(&answer.body).ok().filter(|_| is_bad) {
        Some(refused) => Err(ClientError::Diagnosed(refused)),
        None => answer.read(),
    }
}
