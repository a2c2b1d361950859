//! Calls of launch-agents: claims, heartbeats, and the public calls about a claimed task.

use super::{
    auth::{Runner, Task, holder_first},
    base64,
};
use crate::{
    plane::{
        Plane,
        instances::{MOST_NAME, is_bounded},
        leases::{Ending, allocation},
    },
    refusal::Refusal,
};
use actix_web::{
    HttpResponse,
    middleware::from_fn,
    web::{Data, Json, ServiceConfig, get, post, resource},
};
use protocol::{
    Outcome,
    http::{Claim, ClaimedMany, Fail, Heartbeat, HeartbeatAnswer, Unclaim},
};

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/api/v3/runner/claim").route(post().to(claim)))
        .service(resource("/api/v3/runner/heartbeat").route(post().to(heartbeat)))
        .service(resource("/api/v3/runner/unclaim").wrap(from_fn(holder_first)).route(post().to(unclaim)))
        .service(resource("/api/v2/task/config").wrap(from_fn(holder_first)).route(get().to(config_of_task)))
        .service(resource("/api/v2/task/event/fail").wrap(from_fn(holder_first)).route(post().to(fail)));
}

/// The platform of the task-agent that is published: it was built beside us.
const PLATFORM: &str = if cfg!(target_arch = "aarch64") { "linux/arm64" } else { "linux/amd64" };

async fn claim(runner: Runner, plane: Data<Plane>, claim: Json<Claim>) -> Result<HttpResponse, Refusal> {
    if let Some(platform) = claim.platform.as_deref().filter(|platform| *platform != PLATFORM) {
        let message = format!("no task-agent for {platform} is published here, only one for {PLATFORM}");
        return Err(Refusal::Bad(message));
    }
    if !is_bounded(&claim) {
        let message = format!("the names of an instance and its host have at most {MOST_NAME} bytes each");
        return Err(Refusal::Bad(message));
    }
    let mut tasks = plane.claim(&runner.class, &claim).await?;
    Ok(match (claim.max_tasks, tasks.pop()) {
        (_, None) => HttpResponse::NoContent().finish(),
        (None, Some(task)) => HttpResponse::Ok().json(task),
        (Some(_), Some(task)) => {
            tasks.push(task);
            HttpResponse::Ok().json(ClaimedMany { tasks })
        }
    })
}

async fn heartbeat(
    runner: Runner,
    plane: Data<Plane>,
    heartbeat: Json<Heartbeat>,
) -> Result<Json<HeartbeatAnswer>, Refusal> {
    Ok(Json(plane.heartbeat(&runner.class, &heartbeat).await?))
}

async fn unclaim(task: Task, plane: Data<Plane>, body: Json<Unclaim>) -> Result<HttpResponse, Refusal> {
    let Unclaim { task_id, task_token, reason } = body.into_inner();
    if task_id != task.lease.task_id || task_token != task.token {
        return Err(Refusal::Bad("the body names another task than the token".to_owned()));
    }
    plane.unclaim(task.lease, reason).await?;
    Ok(HttpResponse::Ok().finish())
}

async fn config_of_task(task: Task, plane: Data<Plane>) -> Result<HttpResponse, Refusal> {
    Ok(HttpResponse::Ok().json(plane.spec_with_keys(task.lease).await?))
}

async fn fail(task: Task, plane: Data<Plane>, body: Json<Fail>) -> Result<HttpResponse, Refusal> {
    if body.allocation != allocation(task.lease.task_id, task.lease.epoch) {
        return Err(Refusal::Unknown);
    }
    let message =
        base64::decode(&body.message).ok_or_else(|| Refusal::Bad("the message is no base64".to_owned()))?;
    let message = Some(String::from_utf8_lossy(&message).into_owned());
    plane.end(task.lease, Ending { outcome: Outcome::InfrastructureFail, message }).await?;
    Ok(HttpResponse::Ok().finish())
}
