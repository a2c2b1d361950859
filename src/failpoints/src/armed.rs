//! Places that fail: by a panic, or by the end of the whole process.

use protocol::TaskId;
use rustix::process::{Signal, getpid, kill_process};
use std::{
    collections::BTreeMap,
    env, fs,
    path::Path,
    sync::{Mutex, PoisonError},
    thread,
};

static ARMED: Mutex<BTreeMap<(String, TaskId), u32>> = Mutex::new(BTreeMap::new());

/// Has the next so many passages of this task through this place panic.
pub fn arm(point: &str, task: TaskId, times: u32) {
    let mut armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
    armed.insert((point.to_owned(), task), times);
}

/// Panics if a test said so. A place that is no task's own is armed by a file alone.
pub fn hit(point: &str, task: impl Into<Option<TaskId>>) {
    let armed = task.into().is_some_and(|task| is_armed(point, task));
    assert!(!armed && !is_asked_for(point), "failpoint {point}");
}

/// Ends this process as a power cut would, if a test said so.
pub fn crash(point: &str) {
    if is_asked_for(point) {
        let _ = kill_process(getpid(), Signal::KILL);
        thread::park();
    }
}

/// Writes, between two places where the whole process may end: `<file>:<what>:before` and `:after`.
pub fn around<T>(file: &str, what: &str, write: impl FnOnce() -> T) -> T {
    crash(&format!("{file}:{what}:before"));
    let written = write();
    crash(&format!("{file}:{what}:after"));
    written
}

fn is_armed(point: &str, task: TaskId) -> bool {
    let mut armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(left) = armed.get_mut(&(point.to_owned(), task)) else { return false };
    let hit = *left > 0;
    *left = left.saturating_sub(1);
    hit
}

fn is_asked_for(point: &str) -> bool {
    env::var_os("ROUNDHOUSE_FAILPOINTS").is_some_and(|directory| takes(Path::new(&directory), point))
}

/// How far a test has moved the wall's clock of this process.
pub fn clock_is_off_by_ms() -> i64 {
    let asked = env::var_os("ROUNDHOUSE_FAILPOINTS").map(|directory| Path::new(&directory).join("clock"));
    let said = asked.and_then(|clock| fs::read_to_string(clock).ok());
    said.and_then(|said| said.trim().parse().ok()).unwrap_or_default()
}

/// Whoever removes the file has the passage it stands for.
fn takes(directory: &Path, point: &str) -> bool {
    fs::remove_file(directory.join(point)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic;
    use uuid::Uuid;

    #[test]
    fn an_armed_place_panics_as_often_as_was_said_and_for_its_task_alone() {
        let (task, other) = (TaskId(Uuid::from_u128(1)), TaskId(Uuid::from_u128(2)));
        arm("here", task, 2);
        let fails = |task: TaskId| panic::catch_unwind(|| hit("here", task)).is_err();
        assert!(!fails(other));
        assert_eq!([fails(task), fails(task), fails(task)], [true, true, false]);
    }

    #[test]
    fn a_file_stands_for_one_passage() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("actor:message"), "").unwrap();
        let passages = [0, 1].map(|_| takes(directory.path(), "actor:message"));
        assert_eq!(passages, [true, false]);
    }
}
