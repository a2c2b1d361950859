//! What jobs in images are made for: databases beside them; and the shipped example, as it runs on a host too.

use super::{
    address,
    images::{self, BASE, POSTGRES},
    is_swept, run,
};
use crate::podman::Podman;
use integration::rig::Rig;
use protocol::status::JobStatus;

/// A client in one image, a server in the same beside it; and two services that are waited for until they are well.
const DATABASES: &str = r#"
version: 2.1
executors:
  database:
    docker:
      - image: IMAGE
        environment: {PGHOST: localhost, PGUSER: app, PGDATABASE: shop, PGPASSWORD: of the day}
      - {image: IMAGE, name: db, environment: {POSTGRES_USER: app, POSTGRES_DB: shop, POSTGRES_PASSWORD: of the day}}
      - image: "localhost/box:1"
        command: [sh, -c, "mkdir /w; sleep 1; echo well > /w/health; exec httpd -f -p 8099 -h /w"]
commands:
  both-are-well:
    steps:
      - run:
          name: Wait for both
          command: |
            until pg_isready --quiet; do sleep 0.1; done
            asked() (exec 3<>/dev/tcp/localhost/8099; printf 'GET /health HTTP/1.0\r\n\r\n' >&3; cat <&3)
            until asked | grep well; do sleep 0.1; done
jobs:
  query:
    executor: database
    steps:
      - both-are-well
      - run: psql -c 'CREATE TABLE word (it text PRIMARY KEY)' -c "INSERT INTO word VALUES ('roundhouse'), ('engine')"
      - run: {name: words, command: "psql --host db --tuples-only --no-align -c 'SELECT it FROM word ORDER BY it'"}
      - run: {name: who, command: "psql -tAc 'SELECT current_user, current_database()'; id -u"}
  each-has-its-own:
    executor: database
    parallelism: 2
    steps:
      - both-are-well
      - run: psql -c "CREATE TABLE own (it int PRIMARY KEY)" -c "INSERT INTO own VALUES ($CIRCLE_NODE_INDEX)"
      - run: {name: own, command: "psql -tAc 'SELECT it FROM own'"}
  refused:
    executor: database
    steps:
      - both-are-well
      - run: {name: wrong, command: "PGPASSWORD=guess psql -tAc 'SELECT 1' 2>&1"}
workflows: {all: {jobs: [query, each-has-its-own, refused]}}
"#;

#[test]
fn jobs_have_databases_of_their_own_beside_them_and_wait_for_their_health() {
    let Some(podman) = Podman::start() else { return };
    if !images::postgres(&podman) {
        return;
    }
    let ended = run(&Rig::new(), &podman, &DATABASES.replace("IMAGE", POSTGRES), &["--concurrency", "2"]);
    assert_eq!(ended.status, 1, "{ended:#?}");
    assert_eq!(ended.job("query").status, JobStatus::Success, "{ended:#?}");
    assert_eq!(ended.step("query", "words"), "engine\nroundhouse\n");
    assert_eq!(ended.step("query", "who"), "app|shop\n999\n");
    let each = ended.job("each-has-its-own");
    assert_eq!((each.status, each.tasks.len()), (JobStatus::Success, 2), "{ended:#?}");
    let own = each.tasks.iter().map(|task| task.steps.iter().find(|step| step.name == "own").unwrap());
    assert_eq!(own.map(|step| step.output.as_str()).collect::<Vec<_>>(), ["0\n", "1\n"]);
    assert_eq!(ended.job("refused").status, JobStatus::Failed);
    assert!(ended.step("refused", "wrong").contains("password authentication failed"), "{ended:#?}");
    is_swept(&podman);
}

/// The shipped example, a repository of its own.
fn tour(rig: &Rig) -> std::path::PathBuf {
    let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/examples/tour");
    let mut command = std::process::Command::new("sh");
    let copy = "cp -r \"$1\" \"$2\" && git -C \"$2\" init --quiet";
    command.args(["-euc", copy, "sh"]).arg(shipped).arg(rig.path("tour"));
    let ended = rig.finish(command);
    assert_eq!(ended.status, 0, "{}", ended.errors);
    rig.path("tour")
}

#[test]
fn the_tour_runs_in_containers_and_its_cache_is_there_the_second_time() {
    let Some(podman) = Podman::start() else { return };
    images::base(&podman);
    let rig = Rig::new();
    let tour = tour(&rig);
    for made in ["words, ", "restored: "] {
        let mut command = rig.roundhouse();
        command.env("DOCKER_HOST", address(&podman)).arg("run").arg(&tour);
        command.args(["--param", "in=container", "--output", "json", "--state-dir"]).arg(rig.path("state"));
        let ended = rig.finish(command);
        assert_eq!(ended.status, 0, "{ended:#?}");
        let report = ended.report();
        let jobs: Vec<_> = report.workflows.iter().flat_map(|workflow| &workflow.jobs).collect();
        assert!(jobs.len() == 9 && jobs.iter().all(|job| job.status == JobStatus::Success), "{jobs:#?}");
        assert_eq!(ended.job("test").tasks.len(), 4);
        assert!(ended.job("test").tests.passed > 10 && !ended.job("report").artifacts.is_empty());
        assert!(ended.step("words", "Make the word list").contains(made), "{ended:#?}");
        let began = ended.step("lint", "Spin up environment");
        assert!(began.contains(&format!("Image {BASE} is here.")), "{began}");
    }
    is_swept(&podman);
}
