//! What ended and is to be told, by webhooks and to providers: by which, in what order, and for how long.

use super::*;
use crate::{EventRow, Keep, Outbox, RepositoryRow, StatusRow, WebhookRow};
use protocol::{
    outgoing::Event,
    webhook::{CommitState, Forks, JobsCheckOutWith, Provider, Statuses},
};

const BOTH: [Event; 2] = [Event::WorkflowCompleted, Event::JobCompleted];

fn webhook(project: ProjectId, number: u128, events: &[Event]) -> WebhookRow {
    WebhookRow {
        id: Uuid::from_u128(number),
        project,
        name: format!("webhook {number}"),
        events: events.to_vec(),
        url: "https://a.example/s3cret".to_owned(),
        verify_tls: true,
        sealed: None,
        created_ms: 5,
        updated_ms: 5,
    }
}

fn event(project: ProjectId, event: Event) -> Write {
    let job = (event == Event::JobCompleted).then_some(JOB);
    Write::Event(EventRow { project, event, pipeline: PIPELINE, workflow: WORKFLOW, job, made_ms: 9 })
}

/// A project with a webhook of both events, and one of jobs alone.
async fn with_webhooks() -> (TempDir, Store, ProjectId) {
    let (folder, store) = store().await;
    with_task(&store).await;
    let project = store.project("gh/a/b").await.unwrap().unwrap().0;
    let rows = [webhook(project, 1, &BOTH), webhook(project, 2, &BOTH[1..])];
    store.write(None, rows.map(|row| Write::Webhook(row.into())).into()).await.unwrap();
    (folder, store, project)
}

/// The names of those that are due by then.
async fn due(store: &Store, now_ms: i64) -> Vec<String> {
    let due = store.due_events(now_ms, 99, 99).await.unwrap();
    due.into_iter().map(|one| format!("{} of {}", one.event.name(), one.webhook.name)).collect()
}

#[tokio::test]
async fn an_event_is_to_be_told_by_each_webhook_that_wants_it_until_it_was() {
    let (_folder, store, project) = with_webhooks().await;
    let writes = BOTH.map(|one| event(project, one)).into();
    assert_eq!(store.write(None, writes).await.unwrap(), [1, 2], "how many tell of it");
    let expected =
        ["workflow-completed of webhook 1", "job-completed of webhook 1", "job-completed of webhook 2"];
    assert_eq!(due(&store, 0).await, expected);
    let first = store.due_events(0, 1, 1).await.unwrap().remove(0);
    assert_eq!(
        (first.project.as_str(), first.workflow, first.job, first.made_ms),
        ("gh/a/b", WORKFLOW, None, 9)
    );
    assert!(!format!("{first:?}").contains("s3cret"), "{first:?}");
    let outbox = Outbox::Events;
    store.write(None, vec![Write::Later(outbox, first.id, 50)]).await.unwrap();
    assert_eq!(due(&store, 49).await, expected[1..]);
    assert_eq!(store.next_due_ms(outbox, 9).await.unwrap(), Some(50));
    assert_eq!(store.due_events(50, 1, 1).await.unwrap()[0].tries, 1);
    store.write(None, vec![Write::Told(outbox, first.id)]).await.unwrap();
    assert_eq!(due(&store, 50).await, expected[1..]);
    assert_eq!(store.waiting(outbox).await.unwrap(), 2);
    assert_eq!(store.write(None, vec![Write::Trim(outbox, 1)]).await.unwrap(), [1]);
    assert_eq!(due(&store, 50).await, expected[2..]);
}

#[tokio::test]
async fn of_each_webhook_only_so_many_are_due_at_once() {
    let (_folder, store, project) = with_webhooks().await;
    let writes = (0..5).map(|_| event(project, Event::JobCompleted)).collect();
    store.write(None, writes).await.unwrap();
    let of_each = async |most, of_each| {
        let due = store.due_events(0, most, of_each).await.unwrap();
        due.into_iter().map(|one| one.webhook.id.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!(of_each(99, 2).await, [1, 2, 1, 2]);
    assert_eq!(of_each(3, 9).await, [1, 2, 1]);
}

#[tokio::test]
async fn a_webhook_goes_with_what_it_has_not_told_and_so_does_its_project() {
    let (folder, store, project) = with_webhooks().await;
    store.write(None, vec![event(project, Event::JobCompleted)]).await.unwrap();
    assert_eq!(store.write(None, vec![Write::RemoveWebhook(Uuid::from_u128(1))]).await.unwrap(), [1]);
    assert_eq!(due(&store, 0).await, ["job-completed of webhook 2"]);
    store.write(None, vec![Write::Project("gh/a/gone".to_owned())]).await.unwrap();
    let gone = store.project("gh/a/gone").await.unwrap().unwrap().0;
    store
        .write(None, vec![Write::Webhook(webhook(gone, 3, &BOTH).into()), event(gone, BOTH[0])])
        .await
        .unwrap();
    assert_eq!(store.waiting(Outbox::Events).await.unwrap(), 2);
    execute(&folder, "PRAGMA foreign_keys = ON; DELETE FROM projects WHERE name = 'gh/a/gone'").await;
    assert_eq!(
        (store.waiting(Outbox::Events).await.unwrap(), store.webhook(Uuid::from_u128(3)).await.unwrap()),
        (1, None)
    );
}

#[tokio::test]
async fn a_pipeline_of_which_something_is_to_be_told_is_not_forgotten_before_it_was() {
    let (_folder, store, project) = with_webhooks().await;
    let over = Write::WorkflowStatus(WORKFLOW, WorkflowStatus::Canceled);
    let (outcome, epoch) = (Outcome::Canceled, Epoch(0));
    let ended = Write::TaskEnded { task: TASK, epoch, outcome, message: None, at_ms: 9 };
    let next = Write::NextNumbers { project, pipeline: 3, job: 2 };
    store.write(None, vec![ended, over, next, event(project, Event::WorkflowCompleted)]).await.unwrap();
    let unkept =
        async || store.unkept_pipelines(Keep { since_ms: Some(i64::MAX), newest: 0 }, 9).await.unwrap();
    let forget = async || {
        let forget = vec![Write::ForgetTasks(PIPELINE, 9), Write::ForgetPipeline(PIPELINE)];
        store.write(None, forget).await.unwrap()
    };
    assert_eq!((unkept().await, forget().await), (vec![], vec![0, 0]));
    let told = store.due_events(9, 1, 1).await.unwrap().remove(0).id;
    store.write(None, vec![Write::Told(Outbox::Events, told)]).await.unwrap();
    assert_eq!((unkept().await, forget().await), (vec![PIPELINE], vec![1, 1]));
}

#[tokio::test]
async fn the_end_of_a_workflow_that_is_set_aside_is_told_too() {
    let (_folder, store, _) = with_webhooks().await;
    let (workflow, message) = (WORKFLOW, "why".to_owned());
    store.write(None, vec![Write::SetAside { workflow, message, at_ms: 11 }]).await.unwrap();
    let due = store.due_events(11, 9, 9).await.unwrap();
    assert_eq!(
        (due.len(), due[0].event, due[0].pipeline, due[0].made_ms),
        (1, Event::WorkflowCompleted, PIPELINE, 11)
    );
}

/// A project whose provider is told of its commits.
async fn told_of_commits(store: &Store, name: &str) -> ProjectId {
    store.write(None, vec![Write::Project(name.to_owned())]).await.unwrap();
    let project = store.project(name).await.unwrap().unwrap().0;
    let row = RepositoryRow {
        project,
        url: "https://a.example/x".to_owned(),
        provider: Provider::Gitea,
        class: None,
        pull_requests: false,
        forks: Forks::Never,
        sealed: vec![1],
        token: Some(vec![2]),
        jobs_check_out_with: JobsCheckOutWith::App,
        statuses: Statuses::Jobs,
        api: None,
        created_ms: 0,
    };
    store.write(None, vec![Write::Repository(row.into())]).await.unwrap();
    project
}

fn status(project: ProjectId, context: &str) -> Write {
    Write::Status(Box::new(StatusRow {
        project,
        url: "https://a.example/x".to_owned(),
        of: None,
        revision: "a".repeat(40),
        context: context.to_owned(),
        state: CommitState::Pending,
        description: String::new(),
        page: String::new(),
        made_ms: 0,
    }))
}

#[tokio::test]
async fn of_each_project_only_so_many_statuses_are_due_at_once_and_of_each_context_one() {
    let (_folder, store) = store().await;
    let (many, one) = (told_of_commits(&store, "gh/a/many").await, told_of_commits(&store, "gh/a/one").await);
    let mut writes: Vec<_> = ["a", "a", "b", "c", "d"].map(|context| status(many, context)).into();
    writes.push(status(one, "a"));
    store.write(None, writes).await.unwrap();
    let due = async |most, of_each| {
        let due = store.due_statuses(0, most, of_each).await.unwrap();
        due.into_iter().map(|one| format!("{} of {}", one.context, one.name)).collect::<Vec<_>>()
    };
    assert_eq!(due(99, 2).await, ["a of gh/a/many", "b of gh/a/many", "a of gh/a/one"]);
    assert_eq!(due(2, 9).await, ["a of gh/a/many", "b of gh/a/many"]);
    assert_eq!(due(99, 9).await.len(), 5);
}
