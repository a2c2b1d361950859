//! Waiting for a thing itself, with a deadline, never for a time.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How often a thing is looked for that cannot be waited on.
const LOOK: Duration = Duration::from_millis(5);

/// Looks until `look` finds it.
///
/// # Panics
/// When it is not there after `within`, naming it.
pub fn until<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < within, "{what}: not after {within:?}");
        thread::sleep(LOOK);
    }
}

/// A command line that only this test process's jobs have: `sleep 31415.4711`.
pub fn marker(command: &str) -> String {
    format!("{command}.{}", std::process::id())
}
