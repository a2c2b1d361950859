//! The HTTP API: decodes, authorizes, calls, encodes, and decides nothing.

mod admin;
pub(crate) mod auth;
mod base64;
mod operator;
mod runner;
mod task;

use crate::refusal::Refusal;
use actix_web::{
    HttpRequest,
    error::{JsonPayloadError, PathError, QueryPayloadError},
    web::{JsonConfig, PathConfig, PayloadConfig, QueryConfig, ServiceConfig},
};
use protocol::stream::MAX_BODY;

/// The largest JSON body: a configuration with its variables, or the test results of one request.
const MAX_JSON: usize = 32 * 1024 * 1024;

/// All routes.
pub(crate) fn routes(config: &mut ServiceConfig) {
    let bad_json =
        |error: JsonPayloadError, _: &HttpRequest| Refusal::Bad(format!("the body: {error}")).into();
    let bad_query =
        |error: QueryPayloadError, _: &HttpRequest| Refusal::Bad(format!("the query: {error}")).into();
    let bad_path = |error: PathError, _: &HttpRequest| {
        Refusal::Missing(format!("there is no such thing: {error}")).into()
    };
    let json = JsonConfig::default().limit(MAX_JSON).content_type_required(false).content_type(|_| true);
    config
        .app_data(json.error_handler(bad_json))
        .app_data(QueryConfig::default().error_handler(bad_query))
        .app_data(PathConfig::default().error_handler(bad_path))
        .app_data(PayloadConfig::new(MAX_BODY))
        .configure(runner::routes)
        .configure(task::routes)
        .configure(admin::routes)
        .configure(operator::routes);
}
