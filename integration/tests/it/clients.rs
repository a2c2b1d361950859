//! Clients that others have written for CircleCI, unmodified, with the real programs.

use integration::{
    fleet::{CLASS as CLASS_OF_FLEET, Fleet},
    git::{Http, Repository},
    node,
    pipelines::job,
    python,
    rig::{Agent, Rig, Server, pipeline},
};
use protocol::{
    PipelineId,
    api::{GitValues, PipelineView},
    http::Claim,
    status::WorkflowStatus,
};
use std::{path::Path, process::Command};

const CLASS: &str = "rig/linux";

/// The last job succeeds once a file is there.
fn gated(gate: &Path) -> String {
    format!(
        r#"version: 2.1
jobs:
  build:
    machine: true
    steps:
      - run: |
          mkdir out
          echo made > "out/a file.txt"
          echo '<testsuite><testcase classname="c" name="n" time="0.25"/></testsuite>' > results.xml
      - store_artifacts: {{path: out, destination: out}}
      - store_test_results: {{path: results.xml}}
  ship:
    machine: true
    steps: [run: {{name: Ship, command: test -e {gate}}}]
workflows:
  all:
    jobs:
      - build
      - hold: {{type: approval, requires: [build]}}
      - ship: {{requires: [hold]}}
"#,
        gate = gate.display()
    )
}

/// Goes on until somebody cancels it.
const ENDLESS: &str = "version: 2.1
jobs: {endless: {machine: true, steps: [run: sleep 10000]}}
workflows: {all: {jobs: [endless]}}
";

async fn begin(server: &Server, config: &str, class: &str) -> PipelineId {
    let mut new = pipeline(config, class);
    new.project = "github.com/acme/app".to_owned();
    new.git = GitValues {
        revision: Some("0123456789012345678901234567890123456789".to_owned()),
        branch: Some("main".to_owned()),
        url: Some("https://github.com/acme/app.git".to_owned()),
        ..GitValues::default()
    };
    server.operator().create_pipeline(&new).await.unwrap_or_else(|error| panic!("{error}")).id
}

const GREETING: &str = "version: 2.1
parameters: {who: {type: string, default: nobody}}
jobs:
  greet:
    machine: true
    steps:
      - run: echo $GREETING, << pipeline.parameters.who >> > greeting
      - store_artifacts: {path: greeting}
workflows: {all: {jobs: [greet]}}
";

/// An environment of Python that is kept for the next run of the tests.
fn python_with(name: &str, packages: &[&str]) -> Option<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    python::with(&folder, packages).inspect_err(|lacking| eprintln!("skipped: {lacking}")).ok()
}

#[actix_rt::test]
async fn pycircleci_reads_approves_reruns_and_cancels() {
    let Some(python) = python_with("pycircleci", &["pycircleci==0.7.0"]) else { return };
    let rig = Rig::new();
    let server = rig.server("server");
    let token = server.class(CLASS).await;
    let _agent = rig.agent("agent", &server, &[(CLASS, &token)], 3);
    let gate = rig.path("gate");
    begin(&server, &gated(&gate), CLASS).await;
    for _ in 0..2 {
        begin(&server, ENDLESS, CLASS).await;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/clients/pycircleci_does.py");
    let mut command = Command::new(python);
    command.arg(script).args([&server.url, &server.token]).arg(&gate).arg(rig.path(""));
    let ended = rig.finish(command);
    assert_eq!((ended.status, ended.output.trim()), (0, "all is as it should be"), "{ended:#?}");
}

#[actix_rt::test]
async fn packages_of_npms_registry_set_a_variable_make_a_pipeline_and_read_what_came_of_it() {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let packages = match node::with(kept, &["circleci-typescript-axios@0.1.0", "circleci-api@4.1.4"]) {
        Ok(packages) => packages,
        Err(lacking) => return eprintln!("skipped: {lacking}"),
    };
    let fleet = Fleet::start(&["--allow-insecure-fetch"]).await;
    let repository = Repository::new(&fleet.rig.path("git"));
    repository.commit(".circleci/config.yml", GREETING, "refs/heads/main");
    let http = Http::serve(&fleet.rig.path("git"));
    let repository = [
        "--url",
        &format!("{}/app.git", http.url),
        "--provider",
        "github",
        "--resource-class",
        CLASS_OF_FLEET,
    ];
    let made = fleet.roundhouse(&[&["project", "create", "github.com/acme/app"][..], &repository].concat());
    assert_eq!(made.status, 0, "{}", made.errors);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/clients/npm_does.js");
    let mut command = Command::new("node");
    command.arg(script).args([&fleet.server.url, &fleet.server.token]).arg(packages);
    let ended = fleet.rig.finish(command);
    assert_eq!((ended.status, ended.output.trim()), (0, "all is as it should be"), "{ended:#?}");
}

/// A pipeline whose first job is over and whose second waits for an approval; what runs it goes with the second.
async fn on_hold(rig: &Rig, server: &Server) -> (PipelineView, Agent) {
    let token = server.class(CLASS).await;
    let agent = rig.agent("agent", server, &[(CLASS, &token)], 3);
    let pipeline = begin(server, &gated(&rig.path("gate")), CLASS).await;
    let waits =
        |view: &PipelineView| (view.workflows[0].status == WorkflowStatus::OnHold).then(|| view.clone());
    (server.sees(pipeline, "the approval", waits).await, agent)
}

/// The token of a task that has begun, held by nobody who would end it.
async fn task_token(server: &Server) -> String {
    let class = "rig/nobody";
    let token = server.class(class).await;
    begin(server, ENDLESS, class).await;
    let transport = client::Transport::new(client::Settings::new(&server.url)).expect("its address is sound");
    let runner = transport.runner(&token);
    let claim = Claim {
        name: "nobody".to_owned(),
        hostname: "nowhere".to_owned(),
        ip: String::new(),
        version: "1".to_owned(),
        platform: None,
        max_tasks: Some(1),
        wait_ms: Some(10_000),
        containers: false,
    };
    let claimed = runner.claim(&claim).await.expect("a task waits").remove(0);
    runner.task(&claimed.task_token).begin(claimed.epoch).await.expect("it is ours");
    claimed.task_token
}

/// What somebody knows who asks for what is there: the places of paths, by call.
fn known(view: &PipelineView) -> String {
    let (pipeline, workflow, build) = (view.id.to_string(), &view.workflows[0], job(view, "build"));
    let (workflow, task, build) =
        (workflow.id.to_string(), build.tasks[0].id.to_string(), build.id.to_string());
    let calls = [
        ("^/api/v[23]/pipelines?/.id", "id", &pipeline),
        ("^/pipelines/", "pipeline", &pipeline),
        ("^/api/v[23]/workflows?/", "id", &workflow),
        ("^/api/v3/runs/.id", "id", &pipeline),
        ("^/api/v[23]/jobs/", "id", &build),
        ("^/jobs/", "job", &build),
        ("/tasks/", "task", &task),
    ];
    let one = |(path, place, id): &(&str, &str, &String)| {
        format!(
            "[[operations]]\ninclude-path-regex = \"{path}\"\nparameters = {{ \"path.{place}\" = \"{id}\" }}\n"
        )
    };
    let all = "[parameters]\n\"path.slug\" = \"gh/acme/app\"\n\"path.project\" = \"github.com/acme/app\"\n\
               \"path.number\" = 1\n\n";
    all.to_owned() + &calls.iter().map(one).collect::<String>()
}

/// No failure of the server, and no answer that the document does not have.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance";
/// Beside these of an operator's calls: nothing for whoever has no token. A task's without one are answered 404.
const GUARDED: &str = ",ignored_auth";

/// Calls what the server's own document describes, as it says and otherwise, with this token.
#[track_caller]
fn fuzzed(rig: &Rig, python: &Path, server: &Server, token: &str, settings: &str, which: &[&str]) {
    let (phases, examples) = match std::env::var("ROUNDHOUSE_API_EXAMPLES") {
        // By `scripts/api-fuzz`.
        Ok(examples) => ("examples,coverage,fuzzing", examples),
        Err(_) => ("fuzzing", "4".to_owned()),
    };
    let settings = rig.write("schemathesis.toml", settings);
    let mut command = Command::new(python);
    // It keeps notes where it runs.
    command.current_dir(rig.path("")).args(["-m", "schemathesis.cli", "--config-file"]).arg(settings);
    command.args(["run", &format!("{}/api/openapi.json", server.url)]).args(which);
    // Both: of the one that is missing it would make something up.
    command.args(["--header", &format!("Authorization: Bearer {token}")]);
    command.args(["--header", &format!("Circle-Token: {token}")]);
    command.args(["--phases", phases, "--max-examples", &examples, "--continue-on-failure"]);
    command.args(["--suppress-health-check", "all", "--warnings", "off", "--request-timeout", "90"]);
    let ended = rig.finish(command);
    assert_eq!(ended.status, 0, "{}\n{}", ended.output, ended.errors);
    println!("{}", ended.output);
}

#[actix_rt::test]
async fn schemathesis_finds_no_failure_and_nothing_that_the_document_does_not_have() {
    let Some(python) = python_with("schemathesis", &["schemathesis==4.32.5"]) else { return };
    let rig = Rig::new();
    let server = rig.server("server");
    let (view, _agent) = on_hold(&rig, &server).await;
    let guarded = format!("{CHECKS}{GUARDED}");
    fuzzed(&rig, &python, &server, &server.token, "", &["--checks", &guarded]);
    fuzzed(&rig, &python, &server, &server.token, &known(&view), &["--checks", &guarded]);
    let token = task_token(&server).await;
    fuzzed(&rig, &python, &server, &token, "", &["--checks", CHECKS, "--include-tag", "tasks"]);
    let metrics = server.get("/metrics").body;
    for route in REACHED {
        let reached = format!("roundhouse_requests_total{{route=\"{route}\",method=\"GET\",status=\"200\"}}");
        assert!(metrics.contains(&reached), "{route} never came to anything:\n{metrics}");
    }
}

/// Of each kind one that is answered where all went as it should.
const REACHED: [&str; 10] = [
    "/api/v2/me",
    "/api/v2/pipeline/{id}",
    "/api/v2/project/{slug}/job/{number}",
    "/api/v2/project/{slug}/{number}/tests",
    "/api/v2/workflow/{id}/job",
    "/api/v3/pipelines/{id}",
    "/api/v3/runs/{id}",
    "/api/v3/jobs/{id}",
    "/api/v3/tasks/{task}/steps/{step}/log",
    "/api/v3/task/stream",
];
