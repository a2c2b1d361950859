//! Logins for the checkouts of jobs over https: a token that the project's App gives for the one repository, or the project's
//! own where an administrator said so.
//!
//! It is given for the address that the project's repository has, and no other: whoever starts a pipeline may name any.

use crate::{
    github_app::{self, Credential, NoToken},
    plane::{Plane, live::Pipeline},
    refusal::Refusal,
};
use protocol::{
    api::Fork,
    repository::{self, Login, Transport},
    task::{Action, Source, Step},
    webhook::{GithubApp, JobsCheckOutWith, Provider},
};
use store::RepositoryRow;

const STRANGE: &str =
    "this is not the address of its project's repository, as `roundhouse project create` names it";
const NOTHING_THERE: &str = "its project has neither a GitHub App nor a token: `roundhouse project create` takes \
                             --app-id, or --token-file with --jobs-check-out-with token; or use a checkout key and an \
                             address of ssh";
const NOTHING_SAID: &str = "its project's repository was named with --jobs-check-out-with nothing";
const TOKEN_KEPT: &str = "the project's token stays with the control plane: an administrator may name the repository \
                          again with --jobs-check-out-with token, or with a GitHub App";
const FORK_AT_ONCE: &str =
    "a fork's pipeline has one only where somebody approves each: --forks after-approval";
const FORK_TOKEN: &str = "a fork's pipeline is never given the project's token: a GitHub App gives it one of its own \
                          with --forks after-approval";

impl Plane {
    /// With what a task with these steps is let in where it checks its pipeline's repository out over https.
    pub(crate) async fn login_of(&self, pipeline: &Pipeline, steps: &[Step]) -> Result<Login, Refusal> {
        let Some(url) = checked_out(pipeline, steps) else { return Ok(Login::None) };
        let row = self.store.repository(&pipeline.project_name).await?;
        let row = row.filter(|row| row.url == url);
        let login = self.login(row.as_ref(), pipeline.git.fork()).await;
        Ok(login.unwrap_or_else(|why| Login::Withheld { why }))
    }

    async fn login(&self, row: Option<&RepositoryRow>, fork: Option<&Fork>) -> Result<Login, NoToken> {
        let row = row.ok_or(STRANGE)?;
        // It may have been named to a control plane that allowed what this one does not.
        self.fetches.admits(&row.url).map_err(|error| error.to_string())?;
        let sealed = row.token.as_deref().ok_or(NOTHING_THERE)?;
        let credential = self.credential(row.project, sealed)?;
        is_given(&credential, row.jobs_check_out_with, fork)?;
        let password = match credential {
            Credential::Token(token) => token,
            Credential::App(app) => self.token_for_one(&app, row).await?,
        };
        Ok(Login::Shown { user: user_of(row.provider).to_owned(), password })
    }

    /// Each task has its own: it is good for an hour from now.
    async fn token_for_one(&self, app: &GithubApp, row: &RepositoryRow) -> Result<String, NoToken> {
        let (outbound, api) = self.api_at((row.provider, row.url.as_str(), row.api.as_deref()))?;
        let place = repository::place(&row.url).ok_or(STRANGE)?;
        let now_ms = self.clock.moment().wall_ms;
        github_app::for_one_repository(app, &api, outbound, (&place.path, now_ms)).await
    }
}

/// The address that these steps check out over https, if any does.
fn checked_out<'p>(pipeline: &'p Pipeline, steps: &[Step]) -> Option<&'p str> {
    let Source::Git { url, .. } = &pipeline.source else { return None };
    let checks_out = steps.iter().any(|step| matches!(step.action, Action::Checkout { .. }));
    (checks_out && repository::transport(url) == Ok(Transport::Http)).then_some(url)
}

/// Or why not. What a fork has, whoever wrote it has too: so it is given no more than it was shown already, and that once
/// somebody has looked at it.
fn is_given(
    credential: &Credential,
    with: JobsCheckOutWith,
    fork: Option<&Fork>,
) -> Result<(), &'static str> {
    match (credential, with, fork) {
        (_, JobsCheckOutWith::Nothing, _) => Err(NOTHING_SAID),
        (Credential::App(_), _, Some(fork)) if !fork.needs_approval => Err(FORK_AT_ONCE),
        (Credential::App(_), ..) => Ok(()),
        (Credential::Token(_), _, Some(_)) => Err(FORK_TOKEN),
        (Credential::Token(_), JobsCheckOutWith::App, None) => Err(TOKEN_KEPT),
        (Credential::Token(_), JobsCheckOutWith::Token, None) => Ok(()),
    }
}

/// Whose name a provider wants beside a token where git is asked for both.
pub(crate) fn user_of(provider: Provider) -> &'static str {
    match provider {
        Provider::Github => "x-access-token",
        Provider::Gitlab | Provider::Gitea => "oauth2",
        Provider::Bitbucket => "x-token-auth",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_given_an_apps_token_by_itself_the_projects_where_that_was_said_and_a_fork_neither_at_once() {
        let app = GithubApp { id: "7".to_owned(), installation: 9, private_key: "k".to_owned() };
        let (app, token) = (Credential::App(app), Credential::Token("t".to_owned()));
        let at_once = Fork { number: 7, ..Fork::default() };
        let approved = Fork { needs_approval: true, ..at_once.clone() };
        let (nothing, by_app, by_token) =
            (JobsCheckOutWith::Nothing, JobsCheckOutWith::App, JobsCheckOutWith::Token);
        for (credential, with, fork, expected) in [
            (&app, by_app, None, Ok(())),
            (&app, nothing, None, Err(NOTHING_SAID)),
            (&app, by_app, Some(&at_once), Err(FORK_AT_ONCE)),
            (&app, by_app, Some(&approved), Ok(())),
            (&app, nothing, Some(&approved), Err(NOTHING_SAID)),
            (&token, by_app, None, Err(TOKEN_KEPT)),
            (&token, by_token, None, Ok(())),
            (&token, nothing, None, Err(NOTHING_SAID)),
            (&token, by_token, Some(&at_once), Err(FORK_TOKEN)),
            (&token, by_token, Some(&approved), Err(FORK_TOKEN)),
        ] {
            assert_eq!(is_given(credential, with, fork), expected, "{with:?} {fork:?}");
        }
    }
}
