//! What the control plane remembers: rows of one SQLite file, written by one task in groups, read by many.
//!
//! ```text
//! submit(Command { guard, writes, done }) ──▶ queue ──▶ writer: one transaction takes all that wait,
//!                                                       each command in a savepoint; COMMIT; then done(result), in order
//! reads ──▶ a pool of their own, which sees what was committed
//! ```
//!
//! Invariants: SQL is spoken nowhere else; `done` hears of success only when the rows are on disk; a store that a newer
//! version wrote, that is corrupt or that is somebody else's is refused and not changed.

mod access;
mod aside;
mod audit;
mod batch;
mod columns;
mod contexts;
mod error;
mod forget;
mod insights;
mod kept;
mod logs;
mod look;
mod open;
mod orbs;
mod outbox;
mod people;
mod policies;
mod queue;
mod registry;
mod repositories;
mod runs;
mod schedules;
mod sealed;
mod search;
mod ssh_keys;
mod standing;
mod statuses;
mod steps;
mod tasks;
mod tested;
mod unfinished;
mod webhooks;
mod whose;
mod write;
mod writer;

pub use access::{ClassRow, InstanceRow, TokenRow};
pub use audit::AuditRow;
pub use contexts::{ContextRow, Owner, RestrictionRow, Secret, VariableRow};
pub use error::{OpenError, StoreError};
pub use forget::Keep;
pub use insights::{Elsewhere, FailedRun, JobRun, Past, WorkflowRun};
pub use kept::{BundlePlace, BundleRow, CacheRow, FoundArtifact, FoundCache, LayerRow};
pub use logs::{ChunkRow, LogRow, MarksRow, UnsealedBounds, UnsealedLog};
pub use look::{LogPlace, Look, NamedContent};
pub use orbs::OrbRow;
pub use outbox::Outbox;
pub use people::{AccountRow, ApiTokenRow, Bearer, IdentityRow, MemberRow, PersonRow, Rights};
pub use policies::{
    BundleOfPolicies, DecisionRow, PolicyChange, PolicyRules, PolicyText, PolicyTexts, WantedDecisions,
};
pub use registry::{NamespaceRow, PackageRow, Shelf, VersionRow};
pub use repositories::RepositoryRow;
pub use runs::{JobRow, LiveWorkflow, PipelineRow, PipelineRows, ProjectId, WorkflowRow};
pub use schedules::{Fired, ScheduleRow, ScheduledRow};
pub use sealed::{OfPipelines, Resealed, SealedName};
pub use search::Wanted;
pub use ssh_keys::SshKeyRow;
pub use standing::{Sought, Standing, StandingWorkflow};
pub use statuses::{DueStatus, StatusRow};
pub use steps::{BegunStep, StepRow};
pub use tasks::{LeaseRow, Phase, TaskRow};
pub use tested::{Cases, Named, TestUpload, TestsRow};
pub use unfinished::UnfinishedTask;
pub use webhooks::{DueEvent, EventRow, WebhookRow};
pub use whose::Belonging;
pub use write::Write;
pub use writer::{Command, Done, Guard};

use sqlx::SqlitePool;
use std::path::Path;
use tokio::sync::{mpsc, oneshot};

/// An open store. Cheap to clone; the writer ends when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) commands: mpsc::UnboundedSender<writer::Request>,
    pub(crate) readers: SqlitePool,
}

impl Store {
    /// Opens the store in this file, makes it if it is not there, and brings its tables up to date.
    pub async fn open(path: &Path) -> Result<Self, OpenError> {
        open::open(path).await
    }

    /// Queues a command behind all that were queued before. Never waits.
    pub fn submit(&self, command: Command) {
        if let Err(mpsc::error::SendError(request)) = self.commands.send(writer::Request::Write(command)) {
            request.refuse();
        }
    }

    /// Queues writes that belong together and waits until they are on disk. The numbers are each write's own.
    pub async fn write(&self, guard: Option<Guard>, writes: Vec<Write>) -> Result<Vec<u64>, StoreError> {
        self.queue(guard, writes).await
    }

    /// Queues writes at once; the future waits until they are on disk, and nothing is undone by dropping it.
    pub fn queue(
        &self,
        guard: Option<Guard>,
        writes: Vec<Write>,
    ) -> impl Future<Output = Result<Vec<u64>, StoreError>> + Send + use<> {
        let (tell, told) = oneshot::channel();
        let done = Box::new(move |result: Result<Vec<u64>, StoreError>| {
            // Nobody listens where the caller was dropped: the rows are written all the same.
            let _ = tell.send(result);
        });
        self.submit(Command { guard, writes, done });
        async { told.await.unwrap_or(Err(StoreError::Stopped)) }
    }

    /// Writes what is queued, then closes the file. Commands that come later are refused.
    pub async fn close(&self) {
        // The writer last: only who closes last, and may write, folds the log of changes into the file.
        self.readers.close().await;
        let (tell, told) = oneshot::channel();
        if self.commands.send(writer::Request::Close(tell)).is_ok() {
            // A writer that is gone already has closed.
            let _ = told.await;
        }
    }
}

#[cfg(test)]
mod tests;
