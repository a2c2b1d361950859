//! What goes wrong with a job in containers stands in its log, and nothing is left.

use super::{CLASS, House, is_swept, run};
use crate::podman::Podman;
use integration::{local::Ended, pipelines::job, rig::Rig};
use protocol::status::JobStatus;
use std::{
    fs::File,
    io::{Write, copy, repeat},
    path::{Path, PathBuf},
    process::Command,
};

/// A little disk of its own in memory, for the engine and all that its containers write.
struct Disk {
    _parent: tempfile::TempDir,
    at: PathBuf,
}

impl Disk {
    fn mount() -> Option<Self> {
        let parent = tempfile::tempdir_in("/tmp").unwrap();
        let at = parent.path().join("disk");
        std::fs::create_dir(&at).unwrap();
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", "size=64m,mode=0755", "rig"]).arg(&at).output();
        if mounted.is_ok_and(|mounted| mounted.status.success()) {
            return Some(Self { _parent: parent, at });
        }
        eprintln!("skipped: this account may not mount a file system");
        None
    }

    /// Leaves no room for anything until the file is removed.
    fn fill(&self) -> PathBuf {
        let path = self.at.join("filler");
        let error = copy(&mut repeat(b'x'), &mut File::create(&path).unwrap()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Whatever holds it goes with its engine.
        let _ = Command::new("umount").args(["--lazy", "--quiet"]).arg(&self.at).output();
    }
}

fn a_job(steps: &str) -> String {
    format!(
        "version: 2.1\njobs: {{only: {{docker: [{{image: 'localhost/box:1'}}], steps: {steps}}}}}\n\
         workflows: {{all: {{jobs: [only]}}}}\n"
    )
}

#[test]
fn a_full_disk_of_the_engine_fails_the_step_or_the_start_and_is_named() {
    let Some(disk) = Disk::mount() else { return };
    let Some(podman) = Podman::start_in(&disk.at).filter(|podman| podman.socket().starts_with(&disk.at))
    else {
        return;
    };
    let rig = Rig::new();
    let ran = |steps: &str| -> Ended { run(&rig, &podman, &a_job(steps), &[]) };
    let greedy = ran("[run: {name: write, command: dd if=/dev/zero of=file bs=1M count=200}]");
    assert_eq!(greedy.job("only").status, JobStatus::Failed, "{greedy:#?}");
    assert!(greedy.step("only", "write").contains("No space left on device"), "{greedy:#?}");
    is_swept(&podman);

    let filler = disk.fill();
    let refused = ran("[run: 'true']");
    assert_eq!(refused.job("only").status, JobStatus::InfrastructureFail, "{refused:#?}");
    let said = refused.step("only", "Spin up environment");
    assert!(said.contains("no space left on device"), "{said}");
    std::fs::remove_file(filler).unwrap();
    let after = ran("[run: {name: write, command: dd if=/dev/zero of=file bs=1M count=20}]");
    assert_eq!(after.status, 0, "{after:#?}");
    is_swept(&podman);
}

/// A class of so little memory that a test may use it up.
const TINY: (&str, &str) = ("grace", "1s\ncontainers:\n  resource_classes: {tiny: {memory: 48MiB}}");
const GREEDY: &str = "head -c 200000000 /dev/zero | tail -c 150000000 >/dev/null";

#[actix_rt::test]
async fn a_job_that_takes_more_memory_than_its_class_has_fails_and_says_so() {
    let Some(house) = House::new().await else { return };
    let _agent = house.agent_with(TINY);
    let config = format!(
        "version: 2.1\njobs:\n  step:\n    docker: [{{image: 'localhost/box:1'}}]\n    resource_class: tiny\n    \
         steps: [run: '{GREEDY}']\n  service:\n    docker: [{{image: 'localhost/box:1'}}, {{image: 'localhost/box:1', \
         name: db, command: [sh, -c, '{GREEDY}; exit 7']}}]\n    resource_class: tiny\n    steps: [run: sleep 5]\n\
         workflows: {{all: {{jobs: [step, service]}}}}\n"
    );
    let pipeline = house.server.pipeline(&config, CLASS).await;
    let view = house.server.ended(pipeline).await;
    let log = async |name: &str, step: u32| house.server.log(job(&view, name).tasks[0].id, step).await;
    let began = log("step", 0).await;
    if began.contains("cannot limit memory") {
        return eprintln!("skipped: {began}");
    }
    assert_eq!(job(&view, "step").status, JobStatus::Failed, "{view:#?}");
    let said = log("step", 1).await;
    assert!(said.contains("Out of memory: the kernel killed") && said.contains("48 MiB"), "{said}");
    assert_eq!(job(&view, "service").status, JobStatus::Success, "{view:#?}");
    let said = log("service", 0).await;
    assert!(said.contains("Service db ended with exit code"), "{said}");
    is_swept(&house.podman);
}

/// An image of nothing but one empty file.
fn bare(podman: &Podman) {
    let archive = podman.path().join("bare.tar");
    let mut tar = Command::new("tar");
    let file = podman.path().join("nothing");
    File::create(&file).unwrap().flush().unwrap();
    let packed = tar.arg("-C").arg(podman.path()).arg("-cf").arg(&archive).arg("nothing").status();
    assert!(packed.unwrap().success());
    podman.printed(&["import", text(&archive), "localhost/bare:1"]);
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn an_image_in_which_nothing_can_run_fails_by_name() {
    let Some(podman) = Podman::start() else { return };
    bare(&podman);
    let ended = run(
        &Rig::new(),
        &podman,
        r#"
version: 2.1
jobs:
  shell: {docker: [{image: "localhost/bare:1"}], steps: [run: {name: it, command: "true"}]}
  entrypoint: {docker: [{image: "localhost/box:1", entrypoint: [/no/such]}], steps: [run: "true"]}
workflows: {all: {jobs: [shell, entrypoint]}}
"#,
        &[],
    );
    let (shell, entrypoint) = (ended.step("shell", "it"), ended.step("entrypoint", "Spin up environment"));
    assert!(shell.contains("/bin/sh") || shell.contains("/bin/bash"), "{ended:#?}");
    assert!(entrypoint.contains("cannot start the container's entrypoint [\"/no/such\"]"), "{entrypoint}");
    assert_ne!(ended.status, 0);
    is_swept(&podman);
}
