//! The call by which each provider is told how a commit stands.

use crate::{outbound::Post, web::in_url};
use protocol::{
    repository::{self, Place},
    webhook::{CommitState, Provider},
};
use serde_json::{Value, json};
use store::DueStatus;

/// None: the provider is told nowhere.
pub(super) fn post(one: &DueStatus, token: &str, page: Option<String>) -> Option<Post> {
    let place = repository::place(&one.url)?;
    let api = api_of(one.provider, &one.url, one.api.as_deref())?;
    let (api, path, revision) = (api.trim_end_matches('/'), in_url(&place.path), &one.revision);
    let url = match one.provider {
        Provider::Github | Provider::Gitea => format!("{api}/repos/{path}/statuses/{revision}"),
        Provider::Gitlab => format!("{api}/projects/{}/statuses/{revision}", path.replace('/', "%2F")),
        Provider::Bitbucket => return None,
    };
    let mut headers = vec![("Content-Type", "application/json".to_owned())];
    headers.extend(match one.provider {
        Provider::Gitlab => vec![("PRIVATE-TOKEN", token.to_owned())],
        Provider::Gitea | Provider::Bitbucket => vec![("Authorization", format!("token {token}"))],
        Provider::Github => vec![
            ("Authorization", format!("Bearer {token}")),
            ("Accept", "application/vnd.github+json".to_owned()),
            ("X-GitHub-Api-Version", "2022-11-28".to_owned()),
        ],
    });
    let body = body(one, page);
    Some(Post { url, headers, body: serde_json::to_vec(&body).ok()?, verify_tls: true })
}

fn body(one: &DueStatus, page: Option<String>) -> Value {
    let mut body = json!({
        "state": state(one.provider, one.state),
        "context": one.context,
        "description": one.description,
    });
    if let Some(page) = page {
        body["target_url"] = Value::String(page);
    }
    body
}

/// The words of each provider.
fn state(provider: Provider, state: CommitState) -> &'static str {
    match (provider, state) {
        (Provider::Gitlab, CommitState::Failure | CommitState::Error) => "failed",
        (Provider::Gitlab, other) => other.name(),
        (_, CommitState::Pending | CommitState::Running) => "pending",
        (_, CommitState::Success) => "success",
        (_, CommitState::Failure) => "failure",
        (_, CommitState::Error | CommitState::Canceled) => "error",
    }
}

/// Where a provider is told: where it was said, else at the repository's host, if it has one.
pub(super) fn api_of(provider: Provider, url: &str, said: Option<&str>) -> Option<String> {
    said.map(str::to_owned).or_else(|| Some(api(provider, &repository::place(url)?)))
}

/// Where the API of a host is.
fn api(provider: Provider, place: &Place) -> String {
    let (scheme, host) = (if place.is_plain { "http" } else { "https" }, &place.host);
    match provider {
        Provider::Github if host == "github.com" => "https://api.github.com".to_owned(),
        Provider::Github => format!("{scheme}://{host}/api/v3"),
        Provider::Gitlab => format!("{scheme}://{host}/api/v4"),
        Provider::Gitea | Provider::Bitbucket => format!("{scheme}://{host}/api/v1"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::ProjectId;

    fn due(provider: Provider, url: &str, state: CommitState) -> DueStatus {
        DueStatus {
            id: 1,
            project: ProjectId(1),
            name: "acme/app".to_owned(),
            revision: "1".repeat(40),
            context: "ci/roundhouse: all".to_owned(),
            state,
            description: "the workflow runs".to_owned(),
            page: "/pipelines/7".to_owned(),
            made_ms: 0,
            tries: 0,
            provider,
            url: url.to_owned(),
            api: None,
            sealed: Vec::new(),
        }
    }

    #[test]
    fn each_provider_is_told_where_and_as_it_says() {
        let revision = "1".repeat(40);
        for (provider, url, told_at, token) in [
            (
                Provider::Github,
                "git@github.com:acme/app.git",
                "https://api.github.com/repos/acme/app",
                "Bearer s3cret",
            ),
            (
                Provider::Github,
                "https://ghe.example/acme/app",
                "https://ghe.example/api/v3/repos/acme/app",
                "Bearer s3cret",
            ),
            (
                Provider::Gitlab,
                "https://gitlab.com/a/b/c d.git",
                "https://gitlab.com/api/v4/projects/a%2Fb%2Fc%20d",
                "s3cret",
            ),
            (
                Provider::Gitea,
                "ssh://git@codeberg.org:22/a/b.git",
                "https://codeberg.org/api/v1/repos/a/b",
                "token s3cret",
            ),
        ] {
            let post = post(&due(provider, url, CommitState::Running), "s3cret", None).unwrap();
            assert_eq!(post.url, format!("{told_at}/statuses/{revision}"));
            assert!(post.headers.iter().any(|(_, value)| value == token), "{:?}", post.headers);
            assert!(!format!("{post:?}").contains(token));
            let body: Value = serde_json::from_slice(&post.body).unwrap();
            let state = if provider == Provider::Gitlab { "running" } else { "pending" };
            assert_eq!(body["state"], state);
        }
        let bitbucket = due(Provider::Bitbucket, "https://bitbucket.org/a/b", CommitState::Success);
        assert_eq!(post(&bitbucket, "t", None), None);
    }

    #[test]
    fn an_own_address_of_the_api_is_used_as_it_is() {
        let mut one = due(Provider::Gitlab, "git@ssh.example:a/b.git", CommitState::Error);
        one.api = Some("https://gitlab.example/under/api/v4/".to_owned());
        let post = post(&one, "t", Some("https://ci.example/pipelines/7".to_owned())).unwrap();
        assert!(
            post.url.starts_with("https://gitlab.example/under/api/v4/projects/a%2Fb/statuses/"),
            "{}",
            post.url
        );
        let body: Value = serde_json::from_slice(&post.body).unwrap();
        let expected = json!({"state": "failed", "context": "ci/roundhouse: all", "description": "the workflow runs",
                              "target_url": "https://ci.example/pipelines/7"});
        assert_eq!(body, expected);
    }
}
