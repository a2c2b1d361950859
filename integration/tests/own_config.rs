//! The project builds itself: its own configuration's format and lint jobs run with `roundhouse run`.

use integration::rig::Rig;
use protocol::status::JobStatus;
use std::path::Path;

#[test]
fn our_own_format_and_lint_jobs_pass() {
    let rig = Rig::new();
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let user = ["--user", "root"];
    let user = if rustix::process::geteuid().is_root() { user.as_slice() } else { &[] };
    let ended = rig.run(&project, &[["--job", "lint"].as_slice(), user].concat());
    assert_eq!(ended.status, 0, "{}\n{}", ended.errors, ended.output);
    for job in ["format", "lint"] {
        assert_eq!(ended.job(job).status, JobStatus::Success);
    }
}
