//! Namespaces, orbs and their versions, in the shapes of the public API v3. Every person sees them, and every token that sees a
//! project; those who may do everything make and publish them.

use super::{
    auth::Operator,
    may::{May, Orbs, View},
    slug, unoffered,
    v3::{Described, Entity, List, Plain, Reference, Thing, enveloped},
};
use crate::{
    plane::{Plane, clock::rfc3339},
    refusal::Refusal,
    registry::{Segment, is_development, newest_first, newest_of},
};
use actix_web::{
    HttpResponse,
    middleware::from_fn,
    web::{Data, Json, Path, Query, ServiceConfig, delete, get, post, resource},
};
use protocol::api::NewOrb;
use serde::Deserialize;
use serde_json::{Value, json};
use store::{NamespaceRow, PackageRow, Shelf, VersionRow};
use uuid::Uuid;

/// So many things has a page at most.
const MOST: u32 = 100;

type Anyone = May<View, Orbs>;
type One = Result<Json<Entity<Thing>>, Refusal>;
type Page = Result<Json<List<Thing>>, Refusal>;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(
            resource("/api/v3/namespaces")
                .wrap(from_fn(enveloped))
                .route(get().to(namespace))
                .route(post().to(make_namespace)),
        )
        .service(
            resource("/api/v3/namespaces/{id}")
                .wrap(from_fn(enveloped))
                .route(get().to(namespace_of_id))
                .route(delete().to(unoffered::other_namespace)),
        )
        .service(
            resource("/api/v3/orb/packages")
                .wrap(from_fn(enveloped))
                .route(get().to(packages))
                .route(post().to(make_package)),
        )
        .service(resource("/api/v3/orb/packages/validate").wrap(from_fn(enveloped)).route(post().to(process)))
        .service(resource("/api/v3/orb/packages/process").wrap(from_fn(enveloped)).route(post().to(process)))
        .service(resource("/api/v3/orb/packages/{id}").wrap(from_fn(enveloped)).route(get().to(package)))
        .service(
            resource("/api/v3/orb/versions")
                .wrap(from_fn(enveloped))
                .route(get().to(versions))
                .route(post().to(publish)),
        )
        .service(resource("/api/v3/orb/versions/{id}").wrap(from_fn(enveloped)).route(get().to(version)))
        .service(
            resource("/api/v3/orb/versions/{id}/source").wrap(from_fn(enveloped)).route(get().to(source)),
        )
        .service(
            resource("/api/v3/orb/versions/{id}/promote").wrap(from_fn(enveloped)).route(post().to(promote)),
        )
        .service(resource("/api/v3/orb/categories").wrap(from_fn(enveloped)).route(get().to(categories)));
}

/// What is looked for, and from where on.
#[derive(Debug, Deserialize)]
struct Wanted {
    #[serde(rename = "filter[name]")]
    name: Option<String>,
    #[serde(rename = "filter[namespace_id]")]
    namespace: Option<Uuid>,
    #[serde(rename = "filter[visibility]")]
    visibility: Option<String>,
    #[serde(rename = "filter[orb_id]")]
    orb: Option<Uuid>,
    #[serde(rename = "filter[channel]")]
    channel: Option<Channel>,
    #[serde(rename = "filter[ref]")]
    reference: Option<String>,
    #[serde(rename = "page[cursor]")]
    cursor: Option<String>,
    #[serde(rename = "page[limit]")]
    limit: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Channel {
    Stable,
    Dev,
}

impl Wanted {
    fn most(&self) -> u32 {
        self.limit.unwrap_or(MOST).clamp(1, MOST)
    }
}

fn shown_namespace(row: &NamespaceRow) -> Thing {
    Thing::alone(row.id, json!({ "name": row.name, "created_at": rfc3339(row.created_ms) }))
}

async fn namespace(_: Anyone, plane: Data<Plane>, wanted: Query<Wanted>) -> One {
    let name = wanted.into_inner().name;
    let name = name.ok_or_else(|| Refusal::Bad("say which: `filter[name]`".to_owned()))?;
    let missing = || Refusal::Missing(format!("there is no namespace {name}"));
    let row = plane.store.namespace(&name).await?.ok_or_else(missing)?;
    Ok(Json(Entity { data: shown_namespace(&row) }))
}

async fn found_namespace(plane: &Plane, id: Uuid) -> Result<NamespaceRow, Refusal> {
    let missing = || Refusal::Missing(format!("no namespace has the id {id}"));
    plane.store.namespace_by_id(id).await?.ok_or_else(missing)
}

async fn namespace_of_id(_: Anyone, plane: Data<Plane>, id: Path<Uuid>) -> One {
    Ok(Json(Entity { data: shown_namespace(&found_namespace(&plane, *id).await?) }))
}

/// One that is to be made.
#[derive(Debug, Deserialize)]
struct NewNamespace {
    name: String,
    #[serde(rename = "org_id")]
    organization: Uuid,
}

async fn make_namespace(
    caller: Operator,
    plane: Data<Plane>,
    new: Json<NewNamespace>,
) -> Result<HttpResponse, Refusal> {
    let organization = slug::organization_of_id(&plane, new.organization).await?;
    let row = plane.make_namespace(&caller.who, &new.name, Some(&organization)).await?;
    Ok(HttpResponse::Created().json(Entity { data: shown_namespace(&row) }))
}

/// Orbs with the newest version of each.
async fn shown_packages(plane: &Plane, rows: &[PackageRow]) -> Result<Vec<Thing>, Refusal> {
    let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
    let all = plane.store.versions(&names).await?;
    let of = |name: &str| all.iter().filter(|row| row.name == name).cloned().collect::<Vec<_>>();
    Ok(rows.iter().map(|row| shown_package(row, newest_of(&of(&row.name)))).collect())
}

fn shown_package(row: &PackageRow, newest: Option<&VersionRow>) -> Thing {
    let attributes = json!({
        "name": row.name,
        "is_private": false,
        "is_listed": true,
        "created_at": rfc3339(row.created_ms),
    });
    let newest = newest.map(|row| Plain { id: row.id, attributes: version_attributes(row) });
    let references = json!({
        "namespace": Plain { id: row.namespace.id, attributes: json!({ "name": row.namespace.name }) },
        "orb_versions": newest.into_iter().collect::<Vec<_>>(),
        "orb_categories": [],
    });
    Thing { id: row.id, attributes, references }
}

/// All are published by those who may do everything, so asking for certified ones narrows nothing; private ones there are none.
async fn packages(_: Anyone, plane: Data<Plane>, wanted: Query<Wanted>) -> Page {
    if wanted.visibility.as_deref() == Some("private") {
        return Ok(Json(List::whole([])));
    }
    if let Some(name) = &wanted.name {
        let found = plane.store.package(name).await?;
        return Ok(Json(List::page(shown_packages(&plane, found.as_slice()).await?, None)));
    }
    let namespace = match wanted.namespace {
        Some(id) => match plane.store.namespace_by_id(id).await? {
            Some(row) => Some(row.name),
            None => return Ok(Json(List::whole([]))),
        },
        None => None,
    };
    let after = wanted.cursor.as_deref().unwrap_or_default();
    let shelf = Shelf { namespace: namespace.as_deref(), after };
    let (rows, is_last) = plane.packages(shelf, wanted.most()).await?;
    let next = rows.last().filter(|_| !is_last).map(|row| row.name.clone());
    Ok(Json(List::page(shown_packages(&plane, &rows).await?, next)))
}

async fn found_package(plane: &Plane, id: Uuid) -> Result<PackageRow, Refusal> {
    let missing = || Refusal::Missing(format!("there is no orb {id}"));
    plane.store.package_by_id(id).await?.ok_or_else(missing)
}

async fn package(_: Anyone, plane: Data<Plane>, id: Path<Uuid>) -> One {
    let row = found_package(&plane, *id).await?;
    let versions = plane.store.versions(&[&row.name]).await?;
    Ok(Json(Entity { data: shown_package(&row, newest_of(&versions)) }))
}

#[derive(Debug, Deserialize)]
struct NewPackage {
    attributes: NewPackageAttributes,
    references: NewPackageReferences,
}

#[derive(Debug, Deserialize)]
struct NewPackageAttributes {
    name: String,
    #[serde(default)]
    is_private: bool,
}

#[derive(Debug, Deserialize)]
struct NewPackageReferences {
    namespace: Reference,
}

async fn make_package(
    caller: Operator,
    plane: Data<Plane>,
    new: Json<Entity<NewPackage>>,
) -> Result<HttpResponse, Refusal> {
    let NewPackage { attributes, references } = new.into_inner().data;
    let namespace = found_namespace(&plane, references.namespace.id).await?;
    let row = plane.make_package(&caller.who, &namespace, &attributes.name, attributes.is_private).await?;
    Ok(HttpResponse::Created().json(Entity { data: shown_package(&row, None) }))
}

/// Whose it is makes no difference here.
#[derive(Debug, Deserialize)]
struct Source {
    yaml: String,
}

async fn process(
    _: Anyone,
    plane: Data<Plane>,
    source: Json<Source>,
) -> Result<Json<Entity<Described<Value>>>, Refusal> {
    let processed = plane.process_orb(source.into_inner().yaml).await?;
    let (output, errors) = match processed {
        Ok(output) => (output, Vec::new()),
        Err(errors) => (String::new(), errors),
    };
    let attributes = json!({ "is_valid": errors.is_empty(), "output_yaml": output, "errors": errors });
    Ok(Json(Entity { data: Described { attributes } }))
}

fn version_attributes(row: &VersionRow) -> Value {
    json!({ "version": row.version, "created_at": rfc3339(row.published_ms) })
}

fn shown_version(row: &VersionRow, of: &PackageRow) -> Thing {
    let package = Plain { id: of.id, attributes: json!({ "name": of.name }) };
    Thing { id: row.id, attributes: version_attributes(row), references: json!({ "orb_package": package }) }
}

async fn answered_version(plane: &Plane, row: &VersionRow) -> Result<Thing, Refusal> {
    let missing = || Refusal::Missing(format!("there is no orb {}", row.name));
    let of = plane.store.package(&row.name).await?.ok_or_else(missing)?;
    Ok(shown_version(row, &of))
}

async fn versions(_: Anyone, plane: Data<Plane>, wanted: Query<Wanted>) -> Page {
    match (&wanted.reference, wanted.orb) {
        (Some(reference), None) => {
            let shown = match plane.version(reference).await? {
                Some(row) => vec![answered_version(&plane, &row).await?],
                None => Vec::new(),
            };
            Ok(Json(List::page(shown, None)))
        }
        (None, Some(orb)) => versions_of(&plane, &found_package(&plane, orb).await?, &wanted).await,
        _ => Err(Refusal::Bad("say which: `filter[orb_id]` or `filter[ref]`".to_owned())),
    }
}

/// The cursor is the last version of a page: one that is published meanwhile moves nothing from one page to another.
async fn versions_of(plane: &Plane, of: &PackageRow, wanted: &Wanted) -> Page {
    let mut rows = newest_first(plane.store.versions(&[&of.name]).await?);
    rows.retain(|row| wanted.channel.is_none_or(|channel| is_development(row) == (channel == Channel::Dev)));
    let no_page = || Refusal::Bad("`page[cursor]` is none that an answer of this call gave".to_owned());
    let place = |cursor: &String| {
        let place = rows.iter().position(|row| row.id.to_string() == *cursor);
        place.ok_or_else(no_page)
    };
    let start = wanted.cursor.as_ref().map(place).transpose()?.map_or(0, |last| last + 1);
    let page: Vec<_> = rows.iter().skip(start).take(wanted.most() as usize).collect();
    let is_last = start + page.len() == rows.len();
    let next = page.last().filter(|_| !is_last).map(|row| row.id.to_string());
    Ok(Json(List::page(page.into_iter().map(|row| shown_version(row, of)).collect(), next)))
}

async fn found_version(plane: &Plane, id: Uuid) -> Result<VersionRow, Refusal> {
    let missing = || Refusal::Missing(format!("there is no version {id}"));
    plane.store.version_by_id(id).await?.ok_or_else(missing)
}

async fn version(_: Anyone, plane: Data<Plane>, id: Path<Uuid>) -> One {
    let row = found_version(&plane, *id).await?;
    Ok(Json(Entity { data: answered_version(&plane, &row).await? }))
}

async fn source(_: Anyone, plane: Data<Plane>, id: Path<Uuid>) -> Result<HttpResponse, Refusal> {
    let source = plane.source_of(&found_version(&plane, *id).await?).await?;
    Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(source))
}

#[derive(Debug, Deserialize)]
struct NewVersion {
    attributes: NewVersionAttributes,
}

#[derive(Debug, Deserialize)]
struct NewVersionAttributes {
    orb_id: Uuid,
    yaml: String,
    version: String,
}

async fn publish(
    caller: Operator,
    plane: Data<Plane>,
    new: Json<Entity<NewVersion>>,
) -> Result<HttpResponse, Refusal> {
    let NewVersionAttributes { orb_id, yaml, version } = new.into_inner().data.attributes;
    let of = found_package(&plane, orb_id).await?;
    let new = NewOrb { reference: format!("{}@{version}", of.name), source: yaml, is_imported: false };
    let row = plane.publish_version(&caller.who, new).await?;
    Ok(HttpResponse::Created().json(Entity { data: shown_version(&row, &of) }))
}

#[derive(Debug, Deserialize)]
struct Promotion {
    segment: Segment,
}

async fn promote(
    caller: Operator,
    plane: Data<Plane>,
    id: Path<Uuid>,
    promotion: Json<Promotion>,
) -> Result<HttpResponse, Refusal> {
    let development = found_version(&plane, *id).await?;
    let row = plane.promote(&caller.who, &development, promotion.segment).await?;
    Ok(HttpResponse::Created().json(Entity { data: answered_version(&plane, &row).await? }))
}

/// There are none.
async fn categories(_: Anyone, _: Query<Wanted>) -> Page {
    Ok(Json(List::whole([])))
}
