//! The project builds itself: its own configuration's format and lint jobs run with `roundhouse run`.

use integration::rig::Rig;
use protocol::status::JobStatus;
use std::path::{Path, PathBuf};

/// Where this test was built: the libraries that the lint job needs are there already.
fn target() -> PathBuf {
    let test = std::env::current_exe().expect("a test is a file");
    test.ancestors().nth(3).expect("a test lies in <target>/<profile>/deps").to_owned()
}

#[test]
fn our_own_format_and_lint_jobs_pass() {
    let rig = Rig::new();
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = format!("CARGO_TARGET_DIR={}", target().display());
    let mut arguments = vec!["--job", "lint", "--env", &target];
    // Where the toolchain is root's own, only root can use it.
    if rustix::process::geteuid().is_root() {
        arguments.extend(["--user", "root"]);
    }
    let ended = rig.run(&project, &arguments);
    assert_eq!(ended.status, 0, "{}\n{}", ended.errors, ended.output);
    for job in ["format", "lint"] {
        assert_eq!(ended.job(job).status, JobStatus::Success);
    }
}
