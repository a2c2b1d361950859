//! Which version there is of a tool: of this control plane, and of no other's.

use super::{
    auth::Anybody,
    v3::{List, Thing, enveloped},
};
use crate::{plane::projects::stable_id, refusal::Refusal};
use actix_web::{
    middleware::from_fn,
    web::{Json, Query, ServiceConfig, get, resource},
};
use serde::Deserialize;
use serde_json::json;

/// As it is asked for.
const OURS: &str = "roundhouse";

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(resource("/api/v3/tool/releases").wrap(from_fn(enveloped)).route(get().to(newest)));
}

#[derive(Debug, Deserialize)]
struct Wanted {
    #[serde(rename = "filter[tool]")]
    tool: Option<String>,
}

/// The command line that asks for its own newest release takes a 400 for «nobody here knows», and says nothing of it.
async fn newest(_: Anybody, wanted: Query<Wanted>) -> Result<Json<List<Thing>>, Refusal> {
    let tool = wanted.into_inner().tool;
    let tool = tool.ok_or_else(|| Refusal::Bad("`filter[tool]` is wanted: which tool?".to_owned()))?;
    if tool != OURS {
        let message = format!("no releases of `{tool}` are known here, only those of `{OURS}`");
        return Err(Refusal::Bad(message));
    }
    let attributes = json!({ "tool": OURS, "version": env!("CARGO_PKG_VERSION") });
    Ok(Json(List::whole([Thing::alone(stable_id(OURS), attributes)])))
}
