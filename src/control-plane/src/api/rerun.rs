//! Calls that run a workflow again, in the newer and in the older public shape.

use super::auth::Operator;
use crate::{
    pipelines::rerun::{By, Order, Which},
    plane::Plane,
    refusal::Refusal,
};
use actix_web::{
    HttpResponse,
    web::{Bytes, Data, Path, ServiceConfig, post, resource},
};
use protocol::{
    JobId, WorkflowId,
    api::{Entity, Named, Rerun},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/api/v3/workflows/{id}/rerun").route(post().to(newer)))
        .service(resource("/api/v2/workflow/{id}/rerun").route(post().to(older)));
}

async fn newer(
    _: Operator,
    plane: Data<Plane>,
    id: Path<WorkflowId>,
    body: Bytes,
) -> Result<HttpResponse, Refusal> {
    let Rerun { is_from_failed, jobs, variables } = read(&body)?;
    let order = Order { which: which(is_from_failed, jobs, "is_from_failed")?, variables, by: By::Hand };
    let id = plane.rerun(*id, order).await?;
    Ok(HttpResponse::Accepted().json(Entity { data: Named { id } }))
}

/// The older shape. Nothing set: all of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Older {
    jobs: Option<Vec<JobId>>,
    from_failed: Option<bool>,
    enable_ssh: Option<bool>,
    sparse_tree: Option<bool>,
}

async fn older(
    _: Operator,
    plane: Data<Plane>,
    id: Path<WorkflowId>,
    body: Bytes,
) -> Result<HttpResponse, Refusal> {
    let Older { jobs, from_failed, enable_ssh, sparse_tree } = read(&body)?;
    for (name, why, asked) in [
        ("enable_ssh", "no job here can be entered by SSH", enable_ssh),
        ("sparse_tree", "what does not run again is always kept", sparse_tree),
    ] {
        if asked == Some(true) {
            return Err(Refusal::Bad(format!("`{name}` is not offered: {why}")));
        }
    }
    let which = which(from_failed.unwrap_or_default(), jobs.unwrap_or_default(), "from_failed")?;
    let order = Order { which, variables: None, by: By::Hand };
    let id = plane.rerun(*id, order).await?;
    Ok(HttpResponse::Accepted().json(json!({ "workflow_id": id })))
}

/// A body may be left out.
fn read<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, Refusal> {
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body).map_err(|error| Refusal::Bad(format!("the body: {error}")))
}

fn which(from_failed: bool, jobs: Vec<JobId>, word: &str) -> Result<Which, Refusal> {
    match (from_failed, jobs.is_empty()) {
        (true, true) => Ok(Which::FromFailed),
        (false, true) => Ok(Which::All),
        (false, false) => Ok(Which::Jobs(jobs)),
        (true, false) => Err(Refusal::Bad(format!("give either `jobs` or `{word}`"))),
    }
}
