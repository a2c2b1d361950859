//! What is forgotten when it is over and nobody keeps it, and the sweep of files that nothing names any more.
//!
//! ```text
//! rows:  pipelines too old or too many ──▶ forgotten     caches by last use and room     instances not seen for long
//! files: named by no row, old, and not asked for during two rounds ──▶ removed, unless somebody copies just now
//! keys:  nothing is sealed with them any more ──▶ forgotten, unless somebody copies just now
//! ```
//!
//! A file goes only after its rows: whatever is read between finds its bytes.

use super::{Plane, clock::wall_ms};
use crate::{audit, policies::MOST_DECISIONS, refusal::Refusal};
use blobs::{BlobError, Folder, Scope};
use protocol::{Digest, PipelineId};
use slog::{info, warn};
use std::{
    fs::File,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use store::{Keep, PolicyChange, Write};

/// Pipelines that are looked for at once, and tasks that are forgotten in one write: others' writes come between.
const PIPELINES: u32 = 64;
const TASKS: u32 = 32;
/// An instance that was not seen for so long is forgotten.
const INSTANCES_MS: i64 = 30 * 24 * 60 * 60 * 1000;
/// How often it is looked whether a round is due.
const LOOK: Duration = Duration::from_secs(60);

/// What a round came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Round {
    pub(crate) pipelines: u64,
    pub(crate) caches: u64,
    pub(crate) logs: u64,
    pub(crate) contents: u64,
    /// Contents of which only some parts ever came.
    pub(crate) unfinished: u64,
    pub(crate) bytes: u64,
}

/// Which files may go: those that came between these times.
#[derive(Clone, Copy, Debug)]
struct Span {
    began: SystemTime,
    limit: SystemTime,
}

impl Plane {
    /// Sees to it whenever it is due, until the control plane stops.
    pub(crate) async fn retain_forever(self: Arc<Self>) {
        let mut looks = tokio::time::interval(LOOK.min(self.rules.retention.every));
        loop {
            looks.tick().await;
            if !self.is_due() {
                continue;
            }
            self.clone().finish_rotation().await;
            match self.retain(wall_ms()).await {
                Ok(round) if round == Round::default() => {}
                Ok(round) => info!(self.log, "what nobody keeps is forgotten";
                    "pipelines" => round.pipelines, "caches" => round.caches, "logs" => round.logs,
                    "contents" => round.contents, "unfinished" => round.unfinished, "bytes" => round.bytes),
                Err(refusal) => warn!(self.log, "not all that nobody keeps could be forgotten";
                    "error" => %refusal),
            }
        }
    }

    /// Whether the last round is long ago; this one counts from now on, whatever becomes of it.
    fn is_due(&self) -> bool {
        let last = self.swept.metadata().and_then(|found| found.modified());
        // One in the future is a clock's mistake.
        let age = last.ok().and_then(|last| last.elapsed().ok());
        let is_due = age.is_none_or(|age| age >= self.rules.retention.every);
        if is_due && let Err(error) = File::create(&self.swept) {
            warn!(self.log, "cannot note a round"; "file" => %self.swept.display(), "error" => %error);
        }
        is_due
    }

    async fn retain(&self, now_ms: i64) -> Result<Round, Refusal> {
        self.round(now_ms, self.knows_who_uploads()).await
    }

    /// One round, as if it were that time; without the contents where somebody may be about to name them.
    pub(crate) async fn round(&self, now_ms: i64, with_contents: bool) -> Result<Round, Refusal> {
        let rules = &self.rules.retention;
        let before = |age: Duration| now_ms - i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        let keep = Keep { since_ms: rules.pipelines_for.map(before), newest: rules.newest };
        let pipelines = self.forget_pipelines(keep).await?;
        let told = Write::ForgetAudit { before_ms: before(rules.audit_for), most: audit::MOST };
        let decided = PolicyChange::Forget { before_ms: before(rules.audit_for), most: MOST_DECISIONS };
        let decided = Write::Policy(decided);
        self.write(vec![Write::ForgetSecrets(before(rules.reruns_for)), told, decided]).await?;
        let (unused_since_ms, most_bytes) = (before(rules.caches_for), rules.cache_bytes);
        let caches = self.write(vec![Write::ForgetCaches { unused_since_ms, most_bytes }]).await?;
        self.write(vec![Write::ForgetInstances(now_ms - INSTANCES_MS)]).await?;
        self.instances.forget(now_ms - INSTANCES_MS);
        let began = time(self.store.began_ms().await?);
        let span = Span { began, limit: time(before(rules.unnamed_for)) };
        let logs = self.logs.sweep(span.began..span.limit).await?;
        let (contents, bytes) = if with_contents { self.sweep_contents(span).await? } else { (0, 0) };
        let parts = self.sweep_parts(span).await?;
        let bytes = bytes + parts.iter().sum::<u64>();
        Ok(Round { pipelines, caches: caches[0], logs, contents, unfinished: parts.len() as u64, bytes })
    }

    async fn forget_pipelines(&self, keep: Keep) -> Result<u64, Refusal> {
        let mut forgotten = 0;
        loop {
            let unkept = self.store.unkept_pipelines(keep, PIPELINES).await?;
            let before = forgotten;
            for pipeline in unkept {
                forgotten += self.forget_pipeline(pipeline).await?;
            }
            // Also where nothing of what was found could be forgotten.
            if forgotten == before {
                return Ok(forgotten);
            }
        }
    }

    async fn forget_pipeline(&self, pipeline: PipelineId) -> Result<u64, Refusal> {
        while self.write(vec![Write::ForgetTasks(pipeline, TASKS)]).await?[0] > 0 {}
        Ok(self.write(vec![Write::ForgetPipeline(pipeline)]).await?[0])
    }

    /// Who sent a content to an earlier life may still be about to name it, and its age is the word of a clock that may
    /// have been wrong: only after a while of this one, or where nothing runs, has everybody asked again who will.
    fn knows_who_uploads(&self) -> bool {
        let lived = Duration::from_millis(self.clock.moment().now);
        lived >= self.rules.retention.every || self.core().is_empty()
    }

    async fn sweep_contents(&self, span: Span) -> Result<(u64, u64), Refusal> {
        self.blobs.turn();
        let blobs = self.blobs.clone();
        let (mut contents, mut bytes) = (0, 0);
        for folder in blocking(move || blobs.folders()).await? {
            for removed in self.sweep_folder(folder, span).await? {
                contents += 1;
                bytes += removed;
            }
        }
        Ok((contents, bytes))
    }

    async fn sweep_parts(&self, span: Span) -> Result<Vec<u64>, Refusal> {
        let (blobs, removals) = (self.blobs.clone(), self.removals.clone());
        let sweep = move || removals.now(|| blobs.sweep_parts(span.limit));
        Ok(blocking(move || sweep().unwrap_or(Ok(Vec::new()))).await?)
    }

    async fn sweep_folder(&self, folder: Folder, span: Span) -> Result<Vec<u64>, Refusal> {
        let (blobs, scope) = (self.blobs.clone(), folder.scope.clone());
        let stored = blocking(move || blobs.stored(&folder)).await?;
        let mut unnamed = Vec::new();
        for stored in stored {
            let may_go = span.began <= stored.modified && stored.modified < span.limit;
            let digest = stored.content.digest;
            if may_go && !self.is_named(&scope, &digest).await? {
                unnamed.push(digest);
            }
        }
        if unnamed.is_empty() {
            return Ok(Vec::new());
        }
        let (blobs, removals) = (self.blobs.clone(), self.removals.clone());
        let remove = move || removals.now(|| blobs.remove(&scope, &unnamed, span.limit));
        Ok(blocking(move || remove().unwrap_or(Ok(Vec::new()))).await?)
    }

    async fn is_named(&self, scope: &Scope, digest: &Digest) -> Result<bool, Refusal> {
        if *scope == Scope::agents() {
            return Ok(*digest == self.rules.agent.digest);
        }
        Ok(self.store.is_named(digest).await?)
    }
}

fn time(ms: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or_default())
}

/// Runs blocking work on the pool made for it, and carries a panic of it on.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
