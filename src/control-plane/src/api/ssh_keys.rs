//! Calls of operators about the SSH keys of projects, ours and those of the public API v2.

use super::{
    may::{Administer, May, TheProject, View},
    tagged::Tagged,
};
use crate::{
    audit::Deed,
    plane::{Plane, clock::rfc3339},
    refusal::Refusal,
};
use actix_web::{
    HttpResponse,
    web::{Data, Json, Path, Query, ServiceConfig, delete, get, post, resource},
};
use protocol::api::{Items, KnownSshKey, NewSshKey};
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(
            resource("/api/v3/ssh-keys/{project:.+}")
                .route(get().to(list))
                .route(post().to(add))
                .route(delete().to(remove)),
        )
        .service(
            resource("/api/v2/project/{project:.+}/checkout-key/{fingerprint}")
                .route(get().to(checkout_key))
                .route(delete().to(remove_checkout_key)),
        )
        .service(
            resource("/api/v2/project/{project:.+}/checkout-key")
                .route(get().to(checkout_keys))
                .route(post().to(make_checkout_key)),
        );
}

async fn list(
    _: May<Administer, TheProject>,
    plane: Data<Plane>,
    project: Path<String>,
) -> Result<Json<Items<KnownSshKey>>, Refusal> {
    Ok(Json(Items { items: plane.ssh_keys(&project).await? }))
}

async fn add(
    caller: May<Administer, TheProject>,
    plane: Data<Plane>,
    project: Path<String>,
    new: Json<NewSshKey>,
) -> Result<HttpResponse, Refusal> {
    let made = plane.add_ssh_key(&project, new.into_inner()).await?;
    plane.tell_of_project(&caller.who, Deed::SshKeyAdded, (&project, &made.fingerprint)).await?;
    Ok(HttpResponse::Created().json(made))
}

/// Which key.
#[derive(Debug, Deserialize)]
struct Which {
    fingerprint: String,
}

async fn remove(
    caller: May<Administer, TheProject>,
    plane: Data<Plane>,
    project: Path<String>,
    which: Query<Which>,
) -> Result<Json<Value>, Refusal> {
    plane.remove_ssh_key(&project, &which.fingerprint).await?;
    plane.tell_of_project(&caller.who, Deed::SshKeyRemoved, (&project, &which.fingerprint)).await?;
    Ok(deleted())
}

fn deleted() -> Json<Value> {
    Json(json!({ "message": "Deleted." }))
}

/// Which of the two names of a key the public call shows.
#[derive(Debug, Default, Deserialize)]
struct Digest {
    #[serde(default)]
    digest: Option<String>,
}

async fn checkout_keys(
    _: May<View, TheProject>,
    plane: Data<Plane>,
    project: Path<String>,
    digest: Query<Digest>,
) -> Result<Tagged<Value>, Refusal> {
    let keys = plane.ssh_keys(&project).await?;
    let last = keys.iter().rposition(|key| key.checkout);
    let all = keys.iter().enumerate().filter(|(_, key)| key.checkout);
    let items: Vec<_> = all.map(|(place, key)| public(key, Some(place) == last, &digest)).collect();
    Ok(Tagged(json!({ "items": items, "next_page_token": null })))
}

/// The newest of them is the one that is used.
fn public(key: &KnownSshKey, preferred: bool, digest: &Digest) -> Value {
    let is_sha256 = digest.digest.as_deref() == Some("sha256");
    json!({
        "public-key": key.public_key,
        "type": "deploy-key",
        "fingerprint": if is_sha256 { &key.sha256 } else { &key.fingerprint },
        "preferred": preferred,
        "created-at": rfc3339(key.created_ms),
    })
}

/// Of which kind a key is to be.
#[derive(Debug, Deserialize)]
struct NewCheckoutKey {
    #[serde(rename = "type")]
    kind: String,
}

async fn make_checkout_key(
    caller: May<Administer, TheProject>,
    plane: Data<Plane>,
    project: Path<String>,
    new: Json<NewCheckoutKey>,
) -> Result<HttpResponse, Refusal> {
    if new.kind != "deploy-key" {
        let message = format!("a checkout key of type `{}` is not made here: `deploy-key` is", new.kind);
        return Err(Refusal::Bad(message));
    }
    let made = plane.add_ssh_key(&project, NewSshKey { checkout: true, ..NewSshKey::default() }).await?;
    plane.tell_of_project(&caller.who, Deed::SshKeyAdded, (&project, &made.fingerprint)).await?;
    Ok(HttpResponse::Created().json(public(&made, true, &Digest::default())))
}

async fn found(plane: &Plane, project: &str, fingerprint: &str) -> Result<(KnownSshKey, bool), Refusal> {
    let keys = plane.ssh_keys(project).await?;
    let last = keys.iter().rposition(|key| key.checkout);
    let is_it =
        |key: &KnownSshKey| key.checkout && (key.fingerprint == fingerprint || key.sha256 == fingerprint);
    let place = keys.iter().position(is_it);
    let missing = || Refusal::Missing(format!("{project} has no checkout key {fingerprint}"));
    let place = place.ok_or_else(missing)?;
    Ok((keys[place].clone(), Some(place) == last))
}

async fn checkout_key(
    _: May<View, TheProject>,
    plane: Data<Plane>,
    path: Path<(String, String)>,
    digest: Query<Digest>,
) -> Result<Tagged<Value>, Refusal> {
    let (key, preferred) = found(&plane, &path.0, &path.1).await?;
    Ok(Tagged(public(&key, preferred, &digest)))
}

async fn remove_checkout_key(
    caller: May<Administer, TheProject>,
    plane: Data<Plane>,
    path: Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    let (key, _) = found(&plane, &path.0, &path.1).await?;
    plane.remove_ssh_key(&path.0, &key.fingerprint).await?;
    plane.tell_of_project(&caller.who, Deed::SshKeyRemoved, (&path.0, &key.fingerprint)).await?;
    Ok(deleted())
}
