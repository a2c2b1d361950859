//! Whether the last launch-agent on this state ended well, and which tasks were there where it did not.
//!
//! `<state>/life` lies there as long as one lives, and where one ended without a word. A life that ended with the machine's
//! (by its boot id) accuses nobody.

use crate::task::dir::TaskDir;
use std::{io, path::Path};

const MARK: &str = "life";

/// Begins a life. Where the one before crashed, that is noted with each of these tasks, which were there.
pub(crate) fn begin(state_dir: &Path, boot: &str, tasks: &[TaskDir]) -> io::Result<()> {
    let mark = state_dir.join(MARK);
    let earlier = std::fs::read_to_string(&mark).unwrap_or_default();
    if earlier.split(' ').next() == Some(boot) {
        // One that cannot be written, for a full disk, is one less.
        tasks.iter().for_each(|task| drop(task.note_crash(earlier.trim())));
    }
    std::fs::write(mark, format!("{boot} {}\n", std::process::id()))
}

/// Ends it well.
pub(crate) fn end(state_dir: &Path) -> io::Result<()> {
    std::fs::remove_file(state_dir.join(MARK))
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
