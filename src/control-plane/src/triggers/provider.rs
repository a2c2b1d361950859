//! What the webhooks of each provider look like: bodies of strangers' making, of which nothing is believed to be there.

use super::event::{DELETED, Event, Found, MOST, Proposal};
use protocol::{api::Fork, people::is_account_name, repository, webhook::Provider};
use serde_json::Value;
use std::collections::HashMap;

/// A webhook as it came: its headers in small letters, and its body.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Told {
    pub(crate) fn new<'h, I: IntoIterator<Item = (&'h str, String)>>(headers: I, body: Vec<u8>) -> Self {
        let headers = headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
        Self { headers: headers.collect(), body }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Its name, of the one provider that sends its secret itself: elsewhere it is not signed, so it says nothing.
    pub(super) fn delivery(&self) -> &str {
        self.header("x-gitlab-event-uuid")
            .filter(|_| self.header("x-gitlab-token").is_some())
            .unwrap_or_default()
    }
}

/// What it tells. An error: it is nothing that the provider sends.
pub(super) fn read(provider: Provider, told: &Told) -> Result<Found, String> {
    let body: Value = serde_json::from_slice(&told.body)
        .map_err(|error| format!("the body is no JSON (set the webhook to application/json): {error}"))?;
    let event = |header: &str| told.header(header).unwrap_or_default();
    let found = match provider {
        Provider::Github => github(event("x-github-event"), &body),
        Provider::Gitea => github(event("x-gitea-event"), &body),
        Provider::Gitlab => gitlab(event("x-gitlab-event"), &body),
        Provider::Bitbucket => bitbucket(event("x-event-key"), &body),
    };
    match found {
        Found::Events(mut events) => {
            let account = account(provider, &body);
            let own = |event: &Event| account.clone().filter(|_| is_own(provider, event, &body));
            events.iter_mut().for_each(|event| event.account = own(event));
            checked(events)
        }
        nothing => Ok(nothing),
    }
}

/// Whose account it was: by a name that nobody else there has.
fn account(provider: Provider, body: &Value) -> Option<String> {
    let name = match provider {
        Provider::Github | Provider::Gitea => some(body, "/sender/login"),
        Provider::Gitlab => some(body, "/user_username").or_else(|| some(body, "/user/username")),
        // Nicknames are not unique, and can be changed.
        Provider::Bitbucket => some(body, "/actor/account_id"),
    };
    name.filter(|name| is_account_name(name))
}

/// Whether what an event brings is theirs whose account it was: they have pushed it, or the pull request that they open is
/// theirs.
fn is_own(provider: Provider, event: &Event, body: &Value) -> bool {
    const PUSHES: [&str; 4] = ["push", "synchronize", "synchronized", "update"];
    if event.pull_request.is_none() || PUSHES.contains(&&*event.action) {
        return true;
    }
    let (teller, author) = match provider {
        Provider::Github | Provider::Gitea => ("/sender/login", "/pull_request/user/login"),
        Provider::Gitlab => ("/user/id", "/object_attributes/author_id"),
        Provider::Bitbucket => ("/actor/account_id", "/pullrequest/author/account_id"),
    };
    body.pointer(teller).is_some_and(|teller| body.pointer(author) == Some(teller))
}

/// Names that git takes, and commits by their full ids.
fn checked(events: Vec<Event>) -> Result<Found, String> {
    for event in &events {
        if !event.is_deleted && !repository::is_commit(&event.revision) {
            let shown: String = event.revision.chars().take(80).collect();
            let why = format!("`{shown}` is no full id of a commit: pipelines are made of its push");
            return if event.pull_request.is_some() { Ok(Found::Nothing(why)) } else { Err(why) };
        }
        let names = [&event.branch, &event.tag].into_iter().flatten();
        if names.clone().next().is_none() || !names.clone().all(|name| repository::is_reference(name)) {
            return Err("the webhook names no branch or tag".to_owned());
        }
    }
    Ok(Found::Events(events))
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn some(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

fn nothing(event: &str) -> Found {
    let shown: String = event.chars().take(80).collect();
    Found::Nothing(format!("nothing is made of the event `{shown}`"))
}

/// What has no name that git takes is nobody's loss.
fn deleted(branch: Option<String>, tag: Option<String>) -> Found {
    let is_named = [&branch, &tag].into_iter().flatten().any(|name| repository::is_reference(name));
    match is_named {
        true => Found::Events(vec![Event { branch, tag, is_deleted: true, ..Event::default() }]),
        false => Found::Nothing(DELETED.to_owned()),
    }
}

/// Branch and tag of a full name.
fn named(reference: &str) -> (Option<String>, Option<String>) {
    let behind = |prefix: &str| reference.strip_prefix(prefix).map(str::to_owned);
    (behind("refs/heads/"), behind("refs/tags/"))
}

fn is_zero(revision: &str) -> bool {
    !revision.is_empty() && revision.bytes().all(|byte| byte == b'0')
}

/// GitHub's, and those that Gitea and Forgejo have made after them.
fn github(event: &str, body: &Value) -> Found {
    match event {
        "push" => {
            let after = text(body, "/after");
            let is_deleted = body.pointer("/deleted").and_then(Value::as_bool) == Some(true);
            let (branch, tag) = named(&text(body, "/ref"));
            if is_deleted || is_zero(&after) {
                return deleted(branch, tag);
            }
            Found::Events(vec![Event {
                // Of a tag that is an object of its own, `after` is that.
                revision: some(body, "/head_commit/id").unwrap_or(after),
                branch,
                tag,
                default_branch: some(body, "/repository/default_branch"),
                message: text(body, "/head_commit/message"),
                action: "push".to_owned(),
                ..Event::default()
            }])
        }
        "pull_request" => github_pull_request(body),
        other => nothing(other),
    }
}

fn github_pull_request(body: &Value) -> Found {
    let action = text(body, "/action");
    if !["opened", "reopened", "synchronize", "synchronized"].contains(&action.as_str()) {
        return nothing(&format!("pull_request {action}"));
    }
    let [from, to] = ["head", "base"].map(|end| some(body, &format!("/pull_request/{end}/repo/full_name")));
    let Some(number) = body.pointer("/pull_request/number").or(body.get("number")).and_then(Value::as_u64)
    else {
        return Found::Nothing("nothing is made of a pull request without a number".to_owned());
    };
    // A fork that is gone is one too.
    let is_fork = from.is_none() || from != to;
    let fork = is_fork.then(|| Fork { number, path: from.unwrap_or_default(), needs_approval: false });
    let branch = if is_fork { Some(format!("pull/{number}")) } else { some(body, "/pull_request/head/ref") };
    Found::Events(vec![Event {
        revision: text(body, "/pull_request/head/sha"),
        branch,
        tag: None,
        default_branch: some(body, "/repository/default_branch"),
        message: text(body, "/pull_request/title"),
        action,
        pull_request: Some(Proposal { url: text(body, "/pull_request/html_url"), fork }),
        ..Event::default()
    }])
}

fn gitlab(event: &str, body: &Value) -> Found {
    let default_branch = some(body, "/project/default_branch");
    match event {
        "Push Hook" | "Tag Push Hook" => {
            let (branch, tag) = named(&text(body, "/ref"));
            if is_zero(&text(body, "/after")) {
                return deleted(branch, tag);
            }
            let revision = some(body, "/checkout_sha").unwrap_or_else(|| text(body, "/after"));
            let commits = body.pointer("/commits").and_then(Value::as_array).into_iter().flatten();
            let head = commits.rev().find(|commit| text(commit, "/id") == revision);
            let message = head.map(|commit| text(commit, "/message")).unwrap_or_default();
            let action = "push".to_owned();
            Found::Events(vec![Event {
                revision,
                branch,
                tag,
                default_branch,
                message,
                action,
                ..Event::default()
            }])
        }
        "Merge Request Hook" => gitlab_merge_request(default_branch, body),
        other => nothing(other),
    }
}

fn gitlab_merge_request(default_branch: Option<String>, body: &Value) -> Found {
    let of = |name: &str| text(body, &format!("/object_attributes/{name}"));
    let action = of("action");
    let is_update = action == "update" && body.pointer("/object_attributes/oldrev").is_some();
    if !is_update && !["open", "reopen"].contains(&action.as_str()) {
        return nothing(&format!("Merge Request Hook {action}"));
    }
    let project =
        |end: &str| body.pointer(&format!("/object_attributes/{end}_project_id")).and_then(Value::as_u64);
    let Some(number) = body.pointer("/object_attributes/iid").and_then(Value::as_u64) else {
        return Found::Nothing("nothing is made of a merge request without a number".to_owned());
    };
    let is_fork = project("source").is_none() || project("source") != project("target");
    let path = of("source/path_with_namespace");
    let fork = is_fork.then_some(Fork { number, path, needs_approval: false });
    let branch = if is_fork { format!("merge-requests/{number}") } else { of("source_branch") };
    let (last, title) = (text(body, "/object_attributes/last_commit/message"), of("title"));
    Found::Events(vec![Event {
        revision: of("last_commit/id"),
        branch: Some(branch),
        tag: None,
        default_branch,
        message: format!("{title}\n{last}"),
        action,
        pull_request: Some(Proposal { url: of("url"), fork }),
        ..Event::default()
    }])
}

fn bitbucket(event: &str, body: &Value) -> Found {
    match event {
        "repo:push" => {
            let changes = body.pointer("/push/changes").and_then(Value::as_array).into_iter().flatten();
            let changes: Vec<_> = changes.collect();
            if changes.len() > MOST {
                return Found::Nothing(format!(
                    "nothing is made of a push of {} branches and tags",
                    changes.len()
                ));
            }
            let default_branch = some(body, "/repository/mainbranch/name");
            let events: Vec<_> =
                changes.into_iter().filter_map(|change| bitbucket_change(change, &default_branch)).collect();
            if events.is_empty() { Found::Nothing(DELETED.to_owned()) } else { Found::Events(events) }
        }
        "pullrequest:created" | "pullrequest:updated" => bitbucket_pull_request(event, body),
        other => nothing(other),
    }
}

/// What is new, or what was there before.
fn bitbucket_change(change: &Value, default_branch: &Option<String>) -> Option<Event> {
    let there = |key: &str| change.get(key).filter(|one| !one.is_null());
    let end = there("new").or_else(|| there("old"))?;
    let name = some(end, "/name");
    let is_tag = ["tag", "annotated_tag"].contains(&text(end, "/type").as_str());
    let (branch, tag) = (name.clone().filter(|_| !is_tag), name.filter(|_| is_tag));
    let Some(new) = there("new") else {
        return Some(Event { branch, tag, is_deleted: true, ..Event::default() });
    };
    Some(Event {
        revision: text(new, "/target/hash"),
        branch,
        tag,
        default_branch: default_branch.clone(),
        message: text(new, "/target/message"),
        action: "push".to_owned(),
        ..Event::default()
    })
}

fn bitbucket_pull_request(event: &str, body: &Value) -> Found {
    let of = |end: &str| some(body, &format!("/pullrequest/{end}/repository/full_name"));
    let is_fork = of("source").is_none() || of("source") != of("destination");
    if is_fork {
        // It has no reference of their own in the project's repository, where they could be fetched.
        return Found::Nothing("nothing is made of a fork's pull request at Bitbucket".to_owned());
    }
    Found::Events(vec![Event {
        revision: text(body, "/pullrequest/source/commit/hash"),
        branch: some(body, "/pullrequest/source/branch/name"),
        tag: None,
        default_branch: some(body, "/repository/mainbranch/name"),
        message: text(body, "/pullrequest/title"),
        action: event.trim_start_matches("pullrequest:").to_owned(),
        pull_request: Some(Proposal { url: text(body, "/pullrequest/links/html/href"), fork: None }),
        ..Event::default()
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EVENTS: [(Provider, &str, &str); 7] = [
        (Provider::Github, "X-GitHub-Event", "push"),
        (Provider::Github, "X-GitHub-Event", "pull_request"),
        (Provider::Gitea, "X-Gitea-Event", "push"),
        (Provider::Gitlab, "X-Gitlab-Event", "Push Hook"),
        (Provider::Gitlab, "X-Gitlab-Event", "Merge Request Hook"),
        (Provider::Bitbucket, "X-Event-Key", "repo:push"),
        (Provider::Bitbucket, "X-Event-Key", "pullrequest:created"),
    ];
    const NAMES: &str = "ref|after|deleted|head_commit|id|message|repository|default_branch|action|pull_request|head|base|\
                         repo|full_name|sha|title|html_url|project|checkout_sha|commits|object_attributes|oldrev|\
                         last_commit|source_branch|push|changes|new|type|name|target|hash|mainbranch|pullrequest|source";
    const TEXTS: &str =
        "refs/heads/main|refs/tags/v1|refs/heads/-x|opened|open|update|tag|branch|1{40}|0{40}|main|ä{0,300}";

    fn bodies() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            TEXTS.prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 120, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((NAMES, inner), 0..8)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn told(header: &'static str, event: &str, body: Vec<u8>) -> Told {
        Told::new([(header, event.to_owned())], body)
    }

    proptest! {
        #[test]
        fn whatever_comes_is_an_event_with_sound_names_or_a_reason(body in bodies(), which in 0..EVENTS.len()) {
            let (provider, header, event) = EVENTS[which];
            match read(provider, &told(header, event, body.to_string().into_bytes())) {
                Ok(Found::Events(events)) => for event in events {
                    prop_assert!(event.is_deleted || repository::is_commit(&event.revision));
                    prop_assert!(event.branch.is_some() != event.tag.is_some());
                    prop_assert!(event.branch.iter().chain(&event.tag).all(|name| repository::is_reference(name)));
                },
                Ok(Found::Nothing(why)) | Err(why) => prop_assert!(!why.is_empty()),
            }
        }

        #[test]
        fn bytes_that_are_no_json_are_refused(body: Vec<u8>, event in ".{0,200}") {
            for (provider, header, _) in EVENTS {
                let read = read(provider, &told(header, &event, body.clone()));
                prop_assert!(read.is_err() || serde_json::from_slice::<Value>(&body).is_ok());
            }
        }
    }

    #[test]
    fn a_pull_request_is_of_the_account_that_pushed_to_it_or_that_it_is_of() {
        let (one, repo) = ("1".repeat(40), serde_json::json!({"full_name": "acme/app"}));
        let github = |action: &str, sender: &str| {
            let end = serde_json::json!({"repo": repo, "ref": "topic", "sha": one});
            let pull = serde_json::json!({"number": 1, "user": {"login": "ada"}, "head": end, "base": end});
            serde_json::json!({"action": action, "sender": {"login": sender}, "pull_request": pull})
        };
        let gitlab = |action: &str, user: u64| {
            let ends = serde_json::json!({"action": action, "oldrev": one, "iid": 1, "author_id": 1, "source_branch": "topic",
                "source_project_id": 7, "target_project_id": 7, "last_commit": {"id": one}});
            serde_json::json!({"user": {"id": user, "username": "somebody"}, "object_attributes": ends})
        };
        let bitbucket = |actor: &str| {
            let end =
                serde_json::json!({"repository": repo, "branch": {"name": "topic"}, "commit": {"hash": one}});
            let pull =
                serde_json::json!({"author": {"account_id": "ada"}, "source": end, "destination": end});
            serde_json::json!({"actor": {"account_id": actor}, "pullrequest": pull})
        };
        for (which, event, body, account) in [
            (1, None, github("opened", "ada"), Some("ada")),
            (1, None, github("opened", "eve"), None),
            (1, None, github("reopened", "eve"), None),
            (1, None, github("synchronize", "eve"), Some("eve")),
            (4, None, gitlab("open", 1), Some("somebody")),
            (4, None, gitlab("open", 2), None),
            (4, None, gitlab("update", 2), Some("somebody")),
            (6, None, bitbucket("ada"), Some("ada")),
            (6, None, bitbucket("eve"), None),
            // Also where a title is changed.
            (6, Some("pullrequest:updated"), bitbucket("eve"), None),
        ] {
            let (provider, header, usual) = EVENTS[which];
            let sent = told(header, event.unwrap_or(usual), body.to_string().into_bytes());
            let found = read(provider, &sent).unwrap();
            let Found::Events(events) = found else { panic!("{found:?}") };
            assert_eq!(events[0].account.as_deref(), account, "{body}");
        }
    }

    #[test]
    fn the_words_of_each_provider_are_found() {
        let push = serde_json::json!({"ref": "refs/heads/main", "after": "1".repeat(40)}).to_string();
        let found = read(Provider::Github, &told("X-GitHub-Event", "push", push.into_bytes())).unwrap();
        let Found::Events(events) = found else { panic!("{found:?}") };
        assert_eq!((events[0].branch.as_deref(), events[0].action.as_str()), (Some("main"), "push"));
    }
}
