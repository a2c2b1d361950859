//! Webhooks that projects have sent: made by their admins, and told of what ended until they have heard it.

mod shape;

use crate::{
    audit::{Deed, line},
    outbound::{Outbound, Reply},
    outbox::{Letter, Outcome},
    plane::{
        Plane,
        clock::{rfc3339, wall_ms},
        people::Who,
        projects::stable_id,
    },
    refusal::Refusal,
    secrets::Unreadable,
};
use actix_web::http::Uri;
use protocol::{
    outgoing::{Event, MASK, MOST_WEBHOOKS, NewWebhook, Scope, ScopeKind, Webhook, WebhookChange},
    people::organization,
};
use shape::Ended;
use slog::Logger;
use store::{DueEvent, Outbox, Store, StoreError, WebhookRow, Write};
use uuid::Uuid;

/// So many of one webhook are told at once: one that never answers leaves room to the others.
const OF_EACH: u32 = 4;
/// The longest name, in letters.
const LONGEST_NAME: usize = 512;
/// The longest address and the longest secret, in bytes.
const LONGEST: usize = 4096;

impl Letter for DueEvent {
    const OUTBOX: Outbox = Outbox::Events;
    const NAME: &'static str = "a webhook";

    async fn due(store: &Store, now_ms: i64, most: u32) -> Result<Vec<Self>, StoreError> {
        store.due_events(now_ms, most, OF_EACH).await
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
        let (project, webhook) = (self.project.clone(), self.webhook.id.to_string());
        let (event, workflow) = (self.event.name(), self.workflow.to_string());
        log.new(
            slog::o!("project" => project, "webhook" => webhook, "event" => event, "workflow" => workflow),
        )
    }

    async fn tell(&self, plane: &Plane, outbound: &dyn Outbound) -> Outcome {
        let Ok(secret) = plane.opened_secret(&self.webhook) else {
            return Outcome::Later(None, "its secret was sealed with another key: give it again".to_owned());
        };
        let ended = match plane.what_ended(self).await {
            Ok(Some(ended)) => ended,
            Ok(None) => return Outcome::Never("what ended is not there any more".to_owned()),
            Err(error @ StoreError::Unreadable { .. }) => return Outcome::Never(error.to_string()),
            Err(error) => return Outcome::Later(None, error.to_string()),
        };
        let post = shape::post(self, &ended, plane.rules.page.as_deref(), secret.as_deref());
        match outbound.post(&post).await {
            Ok(reply) => judged(&reply),
            // An address may be a secret.
            Err(why) => Outcome::Later(None, why.replace(&post.url, "its address")),
        }
    }
}

/// Whatever is answered but a success may be another answer later.
fn judged(reply: &Reply) -> Outcome {
    match reply.status {
        200..=299 => Outcome::Told,
        status => Outcome::Later(reply.pause, format!("status {status}")),
    }
}

/// A sealed secret opens for its webhook only.
pub(crate) fn bound(id: Uuid) -> Vec<u8> {
    format!("secret of the webhook {id}").into_bytes()
}

impl Plane {
    fn opened_secret(&self, row: &WebhookRow) -> Result<Option<Vec<u8>>, Unreadable> {
        row.sealed.as_ref().map(|sealed| self.vault.unseal_for(&bound(row.id), sealed)).transpose()
    }

    /// As the store has it: nothing of it changes any more.
    async fn what_ended(&self, due: &DueEvent) -> Result<Option<Ended>, StoreError> {
        let Some((_, pipeline)) = self.store.pipeline_row(due.pipeline).await? else { return Ok(None) };
        let workflows = self.store.workflows_of_pipeline(due.pipeline).await?;
        let Some(workflow) = workflows.into_iter().find(|row| row.id == due.workflow) else {
            return Ok(None);
        };
        let Some(job) = due.job else { return Ok(Some(Ended { pipeline, workflow, job: None })) };
        let job = self.store.job(job).await?.map(|(row, ..)| row);
        Ok(job.map(|job| Ended { pipeline, workflow, job: Some(job) }))
    }

    /// Makes a webhook of a project.
    pub(crate) async fn make_webhook(
        &self,
        by: &Who,
        project: &str,
        new: NewWebhook,
    ) -> Result<Webhook, Refusal> {
        if self.rules.outbound.is_none() {
            return Err(Refusal::Bad("this control plane calls nobody, so it sends no webhooks".to_owned()));
        }
        let owner = self.projects.get(&self.store, project).await?.id;
        if self.store.webhooks(owner).await?.len() >= MOST_WEBHOOKS {
            return Err(Refusal::Conflict(format!("{project} has {MOST_WEBHOOKS} webhooks already")));
        }
        let (id, now_ms) = (Uuid::now_v7(), wall_ms());
        let secret = new.signing_secret.as_deref().unwrap_or_default();
        if secret == MASK {
            return Err(Refusal::Bad(format!(
                "`signing-secret`: `{MASK}` stands in answers in the place of a secret: give the secret itself"
            )));
        }
        let row = WebhookRow {
            id,
            project: owner,
            name: new.name,
            events: new.events,
            url: new.url,
            verify_tls: new.verify_tls,
            sealed: self.sealed_secret(id, secret)?,
            created_ms: now_ms,
            updated_ms: now_ms,
        };
        self.remember_webhook(by, Deed::WebhookMade, project, row).await
    }

    /// Changes one. What it has not told yet it tells as it is then.
    pub(crate) async fn change_webhook(
        &self,
        by: &Who,
        id: Uuid,
        change: WebhookChange,
    ) -> Result<Webhook, Refusal> {
        let (project, row) = self.webhook_row(id).await?;
        if change.scope.is_some_and(|scope| scope.id != stable_id(&project)) {
            return Err(Refusal::Bad(
                "`scope`: a webhook stays with its project: make another one".to_owned(),
            ));
        }
        let sealed = match change.signing_secret.as_deref() {
            // Whoever sends back what they read changes no secret.
            None | Some(MASK) => {
                let anew = |old: Vec<u8>| self.vault.resealed(&bound(id), &old).unwrap_or(old);
                row.sealed.map(anew)
            }
            Some(secret) => self.sealed_secret(id, secret)?,
        };
        let row = WebhookRow {
            name: change.name.unwrap_or(row.name),
            events: change.events.unwrap_or(row.events),
            url: change.url.unwrap_or(row.url),
            verify_tls: change.verify_tls.unwrap_or(row.verify_tls),
            sealed,
            updated_ms: wall_ms(),
            ..row
        };
        self.remember_webhook(by, Deed::WebhookChanged, &project, row).await
    }

    /// None of one that is empty.
    fn sealed_secret(&self, id: Uuid, secret: &str) -> Result<Option<Vec<u8>>, Refusal> {
        if secret.len() > LONGEST {
            return Err(Refusal::Bad(format!("`signing-secret` has at most {LONGEST} bytes")));
        }
        let sealed = || self.vault.seal_for(&bound(id), secret.as_bytes());
        Ok((!secret.is_empty()).then(sealed))
    }

    async fn remember_webhook(
        &self,
        by: &Who,
        deed: Deed,
        project: &str,
        row: WebhookRow,
    ) -> Result<Webhook, Refusal> {
        check(&row).map_err(Refusal::Bad)?;
        let told = line(by, deed, organization(project), &format!("{project}: {}", row.name));
        self.write(vec![Write::Webhook(Box::new(row.clone())), told]).await?;
        Ok(shown(project, row))
    }

    /// Takes one away, with what it has not told yet.
    pub(crate) async fn remove_webhook(&self, by: &Who, id: Uuid) -> Result<(), Refusal> {
        let (project, row) = self.webhook_row(id).await?;
        let subject = format!("{project}: {}", row.name);
        let told = line(by, Deed::WebhookRemoved, organization(&project), &subject);
        self.write(vec![Write::RemoveWebhook(id), told]).await?;
        Ok(())
    }

    /// One of them.
    pub(crate) async fn webhook(&self, id: Uuid) -> Result<Webhook, Refusal> {
        self.webhook_row(id).await.map(|(project, row)| shown(&project, row))
    }

    /// Those of a project, the oldest first.
    pub(crate) async fn webhooks_of(&self, project: &str) -> Result<Vec<Webhook>, Refusal> {
        let Some((id, ..)) = self.store.project(project).await? else { return Ok(Vec::new()) };
        let rows = self.store.webhooks(id).await?;
        Ok(rows.into_iter().map(|row| shown(project, row)).collect())
    }

    async fn webhook_row(&self, id: Uuid) -> Result<(String, WebhookRow), Refusal> {
        let missing = || Refusal::Missing(format!("there is no webhook {id}"));
        self.store.webhook(id).await?.ok_or_else(missing)
    }
}

/// What is wrong with it, if anything is.
fn check(row: &WebhookRow) -> Result<(), String> {
    let is_plain = row.name.chars().count() <= LONGEST_NAME && !row.name.chars().any(char::is_control);
    if row.name.trim().is_empty() || !is_plain {
        return Err(format!("`name` has 1 to {LONGEST_NAME} letters on one line"));
    }
    let is_twice = row.events.iter().enumerate().any(|(place, event)| row.events[..place].contains(event));
    if row.events.is_empty() || is_twice {
        let all = [Event::WorkflowCompleted, Event::JobCompleted].map(Event::name).join("`, `");
        return Err(format!("`events` has at least one, each once, of `{all}`"));
    }
    check_address(&row.url).map_err(|why| format!("`url` {why}"))
}

fn check_address(url: &str) -> Result<(), String> {
    if url.len() > LONGEST || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("has at most {LONGEST} letters, digits and marks; others are escaped (`%20`)"));
    }
    let uri: Uri = url.parse().map_err(|_| "is no address: write https://HOST/PATH".to_owned())?;
    if !matches!(uri.scheme_str(), Some("https" | "http")) || uri.host().is_none_or(str::is_empty) {
        return Err(
            "begins with https:// or http:// and a host: others are called in no other way".to_owned()
        );
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(
            "has a name or a password before its host, which is not sent: sign with `signing-secret`"
                .to_owned(),
        );
    }
    if url.contains('#') {
        return Err("has a `#`, and nobody is sent what is behind it".to_owned());
    }
    Ok(())
}

fn shown(project: &str, row: WebhookRow) -> Webhook {
    Webhook {
        id: row.id,
        name: row.name,
        events: row.events,
        url: row.url,
        verify_tls: row.verify_tls,
        signing_secret: row.sealed.map(|_| MASK.to_owned()).unwrap_or_default(),
        scope: Scope { id: stable_id(project), kind: ScopeKind::Project },
        created_at: rfc3339(row.created_ms),
        updated_at: rfc3339(row.updated_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_of_http_and_says_nobodys_name() {
        for url in
            ["https://a.example", "http://127.0.0.1:9/x?token=1", "https://[::1]/", "HTTPS://a.example/x"]
        {
            assert_eq!(check_address(url), Ok(()), "{url}");
        }
        for (url, named) in [
            ("", "no address"),
            ("a.example", "https://"),
            ("/x", "https://"),
            ("ftp://a.example", "https://"),
            ("file:///etc/passwd", "https://"),
            ("https://", "https://"),
            ("https://me:secret@a.example", "password"),
            ("https://a.example/#x", "`#`"),
            ("https://a.example/ä", "escaped"),
            ("https://a.example/x y", "escaped"),
        ] {
            let why = check_address(url).unwrap_err();
            assert!(why.contains(named) && !why.contains("secret@"), "{url}: {why}");
        }
    }

    #[test]
    fn only_a_success_is_heard() {
        for (status, is_told) in
            [(200, true), (204, true), (302, false), (404, false), (410, false), (500, false)]
        {
            let reply = Reply { status, pause: None, body: "secret".to_owned() };
            let outcome = judged(&reply);
            assert_eq!(matches!(outcome, Outcome::Told), is_told, "{outcome:?}");
            assert!(!format!("{outcome:?}").contains("secret"));
        }
    }
}
