//! Webhooks that are worked on when something else happens: others of the same branch, failures, a stop.

use super::*;
use crate::{heard::Lines, triggers::Told};
use futures_util::future::{join, join3};
use protocol::webhook::{NewRepository, Provider, Received};
use ring::hmac;
use serde_json::{Value, json};
use std::{path::Path, process};
use store::ProjectId;

const PROJECT: &str = "bb/acme/app";
const SECRET: &str = "a secret that nobody guesses";

/// A control plane with a project whose repository is here.
struct Place {
    folder: TempDir,
    running: Running,
    plane: Arc<Plane>,
    project: ProjectId,
    revision: String,
    lines: Lines,
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = process::Command::new("git");
    command.current_dir(folder).args(arguments).env("GIT_CONFIG_GLOBAL", "/dev/null");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "Ann").env(format!("GIT_{who}_EMAIL"), "ann@example.org");
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What a webhook of pushes to these branches comes to; one that is at no commit is deleted.
async fn receive(plane: &Arc<Plane>, pushed: &[(&str, &str)]) -> Result<Option<Received>, Refusal> {
    let changes: Vec<Value> = pushed
        .iter()
        .map(|(branch, revision)| {
            let target = json!({"hash": revision, "message": "Teach it"});
            let branch = json!({"type": "branch", "name": branch, "target": target});
            json!({(if revision.is_empty() { "old" } else { "new" }): branch})
        })
        .collect();
    let body = json!({"push": {"changes": changes}}).to_string();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), body.as_bytes());
    let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let headers = [("x-event-key", "repo:push".to_owned()), ("x-hub-signature", format!("sha256={digits}"))];
    plane.receive(PROJECT, Told::new(headers, body.into_bytes())).await
}

async fn until_one_is_worked_on(plane: &Plane) {
    let mut working = plane.working.subscribe();
    working.wait_for(|working| working.len() == 1).await.unwrap();
}

impl Place {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let app = folder.path().join("app");
        fs::create_dir_all(app.join(".circleci")).unwrap();
        fs::write(app.join(".circleci/config.yml"), CONFIG).unwrap();
        git(&app, &["init", "-q", "-b", "main"]);
        git(&app, &["add", "-A"]);
        git(&app, &["commit", "-qm", "Teach it"]);
        let revision = git(&app, &["rev-parse", "HEAD"]);
        let lines = Lines::default();
        let settings = Settings { insecure_fetch: true, ..settings(&folder) };
        let running = start(settings, Logger::root(lines.clone(), o!())).await.unwrap();
        let plane = running.plane.clone();
        plane.change_access(vec![Write::Class(class_row())]).await.unwrap();
        let new = NewRepository {
            secret: Some(SECRET.to_owned()),
            ..NewRepository::of(format!("file://{}", app.display()), Provider::Bitbucket)
        };
        plane.name_repository(PROJECT, new).await.unwrap();
        let project = plane.projects.get(&plane.store, PROJECT).await.unwrap().id;
        Self { folder, running, plane, project, revision, lines }
    }

    /// The numbers of the pipelines that it makes.
    async fn numbers(&self, pushed: &[(&str, &str)]) -> Vec<u64> {
        let received = receive(&self.plane, pushed).await.unwrap().expect("it is done in time");
        received.pipelines.iter().map(|made| made.number).collect()
    }

    /// How many pipelines there are.
    async fn count(&self) -> u64 {
        let project = self.plane.projects.get(&self.plane.store, PROJECT).await.unwrap();
        project.numbers.lock().await.pipeline - 1
    }
}

#[actix_web::test]
async fn what_is_told_of_a_branch_takes_effect_after_the_pipeline_of_an_earlier_push_however_long_that_takes()
{
    let place = Place::new().await;
    let gone = async {
        until_one_is_worked_on(&place.plane).await;
        // Nothing is fetched for that.
        (place.numbers(&[("main", "")]).await, place.count().await)
    };
    let first = [("main", place.revision.as_str())];
    assert_eq!(join(place.numbers(&first), gone).await, (vec![1], (vec![], 1)));
    place.running.stop().await;
}

#[actix_web::test]
async fn an_event_whose_pipeline_was_made_makes_none_again_where_the_next_one_of_its_webhook_failed() {
    let place = Place::new().await;
    let revision = place.revision.as_str();
    let pushed = [("main", revision), ("later", revision)];
    let fetches = place.folder.path().join("data/fetches");
    let turn = place.plane.turns.take(place.project, [Some("refs/heads/later".to_owned())]);
    let breaking = async {
        while place.count().await == 0 {
            tokio::task::yield_now().await;
        }
        fs::remove_dir_all(&fetches).unwrap();
        fs::write(&fetches, "in the way").unwrap();
        drop(turn);
    };
    let (received, ()) = join(receive(&place.plane, &pushed), breaking).await;
    assert!(matches!(received, Err(Refusal::Unavailable(_))), "{received:?}");
    fs::remove_file(&fetches).unwrap();
    fs::create_dir(&fetches).unwrap();
    let again = receive(&place.plane, &pushed).await.unwrap().unwrap();
    assert_eq!(again.message, "it came before: nothing is done twice; made pipelines");
    assert_eq!((again.pipelines.len(), again.pipelines[0].number), (1, 2));
    assert_eq!(place.numbers(&pushed).await, Vec::<u64>::new());
    place.running.stop().await;
}

#[actix_web::test]
async fn a_stop_waits_for_webhooks_that_are_worked_on_and_takes_no_others() {
    let Place { folder: _folder, running, plane, revision, .. } = Place::new().await;
    let revision = revision.as_str();
    let project = plane.projects.get(&plane.store, PROJECT).await.unwrap();
    let giver = project.numbers.clone().lock_owned().await;
    let stopping = async {
        until_one_is_worked_on(&plane).await;
        running.stop().await;
    };
    let meanwhile = async {
        plane.closed().await;
        let received = receive(&plane, &[("later", revision)]).await;
        drop(giver);
        received
    };
    let (received, (), late) = join3(receive(&plane, &[("main", revision)]), stopping, meanwhile).await;
    assert_eq!(received.unwrap().unwrap().pipelines[0].number, 1);
    assert!(matches!(late, Err(Refusal::Unavailable(_))), "{late:?}");
}

#[actix_web::test]
async fn a_webhook_that_a_stop_does_not_wait_for_any_longer_is_named_in_the_log() {
    let place = Place::new().await;
    assert!(!place.plane.finish_webhooks(Duration::ZERO).await);
    let turn = place.plane.turns.take(place.project, [Some("refs/heads/main".to_owned())]);
    let cut_off = async {
        until_one_is_worked_on(&place.plane).await;
        assert!(place.plane.finish_webhooks(Duration::ZERO).await);
        drop(turn);
    };
    join(place.numbers(&[("main", place.revision.as_str())]), cut_off).await;
    let lines = place.lines.all();
    let told: Vec<_> = lines.iter().filter(|line| line.contains("cut off")).collect();
    assert_eq!(told.len(), 1, "{lines:?}");
    for part in ["WARNING: ", "project=bb/acme/app", "of=refs/heads/main"] {
        assert!(told[0].contains(part), "{told:?}");
    }
    place.running.stop().await;
}
