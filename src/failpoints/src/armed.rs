//! Places that fail: by a panic, or by the end of the whole process.

use protocol::TaskId;
use rustix::process::{Signal, getpid, kill_process};
use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

const ALWAYS: &str = "always";

static ARMED: Mutex<BTreeMap<(String, TaskId), u32>> = Mutex::new(BTreeMap::new());

/// Has the next so many passages of this task through this place panic.
pub fn arm(point: &str, task: TaskId, times: u32) {
    let mut armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
    armed.insert((point.to_owned(), task), times);
}

/// Panics if a test said so; by a file with `always` in it each time, by one with a number it stands still for so many
/// milliseconds instead. A place that is no task's own is armed by a file alone.
pub fn hit(point: &str, task: impl Into<Option<TaskId>>) {
    let armed = task.into().is_some_and(|task| is_armed(point, task));
    let asked = asked_for(point);
    match asked.as_ref().and_then(|text| text.trim().parse().ok()) {
        Some(still) => thread::sleep(Duration::from_millis(still)),
        None => assert!(!armed && asked.is_none(), "failpoint {point}"),
    }
}

/// Ends this process as a power cut would, if a test said so.
pub fn crash(point: &str) {
    if asked_for(point).is_some() {
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

fn asked_for(point: &str) -> Option<String> {
    take(&places()?, point)
}

fn places() -> Option<PathBuf> {
    env::var_os("ROUNDHOUSE_FAILPOINTS").map(PathBuf::from)
}

/// How far a test has moved the wall's clock of this process.
pub fn clock_is_off_by_ms() -> i64 {
    said_in("clock").unwrap_or_default()
}

/// A time to wait, as many times shorter as a test wants it.
pub fn hastened(time: Duration) -> Duration {
    time / said_in("haste").unwrap_or(1)
}

fn said_in<T: FromStr>(file: &str) -> Option<T> {
    fs::read_to_string(places()?.join(file)).ok()?.trim().parse().ok()
}

/// Whoever removes the file has the passage it stands for.
fn take(directory: &Path, point: &str) -> Option<String> {
    let place = directory.join(point);
    let text = fs::read_to_string(&place).ok()?;
    (text == ALWAYS || fs::remove_file(place).is_ok()).then_some(text)
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
    fn a_file_stands_for_one_passage_or_for_all_of_them() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("actor:message"), "").unwrap();
        let passages = || [0, 1].map(|_| take(directory.path(), "actor:message"));
        assert_eq!(passages(), [Some(String::new()), None]);
        fs::write(directory.path().join("actor:message"), ALWAYS).unwrap();
        assert_eq!(passages(), [ALWAYS, ALWAYS].map(|text| Some(text.to_owned())));
    }
}
