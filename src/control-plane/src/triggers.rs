//! Pushes that become pipelines: repositories of projects, webhooks that tell of pushes, and configurations fetched from them.
//!
//! ```text
//! webhook ──signature──▶ event ──skip, fork, seen before?──▶ fetch (git, at the revision) ──▶ pipeline, or one in error
//! ```

mod asked;
mod event;
mod fetch;
mod provider;
mod signature;

use crate::{
    people::account,
    pipelines::{create::Failed, occasion::Occasion},
    plane::{Plane, clock::wall_ms, token},
    refusal::Refusal,
};
pub(crate) use asked::{Asked, At};
pub(crate) use event::Event;
use event::Found;
pub(crate) use fetch::Fetches;
use protocol::{
    Actor, ResourceClass,
    api::{Fork, GitValues, NewPipeline, Selection, Trigger},
    repository::{self, Transport},
    task::Source,
    webhook::{Forks, Made, NewRepository, Received, Repository},
};
pub(crate) use provider::Told;
use ring::digest::{SHA256, digest};
use slog::{Logger, o, warn};
use std::{collections::HashSet, sync::Arc, time::Duration};
use store::{ProjectId, RepositoryRow, Write};
use tokio::{sync::oneshot, time::timeout};

/// Where the configuration of a repository lies.
pub(crate) const PATH: &str = ".circleci/config.yml";
/// Providers wait for ten seconds; who hears nothing by then takes it for a failure.
const ANSWERED_WITHIN: Duration = Duration::from_secs(8);
/// So many webhooks are worked on, most of them waiting for a fetch.
const AT_ONCE: usize = 256;
/// The shortest secret that nobody guesses.
const SHORTEST: usize = 16;
const LONGEST: usize = 1024;

/// Webhooks that are being worked on.
pub(crate) type Working = std::sync::Mutex<HashSet<(i64, [u8; 32])>>;

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

    /// Makes pipelines of what a webhook tells, if it is the provider's. None: that takes longer than it waits for.
    pub(crate) async fn receive(
        self: &Arc<Self>,
        project: &str,
        told: Told,
    ) -> Result<Option<Received>, Refusal> {
        let row = self.store.repository(project).await?.ok_or_else(|| no_repository(project))?;
        let unreadable = |_| {
            Refusal::Unavailable(format!("the secret of {project}'s webhooks was sealed with another key"))
        };
        let secret = self.vault.unseal_for(&bound(row.project), &row.sealed).map_err(unreadable)?;
        if !signature::is_of(row.provider, &secret, &told) {
            return Err(Refusal::Unsigned);
        }
        let found = provider::read(row.provider, &told).map_err(Refusal::Bad)?;
        let events = match found {
            Found::Nothing(why) => return Ok(Some(Received { message: why, ..Received::default() })),
            Found::Events(events) => events,
        };
        let work = Work { project: project.to_owned(), hash: hash(&row, &told), row, events };
        let (answer, answered) = oneshot::channel();
        let plane = self.clone();
        drop(spawn(async move {
            let log = plane.log.new(o!("project" => work.project.clone()));
            done(&log, answer, plane.work(work).await);
        }));
        match timeout(ANSWERED_WITHIN, answered).await {
            Ok(Ok(received)) => received.map(Some),
            Ok(Err(_)) => Err(Refusal::Unavailable("the webhook's work broke off: send it again".to_owned())),
            Err(_) => Ok(None),
        }
    }

    /// What was seen, or is being worked on, is not worked on again.
    async fn work(self: Arc<Self>, work: Work) -> Result<Received, Refusal> {
        let key = (work.row.project.0, work.hash);
        let seen = || Received {
            message: "it came before: nothing is done twice".to_owned(),
            ..Received::default()
        };
        if !self.is_first(key)? {
            return Ok(seen());
        }
        let _done = Done { plane: &self, key };
        if self.store.was_delivered(work.row.project, &work.hash).await? {
            return Ok(seen());
        }
        let mut received = Received::default();
        for event in &work.events {
            self.forget_branch(&work, event).await?;
            match self.skipped(&work.row, event) {
                Some(why) => say(&mut received, &why),
                None => received.pipelines.push(self.triggered(&work, event).await?),
            }
        }
        self.write(vec![Write::Delivered(work.row.project, work.hash, wall_ms())]).await?;
        if !received.pipelines.is_empty() {
            say(&mut received, "made pipelines");
        }
        Ok(received)
    }

    /// Whether nobody works on it yet.
    fn is_first(&self, key: (i64, [u8; 32])) -> Result<bool, Refusal> {
        let mut working = self.working();
        if working.len() >= AT_ONCE { Err(Refusal::Busy) } else { Ok(working.insert(key)) }
    }

    /// What starts by the clock on a branch that is deleted does no more.
    async fn forget_branch(&self, work: &Work, event: &Event) -> Result<(), Refusal> {
        let Some(branch) = event.branch.clone().filter(|_| event.is_deleted) else { return Ok(()) };
        let (project, schedules, at_ms) = (work.row.project, Vec::new(), wall_ms());
        self.write(vec![Write::ScheduledWorkflows { project, branch, schedules, at_ms }]).await?;
        Ok(())
    }

    /// Why nothing is made of an event.
    fn skipped(&self, row: &RepositoryRow, event: &Event) -> Option<String> {
        if event.is_deleted {
            return Some(event::DELETED.to_owned());
        }
        let proposal = event.pull_request.as_ref();
        let is_fork = proposal.is_some_and(|proposal| proposal.fork.is_some());
        if is_fork && row.forks == Forks::Never {
            let why = "pull requests of forks make pipelines only where `roundhouse project create --forks` said so: \
                       what strangers wrote would run";
            return Some(why.to_owned());
        }
        if proposal.is_some() && !is_fork && !row.pull_requests {
            let why = "pull requests make pipelines only where `roundhouse project create --pull-requests` said so; \
                       the pushes to their branches do";
            return Some(why.to_owned());
        }
        event.asks_to_be_skipped().then(|| format!("{} says to skip it", event.revision))
    }

    /// The pipeline of an event, or one in error.
    async fn triggered(self: &Arc<Self>, work: &Work, event: &Event) -> Result<Made, Refusal> {
        let repository = (work.row.url.as_str(), work.row.class.clone());
        let mut new = pipeline(&work.project, repository, event, Some(trigger(&work.row, event)));
        new.actor = self.pusher(&work.project, event);
        let fetched = self.fetches.fetch(self, &work.row, event).await;
        match fetched {
            Ok(fetched) => {
                new.config = fetched.config;
                new.git.commit = fetched.commit;
            }
            Err(error) if error.is_ours() => return Err(Refusal::Unavailable(error.to_string())),
            Err(error) => return self.in_error(new, vec![format!("{PATH}: error: {error}\n")]).await,
        }
        let pushed = event.branch.clone().filter(|_| event.pull_request.is_none());
        match self.made(new.clone(), pushed.map_or(Occasion::Other, Occasion::Push)).await {
            // Its provider heard long ago that all is well, and does not send it again.
            Err(Refusal::Undecided(why)) => self.in_error(new, vec![format!("{PATH}: error: {why}\n")]).await,
            made => made,
        }
    }

    /// Whoever an event's account belongs to.
    fn pusher(&self, project: &str, event: &Event) -> Actor {
        let Some(login) = &event.account else { return Actor::Unknown };
        let host = project.split('/').next().unwrap_or_default();
        let known = self.access.of_account(&account(&format!("{host}/{login}")));
        known.map_or_else(|| Actor::Account { login: login.clone() }, |somebody| somebody.actor())
    }

    /// A pipeline of a configuration, or one in error where that is not valid.
    async fn made(self: &Arc<Self>, new: NewPipeline, occasion: Occasion) -> Result<Made, Refusal> {
        match self.create_pipeline_on(new.clone(), occasion).await {
            Ok(created) => {
                let (id, number, warnings) = (created.id, created.number, created.warnings);
                Ok(Made { id, number, errors: Vec::new(), warnings })
            }
            Err(Refusal::Diagnosed(refused)) => self.in_error(new, refused.diagnostics).await,
            Err(Refusal::Bad(why)) => self.in_error(new, vec![format!("{PATH}: error: {why}\n")]).await,
            Err(other) => Err(other),
        }
    }

    async fn in_error(self: &Arc<Self>, new: NewPipeline, errors: Vec<String>) -> Result<Made, Refusal> {
        let (id, number) =
            self.create_failed(Failed { new, errors: errors.clone(), along: Vec::new() }).await?;
        Ok(Made { id, number, errors, warnings: Vec::new() })
    }

    fn working(&self) -> std::sync::MutexGuard<'_, HashSet<(i64, [u8; 32])>> {
        self.working.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Answers a webhook; one that was answered before all was done is told no more, so that a refusal is in the log.
fn done(
    log: &Logger,
    answer: oneshot::Sender<Result<Received, Refusal>>,
    received: Result<Received, Refusal>,
) {
    if let Err(Err(refusal)) = answer.send(received) {
        warn!(log, "a webhook came to nothing after it was answered: send it again"; "error" => %refusal);
    }
}

/// What a webhook tells of a project.
struct Work {
    project: String,
    row: RepositoryRow,
    hash: [u8; 32],
    events: Vec<Event>,
}

/// A webhook that is worked on until this is dropped.
struct Done<'p> {
    plane: &'p Plane,
    key: (i64, [u8; 32]),
}

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.plane.working().remove(&self.key);
    }
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

/// What a webhook is known by: all of it that is signed. A name that its sender gives it, whoever sends it again changes.
fn hash(row: &RepositoryRow, told: &Told) -> [u8; 32] {
    let text =
        [row.provider.name().as_bytes(), b"\0", told.delivery().as_bytes(), b"\0", &told.body].concat();
    digest(&SHA256, &text).as_ref().try_into().expect("a SHA-256 has 32 bytes")
}

fn say(received: &mut Received, why: &str) {
    if !received.message.is_empty() {
        received.message.push_str("; ");
    }
    received.message.push_str(why);
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

fn trigger(row: &RepositoryRow, event: &Event) -> Trigger {
    Trigger {
        provider: row.provider.name().to_owned(),
        event: if event.pull_request.is_some() { "pull_request" } else { "push" }.to_owned(),
        action: event.action.clone(),
        pull_request: event.pull_request.as_ref().map(|proposal| proposal.url.clone()),
        fork: event
            .pull_request
            .as_ref()
            .and_then(|proposal| proposal.fork.clone())
            .map(|fork| Fork { needs_approval: row.forks == Forks::AfterApproval, ..fork }),
        schedule: None,
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

#[cfg(test)]
mod tests {
    use super::*;
    use slog::{Drain, Never, OwnedKVList, Record};
    use std::sync::Mutex;

    /// Remembers what it is told.
    #[derive(Clone, Default)]
    struct Told(Arc<Mutex<Vec<String>>>);

    impl Drain for Told {
        type Ok = ();
        type Err = Never;

        fn log(&self, record: &Record<'_>, _: &OwnedKVList) -> Result<(), Never> {
            self.0.lock().unwrap().push(format!("{}: {}", record.level().as_str(), record.msg()));
            Ok(())
        }
    }

    #[test]
    fn a_refusal_that_no_provider_hears_any_more_is_in_the_log() {
        let told = Told::default();
        let log = Logger::root(told.clone(), o!());
        let (answer, mut answered) = oneshot::channel();
        done(&log, answer, Err(Refusal::Busy));
        assert!(matches!(answered.try_recv(), Ok(Err(Refusal::Busy))));
        for received in [Ok(Received::default()), Err(Refusal::Busy)] {
            let (answer, answered) = oneshot::channel();
            drop(answered);
            done(&log, answer, received);
        }
        let told = told.0.lock().unwrap().clone();
        assert_eq!(told, ["WARNING: a webhook came to nothing after it was answered: send it again"]);
    }
}
