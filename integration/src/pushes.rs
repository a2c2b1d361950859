//! Webhooks of pushes as the providers of repositories send and sign them.

use crate::{http::Answered, rig::Server};
use protocol::webhook::{Provider, Received};
use ring::hmac;

/// By whose account all of them are pushed.
pub const PUSHER: &str = "ada-l";

/// A project's webhooks, from this provider and signed with this secret.
#[derive(Clone, Debug)]
pub struct Sender {
    /// As it is named to the control plane.
    pub project: String,
    /// Who sends.
    pub provider: Provider,
    /// What is signed with.
    pub secret: String,
}

impl Sender {
    /// Tells of a push; what came of it.
    ///
    /// # Panics
    /// Where it is not taken.
    pub fn push(&self, server: &Server, reference: &str, revision: &str) -> Received {
        let (event, body) = push(self.provider, reference, revision);
        let answered = self.send(server, event, &body);
        assert_eq!(answered.status, 200, "{}", answered.body);
        serde_json::from_str(&answered.body).unwrap_or_else(|error| panic!("{error}: {}", answered.body))
    }

    /// Sends any event.
    pub fn send(&self, server: &Server, event: &str, body: &str) -> Answered {
        let signature = signature(&self.secret, body);
        let head = match self.provider {
            Provider::Github => format!("X-GitHub-Event: {event}\r\nX-Hub-Signature-256: sha256={signature}"),
            Provider::Gitea => format!("X-Gitea-Event: {event}\r\nX-Gitea-Signature: {signature}"),
            Provider::Bitbucket => format!("X-Event-Key: {event}\r\nX-Hub-Signature: sha256={signature}"),
            Provider::Gitlab => format!("X-Gitlab-Event: {event}\r\nX-Gitlab-Token: {}", self.secret),
        };
        server.call("POST", &format!("/api/v3/webhooks/{}", self.project), &head, body)
    }
}

/// What stands behind the signature header of a provider.
fn signature(secret: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hmac::sign(&key, body.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The event of a push, and its body.
fn push(provider: Provider, reference: &str, revision: &str) -> (&'static str, String) {
    let name = reference.rsplit('/').next().unwrap_or_default();
    let target = serde_json::json!({"hash": revision, "message": "x"});
    let body = serde_json::json!({
        "ref": reference, "after": revision, "checkout_sha": revision,
        "head_commit": {"id": revision, "message": "x"}, "repository": {"default_branch": "main"},
        "project": {"default_branch": "main"}, "commits": [{"id": revision, "message": "x"}],
        "sender": {"login": PUSHER}, "user_username": PUSHER, "actor": {"account_id": PUSHER},
        "push": {"changes": [{"new": {"type": "branch", "name": name, "target": target}}]},
    });
    let event = match provider {
        Provider::Github | Provider::Gitea => "push",
        Provider::Gitlab if reference.starts_with("refs/tags/") => "Tag Push Hook",
        Provider::Gitlab => "Push Hook",
        Provider::Bitbucket => "repo:push",
    };
    (event, body.to_string())
}
