//! Schedules of projects, in the shapes of the public API v2.

use super::{
    MAX_WORDS, json,
    may::{Act, May, TheProject, TheSchedule, View},
    paging::{Page, PageQuery},
    slug,
};
use crate::{
    audit::Deed,
    plane::{Plane, people::Who},
    refusal::Refusal,
};
use actix_web::{
    HttpResponse,
    web::{Data, Json, Path, Query, ServiceConfig, delete, get, patch, post, resource},
};
use protocol::schedule::{NewSchedule, Schedule, ScheduleChange};
use uuid::Uuid;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(
            resource("/api/v2/project/{slug:.+}/schedule")
                .app_data(json(MAX_WORDS))
                .route(get().to(listed))
                .route(post().to(create)),
        )
        .service(
            resource("/api/v2/schedule/{id}")
                .app_data(json(MAX_WORDS))
                .route(get().to(one))
                .route(patch().to(change))
                .route(delete().to(remove)),
        );
}

async fn listed(
    _: May<View, TheProject>,
    plane: Data<Plane>,
    asked: Path<String>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Schedule>>, Refusal> {
    let project = slug::project(&plane, &asked).await?;
    page.cut(plane.schedules_of(&project).await?.into_iter()).map(Json)
}

async fn create(
    caller: May<Act, TheProject>,
    plane: Data<Plane>,
    asked: Path<String>,
    new: Json<NewSchedule>,
) -> Result<HttpResponse, Refusal> {
    let project = slug::project(&plane, &asked).await?;
    let made = plane.create_schedule(&project, new.into_inner(), caller.who.login()).await?;
    tell(&plane, &caller.who, Deed::ScheduleMade, &made).await?;
    Ok(HttpResponse::Created().json(made))
}

async fn one(
    _: May<View, TheSchedule>,
    plane: Data<Plane>,
    id: Path<Uuid>,
) -> Result<Json<Schedule>, Refusal> {
    plane.schedule(*id).await.map(Json)
}

async fn change(
    caller: May<Act, TheSchedule>,
    plane: Data<Plane>,
    id: Path<Uuid>,
    change: Json<ScheduleChange>,
) -> Result<Json<Schedule>, Refusal> {
    let changed = plane.change_schedule(*id, change.into_inner(), caller.who.login()).await?;
    tell(&plane, &caller.who, Deed::ScheduleChanged, &changed).await?;
    Ok(Json(changed))
}

async fn remove(
    caller: May<Act, TheSchedule>,
    plane: Data<Plane>,
    id: Path<Uuid>,
) -> Result<HttpResponse, Refusal> {
    let removed = plane.schedule(*id).await?;
    plane.remove_schedule(*id).await?;
    tell(&plane, &caller.who, Deed::ScheduleRemoved, &removed).await?;
    Ok(HttpResponse::Ok().json(serde_json::json!({ "message": "Schedule deleted." })))
}

async fn tell(plane: &Plane, who: &Who, deed: Deed, schedule: &Schedule) -> Result<(), Refusal> {
    plane
        .tell_of_project(who, deed, (&schedule.project_slug, &format!("the schedule {}", schedule.name)))
        .await
}
