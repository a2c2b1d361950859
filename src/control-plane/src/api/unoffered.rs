//! What the `circleci` command lines ask for and nobody here does: each call says so by name. It is answered 400, of which
//! they show the words and which they do not try again.

use super::{
    may::{May, Stated, View},
    v3::{enveloped, error},
};
use crate::refusal::Refusal;
use actix_web::{
    HttpResponse, ResponseError,
    middleware::from_fn,
    web::{ServiceConfig, delete, get, post, resource},
};

type Refused = Result<HttpResponse, Refusal>;
/// Whoever has a token is told.
type Anyone = May<View, Stated>;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/api/v3/deploy/{rest:.+}").wrap(from_fn(enveloped)).route(get().to(deployments)))
        .service(
            resource("/api/v3/projects/{id}/rollback").wrap(from_fn(enveloped)).route(post().to(deployments)),
        )
        .service(
            resource("/api/v3/signing/{rest:.+}")
                .wrap(from_fn(enveloped))
                .route(get().to(signing))
                .route(post().to(signing))
                .route(delete().to(signing)),
        )
        .service(
            resource("/api/v3/provider/{rest:.+}")
                .wrap(from_fn(enveloped))
                .route(get().to(provider))
                .route(post().to(provider)),
        )
        .service(
            resource("/api/v3/projects/{id}/dlc").wrap(from_fn(enveloped)).route(delete().to(image_layers)),
        )
        .service(
            resource("/api/v3/namespaces/{id}/rename")
                .wrap(from_fn(enveloped))
                .route(post().to(other_namespace)),
        )
        .service(
            resource("/api/v3/orb/packages/{id}/set-listed")
                .wrap(from_fn(enveloped))
                .route(post().to(unlisted)),
        )
        .service(
            resource("/api/v3/orb/packages/{id}/add-category")
                .wrap(from_fn(enveloped))
                .route(post().to(categories)),
        )
        .service(
            resource("/api/v3/orb/packages/{id}/remove-category")
                .wrap(from_fn(enveloped))
                .route(post().to(categories)),
        )
        .service(resource("/api/v2/organization").route(post().to(organization)));
}

pub(super) const RENAMED: &str = "a namespace keeps its name and its orbs: configurations name them";
pub(super) const UNLISTED: &str = "every orb that is published here is listed for all who see orbs";
pub(super) const CATEGORIES: &str = "orbs have no categories here";

fn not_offered(why: &str) -> Refused {
    Err(Refusal::NotOffered(why.to_owned()))
}

async fn deployments(_: Anyone) -> Refused {
    not_offered(
        "no deployments are kept here, so none is listed or rolled back: run again a workflow of a pipeline that was good",
    )
}

async fn signing(_: Anyone) -> Refused {
    not_offered(
        "no certificates for signing are kept here: give them to jobs as variables of a context, in base64",
    )
}

async fn provider(_: Anyone) -> Refused {
    not_offered(
        "repositories are not connected by this call: an admin names each with `roundhouse project create`",
    )
}

async fn image_layers(_: Anyone) -> Refused {
    not_offered(
        "layers of images are kept by each runner's own engine, which the control plane does not reach",
    )
}

pub(super) async fn other_namespace(_: Anyone) -> Refused {
    not_offered(RENAMED)
}

async fn unlisted(_: Anyone) -> Refused {
    not_offered(UNLISTED)
}

async fn categories(_: Anyone) -> Refused {
    not_offered(CATEGORIES)
}

async fn organization(_: Anyone) -> Refused {
    not_offered(
        "an organization is not made by a call: it is there once somebody has a role in it, or a project of it is",
    )
}

const DEFINITION: &str = "a project has one definition here, that of the repository which an admin names with `roundhouse project create`";

pub(super) async fn definition(_: Anyone) -> Refused {
    not_offered(DEFINITION)
}

/// The same in the envelope of v3, where the call is ours for another thing.
pub(super) fn definition_told() -> HttpResponse {
    let refusal = Refusal::NotOffered(DEFINITION.to_owned());
    HttpResponse::build(refusal.status_code()).json(error(refusal.status_code(), &refusal))
}

pub(super) async fn trigger(_: Anyone) -> Refused {
    not_offered(
        "a project's triggers are its repository's webhook (`roundhouse project create`) and its schedules \
         (`POST /api/v2/project/{slug}/schedule`)",
    )
}
