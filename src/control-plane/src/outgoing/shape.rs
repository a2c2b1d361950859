//! What a webhook tells of an end, as CircleCI's do, and its signature.

use crate::{
    outbound::Post,
    plane::{clock::rfc3339, projects::stable_id},
    secrets::hex,
};
use protocol::{
    JobStatus,
    outgoing::Event,
    people::organization,
    repository::{place, without_password},
    task::Source,
};
use ring::hmac;
use serde_json::{Map, Value, json};
use store::{DueEvent, JobRow, PipelineRow, WorkflowRow};

/// As receivers know who calls.
const USER_AGENT: &str = "CircleCI-Webhook/1.0";

/// What ended, and where it belongs.
pub(super) struct Ended {
    pub(super) pipeline: PipelineRow,
    pub(super) workflow: WorkflowRow,
    /// None: it is the workflow.
    pub(super) job: Option<JobRow>,
}

/// The call that tells of it; `page` is the control plane's address.
pub(super) fn post(due: &DueEvent, ended: &Ended, page: Option<&str>, secret: Option<&[u8]>) -> Post {
    let body = serde_json::to_vec(&body(due, ended, page)).expect("a JSON value has only string keys");
    let mut headers = vec![
        ("content-type", "application/json".to_owned()),
        ("user-agent", USER_AGENT.to_owned()),
        ("circleci-event-type", due.event.name().to_owned()),
    ];
    headers.extend(secret.map(|secret| ("circleci-signature", signature(secret, &body))));
    Post { url: due.webhook.url.clone(), headers, body, verify_tls: due.webhook.verify_tls }
}

fn signature(secret: &[u8], body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), body);
    format!("v1={}", hex(tag.as_ref()))
}

fn body(due: &DueEvent, ended: &Ended, page: Option<&str>) -> Value {
    let (project, owner) = (&due.project, organization(&due.project));
    let subject = due.job.map_or_else(|| due.workflow.to_string(), |job| job.to_string());
    let mut body = json!({
        "type": due.event,
        // The same for each webhook and each try, whatever the control plane went through.
        "id": stable_id(&format!("{} {subject}", due.event.name())),
        "happened_at": rfc3339(due.made_ms),
        "webhook": { "id": due.webhook.id, "name": due.webhook.name },
        "project": { "id": stable_id(project), "name": last(project), "slug": project },
        "organization": { "id": stable_id(owner), "name": last(owner) },
        "workflow": workflow(due, ended, page),
        "pipeline": pipeline(&ended.pipeline),
    });
    if let Some(row) = &ended.job {
        body["job"] = job(row);
    }
    body
}

/// Of a job's event it goes on, so that how it stands is not told.
fn workflow(due: &DueEvent, ended: &Ended, page: Option<&str>) -> Value {
    let row = &ended.workflow;
    let mut shown = json!({
        "id": row.id,
        "name": row.name,
        "created_at": rfc3339(ended.pipeline.created_ms),
        "url": format!("{}/pipelines/{}", page.unwrap_or_default(), row.pipeline),
    });
    if due.event == Event::WorkflowCompleted {
        shown["stopped_at"] = json!(rfc3339(due.made_ms));
        shown["status"] = json!(row.status);
    }
    shown
}

fn job(row: &JobRow) -> Value {
    json!({
        "id": row.id,
        "name": row.definition.name,
        "number": row.number,
        "status": status(row.status),
        "started_at": row.started_ms.map(rfc3339),
        "stopped_at": row.ended_ms.map(rfc3339),
    })
}

/// In the four words that receivers know.
fn status(status: JobStatus) -> Value {
    match status {
        JobStatus::Timedout | JobStatus::InfrastructureFail => json!(JobStatus::Failed),
        status => json!(status),
    }
}

fn pipeline(row: &PipelineRow) -> Value {
    let mut shown = json!({
        "id": row.id,
        "number": row.number,
        "created_at": rfc3339(row.created_ms),
        "trigger": { "type": trigger(row) },
    });
    if let Some(vcs) = vcs(row) {
        shown["vcs"] = Value::Object(vcs);
    }
    shown
}

fn trigger(row: &PipelineRow) -> &'static str {
    match &row.git.trigger {
        None => "api",
        Some(trigger) if trigger.schedule.is_some() => "schedule",
        Some(_) => "webhook",
    }
}

/// What is known of the commit, if anything is.
fn vcs(row: &PipelineRow) -> Option<Map<String, Value>> {
    let git = &row.git;
    let (url, revision) = match &row.source {
        Source::Git { url, revision, .. } => (Some(url), Some(revision)),
        _ => (git.url.as_ref(), git.revision.as_ref()),
    };
    let url = url.map(|url| without_password(url));
    let commit = Some(&git.commit).filter(|commit| !commit.subject.is_empty());
    let commit = commit.map(|commit| {
        let author = json!({ "name": commit.author_name, "email": commit.author_email });
        json!({ "subject": commit.subject, "body": commit.body, "author": author })
    });
    let known = [
        ("provider_name", url.as_ref().map(|url| json!(provider(row, url)))),
        ("origin_repository_url", url.as_ref().map(|url| json!(url))),
        ("target_repository_url", url.as_ref().map(|url| json!(url))),
        ("revision", revision.map(|revision| json!(revision))),
        ("commit", commit),
        ("branch", git.branch.as_ref().map(|branch| json!(branch))),
        ("tag", git.tag.as_ref().map(|tag| json!(tag))),
    ];
    let known = known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    (url.is_some() || revision.is_some()).then(|| known.collect())
}

/// Who told of the commit, or whose host it is.
fn provider(row: &PipelineRow, url: &str) -> String {
    let host = place(url).map(|place| place.host).unwrap_or_default();
    let known = [("github.com", "github"), ("gitlab.com", "gitlab"), ("bitbucket.org", "bitbucket")];
    let of_host = || known.iter().find(|(name, _)| *name == host).map_or("git", |(_, name)| name).to_owned();
    row.git.trigger.as_ref().map_or_else(of_host, |trigger| trigger.provider.clone())
}

fn last(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{
        JobId, PipelineId, WorkflowId, WorkflowStatus,
        api::{CommitValues, GitValues, Reruns},
        pipeline::{Job, Kind},
    };
    use store::{ProjectId, WebhookRow};
    use uuid::Uuid;

    const SOME: Uuid = Uuid::from_u128(7);

    fn due(event: Event) -> DueEvent {
        let webhook = WebhookRow {
            id: SOME,
            project: ProjectId(1),
            name: "chat".to_owned(),
            events: vec![event],
            url: "https://chat.example/hook?token=1".to_owned(),
            verify_tls: false,
            sealed: None,
            created_ms: 0,
            updated_ms: 0,
        };
        DueEvent {
            id: 1,
            webhook,
            project: "gh/acme/app".to_owned(),
            event,
            pipeline: PipelineId(SOME),
            workflow: WorkflowId(SOME),
            job: (event == Event::JobCompleted).then_some(JobId(SOME)),
            made_ms: 4000,
            tries: 0,
        }
    }

    fn ended(status: JobStatus) -> Ended {
        let commit = CommitValues { subject: "Teach it".to_owned(), ..CommitValues::default() };
        let (revision, branch) = ("1".repeat(40), Some("main".to_owned()));
        let pipeline = PipelineRow {
            id: PipelineId(SOME),
            project: ProjectId(1),
            number: 3,
            created_ms: 1000,
            actor: Default::default(),
            source: Source::Git {
                url: "https://me:secret@github.com/acme/app".to_owned(),
                revision,
                branch: branch.clone(),
                tag: None,
            },
            git: GitValues { branch, commit, ..GitValues::default() },
            state: Default::default(),
            errors: vec![],
            continued: None,
        };
        let workflow = WorkflowRow {
            id: WorkflowId(SOME),
            pipeline: PipelineId(SOME),
            place: 0,
            name: "all".to_owned(),
            status: WorkflowStatus::Failed,
            canceled: false,
            reruns: Reruns::default(),
            actor: None,
            setup: false,
        };
        let job = JobRow {
            id: JobId(SOME),
            workflow: WorkflowId(SOME),
            place: 0,
            origin: None,
            failed_of: None,
            number: 5,
            class: None,
            definition: Job::without_tasks("build", Kind::Build),
            status,
            started_ms: Some(2000),
            ended_ms: Some(3000),
            approved_by: None,
            answered_by: None,
            waits_ms: None,
            reason: None,
        };
        Ended { pipeline, workflow, job: Some(job) }
    }

    fn told(post: &Post) -> Value {
        serde_json::from_slice(&post.body).unwrap()
    }

    #[test]
    fn a_body_is_signed_as_the_published_vectors_are() {
        for (body, secret, signed) in [
            ("hello world", "secret", "734cc62f32841568f45715aeb9f4d7891324e6d948e4c6c60c0621cdac48623a"),
            ("lalala", "another-secret", "daa220016c8f29a8b214fbfc3671aeec2145cfb1e6790184ffb38b6d0425fa00"),
            (
                "an-important-request-payload",
                "hunter123",
                "9be2242094a9a8c00c64306f382a7f9d691de910b4a266f67bd314ef18ac49fa",
            ),
        ] {
            assert_eq!(signature(secret.as_bytes(), body.as_bytes()), format!("v1={signed}"));
        }
    }

    #[test]
    fn a_workflows_end_is_told_in_the_public_shape() {
        let ended = Ended { job: None, ..ended(JobStatus::Failed) };
        let due = due(Event::WorkflowCompleted);
        let post = post(&due, &ended, Some("https://ci.example"), Some(b"secret"));
        assert_eq!((post.url.as_str(), post.verify_tls), (due.webhook.url.as_str(), false));
        assert_eq!(format!("{post:?}"), r#"Post { to: "https://chat.example", .. }"#);
        let header = |name: &str| {
            post.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
        };
        assert_eq!(header("circleci-event-type").as_deref(), Some("workflow-completed"));
        assert_eq!(header("circleci-signature"), Some(signature(b"secret", &post.body)));
        let body = told(&post);
        assert_eq!(
            body["workflow"],
            json!({
                "id": SOME, "name": "all", "status": "failed", "created_at": "1970-01-01T00:00:01.000Z",
                "stopped_at": "1970-01-01T00:00:04.000Z", "url": format!("https://ci.example/pipelines/{SOME}"),
            })
        );
        assert_eq!(
            body["pipeline"],
            json!({
                "id": SOME, "number": 3, "created_at": "1970-01-01T00:00:01.000Z", "trigger": {"type": "api"},
                "vcs": {
                    "provider_name": "github", "origin_repository_url": "https://github.com/acme/app",
                    "target_repository_url": "https://github.com/acme/app", "revision": "1".repeat(40), "branch": "main",
                    "commit": {"subject": "Teach it", "body": "", "author": {"name": "", "email": ""}},
                },
            })
        );
        assert_eq!((&body["happened_at"], body.get("job")), (&json!("1970-01-01T00:00:04.000Z"), None));
        assert_eq!(body["organization"]["name"], "acme");
        assert_eq!(
            (&body["project"]["slug"], &body["project"]["name"], &body["webhook"]["name"]),
            (&json!("gh/acme/app"), &json!("app"), &json!("chat"))
        );
    }

    #[test]
    fn a_jobs_end_is_told_in_words_that_receivers_know_and_without_a_secret_unsigned() {
        let due = due(Event::JobCompleted);
        for (status, word) in [
            (JobStatus::Success, "success"),
            (JobStatus::Timedout, "failed"),
            (JobStatus::InfrastructureFail, "failed"),
            (JobStatus::Unauthorized, "unauthorized"),
            (JobStatus::Canceled, "canceled"),
        ] {
            let post = post(&due, &ended(status), None, None);
            assert!(!post.headers.iter().any(|(name, _)| *name == "circleci-signature"));
            let body = told(&post);
            let expected = json!({
                "id": SOME, "name": "build", "number": 5, "status": word, "started_at": "1970-01-01T00:00:02.000Z",
                "stopped_at": "1970-01-01T00:00:03.000Z",
            });
            assert_eq!(body["job"], expected);
            assert!(body["workflow"].get("status").is_none() && body["workflow"].get("stopped_at").is_none());
        }
    }

    #[test]
    fn an_event_has_one_id_and_no_two_events_have_the_same() {
        let id =
            |event: Event| told(&post(&due(event), &ended(JobStatus::Success), None, None))["id"].clone();
        assert_eq!(id(Event::JobCompleted), id(Event::JobCompleted));
        assert_ne!(id(Event::JobCompleted), id(Event::WorkflowCompleted), "of things with one id");
    }
}
