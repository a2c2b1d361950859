//! How far a task's stream is stored, and who may write to it now.

use protocol::{StepNumber, stream::Acknowledged};
use std::{collections::BTreeMap, sync::Arc};
use store::{Store, StoreError};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// How far a task's stream is stored. Whoever holds the lock is the stream's only writer; the lock goes with the write
/// to the store's writer, so a caller that gives up in between disturbs nobody.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    stored: Arc<Mutex<Option<Acknowledged>>>,
}

/// The right to write, and how far the stream is stored.
pub(crate) type Writer = OwnedMutexGuard<Option<Acknowledged>>;

impl Progress {
    /// Of a task that has stored nothing.
    pub(crate) fn fresh() -> Self {
        Self { stored: Arc::new(Mutex::new(Some(Acknowledged::default()))) }
    }

    /// Of a task whose rows say how far it is.
    pub(crate) fn unread() -> Self {
        Self { stored: Arc::new(Mutex::new(None)) }
    }

    /// Waits for the right to write.
    pub(crate) async fn writer(
        &self,
        store: &Store,
        task: protocol::TaskId,
    ) -> Result<(Writer, Acknowledged), StoreError> {
        let mut writer = self.stored.clone().lock_owned().await;
        let stored = match &*writer {
            Some(stored) => stored.clone(),
            None => writer.insert(read(store, task).await?).clone(),
        };
        Ok((writer, stored))
    }
}

/// How far a task's stream is stored, as its rows say.
pub(crate) async fn read(store: &Store, task: protocol::TaskId) -> Result<Acknowledged, StoreError> {
    let next_record = store.task(task).await?.map_or(0, |row| row.next_record);
    let logs: BTreeMap<StepNumber, u64> = store.log_lengths(task).await?;
    Ok(Acknowledged { next_record, logs })
}
