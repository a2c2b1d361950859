//! Pushes that become pipelines: repositories of projects, webhooks that tell of pushes, and configurations fetched from them.
//!
//! ```text
//! webhook ──signature──▶ event ──its turn──▶ seen before? skip, fork? ──▶ fetch (git, at the revision) ──▶ pipeline, or one in error
//! ```

mod asked;
mod event;
mod fetch;
mod provider;
mod signature;
mod turns;
mod work;

use crate::{
    pipelines::{create::Failed, occasion::Occasion},
    plane::{Plane, clock::wall_ms, token},
    refusal::Refusal,
};
pub(crate) use asked::{Asked, At};
pub(crate) use event::Event;
pub(crate) use fetch::Fetches;
use protocol::{
    Actor, ResourceClass,
    api::{GitValues, NewPipeline, Selection, Trigger},
    repository::{self, Transport},
    task::Source,
    webhook::{Made, NewRepository, Repository},
};
pub(crate) use provider::Told;
use std::sync::Arc;
use store::{ProjectId, RepositoryRow, Write};
pub(crate) use turns::Turns;
pub(crate) use work::Working;

/// Where the configuration of a repository lies.
pub(crate) const PATH: &str = ".circleci/config.yml";
/// The shortest secret that nobody guesses.
const SHORTEST: usize = 16;
const LONGEST: usize = 1024;

/// What fuzzing reaches of this.
#[cfg(fuzzing)]
pub(crate) fn fuzzed(provider: protocol::webhook::Provider, event: &str, body: &str) {
    let headers = ["x-github-event", "x-gitea-event", "x-gitlab-event", "x-event-key"];
    let told = Told::new(headers.map(|header| (header, event.to_owned())), body.as_bytes().to_vec());
    let _ = provider::read(provider, &told);
}

impl Plane {
    /// Names the repository of a project, in the place of the one it has.
    pub(crate) async fn name_repository(
        &self,
        project: &str,
        new: NewRepository,
    ) -> Result<Repository, Refusal> {
        self.check_address(&new.url)?;
        self.check_statuses(&new)?;
        let made = new.secret.is_none().then(token::new_token);
        let secret = new.secret.clone().or_else(|| made.clone()).unwrap_or_default();
        if !(SHORTEST..=LONGEST).contains(&secret.len()) {
            let message = format!("the secret of webhooks has {SHORTEST} to {LONGEST} bytes");
            return Err(Refusal::Bad(message));
        }
        if let Some(class) = new.default_class.as_ref().filter(|class| !self.access.has_class(class)) {
            return Err(Refusal::Bad(format!("there is no resource class {class}: create it first")));
        }
        let id = self.projects.get(&self.store, project).await?.id;
        let row = RepositoryRow {
            project: id,
            token: self.sealed_token(id, &new),
            jobs_check_out_with: new.jobs_check_out_with,
            statuses: new.statuses,
            api: new.api,
            url: new.url,
            provider: new.provider,
            class: new.default_class,
            pull_requests: new.pull_requests,
            forks: new.forks,
            sealed: self.vault.seal_for(&bound(id), secret.as_bytes()),
            created_ms: wall_ms(),
        };
        self.write(vec![Write::Repository(Box::new(row.clone()))]).await?;
        Ok(Repository { secret: made, ..shown(project.to_owned(), row) })
    }

    /// An address that jobs can use as well, that says no password, and that is fetched from.
    fn check_address(&self, url: &str) -> Result<(), Refusal> {
        let transport = repository::transport(url).map_err(|error| Refusal::Bad(error.to_string()))?;
        if transport == Transport::Http && repository::without_password(url) != url {
            let message = "a repository's address holds no password: give the project a token, or a checkout key and an address of ssh";
            return Err(Refusal::Bad(message.to_owned()));
        }
        self.fetches.admits(url).map_err(|error| Refusal::Bad(error.to_string()))
    }

    /// All of them.
    pub(crate) async fn repositories(&self) -> Result<Vec<Repository>, Refusal> {
        let rows = self.store.repositories().await?;
        Ok(rows.into_iter().map(|(project, row)| shown(project, row)).collect())
    }

    /// A project has none any more.
    pub(crate) async fn forget_repository(&self, project: &str) -> Result<(), Refusal> {
        let row = self.store.repository(project).await?.ok_or_else(|| no_repository(project))?;
        self.write(vec![Write::RemoveRepository(row.project)]).await?;
        Ok(())
    }

    /// A pipeline of a configuration, or one in error where that is not valid.
    async fn made(self: &Arc<Self>, new: NewPipeline, occasion: Occasion) -> Result<Made, Refusal> {
        let along = occasion.in_error();
        match self.create_pipeline_on(new.clone(), occasion).await {
            Ok(created) => {
                let (id, number, warnings) = (created.id, created.number, created.warnings);
                Ok(Made { id, number, errors: Vec::new(), warnings })
            }
            Err(Refusal::Diagnosed(refused)) => {
                self.errored(Failed { new, errors: refused.diagnostics, along }).await
            }
            Err(Refusal::Bad(why)) => self.errored(Failed { new, errors: vec![in_words(why)], along }).await,
            Err(other) => Err(other),
        }
    }

    async fn in_error(self: &Arc<Self>, new: NewPipeline, errors: Vec<String>) -> Result<Made, Refusal> {
        self.errored(Failed { new, errors, along: Vec::new() }).await
    }

    async fn errored(self: &Arc<Self>, failed: Failed) -> Result<Made, Refusal> {
        let errors = failed.errors.clone();
        let (id, number) = self.create_failed(failed).await?;
        Ok(Made { id, number, errors, warnings: Vec::new() })
    }
}

/// What is wrong with a configuration, as its pipeline shows it.
fn in_words(why: impl std::fmt::Display) -> String {
    format!("{PATH}: error: {why}\n")
}

#[expect(
    clippy::disallowed_methods,
    reason = "a provider that waits no longer does not end what its webhook began"
)]
pub(crate) fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> tokio::task::JoinHandle<T> {
    actix_web::rt::spawn(future)
}

/// A sealed secret opens for its project only.
pub(crate) fn bound(project: ProjectId) -> Vec<u8> {
    format!("webhooks of {}", project.0).into_bytes()
}

fn no_repository(project: &str) -> Refusal {
    Refusal::Missing(format!("there is no project {project} with a repository"))
}

fn shown(project: String, row: RepositoryRow) -> Repository {
    Repository {
        webhook: format!("/api/v3/webhooks/{project}"),
        project,
        url: row.url,
        provider: row.provider,
        default_class: row.class,
        pull_requests: row.pull_requests,
        forks: row.forks,
        has_token: row.token.is_some(),
        jobs_check_out_with: row.jobs_check_out_with,
        statuses: row.statuses,
        api: row.api,
        created_ms: row.created_ms,
        secret: None,
    }
}

/// The pipeline of an event, without its configuration; of a repository of this address, and the class for jobs that
/// name none.
pub(crate) fn pipeline(
    project: &str,
    (url, default_class): (&str, Option<ResourceClass>),
    event: &Event,
    trigger: Option<Trigger>,
) -> NewPipeline {
    let (branch, tag) = (event.branch.clone(), event.tag.clone());
    let (revision, url) = (event.revision.clone(), url.to_owned());
    NewPipeline {
        project: project.to_owned(),
        config: String::new(),
        config_path: PATH.to_owned(),
        parameters: Default::default(),
        selection: Selection::default(),
        git: GitValues {
            revision: Some(revision.clone()),
            branch: branch.clone(),
            tag: tag.clone(),
            default_branch: event.default_branch.clone(),
            url: Some(url.clone()),
            commit: Default::default(),
            trigger,
            is_claimed: false,
        },
        source: Source::Git { url, revision, branch, tag },
        environment: Vec::new(),
        contexts: Default::default(),
        default_class,
        native: false,
        orbs: Vec::new(),
        ssh_keys: Vec::new(),
        actor: Actor::Unknown,
    }
}
