//! What the providers of commits are told of them: taken from the store in order, tried again with pauses, and given up on.
//!
//! ```text
//! a workflow or job changes ──in one write──▶ store ──the oldest of each commit and context──▶ the provider's API
//! ```
//!
//! Whoever is killed in between tells it again: a provider that hears the same twice shows it once.

mod shape;

use crate::{
    outbound::{Outbound, Reply},
    plane::{Plane, clock::wall_ms},
    refusal::Refusal,
};
use futures_util::future::join_all;
use protocol::{
    repository,
    webhook::{NewRepository, Provider, Statuses},
};
use slog::{debug, warn};
use std::{sync::Arc, time::Duration};
use store::{DueStatus, ProjectId, RepositoryRow, Write};

/// So many are told at once.
const AT_ONCE: u32 = 32;
/// So many wait at most; those made before them are given up.
const WAITING: u64 = 10_000;
/// How long one is tried.
const PATIENCE_MS: i64 = 24 * 60 * 60 * 1000;
/// The longest pause between two tries of one.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);
/// The longest that a provider may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(60 * 60);
/// The longest token.
const LONGEST_TOKEN: usize = 4096;

/// What came of telling one.
enum Outcome {
    Told,
    /// The same may succeed later.
    Later(Option<Duration>, String),
    Never(String),
}

impl Plane {
    /// Tells providers until the control plane stops.
    pub(crate) async fn tell_providers(self: Arc<Self>) {
        let Some(outbound) = self.rules.outbound.clone() else { return };
        let mut closed = std::pin::pin!(self.closed());
        loop {
            let pause = match self.tell_due(&*outbound).await {
                Ok(pause) => pause,
                Err(refusal) => {
                    warn!(self.log, "what providers are to be told cannot be read or noted"; "error" => %refusal);
                    LONGEST_PAUSE
                }
            };
            tokio::select! {
                () = &mut closed => return,
                () = self.to_tell.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Tells all that is due; how long nothing else will be.
    async fn tell_due(&self, outbound: &dyn Outbound) -> Result<Duration, Refusal> {
        let waiting = self.store.waiting_statuses().await?;
        if waiting > WAITING {
            let given_up = self.write(vec![Write::TrimStatuses(WAITING)]).await?[0];
            self.tallies.status("given_up", given_up);
            warn!(self.log, "too many commit statuses wait: the oldest are given up"; "count" => given_up);
        }
        loop {
            let due = self.store.due_statuses(wall_ms(), AT_ONCE).await?;
            if due.is_empty() {
                break;
            }
            let writes = join_all(due.iter().map(|one| self.tell_one(outbound, one))).await;
            self.write(writes).await?;
        }
        let next = self.store.next_status_ms().await?;
        let pause = next.map(|next| u64::try_from(next - wall_ms()).unwrap_or_default().max(1));
        Ok(pause.map_or(LONGEST_PAUSE, Duration::from_millis).min(LONGEST_PAUSE))
    }

    /// What is to be noted of it.
    async fn tell_one(&self, outbound: &dyn Outbound, one: &DueStatus) -> Write {
        let age = wall_ms() - one.made_ms;
        let told = || slog::o!("project" => one.name.clone(), "commit" => one.revision.clone(), "context" => one.context.clone());
        match self.outcome(outbound, one).await {
            Outcome::Told => {
                self.tallies.status("told", 1);
                Write::StatusTold(one.id)
            }
            Outcome::Later(asked, why) if age < PATIENCE_MS => {
                self.tallies.status("failed", 1);
                let pause = asked.map_or(pause(one.tries), |asked| asked.min(LONGEST_ASKED));
                debug!(self.log, "a commit status is told later"; told(), "error" => why);
                let pause = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
                Write::StatusLater(one.id, wall_ms().saturating_add(pause))
            }
            Outcome::Later(_, why) | Outcome::Never(why) => {
                self.tallies.status("given_up", 1);
                warn!(self.log, "a commit status is given up"; told(), "tries" => one.tries + 1, "error" => why);
                Write::StatusTold(one.id)
            }
        }
    }

    async fn outcome(&self, outbound: &dyn Outbound, one: &DueStatus) -> Outcome {
        let Some(token) = self.opened_token(one.project, &one.sealed) else {
            return Outcome::Later(None, "the project's token was sealed with another key".to_owned());
        };
        let page = self.rules.page.as_ref().map(|page| format!("{page}{}", one.page));
        let Some(post) = shape::post(one, &token, page) else {
            return Outcome::Never("the repository's address names no host of a provider".to_owned());
        };
        match outbound.post(&post).await {
            Ok(reply) => judged(one.provider, reply),
            Err(why) => Outcome::Later(None, why),
        }
    }

    /// What stands behind a repository's token and statuses, if they can be used.
    pub(crate) fn check_statuses(&self, new: &NewRepository) -> Result<(), Refusal> {
        let bad = |why: &str| Err(Refusal::Bad(why.to_owned()));
        let is_token = |token: &String| {
            (1..=LONGEST_TOKEN).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if new.token.as_ref().is_some_and(|token| !is_token(token)) {
            return bad("a token is 1 to 4096 letters, digits and marks in one line");
        }
        if let Some(api) = &new.api {
            let is_plain = api.starts_with("http://");
            let is_sound =
                (is_plain || api.starts_with("https://")) && repository::without_password(api) == *api;
            if !is_sound || api.contains(['?', '#']) || api.parse::<actix_web::http::Uri>().is_err() {
                return bad("the API's address is https://HOST, perhaps with a path, and no password in it");
            }
            self.fetches.admits(api).map_err(|error| Refusal::Bad(error.to_string()))?;
        }
        if new.statuses == Statuses::Nothing {
            return Ok(());
        }
        match new.provider {
            Provider::Bitbucket => {
                bad("commit statuses are told to GitHub, GitLab, Gitea and Forgejo, not to Bitbucket")
            }
            _ if new.token.is_none() => bad("commit statuses want a token of the provider"),
            _ if self.rules.outbound.is_none() => {
                bad("this control plane calls nobody, so it tells no commit statuses")
            }
            _ if new.api.is_none() && repository::place(&new.url).is_none() => {
                bad("the repository's address names no host: give the address of its provider's API")
            }
            _ => Ok(()),
        }
    }

    /// The token of a repository's provider, where it has one.
    pub(crate) fn provider_token(&self, row: &RepositoryRow) -> Result<Option<String>, Refusal> {
        let Some(sealed) = &row.token else { return Ok(None) };
        let unreadable = || {
            let why = "the project's token was sealed with another key: name its repository again";
            Refusal::Unavailable(why.to_owned())
        };
        self.opened_token(row.project, sealed).map(Some).ok_or_else(unreadable)
    }

    fn opened_token(&self, project: ProjectId, sealed: &[u8]) -> Option<String> {
        String::from_utf8(self.vault.unseal_for(&bound(project), sealed).ok()?).ok()
    }

    /// Seals a repository's token.
    pub(crate) fn sealed_token(&self, project: ProjectId, new: &NewRepository) -> Option<Vec<u8>> {
        new.token.as_ref().map(|token| self.vault.seal_for(&bound(project), token.as_bytes()))
    }
}

/// A sealed token opens for its project only.
pub(crate) fn bound(project: ProjectId) -> Vec<u8> {
    format!("provider's token of {}", project.0).into_bytes()
}

/// Twice as long each time.
fn pause(tries: u32) -> Duration {
    Duration::from_secs(1 << tries.min(10)).min(LONGEST_PAUSE)
}

/// A token that is refused may be replaced, or given its rights, while it is tried.
fn judged(provider: Provider, reply: Reply) -> Outcome {
    let said: String = reply.body.chars().filter(|c| !c.is_control()).take(300).collect();
    let why = format!("status {}: {said}", reply.status);
    match reply.status {
        200..=299 => Outcome::Told,
        // It shows that already.
        400 if provider == Provider::Gitlab && said.contains("Cannot transition status") => Outcome::Told,
        401 | 403 | 408 | 425 | 429 | 500..=599 => Outcome::Later(reply.pause, why),
        _ => Outcome::Never(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_quarter_of_an_hour() {
        let seconds: Vec<_> = [0, 1, 2, 9, 10, 50].map(|tries| pause(tries).as_secs()).into();
        assert_eq!(seconds, [1, 2, 4, 512, 900, 900]);
    }

    #[test]
    fn only_what_may_succeed_later_is_tried_again() {
        let judged = |provider, status, body: &str| {
            let reply = Reply { status, pause: Some(Duration::from_secs(7)), body: body.to_owned() };
            match judged(provider, reply) {
                Outcome::Told => "told",
                Outcome::Later(Some(_), _) => "later",
                Outcome::Later(None, _) => "soon",
                Outcome::Never(_) => "never",
            }
        };
        for (status, expected) in
            [(201, "told"), (401, "later"), (429, "later"), (503, "later"), (302, "never"), (422, "never")]
        {
            assert_eq!(judged(Provider::Github, status, ""), expected, "{status}");
        }
        let same = "{\"message\":\"Cannot transition status via :run from :running\"}";
        assert_eq!(
            (judged(Provider::Gitlab, 400, same), judged(Provider::Gitea, 400, same)),
            ("told", "never")
        );
    }
}
