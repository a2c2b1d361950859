//! The shipped example: in one go, and through a server with two launch-agents.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use integration::{local::Ended, rig::Rig};
use protocol::status::{JobStatus, WorkflowStatus};
use std::path::{Path, PathBuf};

/// A copy of the tour, a repository of its own.
fn tour(rig: &Rig) -> PathBuf {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/examples/tour");
    let copy = rig.path("tour");
    let script = "cp -r \"$1\" \"$2\" && cd \"$2\" && git init -q && git add -A && \
                  git -c user.name=rig -c user.email=rig@example.com commit -q -m tour";
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script, "sh"]).arg(shipped).arg(&copy);
    let ended = rig.finish(command);
    assert_eq!(ended.status, 0, "{}", ended.errors);
    copy
}

#[track_caller]
fn went_well(ended: &Ended) {
    assert_eq!(ended.status, 0, "{}\n{}", ended.errors, ended.output);
    let report = ended.report();
    assert_eq!(report.status, WorkflowStatus::Success);
    let jobs: Vec<_> = report.workflows.iter().flat_map(|workflow| &workflow.jobs).collect();
    assert!(jobs.len() >= 6 && jobs.iter().all(|job| job.status == JobStatus::Success), "{jobs:#?}");
    assert!(jobs.iter().any(|job| job.parallelism == 4 && job.tasks.len() == 4), "one job is four tasks");
    assert!(jobs.iter().any(|job| job.tests.passed > 0), "test results are stored");
    let artifacts: Vec<_> = jobs.iter().flat_map(|job| &job.artifacts).collect();
    assert!(!artifacts.is_empty(), "artifacts are stored");
    for artifact in artifacts {
        assert_eq!(std::fs::metadata(&artifact.file).unwrap().len(), artifact.size, "{artifact:?}");
    }
}

#[test]
fn the_tour_runs_here_and_its_cache_is_there_the_second_time() {
    let rig = Rig::new();
    let tour = tour(&rig);
    went_well(&rig.run(&tour, &[]));
    let again = rig.run(&tour, &["--concurrency", "8"]);
    went_well(&again);
    assert!(rig.leftovers().is_empty());
}

#[actix_rt::test]
async fn the_tour_runs_through_a_server_with_two_launch_agents() {
    let rig = Rig::new();
    let tour = tour(&rig);
    let server = rig.server("server");
    let token = server.class("rig/linux").await;
    let class = [("rig/linux", token.as_str())];
    let _agents = [rig.agent("first", &server, &class, 8), rig.agent("second", &server, &class, 8)];
    let mut command = rig.roundhouse();
    command.args(["pipeline", "run", "--follow", "--output", "json", "--native"]);
    command.args(["--host", &server.url, "--token", &server.token, "--resource-class", "rig/linux"]);
    command.arg("--artifacts").arg(rig.path("artifacts")).arg(tour);
    went_well(&rig.finish(command));
}
