//! What operators ask of running pipelines: their feeds, and to cancel them.

use super::{Plane, Written, core::Core};
use crate::{engine::workflow::Event, refusal::Refusal};
use protocol::{JobId, JobStatus, PipelineId, WorkflowId, feed::Feed};
use std::{sync::Arc, time::Duration};
use store::JobRow;
use tokio::time::Instant;

/// The longest that a feed is held open.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

impl Plane {
    /// The feed of a pipeline from `after`, as soon as there is anything or the wait is over.
    pub(crate) async fn feed(
        &self,
        pipeline: PipelineId,
        after: u64,
        wait_ms: u64,
    ) -> Result<Option<Feed>, Refusal> {
        if !self.store.has_pipeline(pipeline).await? {
            return Ok(None);
        }
        let until = Instant::now() + Duration::from_millis(wait_ms).min(LONGEST_WAIT);
        loop {
            let (feed, changed) = self.feeds.read(pipeline, after);
            let Some(mut changed) = changed.filter(|_| feed.news.is_empty()) else { return Ok(Some(feed)) };
            if !self.woken_before(until, changed.changed()).await {
                return Ok(Some(feed));
            }
        }
    }

    /// Cancels what of a pipeline is not over. Those who hold its tasks are told at once.
    pub(crate) async fn cancel(self: &Arc<Self>, pipeline: PipelineId) -> Result<(), Refusal> {
        for written in self.cancel_workflows(pipeline)? {
            written.on_disk().await?;
        }
        Ok(())
    }

    /// Cancels one workflow; whether it runs.
    pub(crate) async fn cancel_workflow(self: &Arc<Self>, workflow: WorkflowId) -> Result<bool, Refusal> {
        let canceled = self.change(&mut self.core(), workflow, |live, moment, change| {
            live.workflow_event(Event::Cancel, moment, change);
        });
        match canceled {
            Some(((), written)) => written.on_disk().await.map(|()| true),
            None => Ok(false),
        }
    }

    /// Cancels one job that has begun; those that require it to succeed will not run. One that is over stays as it is.
    pub(crate) async fn cancel_job(self: &Arc<Self>, id: JobId) -> Result<(), Refusal> {
        let missing = || Refusal::Missing(format!("there is no job {id}"));
        let (row, ..) = self.store.job(id).await?.ok_or_else(missing)?;
        let canceled = self.cancel_tasks(&mut self.core(), &row);
        match canceled {
            Some(written) => written.on_disk().await,
            None if row.status.is_terminal() => Ok(()),
            None if matches!(row.status, JobStatus::Queued | JobStatus::Running) => {
                Err(Refusal::being_read())
            }
            None => Err(Refusal::Conflict(format!(
                "the job `{}` has not begun: cancel its workflow, or what it waits for",
                row.definition.name
            ))),
        }
    }

    /// None: it has no task here.
    fn cancel_tasks(self: &Arc<Self>, core: &mut Core, row: &JobRow) -> Option<Written> {
        let jobs = &core.workflow(row.workflow)?.jobs;
        let job = jobs.iter().position(|job| job.id == row.id && !job.tasks.is_empty())?;
        let canceled = self.change(core, row.workflow, |live, moment, change| {
            live.cancel_tasks(job, moment, change);
        });
        canceled.map(|((), written)| written)
    }

    fn cancel_workflows(self: &Arc<Self>, pipeline: PipelineId) -> Result<Vec<Written>, Refusal> {
        let mut core = self.core();
        core.cancel_expected(pipeline);
        let mut written = Vec::new();
        for workflow in core.workflows_of(pipeline) {
            let canceled = self.change(&mut core, workflow, |live, moment, change| {
                live.workflow_event(Event::Cancel, moment, change);
            });
            written.push(canceled.ok_or_else(Refusal::being_read)?.1);
        }
        Ok(written)
    }
}
