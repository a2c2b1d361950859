//! Places where a test has an actor panic in the middle of its work. Without the feature `failpoints` there are none.

#[cfg(feature = "failpoints")]
pub use armed::arm;

#[cfg(feature = "failpoints")]
pub(crate) use armed::hit;

/// Nothing happens here.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn hit(_point: &str, _task: protocol::TaskId) {}

#[cfg(feature = "failpoints")]
mod armed {
    use protocol::TaskId;
    use std::{
        collections::BTreeMap,
        sync::{Mutex, PoisonError},
    };

    static ARMED: Mutex<BTreeMap<(String, TaskId), u32>> = Mutex::new(BTreeMap::new());

    /// Has the next so many passages of this task through this point panic.
    pub fn arm(point: &str, task: TaskId, times: u32) {
        let mut armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
        armed.insert((point.to_owned(), task), times);
    }

    /// Panics if a test said so.
    pub(crate) fn hit(point: &str, task: TaskId) {
        assert!(!is_armed(point, task), "failpoint {point}");
    }

    fn is_armed(point: &str, task: TaskId) -> bool {
        let mut armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(left) = armed.get_mut(&(point.to_owned(), task)) else { return false };
        let hit = *left > 0;
        *left = left.saturating_sub(1);
        hit
    }
}
