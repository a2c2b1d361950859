//! Calls that run a workflow again, in the newer and in the older public shape.

use super::{
    may::{Act, May, Of, TheWorkflow},
    v3::enveloped,
};
use crate::{
    audit::Deed,
    pipelines::rerun::{By, Order, Which},
    plane::{
        Plane,
        people::{Right, Who},
    },
    refusal::Refusal,
};
use actix_web::{
    HttpResponse,
    middleware::from_fn,
    web::{Bytes, Data, Path, ServiceConfig, post, resource},
};
use protocol::{
    JobId, WorkflowId,
    api::{Entity, Named, Rerun},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use store::Belonging;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/api/v3/workflows/{id}/rerun").wrap(from_fn(enveloped)).route(post().to(newer)))
        .service(resource("/api/v2/workflow/{id}/rerun").route(post().to(older)));
}

async fn newer(
    caller: May<Act, TheWorkflow>,
    plane: Data<Plane>,
    id: Path<WorkflowId>,
    body: Bytes,
) -> Result<HttpResponse, Refusal> {
    let Rerun { is_from_failed, is_failed_tests, jobs, variables } = read(&body)?;
    if variables.is_some() {
        // All workflows of the pipeline have them from then on, also those that others run again.
        plane.allow(&caller.who, Right::Administer, &Of::Belonging(Belonging::Workflow(id.0))).await?;
    }
    let part = [(is_from_failed, "is_from_failed"), (is_failed_tests, "is_failed_tests")];
    let order = Order { which: which(part, jobs)?, variables, by: By::Hand(caller.who.actor()) };
    let id = order_rerun(&plane, &caller.who, *id, order).await?;
    Ok(HttpResponse::Accepted().json(Entity { data: Named { id } }))
}

/// The older shape. Nothing set: all of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Older {
    jobs: Option<Vec<JobId>>,
    from_failed: Option<bool>,
    failed_tests: Option<bool>,
    enable_ssh: Option<bool>,
    sparse_tree: Option<bool>,
}

async fn older(
    caller: May<Act, TheWorkflow>,
    plane: Data<Plane>,
    id: Path<WorkflowId>,
    body: Bytes,
) -> Result<HttpResponse, Refusal> {
    let Older { jobs, from_failed, failed_tests, enable_ssh, sparse_tree } = read(&body)?;
    for (name, why, asked) in [
        ("enable_ssh", "no job here can be entered by SSH", enable_ssh),
        ("sparse_tree", "what does not run again is always kept", sparse_tree),
    ] {
        if asked == Some(true) {
            return Err(Refusal::Bad(format!("`{name}` is not offered: {why}")));
        }
    }
    let part = [(from_failed, "from_failed"), (failed_tests, "failed_tests")]
        .map(|(asked, word)| (asked.unwrap_or_default(), word));
    let order = Order {
        which: which(part, jobs.unwrap_or_default())?,
        variables: None,
        by: By::Hand(caller.who.actor()),
    };
    let id = order_rerun(&plane, &caller.who, *id, order).await?;
    Ok(HttpResponse::Accepted().json(json!({ "workflow_id": id })))
}

/// Runs a workflow again, on somebody's word; the new one.
pub(super) async fn order_rerun(
    plane: &Data<Plane>,
    who: &Who,
    of: WorkflowId,
    order: Order,
) -> Result<WorkflowId, Refusal> {
    let id = plane.rerun(of, order).await?;
    plane.tell_of_run(who, Deed::RunAgain, Belonging::Workflow(of.0)).await?;
    Ok(id)
}

/// A body may be left out.
fn read<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, Refusal> {
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body).map_err(|error| Refusal::Bad(format!("the body: {error}")))
}

/// Of the words for what failed, and for the failed tests alone, whether they were said.
fn which(part: [(bool, &str); 2], jobs: Vec<JobId>) -> Result<Which, Refusal> {
    let [(from_failed, one), (failed_tests, other)] = part;
    match (from_failed, failed_tests, jobs.is_empty()) {
        (false, false, true) => Ok(Which::All),
        (false, false, false) => Ok(Which::Jobs(jobs)),
        (true, false, true) => Ok(Which::FromFailed),
        (false, true, true) => Ok(Which::FailedTests),
        _ => Err(Refusal::Bad(format!("give only one of `jobs`, `{one}` and `{other}`"))),
    }
}
