//! What operators ask of running pipelines: their feeds, and to cancel them.

use super::Plane;
use crate::{engine::workflow::Event, refusal::Refusal};
use protocol::{PipelineId, WorkflowId, feed::Feed};
use std::{sync::Arc, time::Duration};
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

    fn cancel_workflows(self: &Arc<Self>, pipeline: PipelineId) -> Result<Vec<super::Written>, Refusal> {
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
