//! The work of webhooks: each of their events in its turn, and none twice.

use super::{
    Event, Told, bound,
    event::{self, Found},
    in_words, no_repository, pipeline, provider, signature, spawn,
    turns::Turn,
};
use crate::{
    people::account,
    pipelines::{create::Failed, occasion::Occasion},
    plane::{Plane, clock::wall_ms},
    refusal::Refusal,
};
use protocol::{
    Actor,
    api::{Fork, Trigger},
    webhook::{Forks, Made, Received},
};
use ring::digest::{SHA256, digest};
use slog::{Logger, o, warn};
use std::{collections::HashMap, sync::Arc, time::Duration};
use store::{RepositoryRow, Write};
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};

/// Providers wait for ten seconds; who hears nothing by then takes it for a failure.
const ANSWERED_WITHIN: Duration = Duration::from_secs(8);
/// So many webhooks are worked on, most of them waiting for a fetch.
const AT_ONCE: usize = 256;
/// What is said of what came before.
const SEEN: &str = "it came before: nothing is done twice";

/// What a webhook, or one of its events, is known by.
type Hash = [u8; 32];

/// Webhooks that are being worked on, and what they tell of.
pub(crate) type Working = watch::Sender<HashMap<(i64, Hash), Named>>;

/// What a webhook tells of, for people.
#[derive(Debug)]
pub(crate) struct Named {
    project: String,
    references: String,
}

/// What a webhook tells of a project.
struct Work {
    project: String,
    row: RepositoryRow,
    hash: Hash,
    events: Vec<Event>,
    turns: Vec<Turn>,
    _begun: Begun,
}

/// A webhook that is worked on until this is dropped.
struct Begun {
    plane: Arc<Plane>,
    key: (i64, Hash),
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.plane.working.send_modify(|working| drop(working.remove(&self.key)));
    }
}

impl Plane {
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
        // Nothing is waited for between the look at its repository and this: turns are in the order of arrival.
        let known_by = (hash(&row, &told), events);
        let Some(work) = self.taken(project, row, known_by)? else { return Ok(Some(seen())) };
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

    /// The work of a webhook, with the turns of its events; none where it is being worked on.
    fn taken(
        self: &Arc<Self>,
        project: &str,
        row: RepositoryRow,
        (hash, events): (Hash, Vec<Event>),
    ) -> Result<Option<Work>, Refusal> {
        // What was taken now might be cut off after its provider heard that all is well.
        if *self.closing.borrow() {
            let why = "the control plane is stopping: send it again once it runs";
            return Err(Refusal::Unavailable(why.to_owned()));
        }
        let project = project.to_owned();
        let references: Vec<_> = events.iter().map(Event::reference).collect();
        let named = references.iter().flatten().map(String::as_str).collect::<Vec<_>>().join(", ");
        let key = (row.project.0, hash);
        if !self.is_first(key, Named { project: project.clone(), references: named })? {
            return Ok(None);
        }
        let begun = Begun { plane: self.clone(), key };
        let turns = self.turns.take(row.project, references);
        Ok(Some(Work { project, row, hash, events, turns, _begun: begun }))
    }

    /// Whether nobody works on it yet.
    fn is_first(&self, key: (i64, Hash), named: Named) -> Result<bool, Refusal> {
        let mut first = Ok(false);
        self.working.send_if_modified(|working| {
            first = match working.len() {
                AT_ONCE.. => Err(Refusal::Busy),
                _ if working.contains_key(&key) => Ok(false),
                _ => Ok(working.insert(key, named).is_none()),
            };
            matches!(first, Ok(true))
        });
        first
    }

    /// What was seen is not worked on again.
    async fn work(self: &Arc<Self>, mut work: Work) -> Result<Received, Refusal> {
        let project = work.row.project;
        if self.store.was_delivered(project, &work.hash).await? {
            return Ok(seen());
        }
        let mut received = Received::default();
        let turns = std::mem::take(&mut work.turns);
        for (place, mut turn) in turns.into_iter().enumerate() {
            turn.come().await;
            self.work_on(&work, place, &mut received).await?;
        }
        let mut writes = vec![Write::Delivered(project, work.hash, wall_ms())];
        let places = 0..work.events.len();
        writes.extend(places.map(|place| Write::ForgetDelivered(project, event_hash(&work.hash, place))));
        self.write(writes).await?;
        if !received.pipelines.is_empty() {
            say(&mut received, "made pipelines");
        }
        Ok(received)
    }

    /// One event. It is remembered in the write that it comes to, so that a webhook which is sent again, for another of
    /// its events failed or the control plane died, does not come to the same twice.
    async fn work_on(
        self: &Arc<Self>,
        work: &Work,
        place: usize,
        received: &mut Received,
    ) -> Result<(), Refusal> {
        let (project, event) = (work.row.project, &work.events[place]);
        let hash = event_hash(&work.hash, place);
        if self.store.was_delivered(project, &hash).await? {
            say(received, SEEN);
            return Ok(());
        }
        let seen = Write::Delivered(project, hash, wall_ms());
        if let Some(branch) = event.branch.clone().filter(|_| event.is_deleted) {
            // What starts by the clock on a branch that is deleted does no more.
            let (schedules, at_ms) = (Vec::new(), wall_ms());
            self.write(vec![Write::ScheduledWorkflows { project, branch, schedules, at_ms }, seen.clone()])
                .await?;
        }
        match skipped(&work.row, event) {
            Some(why) => say(received, &why),
            None => received.pipelines.push(self.triggered(work, event, seen).await?),
        }
        Ok(())
    }

    /// The pipeline of an event, or one in error.
    async fn triggered(self: &Arc<Self>, work: &Work, event: &Event, seen: Write) -> Result<Made, Refusal> {
        let repository = (work.row.url.as_str(), work.row.class.clone());
        let mut new = pipeline(&work.project, repository, event, Some(trigger(&work.row, event)));
        new.actor = self.pusher(&work.project, event);
        let in_error =
            |new, why: String, seen| Failed { new, errors: vec![in_words(why)], along: vec![seen] };
        match self.fetches.fetch(self, &work.row, event).await {
            Ok(fetched) => (new.config, new.git.commit) = (fetched.config, fetched.commit),
            Err(error) if error.is_ours() => return Err(Refusal::Unavailable(error.to_string())),
            Err(error) => return self.errored(in_error(new, error.to_string(), seen)).await,
        }
        let pushed = event.branch.clone().filter(|_| event.pull_request.is_none());
        match self.made(new.clone(), Occasion::Told { seen: seen.clone().into(), pushed }).await {
            // Its provider heard long ago that all is well, and does not send it again.
            Err(Refusal::Undecided(why)) => self.errored(in_error(new, why, seen)).await,
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

    /// Waits until no webhook is worked on, but for so long alone: what is cut off then nobody sends again by itself.
    /// Whether any was.
    pub(crate) async fn finish_webhooks(&self, patience: Duration) -> bool {
        let mut working = self.working.subscribe();
        let were_any = !working.borrow().is_empty();
        if timeout(patience, working.wait_for(HashMap::is_empty)).await.is_err() {
            for named in self.working.borrow().values() {
                warn!(self.log, "a webhook's work is cut off: have its provider send it again";
                    "project" => &named.project, "of" => &named.references);
            }
        }
        were_any
    }
}

/// Why nothing is made of an event.
fn skipped(row: &RepositoryRow, event: &Event) -> Option<String> {
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

fn seen() -> Received {
    Received { message: SEEN.to_owned(), ..Received::default() }
}

/// What a webhook is known by: all of it that is signed. A name that its sender gives it, whoever sends it again changes.
fn hash(row: &RepositoryRow, told: &Told) -> Hash {
    let text =
        [row.provider.name().as_bytes(), b"\0", told.delivery().as_bytes(), b"\0", &told.body].concat();
    sha256(&text)
}

/// What one of a webhook's events is known by.
fn event_hash(webhook: &Hash, place: usize) -> Hash {
    sha256(&[&webhook[..], &(place as u64).to_be_bytes()].concat())
}

fn sha256(bytes: &[u8]) -> Hash {
    digest(&SHA256, bytes).as_ref().try_into().expect("a SHA-256 has 32 bytes")
}

fn say(received: &mut Received, why: &str) {
    if !received.message.is_empty() {
        received.message.push_str("; ");
    }
    received.message.push_str(why);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heard::Lines;

    #[test]
    fn a_refusal_that_no_provider_hears_any_more_is_in_the_log() {
        let lines = Lines::default();
        let log = Logger::root(lines.clone(), o!());
        let (answer, mut answered) = oneshot::channel();
        done(&log, answer, Err(Refusal::Busy));
        assert!(matches!(answered.try_recv(), Ok(Err(Refusal::Busy))));
        for received in [Ok(Received::default()), Err(Refusal::Busy)] {
            let (answer, answered) = oneshot::channel();
            drop(answered);
            done(&log, answer, received);
        }
        let lines = lines.all();
        let said = "WARNING: a webhook came to nothing after it was answered: send it again";
        assert!(lines.len() == 1 && lines[0].starts_with(said), "{lines:?}");
    }
}
