//! Whether the last launch-agent on this state ended well, and which tasks were there where it did not.
//!
//! `<state>/life` lies there as long as one lives, and where one ended without a word. A life that ended with the machine's
//! (by its boot id) accuses nobody. What it was told of its end stands in further lines.

use crate::task::dir::TaskDir;
use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::Path,
};

const MARK: &str = "life";

/// How a launch-agent is told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndOrder {
    /// With the last of its tasks.
    Drain,
    /// Now, and its tasks with it.
    Stop,
}

/// Begins a life. Where the one before crashed, that is noted with each of these tasks, which were there.
pub(crate) fn begin(state_dir: &Path, boot: &str, tasks: &[TaskDir]) -> io::Result<()> {
    let mark = state_dir.join(MARK);
    let earlier = std::fs::read_to_string(&mark).unwrap_or_default();
    if let Some(life) = earlier.lines().next().filter(|life| is_of(life, boot)) {
        // One that cannot be written, for a full disk, is one less.
        tasks.iter().for_each(|task| drop(task.note_crash(life)));
    }
    std::fs::write(mark, format!("{boot} {}\n", std::process::id()))
}

fn is_of(life: &str, boot: &str) -> bool {
    life.split(' ').next() == Some(boot)
}

/// Notes that the life that lasts is to end.
pub(crate) fn is_to_end(state_dir: &Path, order: EndOrder) -> io::Result<()> {
    let word = match order {
        EndOrder::Drain => "draining",
        EndOrder::Stop => "stopping",
    };
    // One that ended meanwhile is not begun again.
    writeln!(OpenOptions::new().append(true).open(state_dir.join(MARK))?, "{word}")
}

/// What the last one was told that ended without a word, while this machine ran.
pub(crate) fn unfinished(state_dir: &Path, boot: &str) -> Option<EndOrder> {
    let mark = std::fs::read_to_string(state_dir.join(MARK)).unwrap_or_default();
    let mut lines = mark.lines();
    let last = lines.next().filter(|life| is_of(life, boot)).and(lines.next_back());
    last.map(|word| if word == "stopping" { EndOrder::Stop } else { EndOrder::Drain })
}

/// Ends it well, or what an earlier one left of it.
pub(crate) fn end(state_dir: &Path) -> io::Result<()> {
    match std::fs::remove_file(state_dir.join(MARK)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Which run of this machine's kernel this is.
pub(crate) fn boot() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    boot.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::TaskId;
    use uuid::Uuid;

    /// A state directory with one task in it, and how many crashes that was present at.
    struct State(tempfile::TempDir, TaskDir);

    impl State {
        fn new() -> Self {
            let state = tempfile::tempdir().unwrap();
            let task = TaskDir::new(state.path(), TaskId(Uuid::new_v4()));
            std::fs::create_dir(task.path()).unwrap();
            Self(state, task)
        }

        fn begin(&self, boot: &str) -> usize {
            let gone = TaskDir::new(self.0.path(), TaskId(Uuid::new_v4()));
            begin(self.0.path(), boot, &[gone, self.1.clone()]).unwrap();
            self.1.crashes()
        }
    }

    #[test]
    fn each_life_that_ended_without_a_word_counts_once() {
        let state = State::new();
        assert_eq!([(); 4].map(|()| state.begin("a")), [0, 1, 2, 3]);
    }

    #[test]
    fn one_that_ends_without_a_word_while_it_was_to_end_counts_once_and_leaves_its_order() {
        let state = State::new();
        state.begin("a");
        assert_eq!(unfinished(state.0.path(), "a"), None);
        for (order, word) in [(EndOrder::Drain, "a"), (EndOrder::Stop, "a"), (EndOrder::Stop, "a")] {
            is_to_end(state.0.path(), order).unwrap();
            assert_eq!(unfinished(state.0.path(), word), Some(order));
        }
        assert_eq!(unfinished(state.0.path(), "b"), None, "nothing is left of before the machine's start");
        assert_eq!(state.begin("a"), 1);
        assert_eq!(unfinished(state.0.path(), "a"), None);
        end(state.0.path()).unwrap();
        is_to_end(state.0.path(), EndOrder::Drain).unwrap_err();
        assert_eq!(unfinished(state.0.path(), "a"), None);
    }

    #[test]
    fn a_clean_end_does_not_count() {
        let state = State::new();
        state.begin("a");
        end(state.0.path()).unwrap();
        assert_eq!([(); 2].map(|()| state.begin("a")), [0, 1]);
    }

    #[test]
    fn a_life_that_ended_with_the_machines_does_not_count() {
        let state = State::new();
        assert_eq!(["a", "b", "c", "c"].map(|boot| state.begin(boot)), [0, 0, 0, 1]);
    }
}
