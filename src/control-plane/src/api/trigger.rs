//! Having pipelines made by a call, and what they were made of, in the shapes of the public API v2.

use super::{
    MAX_WORDS,
    definitions::definition_id,
    json as json_config,
    may::{Act, May, ThePipeline, TheProject, View},
    slug,
};
use crate::{
    audit::Deed,
    pipelines::{continuation::text_of, texts::Texts},
    plane::{Plane, clock::rfc3339},
    refusal::Refusal,
    triggers::{Asked, At},
};
use actix_web::{
    HttpResponse,
    web::{Data, Json, Path, ServiceConfig, get, post, resource},
};
use protocol::{PipelineId, repository};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use store::PipelineRow;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(
            resource("/api/v2/project/{slug:.+}/pipeline/run")
                .app_data(json_config(MAX_WORDS))
                .route(post().to(newer)),
        )
        .service(resource("/api/v2/pipeline/{id}/config").route(get().to(texts)))
        .service(resource("/api/v2/pipeline/{id}/values").route(get().to(values)));
}

/// The one branch or tag of all.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Older {
    branch: Option<String>,
    tag: Option<String>,
    parameters: BTreeMap<String, Value>,
}

/// The same, where the configuration may be of another than the checkout.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Newer {
    definition_id: Option<Value>,
    config: Where,
    checkout: Where,
    parameters: BTreeMap<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Where {
    branch: Option<String>,
    tag: Option<String>,
    /// Of a configuration that is sent along.
    content: Option<IgnoredAny>,
}

impl Where {
    fn at(self) -> Result<At, Refusal> {
        for (what, name) in [("branch", &self.branch), ("tag", &self.tag)] {
            if let Some(name) = name.as_ref().filter(|name| !repository::is_reference(name)) {
                return Err(Refusal::Bad(format!("`{name}` is no name of a {what}")));
            }
        }
        if self.content.is_some() {
            let why = "`content` is not taken: `roundhouse pipeline run` starts a pipeline of a configuration at hand";
            return Err(Refusal::Bad(why.to_owned()));
        }
        if self.branch.is_some() && self.tag.is_some() {
            return Err(Refusal::Bad("a pipeline is of a `branch` or of a `tag`, not of both".to_owned()));
        }
        Ok(At { branch: self.branch, tag: self.tag })
    }
}

pub(super) async fn older(
    caller: May<Act, TheProject>,
    plane: Data<Plane>,
    asked: Path<String>,
    body: Option<Json<Older>>,
) -> Result<HttpResponse, Refusal> {
    let Older { branch, tag, parameters } = body.map(Json::into_inner).unwrap_or_default();
    let at = Where { branch, tag, content: None }.at()?;
    let wanted = Asked { config: at.clone(), checkout: at, parameters: texts_of(parameters)? };
    run(&caller, &plane, &asked, wanted).await
}

async fn newer(
    caller: May<Act, TheProject>,
    plane: Data<Plane>,
    asked: Path<String>,
    body: Json<Newer>,
) -> Result<HttpResponse, Refusal> {
    let Newer { definition_id, config, checkout, parameters } = body.into_inner();
    if let Some(wanted) = definition_id {
        check_definition(&slug::project(&plane, &asked).await?, &wanted)?;
    }
    let wanted = Asked { config: config.at()?, checkout: checkout.at()?, parameters: texts_of(parameters)? };
    run(&caller, &plane, &asked, wanted).await
}

/// A project has one definition, that of its repository.
fn check_definition(project: &str, wanted: &Value) -> Result<(), Refusal> {
    let own = definition_id(project).to_string();
    if wanted.as_str() == Some(&own) {
        return Ok(());
    }
    Err(Refusal::Bad(format!(
        "{project} has one definition here, that of its repository, {own}: give that one, or leave `definition_id` out"
    )))
}

async fn run(
    caller: &May<Act, TheProject>,
    plane: &Data<Plane>,
    asked: &str,
    wanted: Asked,
) -> Result<HttpResponse, Refusal> {
    let project = slug::project(plane, asked).await?;
    let row = plane.trigger(&project, wanted, &caller.who).await?;
    plane.tell_of_project(&caller.who, Deed::Started, (&project, &format!("pipeline {}", row.id))).await?;
    Ok(HttpResponse::Created().json(shown(&row)))
}

fn shown(row: &PipelineRow) -> Value {
    json!({ "id": row.id, "state": row.state, "number": row.number, "created_at": rfc3339(row.created_ms) })
}

fn texts_of(parameters: BTreeMap<String, Value>) -> Result<BTreeMap<String, String>, Refusal> {
    parameters.into_iter().map(|(name, value)| Ok((name.clone(), text_of(&name, value)?))).collect()
}

async fn texts(
    _: May<View, ThePipeline>,
    plane: Data<Plane>,
    id: Path<PipelineId>,
) -> Result<Json<Texts>, Refusal> {
    let missing = || Refusal::Missing(format!("no configuration of a pipeline {id} is kept"));
    plane.configuration(*id).await?.map(Json).ok_or_else(missing)
}

async fn values(
    _: May<View, ThePipeline>,
    plane: Data<Plane>,
    id: Path<PipelineId>,
) -> Result<Json<BTreeMap<String, String>>, Refusal> {
    let missing = || Refusal::Missing(format!("there is no pipeline {id}"));
    let (project, row) = plane.store.pipeline_row(*id).await?.ok_or_else(missing)?;
    let inputs = compiler::Inputs {
        id: Some(row.id),
        number: row.number,
        project,
        received_at: Some(rfc3339(row.created_ms)),
        git: row.git,
        ..compiler::Inputs::default()
    };
    Ok(Json(compiler::values(&inputs)))
}
