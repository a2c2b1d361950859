//! The HTTP API: decodes, authorizes, calls, encodes, and decides nothing.

mod admin;
mod audit;
pub(crate) mod auth;
pub(crate) mod base64;
mod build;
mod compile;
mod contexts;
mod definitions;
mod graphql;
mod health;
mod insights;
mod job;
mod keys;
pub(crate) mod may;
mod me;
mod metrics;
mod newer;
mod openapi;
mod operator;
mod orbs;
mod organizations;
mod outgoing;
mod paging;
mod people;
mod policies;
mod project;
mod projects;
pub(crate) mod queue;
mod registry;
mod releases;
mod rerun;
mod runner;
mod schedules;
mod settled;
mod slug;
mod ssh_keys;
mod tagged;
mod task;
mod trends;
mod trigger;
mod unoffered;
mod v3;
mod webhooks;
mod well_known;
mod workflow;

use crate::{bodies::MAX_JSON, refusal::Refusal};
use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    error::{JsonPayloadError, PathError, QueryPayloadError},
    web::{JsonConfig, PathConfig, PayloadConfig, QueryConfig, ServiceConfig},
};
use protocol::stream::MAX_BODY;

/// The largest JSON body of a call that has only a few words to say.
const MAX_WORDS: usize = 1024 * 1024;

/// What fuzzing reaches of this.
#[cfg(fuzzing)]
pub(crate) fn fuzzed(expression: &str) {
    newer::fuzzed(expression);
}

/// All routes.
pub(crate) fn routes(config: &mut ServiceConfig) {
    let bad_query =
        |error: QueryPayloadError, _: &HttpRequest| Refusal::Bad(format!("the query: {error}")).into();
    let bad_path = |error: PathError, _: &HttpRequest| {
        Refusal::Missing(format!("there is no such thing: {error}")).into()
    };
    config
        .app_data(json(MAX_JSON))
        .app_data(QueryConfig::default().error_handler(bad_query))
        .app_data(PathConfig::default().error_handler(bad_path))
        .app_data(PayloadConfig::new(MAX_BODY))
        .configure(runner::routes)
        .configure(task::routes)
        .configure(admin::routes)
        .configure(operator::routes)
        .configure(orbs::routes)
        .configure(registry::routes)
        .configure(graphql::routes)
        .configure(organizations::routes)
        .configure(projects::routes)
        .configure(definitions::routes)
        .configure(releases::routes)
        .configure(unoffered::routes)
        .configure(ssh_keys::routes)
        .configure(webhooks::routes)
        .configure(workflow::routes)
        .configure(rerun::routes)
        .configure(compile::routes)
        .configure(well_known::routes)
        .configure(health::routes)
        .configure(openapi::routes)
        .configure(me::routes)
        .configure(people::routes)
        .configure(trends::routes)
        .configure(insights::routes)
        .configure(trends::organization_route)
        .configure(audit::routes)
        .configure(contexts::routes)
        .configure(policies::routes)
        .configure(keys::routes)
        .configure(queue::routes)
        .configure(trigger::routes)
        .configure(project::routes)
        .configure(schedules::routes)
        .configure(outgoing::routes)
        .configure(job::routes)
        .configure(newer::routes)
        .configure(build::routes)
        .configure(project::project_route);
}

/// What no route takes.
pub(crate) async fn nowhere() -> HttpResponse {
    Refusal::Missing("there is no such call: GET /api/openapi.json has them all".to_owned()).error_response()
}

/// How bodies of JSON are read, up to that many bytes.
fn json(limit: usize) -> JsonConfig {
    let bad = |error: JsonPayloadError, _: &HttpRequest| Refusal::Bad(format!("the body: {error}")).into();
    JsonConfig::default().limit(limit).content_type_required(false).content_type(|_| true).error_handler(bad)
}
