//! How long a launch-agent that was killed leaves its tasks alone: from the start of the next until the control plane has
//! what each of them wrote meanwhile.

use crate::{
    Scale, follow,
    follow::job,
    table::{Row, milliseconds, ratio},
};
use integration::rig::{Agent, Rig, Server};
use protocol::{api::PipelineView, ids::PipelineId};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::{
    fs::{File, Permissions},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, Instant},
};

/// Between looks at the control plane.
const LOOK: Duration = Duration::from_millis(5);

/// Many tasks beside one alone in the same run.
pub(crate) fn rows(scale: Scale) -> Vec<Row> {
    let (one, all) =
        actix_rt::System::new().block_on(async { (adopted(1).await, adopted(scale.adopted).await) });
    vec![Row {
        work: format!("launch-agent started → {} tasks of a killed one adopted and streaming", scale.adopted),
        ours: milliseconds(all),
        floor: format!("one task: {}", milliseconds(one)),
        ratio: ratio(all, one),
        budget: "≤ 1 s for 100 tasks",
    }]
}

/// Jobs that wait for a line each, and pass it on once their launch-agent is gone.
async fn adopted(tasks: usize) -> Duration {
    let rig = Rig::new();
    let server = rig.server("server");
    let token = server.class(follow::CLASS).await;
    let start = || rig.agent("agent", &server, &[(follow::CLASS, &token)], tasks);
    let (mut agent, path) = (start(), rig.path("lines"));
    let mut lines = pipe(&path);
    let command = format!("echo started; read -r < {}; echo x; sleep 600", path.display());
    let id = server.pipeline(&job(&command, tasks), follow::CLASS).await;
    each_has(&server, id, tasks, "started\n".len()).await;
    agent.program().kill();
    // Empty ones: all jobs read from one pipe, each a byte at a time.
    lines.write_all("\n".repeat(tasks).as_bytes()).expect("a pipe has room for these");
    wrote(&agent, tasks);
    let began = Instant::now();
    let mut next = start();
    each_has(&server, id, tasks, "started\nx\n".len()).await;
    let took = began.elapsed();
    follow::end(&server, id, &mut next).await;
    took
}

/// Open at both ends, so that no reader meets its end.
fn pipe(path: &Path) -> File {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o666), 0).expect("the place is the rig's own");
    std::fs::set_permissions(path, Permissions::from_mode(0o666)).expect("it is ours");
    File::options().read(true).write(true).open(path).expect("it is there")
}

/// Waits until so many bytes of each job's log are stored.
async fn each_has(server: &Server, id: PipelineId, tasks: usize, bytes: usize) {
    let operator = server.operator();
    let begun = Instant::now();
    while stored(&operator.pipeline(id).await.expect("the control plane answers"), bytes) < tasks {
        assert!(begun.elapsed() < Duration::from_secs(300), "{tasks} tasks: not all have {bytes} bytes");
        actix_rt::time::sleep(LOOK).await;
    }
}

fn stored(view: &PipelineView, bytes: usize) -> usize {
    let tasks = view.workflows[0].jobs.iter().flat_map(|job| &job.tasks);
    tasks
        .filter(|task| task.steps.iter().any(|step| step.number.0 == 1 && step.log_bytes >= bytes as u64))
        .count()
}

/// Waits until each task's line is in its spool.
fn wrote(agent: &Agent, tasks: usize) {
    let whole =
        |task: &Path| std::fs::read(task.join("steps/001.log")).is_ok_and(|log| log.ends_with(b"x\n"));
    integration::wait::until("every task's line", Duration::from_secs(120), || {
        let directories = std::fs::read_dir(agent.state.join("tasks")).ok()?;
        (directories.flatten().filter(|task| whole(&task.path())).count() == tasks).then_some(())
    });
}
