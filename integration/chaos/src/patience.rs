//! Waiting for something with a deadline.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Between looks.
const PACE: Duration = Duration::from_millis(50);

/// What `look` finds within `patience`, if anything.
pub fn until<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        thread::sleep(PACE);
    }
}
