//! `setup_remote_docker`, with the real programs: jobs that build images and run containers in an engine of their own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::podman::Podman;
use integration::{
    pipelines::{count_to, job, logged, numbers, only_task},
    rig::{Agent, Rig, Server},
    wait,
};
use protocol::{
    ids::PipelineId,
    status::{JobStatus, WorkflowStatus},
};
use std::{path::Path, process::Command, time::Duration};

const CLASS: &str = "rig/linux";
const SOON: Duration = Duration::from_secs(60);
/// The box of the tests, with the programs in it that speak to engines; its user is `circleci`.
const CLIENT: &str = "localhost/client:1";
/// The counting step of [`House::going_on`].
const COUNTS: u32 = 3;

/// From nothing: no registry is asked.
const BUILD: &str = r#"
mkdir ctx; cp "$(which busybox)" ctx/busybox
printf 'FROM scratch\nCOPY --chown=7:7 busybox /bin/sh\nRUN ["/bin/sh", "-c", "echo built >/made"]\n' >ctx/Dockerfile
printf 'CMD ["/bin/sh", "-c", "read word </made; echo it is $word"]\n' >>ctx/Dockerfile
podman --remote build --quiet --network=host --tag localhost/made:1 ctx >/dev/null
"#;
const RUN: &str = "podman --remote run --rm --network=host localhost/made:1; echo \"$DOCKER_HOST\"";
/// With Docker's own client, where the host has one.
const DOCKER: &str = "if command -v docker >/dev/null; then docker build --quiet --tag localhost/made:2 ctx >/dev/null 2>&1; \
                      docker images --format '{{.Repository}}:{{.Tag}}' | grep -c localhost/made; else echo 2; fi";
/// The programs of this host, and what they are linked with, into a directory.
const CLIENTS: &str = r#"for name in podman docker; do program=$(command -v $name) || continue
mkdir -p "$1/bin"; cp -L "$program" "$1/bin/"; ldd "$program" | grep -o '/[^ ]*' | xargs -r -I{} cp -L --parents {} "$1"; done
chmod -R a+rX "$1"; printf 'FROM localhost/cimg:1\nCOPY . /\n' >"$1.file""#;

fn text(command: &str) -> serde_json::Value {
    command.into()
}

/// A job that builds, runs, and says where its engine is.
fn config(executor: &str) -> String {
    let [build, run, docker] = [BUILD, RUN, DOCKER].map(text);
    format!(
        "version: 2.1\njobs:\n  build:\n    {executor}\n    steps:\n      - setup_remote_docker: {{version: docker24, \
         docker_layer_caching: true}}\n      - run: {{name: build, command: {build}}}\n      - run: {{name: run, command: {run}}}\n\
         \x20     - run: {{name: docker, command: {docker}}}\n      - setup_remote_docker\n      - run: {{name: again, command: {run}}}\n\
         workflows: {{all: {{jobs: [build]}}}}\n"
    )
}

/// Whether accounts without root's rights have what an engine of a job's own needs of this host.
fn has_namespaces() -> bool {
    let account =
        if rustix::process::geteuid().is_root() { "setpriv --reuid 65534 --clear-groups " } else { "" };
    let script = format!(
        "cd / && command -v newuidmap >/dev/null && {account}unshare --user --map-root-user --mount --pid --fork --mount-proc true"
    );
    let has = Command::new("sh").args(["-c", &script]).status().unwrap().success();
    if !has {
        eprintln!("skipped: no newuidmap, or no namespaces of users for accounts without root's rights");
    }
    has
}

/// An engine that has the image of [`CLIENT`].
fn engine() -> Option<Podman> {
    if !has_namespaces() {
        return None;
    }
    let podman = Podman::start()?;
    let root = podman.path().join("clients");
    let made = Command::new("sh").args(["-c", CLIENTS, "sh"]).arg(&root).status().unwrap();
    assert!(made.success(), "{made}");
    let (file, root) = (format!("{}.file", root.display()), root.display().to_string());
    podman.printed(&["build", "--quiet", "--tag", CLIENT, "--file", &file, &root]);
    Some(podman)
}

fn address(podman: &Podman) -> String {
    format!("unix://{}", podman.socket().display())
}

/// Neither processes nor storage of any engine.
fn is_clean(rig: &Rig) {
    let processes = || rig.leftovers().into_iter().map(|process| process.command_line());
    let left = || processes().find(|line| line.contains(".engine"));
    wait::until("no process of an engine is left", SOON, || left().is_none().then_some(()));
    wait::until("no storage of an engine is left", SOON, || {
        (!has_engine(&rig.path("agent")) && !has_engine(&rig.path("state"))).then_some(())
    });
}

fn has_engine(directory: &Path) -> bool {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.any(|entry| entry.file_name() == ".engine" || has_engine(&entry.path()))
}

#[test]
fn a_job_in_a_container_builds_and_runs_images_in_an_engine_of_its_own() {
    let Some(podman) = engine() else { return };
    let rig = Rig::new();
    let project = rig.project("project", &config(&format!("docker: [{{image: '{CLIENT}'}}]")));
    let mut command = rig.roundhouse();
    command.env("DOCKER_HOST", address(&podman)).arg("run").arg(project);
    command.args(["--output", "json", "--state-dir"]).arg(rig.path("state"));
    let ended = rig.finish(command);
    assert_eq!(ended.status, 0, "{ended:#?}");
    assert_eq!(ended.step("build", "run"), "it is built\nunix:///.roundhouse/door/engine.sock\n");
    assert_eq!(ended.step("build", "again"), ended.step("build", "run"), "one engine for the whole job");
    assert_eq!(ended.step("build", "docker"), "2\n");
    let said = ended.step("build", "Setup a remote Docker engine");
    for words in ["Podman ", "for this job alone", "`version: docker24`", "no layers are kept"] {
        assert!(said.contains(words), "{said}");
    }
    let images = podman.printed(&["images", "--format", "{{.Repository}}"]);
    assert!(!images.contains("made"), "the host's engine has nothing of it: {images}");
    is_clean(&rig);
}

#[test]
fn a_job_on_the_host_builds_and_runs_images_in_an_engine_of_its_own() {
    if !has_namespaces() || Podman::start().is_none() {
        return;
    }
    let rig = Rig::new();
    let project = rig.project("project", &config("machine: true"));
    let ended = rig.run(&project, &[]);
    assert_eq!(ended.status, 0, "{ended:#?}");
    let said = ended.step("build", "run");
    assert!(said.starts_with("it is built\nunix:///tmp/") && said.ends_with("/engine.sock\n"), "{said}");
    is_clean(&rig);
}

/// A control plane, and launch-agents that have an engine.
struct House {
    podman: Podman,
    rig: Rig,
    server: Server,
    token: String,
}

impl House {
    async fn new() -> Option<Self> {
        let podman = engine()?;
        let rig = Rig::new();
        let server = rig.server("server");
        let token = server.class(CLASS).await;
        Some(Self { podman, rig, server, token })
    }

    fn agent(&self, remote_docker: &str) -> Agent {
        let address = address(&self.podman);
        let classes = [(CLASS, self.token.as_str())];
        let variables = [
            ("DOCKER_HOST", Path::new(&address)),
            ("ROUNDHOUSE_CONTAINERS_REMOTE_DOCKER", Path::new(remote_docker)),
        ];
        self.rig.agent_within("agent", &self.server.url, &classes, &[("grace", "1s")], &variables)
    }

    /// A job that has a container run in its engine while it counts.
    async fn going_on(&self, last: u32) -> PipelineId {
        let start = format!(
            "{BUILD}podman --remote run --detach --name stays --network=host localhost/made:1 /bin/sh -c 'while :; do :; done'"
        );
        let ask = "podman --remote ps --format '{{.Names}} {{.State}}'";
        let [start, count, ask] = [start.as_str(), &count_to(last), ask].map(text);
        let config = format!(
            "version: 2.1\njobs:\n  only:\n    docker: [{{image: '{CLIENT}'}}]\n    steps:\n      - setup_remote_docker\n      - run: \
             {{name: start, command: {start}}}\n      - run: {{name: count, command: {count}}}\n      - run: {{name: ask, command: {ask}}}\n\
             workflows: {{all: {{jobs: [only]}}}}\n"
        );
        let pipeline = self.server.pipeline(&config, CLASS).await;
        let some = |view: &_| (logged(view, COUNTS) > 20).then_some(());
        self.server.sees(pipeline, "some output", some).await;
        pipeline
    }
}

#[actix_rt::test]
async fn an_engine_stays_with_its_job_while_the_launch_agent_is_killed_and_started_again() {
    let Some(house) = House::new().await else { return };
    let mut agent = house.agent("private");
    let pipeline = house.going_on(200).await;
    agent.program().kill();
    let _agent = house.agent("private");
    let view = house.server.ended(pipeline).await;
    assert_eq!(view.workflows[0].status, WorkflowStatus::Success, "{view:#?}");
    let task = only_task(&view).id;
    assert_eq!(house.server.log(task, COUNTS).await, numbers(200));
    assert!(
        house.server.log(task, COUNTS + 1).await.to_lowercase().starts_with("stays "),
        "its container runs"
    );
    is_clean(&house.rig);
}

#[actix_rt::test]
async fn a_canceled_jobs_engine_ends_with_all_its_containers() {
    let Some(house) = House::new().await else { return };
    let _agent = house.agent("private");
    let pipeline = house.going_on(100_000).await;
    house.server.operator().cancel(pipeline).await.unwrap();
    let view = house.server.ended(pipeline).await;
    assert_eq!(job(&view, "only").status, JobStatus::Canceled, "{view:#?}");
    is_clean(&house.rig);
}

#[actix_rt::test]
async fn the_hosts_engine_is_lent_or_none_at_all_as_the_administrator_says() {
    let Some(house) = House::new().await else { return };
    let look = text("podman --remote images --format '{{.Repository}}' | grep -c localhost/client");
    let config = format!(
        "version: 2.1\njobs:\n  only:\n    docker: [{{image: '{CLIENT}', user: root}}]\n    steps: [setup_remote_docker, run: {look}]\n\
         workflows: {{all: {{jobs: [only]}}}}\n"
    );
    for (setting, status, step, words) in [
        ("host", JobStatus::Success, 2, "1\n"),
        ("off", JobStatus::Failed, 1, "this host has no engine for jobs (containers.remote_docker: off)"),
    ] {
        let _agent = house.agent(setting);
        let pipeline = house.server.pipeline(&config, CLASS).await;
        let view = house.server.ended(pipeline).await;
        let said = house.server.log(only_task(&view).id, step).await;
        assert_eq!(job(&view, "only").status, status, "{said} {view:#?}");
        assert!(said.contains(words), "{said}");
    }
}
