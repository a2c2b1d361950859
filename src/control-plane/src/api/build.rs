//! A job as version 1.1 of the public API has it: a build by its number, with its steps and where their output is.

mod output;
mod shapes;

use super::{
    job::{Found, numbered, stop},
    may::{Act, May, TheProject, View},
    rerun::order_rerun,
    tagged::Tagged,
};
use crate::{
    pipelines::rerun::{By, Order, Which},
    plane::Plane,
    refusal::Refusal,
};
use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Path, ServiceConfig, get, post, resource},
};
use protocol::{JobId, WorkflowId};
use shapes::{Build, Places};

/// Behind all that is longer: its pattern takes any path that ends with a number.
pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/api/v1.1/project/{slug:.+}/{number}/retry").route(post().to(retry)))
        .service(resource("/api/v1.1/project/{slug:.+}/{number}/cancel").route(post().to(cancel)))
        .service(
            resource("/api/v1.1/project/{slug:.+}/{number}/output/{step}/{index}")
                .route(get().to(output::of_step)),
        )
        .service(resource("/api/v1.1/project/{slug:.+}/{number:[0-9]+}").route(get().to(one)));
}

async fn one(
    _: May<View, TheProject>,
    plane: Data<Plane>,
    path: Path<(String, u64)>,
    request: HttpRequest,
) -> Result<Tagged<Build>, Refusal> {
    let found = Found::by_number(&plane, &path.0, path.1).await?;
    Ok(Tagged(build(&plane, &found, &request)))
}

fn build(plane: &Plane, found: &Found, request: &HttpRequest) -> Build {
    let (host, project) = (request.connection_info(), &found.pipeline.project);
    let number = found.job().number;
    let output = format!("{}://{}/api/v1.1/project/{project}/{number}/output", host.scheme(), host.host());
    let page = plane.rules.page.as_ref().map(|page| format!("{page}/jobs/{}", found.job().id));
    Build::of(found, &Places { output, page })
}

/// The job and what requires it run again, as another run of its workflow: the answer is the new job.
async fn retry(
    caller: May<Act, TheProject>,
    plane: Data<Plane>,
    path: Path<(String, u64)>,
    request: HttpRequest,
) -> Result<HttpResponse, Refusal> {
    let found = Found::by_number(&plane, &path.0, path.1).await?;
    let (workflow, job) = (found.workflow().id, found.job());
    let order = Order { which: Which::Jobs(vec![job.id]), variables: None, by: By::Hand(caller.who.actor()) };
    let again = order_rerun(&plane, &caller.who, workflow, order).await?;
    let new = same_job(&plane, again, &job.name).await?;
    let build = build(&plane, &Found::by_id(&plane, new).await?, &request);
    Ok(HttpResponse::Created().json(build))
}

/// The job of this name in another run of its workflow.
async fn same_job(plane: &Plane, workflow: WorkflowId, name: &str) -> Result<JobId, Refusal> {
    let (pipeline, place) = super::workflow::found(plane, workflow).await?;
    let job = pipeline.workflows[place].jobs.iter().find(|job| job.name == name);
    job.map(|job| job.id)
        .ok_or_else(|| Refusal::Missing(format!("the workflow {workflow} has no job `{name}`")))
}

async fn cancel(
    caller: May<Act, TheProject>,
    plane: Data<Plane>,
    path: Path<(String, u64)>,
    request: HttpRequest,
) -> Result<HttpResponse, Refusal> {
    let (id, _) = numbered(&plane, &path.0, path.1).await?;
    stop(&plane, &caller.who, id).await?;
    let build = build(&plane, &Found::by_id(&plane, id).await?, &request);
    Ok(HttpResponse::Ok().json(build))
}
