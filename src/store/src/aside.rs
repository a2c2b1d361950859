//! Ends a workflow whose rows cannot be understood, without reading what they say.

use crate::{batch::Batch, columns::bytes, webhooks};
use protocol::WorkflowId;

/// Its holders are fenced by the next epoch.
const TASKS: &str = "UPDATE tasks SET phase = 'ended', epoch = epoch + 1, outcome = 'infrastructure_fail', \
                     message = ?, ended_ms = ? \
                     WHERE phase <> 'ended' AND job IN (SELECT id FROM jobs WHERE workflow = ?)";
/// Also jobs whose status is no word of ours.
const JOBS: &str = "UPDATE jobs SET ended_ms = coalesce(ended_ms, ?), \
                    status = CASE WHEN status IN ('blocked', 'on_hold') THEN 'not_run' ELSE 'infrastructure_fail' END \
                    WHERE workflow = ? AND status NOT IN \
                    ('success', 'failed', 'canceled', 'timedout', 'infrastructure_fail', 'not_run')";
const WORKFLOW: &str = "UPDATE workflows SET status = 'failed' WHERE id = ?";

pub(crate) fn set_aside(batch: &mut Batch, workflow: WorkflowId, message: &str, at_ms: i64) {
    let id = bytes(&workflow.0);
    batch.statement(TASKS).bind(message).bind(at_ms).bind(id);
    batch.statement(JOBS).bind(at_ms).bind(id);
    webhooks::workflow_ended(batch, workflow, at_ms);
    batch.statement(WORKFLOW).bind(id);
}
