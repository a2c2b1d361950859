//! What the compiler makes of a configuration, in the shapes that both generations of the `circleci` command line ask for.

use super::{
    json,
    may::{Anything, May, View},
};
use crate::{
    pipelines::processed::{Asked, Values},
    plane::Plane,
    refusal::Refusal,
};
use actix_web::web::{Data, Json, ServiceConfig, post, resource};
use protocol::api::MAX_CONTINUE;
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(
            resource("/api/v2/compile-config-with-defaults")
                .app_data(json(MAX_CONTINUE))
                .route(post().to(older)),
        )
        .service(resource("/api/v3/configs/compile").app_data(json(MAX_CONTINUE)).route(post().to(newer)));
}

/// As the older command line asks.
#[derive(Debug, Deserialize)]
struct Older {
    config_yaml: String,
    #[serde(default)]
    options: Options,
}

/// Whose it is, and which preview of the language is wanted, makes no difference here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Options {
    pipeline_parameters: Option<Values>,
    pipeline_values: Option<Values>,
}

async fn older(
    _: May<View, Anything>,
    plane: Data<Plane>,
    body: Json<Older>,
) -> Result<Json<Value>, Refusal> {
    let Older { config_yaml, options } = body.into_inner();
    let asked = Asked {
        config: config_yaml.clone(),
        parameters: options.pipeline_parameters.unwrap_or_default(),
        values: options.pipeline_values.unwrap_or_default(),
    };
    let (output, errors) = match plane.process(asked).await? {
        Ok(output) => (output, Vec::new()),
        Err(errors) => (String::new(), errors),
    };
    Ok(Json(json!({
        "valid": errors.is_empty(),
        "source-yaml": config_yaml,
        "output-yaml": output,
        "errors": errors.into_iter().map(|message| json!({ "message": message })).collect::<Vec<_>>(),
    })))
}

/// As the newer command line asks, which is told of members that are not known.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Newer {
    data: Subject,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Subject {
    attributes: Attributes,
    #[serde(default, rename = "references")]
    _references: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Attributes {
    config: String,
    #[serde(default, rename = "enable_next_preview")]
    _preview: Option<bool>,
    pipeline_parameters: Option<Values>,
    pipeline_values: Option<Values>,
}

async fn newer(
    _: May<View, Anything>,
    plane: Data<Plane>,
    body: Json<Newer>,
) -> Result<Json<Value>, Refusal> {
    let Attributes { config, pipeline_parameters, pipeline_values, .. } = body.into_inner().data.attributes;
    let (parameters, values) = (pipeline_parameters.unwrap_or_default(), pipeline_values.unwrap_or_default());
    let processed = plane.process(Asked { config, parameters, values }).await?;
    let outcome = if processed.is_ok() { "succeeded" } else { "failed" };
    let (compiled, errors) = match processed {
        Ok(compiled) => (Some(compiled), Vec::new()),
        Err(errors) => (None, errors),
    };
    let messages: Vec<_> = errors.into_iter().map(|title| json!({ "title": title })).collect();
    Ok(Json(json!({
        "data": { "attributes": { "phase": "ended", "outcome": outcome, "compiled_config": compiled } },
        "meta": { "messages": messages },
    })))
}
