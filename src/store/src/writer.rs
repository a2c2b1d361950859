//! The one writer: takes all commands that wait into one transaction, and answers each after the commit.

use crate::{StoreError, Write, batch::Batch};
use protocol::WorkflowId;
use sqlx::{Connection, SqliteConnection};
use std::collections::HashMap;
use tokio::sync::{mpsc, oneshot};

/// The most commands of one transaction: bounds how long the first of them waits for the last.
const MOST: usize = 1024;

/// Hears how a command ended, on the writer itself: must be quick.
pub type Done = Box<dyn FnOnce(Result<Vec<u64>, StoreError>) + Send>;

/// Writes that belong together: all of them are done, or none.
pub struct Command {
    /// What the writes build on, if anything.
    pub guard: Option<Guard>,
    /// In order.
    pub writes: Vec<Write>,
    /// Told the number of each write once all are on disk, or why none is.
    pub done: Done,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Command")
            .field("guard", &self.guard)
            .field("writes", &self.writes)
            .finish_non_exhaustive()
    }
}

/// Names a state in memory that writes build on. Once one of a generation has failed, all that were queued behind it fail
/// as well, until the state is read again from the store as a newer generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    /// Whose state.
    pub workflow: WorkflowId,
    /// Grows with each reading of it.
    pub generation: u64,
}

/// What the writer is asked.
#[derive(Debug)]
pub(crate) enum Request {
    Write(Command),
    Close(oneshot::Sender<()>),
}

impl Request {
    /// Answers a request that nobody will carry out.
    pub(crate) fn refuse(self) {
        match self {
            Self::Write(command) => (command.done)(Err(StoreError::Stopped)),
            // Closed is what was asked for; who asked may have left.
            Self::Close(tell) => drop(tell.send(())),
        }
    }
}

/// A command whose rows are in the transaction.
struct Pending {
    guard: Option<Guard>,
    done: Done,
    result: Result<Vec<u64>, StoreError>,
}

/// What makes several writes one.
struct Frame {
    begin: &'static str,
    end: &'static str,
    undo: &'static str,
}

/// A command of several of one transaction: where a row breaks a rule, it fails alone.
const ONE_OF_SEVERAL: Frame = Frame {
    begin: "SAVEPOINT command",
    end: "RELEASE command",
    undo: "ROLLBACK TO command; RELEASE command",
};
/// A command that has the transaction to itself.
const ALONE: Frame = Frame { begin: "BEGIN IMMEDIATE", end: "COMMIT", undo: "ROLLBACK" };

pub(crate) struct Writer {
    connection: SqliteConnection,
    /// The last generation of each workflow that a write failed in.
    failed: HashMap<WorkflowId, u64>,
}

impl Writer {
    pub(crate) fn new(connection: SqliteConnection) -> Self {
        Self { connection, failed: HashMap::new() }
    }

    /// Writes until it is told to close, or every store is dropped.
    pub(crate) async fn run(mut self, mut requests: mpsc::UnboundedReceiver<Request>) {
        let mut waiting = Vec::new();
        let mut closed = None;
        while closed.is_none() && requests.recv_many(&mut waiting, MOST).await > 0 {
            let mut group = Vec::new();
            for request in waiting.drain(..) {
                match request {
                    Request::Write(command) if closed.is_none() => group.push(command),
                    Request::Close(tell) => closed = Some(tell),
                    late @ Request::Write(_) => late.refuse(),
                }
            }
            self.write_group(group).await;
        }
        requests.close();
        while let Some(late) = requests.recv().await {
            late.refuse();
        }
        // What was committed is on disk; the checkpoint that closing makes is a convenience.
        let _ = self.connection.close().await;
        if let Some(tell) = closed {
            let _ = tell.send(());
        }
    }

    async fn write_group(&mut self, group: Vec<Command>) {
        if group.is_empty() {
            return;
        }
        let mut pending = Vec::with_capacity(group.len());
        let committed = self.transaction(group, &mut pending).await;
        for Pending { guard, done, result } in pending {
            let result = committed.clone().and(result);
            if let (Err(_), Some(guard)) = (&result, guard) {
                self.poison(guard);
            }
            done(result);
        }
    }

    /// Carries out a group. Every command is in `pending` afterwards, whatever came of it.
    async fn transaction(
        &mut self,
        group: Vec<Command>,
        pending: &mut Vec<Pending>,
    ) -> Result<(), StoreError> {
        let is_alone = group.len() == 1;
        let mut outcome = if is_alone { Ok(()) } else { self.execute("BEGIN IMMEDIATE").await };
        let frame = if is_alone { &ALONE } else { &ONE_OF_SEVERAL };
        for Command { guard, writes, done } in group {
            let result = match &outcome {
                Ok(()) => self.command(guard, &writes, frame).await,
                Err(error) => Err(error.clone()),
            };
            if let Err(error) = &result {
                self.failed_command(error, guard, &mut outcome);
            }
            pending.push(Pending { guard, done, result });
        }
        if is_alone {
            return outcome;
        }
        if outcome.is_ok() {
            outcome = self.execute("COMMIT").await;
        }
        if outcome.is_err() {
            // SQLite may have rolled back by itself already.
            let _ = self.execute("ROLLBACK").await;
        }
        outcome
    }

    /// A row that breaks a rule fails its command alone; a disk or database that fails takes the whole group with it.
    fn failed_command(
        &mut self,
        error: &StoreError,
        guard: Option<Guard>,
        outcome: &mut Result<(), StoreError>,
    ) {
        if let Some(guard) = guard {
            self.poison(guard);
        }
        if !matches!(error, StoreError::Conflict(_) | StoreError::Superseded) {
            *outcome = Err(error.clone());
        }
    }

    async fn command(
        &mut self,
        guard: Option<Guard>,
        writes: &[Write],
        frame: &Frame,
    ) -> Result<Vec<u64>, StoreError> {
        if guard.is_some_and(|guard| self.is_poisoned(guard)) {
            return Err(StoreError::Superseded);
        }
        let mut batch = Batch::default();
        batch.statement(frame.begin);
        for write in writes {
            write.add_to(&mut batch);
            batch.end_write();
        }
        batch.statement(frame.end);
        let result = batch.run(&mut self.connection).await;
        if let Err(error) = &result {
            // Where the disk or the database failed, SQLite may have undone it by itself already.
            let undone = self.execute(frame.undo).await;
            if matches!(error, StoreError::Conflict(_)) {
                undone?;
            }
        }
        result
    }

    async fn execute(&mut self, statement: &'static str) -> Result<(), StoreError> {
        sqlx::query(statement).execute(&mut self.connection).await?;
        Ok(())
    }

    fn poison(&mut self, guard: Guard) {
        let failed = self.failed.entry(guard.workflow).or_default();
        *failed = guard.generation.max(*failed);
    }

    fn is_poisoned(&self, guard: Guard) -> bool {
        self.failed.get(&guard.workflow).is_some_and(|failed| guard.generation <= *failed)
    }
}
