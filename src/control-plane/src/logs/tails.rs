//! Readers that wait for a log to grow: there while somebody waits, nothing otherwise.

use protocol::TaskId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};
use tokio::sync::Notify;

/// Who waits for which task's logs.
#[derive(Debug, Default)]
pub(crate) struct Tails {
    waiting: Mutex<HashMap<TaskId, Weak<Notify>>>,
}

impl Tails {
    /// A bell that rings whenever anything of this task's logs changes. Ask it to be `notified()` and `enable()` that
    /// before reading what is there, else a change in between is missed.
    pub(crate) fn bell(&self, task: TaskId) -> Arc<Notify> {
        let mut waiting = self.lock();
        if let Some(bell) = waiting.get(&task).and_then(Weak::upgrade) {
            return bell;
        }
        waiting.retain(|_, bell| bell.strong_count() > 0);
        let bell = Arc::new(Notify::new());
        waiting.insert(task, Arc::downgrade(&bell));
        bell
    }

    /// Rings the bell of this task, if anybody waits.
    pub(crate) fn ring(&self, task: TaskId) {
        let bell = self.lock().get(&task).and_then(Weak::upgrade);
        if let Some(bell) = bell {
            bell.notify_waiters();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<TaskId, Weak<Notify>>> {
        // A map of bells is whole between any two of its operations.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const TASK: TaskId = TaskId(Uuid::from_u128(1));

    #[tokio::test]
    async fn everybody_who_waits_for_a_task_hears_its_bell() {
        let tails = Tails::default();
        let (one, two) = (tails.bell(TASK), tails.bell(TASK));
        let (mut first, mut second) = (Box::pin(one.notified()), Box::pin(two.notified()));
        first.as_mut().enable();
        second.as_mut().enable();
        tails.ring(TASK);
        tokio::join!(first, second);
    }

    #[test]
    fn nothing_is_kept_of_those_who_left() {
        let tails = Tails::default();
        (0..100).for_each(|task| drop(tails.bell(TaskId(Uuid::from_u128(task)))));
        assert!(tails.lock().len() <= 1);
        tails.ring(TASK);
    }
}
