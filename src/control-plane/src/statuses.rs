//! What the providers of commits are told of them, of each commit and context in order. A provider that hears the same twice
//! shows it once.

mod shape;

use crate::{
    github_app::{self, Credential, NoToken},
    outbound::{Outbound, Reply},
    outbox::{Letter, Outcome},
    plane::Plane,
    refusal::Refusal,
};
use protocol::{
    repository,
    webhook::{JobsCheckOutWith, NewRepository, Provider, Statuses},
};
use slog::Logger;
use store::{DueStatus, Outbox, ProjectId, RepositoryRow, Store, StoreError};

/// So many of one project are told at once: a provider that never answers leaves room to the others.
const OF_EACH: u32 = 4;
/// The longest token.
const LONGEST_TOKEN: usize = 4096;

impl Letter for DueStatus {
    const OUTBOX: Outbox = Outbox::Statuses;
    const NAME: &'static str = "a commit status";

    async fn due(store: &Store, now_ms: i64, most: u32) -> Result<Vec<Self>, StoreError> {
        store.due_statuses(now_ms, most, OF_EACH).await
    }

    fn id(&self) -> i64 {
        self.id
    }

    fn made_ms(&self) -> i64 {
        self.made_ms
    }

    fn tries(&self) -> u32 {
        self.tries
    }

    fn logger(&self, log: &Logger) -> Logger {
        let (project, commit, context) = (self.name.clone(), self.revision.clone(), self.context.clone());
        log.new(slog::o!("project" => project, "commit" => commit, "context" => context))
    }

    async fn tell(&self, plane: &Plane, outbound: &dyn Outbound) -> Outcome {
        let at = (self.provider, self.url.as_str(), self.api.as_deref());
        let token = match plane.opened_token(self.project, &self.sealed, at).await {
            Ok(token) => token,
            Err(why) => return Outcome::Later(None, why),
        };
        let page = plane.rules.page.as_ref().map(|page| format!("{page}{}", self.page));
        let Some(post) = shape::post(self, &token, page) else {
            return Outcome::Never("the repository's address names no host of a provider".to_owned());
        };
        match outbound.post(&post).await {
            Ok(reply) => judged(self.provider, reply),
            Err(why) => Outcome::Later(None, why),
        }
    }
}

impl Plane {
    /// What stands behind a repository's token and statuses, if they can be used.
    pub(crate) fn check_statuses(&self, new: &NewRepository) -> Result<(), Refusal> {
        let bad = |why: &str| Err(Refusal::Bad(why.to_owned()));
        let is_token = |token: &String| {
            (1..=LONGEST_TOKEN).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if new.token.as_ref().is_some_and(|token| !is_token(token)) {
            return bad("a token is 1 to 4096 letters, digits and marks in one line");
        }
        if new.jobs_check_out_with == JobsCheckOutWith::Token && new.token.is_none() {
            return bad("jobs are to check out with the project's token, and it is given none");
        }
        if let Some(app) = &new.app {
            github_app::check(app).map_err(Refusal::Bad)?;
            if new.provider != Provider::Github || new.token.is_some() {
                return bad("an App is GitHub's, and stands in the place of a token");
            }
            if self.rules.outbound.is_none() {
                return bad("this control plane calls nobody, so no App gives it a token");
            }
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
            _ if new.token.is_none() && new.app.is_none() => {
                bad("commit statuses want a token of the provider")
            }
            _ if self.rules.outbound.is_none() => {
                bad("this control plane calls nobody, so it tells no commit statuses")
            }
            _ if new.api.is_none() && repository::place(&new.url).is_none() => {
                bad("the repository's address names no host: give the address of its provider's API")
            }
            _ => Ok(()),
        }
    }

    /// The token of a repository's provider, where it has one, or one that its App gives out.
    pub(crate) async fn provider_token(&self, row: &RepositoryRow) -> Result<Option<String>, Refusal> {
        let Some(sealed) = &row.token else { return Ok(None) };
        let at = (row.provider, row.url.as_str(), row.api.as_deref());
        self.opened_token(row.project, sealed, at).await.map(Some).map_err(Refusal::Unavailable)
    }

    async fn opened_token(
        &self,
        project: ProjectId,
        sealed: &[u8],
        (provider, url, api): (Provider, &str, Option<&str>),
    ) -> Result<String, NoToken> {
        match self.credential(project, sealed)? {
            Credential::Token(token) => Ok(token),
            Credential::App(app) => {
                let (outbound, api) = self.api_at((provider, url, api))?;
                let moment = self.clock.moment();
                self.app_tokens.get(&app, &api, outbound, (moment.now, moment.wall_ms)).await
            }
        }
    }

    /// What lets the control plane in at a repository's provider.
    pub(crate) fn credential(&self, project: ProjectId, sealed: &[u8]) -> Result<Credential, NoToken> {
        let bytes = self.vault.unseal_for(&bound(project), sealed).ok();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let unreadable = "the project's token was sealed with another key: name its repository again";
        text.and_then(Credential::read).ok_or_else(|| unreadable.to_owned())
    }

    /// Who calls the provider of a repository, and where its API is.
    pub(crate) fn api_at(
        &self,
        (provider, url, api): (Provider, &str, Option<&str>),
    ) -> Result<(&dyn Outbound, String), NoToken> {
        let (nobody, nowhere) = ("this control plane calls nobody", "the repository's address names no host");
        let outbound = self.rules.outbound.as_ref().ok_or(nobody)?;
        Ok((&**outbound, shape::api_of(provider, url, api).ok_or(nowhere)?))
    }

    /// Seals a repository's token, or the App that gives them out.
    pub(crate) fn sealed_token(&self, project: ProjectId, new: &NewRepository) -> Option<Vec<u8>> {
        let app = || new.app.clone().map(Credential::App);
        let credential = new.token.clone().map(Credential::Token).or_else(app)?;
        Some(self.vault.seal_for(&bound(project), credential.text().as_bytes()))
    }
}

/// A sealed token opens for its project only.
pub(crate) fn bound(project: ProjectId) -> Vec<u8> {
    format!("provider's token of {}", project.0).into_bytes()
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
    use std::time::Duration;

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
