//! What visitors do on the page: forms, each answered by leading back to the pipeline's page.

use super::{
    address::Address,
    response::NoPage,
    session::{Nothing, Posted},
};
use crate::{
    api::may::{TheApproval, ThePipeline, TheWorkflow},
    audit::Deed,
    pipelines::rerun::{By, Order, Which},
    plane::{Plane, approvals::Answer},
    refusal::Refusal,
};
use actix_web::{HttpResponse, http::header, web};
use protocol::{JobId, PipelineId, WorkflowId, api::ReleaseStatus};
use serde::Deserialize;
use store::Belonging;

/// How much is to run again.
#[derive(Deserialize)]
pub(crate) struct RerunForm {
    from: From,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum From {
    Start,
    Failed,
    FailedTests,
}

impl From {
    fn which(self) -> Which {
        match self {
            Self::Start => Which::All,
            Self::Failed => Which::FromFailed,
            Self::FailedTests => Which::FailedTests,
        }
    }
}

fn back(pipeline: PipelineId) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, format!("/pipelines/{pipeline}"))).finish()
}

/// `POST /pipelines/{id}/cancel`.
pub(crate) async fn cancel(
    Posted { who, .. }: Posted<ThePipeline, Nothing>,
    plane: web::Data<Plane>,
    Address(id): Address<PipelineId>,
) -> Result<HttpResponse, NoPage> {
    if !plane.store.has_pipeline(id).await.map_err(Refusal::from)? {
        return Err(Refusal::Missing("there is no such pipeline".to_owned()).into());
    }
    plane.cancel(id).await?;
    plane.tell_of_run(&who, Deed::Canceled, Belonging::Pipeline(id.0)).await?;
    Ok(back(id))
}

/// `POST /workflows/{id}/cancel`.
pub(crate) async fn cancel_workflow(
    Posted { who, .. }: Posted<TheWorkflow, Nothing>,
    plane: web::Data<Plane>,
    Address(id): Address<WorkflowId>,
) -> Result<HttpResponse, NoPage> {
    let pipeline = pipeline_of(&plane, id).await?;
    // One that is over stays as it is, and its page says so.
    plane.cancel_workflow(id).await?;
    plane.tell_of_run(&who, Deed::Canceled, Belonging::Workflow(id.0)).await?;
    Ok(back(pipeline))
}

/// `POST /workflows/{id}/rerun`.
pub(crate) async fn rerun(
    Posted { who, form, .. }: Posted<TheWorkflow, RerunForm>,
    plane: web::Data<Plane>,
    Address(id): Address<WorkflowId>,
) -> Result<HttpResponse, NoPage> {
    let pipeline = pipeline_of(&plane, id).await?;
    let order = Order { which: form.from.which(), variables: None, by: By::Hand(who.actor()) };
    plane.rerun(id, order).await?;
    plane.tell_of_run(&who, Deed::RunAgain, Belonging::Workflow(id.0)).await?;
    Ok(back(pipeline))
}

/// `POST /workflows/{id}/approve/{job}`.
pub(crate) async fn approve(
    Posted { who, .. }: Posted<TheApproval, Nothing>,
    plane: web::Data<Plane>,
    Address((workflow, job)): Address<(WorkflowId, JobId)>,
) -> Result<HttpResponse, NoPage> {
    let pipeline = pipeline_of(&plane, workflow).await?;
    plane.answer((workflow, job), Answer::Approved, (&who, None)).await?;
    plane.tell_of_run(&who, Deed::Approved, Belonging::Job(job.0)).await?;
    Ok(back(pipeline))
}

/// How a release ended.
#[derive(Deserialize)]
pub(crate) struct ReleaseForm {
    status: ReleaseStatus,
    /// Why it failed.
    #[serde(default)]
    reason: Option<String>,
}

/// `POST /workflows/{id}/release/{job}`.
pub(crate) async fn release(
    Posted { who, form, .. }: Posted<TheApproval, ReleaseForm>,
    plane: web::Data<Plane>,
    Address((workflow, job)): Address<(WorkflowId, JobId)>,
) -> Result<HttpResponse, NoPage> {
    let pipeline = pipeline_of(&plane, workflow).await?;
    let answer = Answer::Released(form.status, form.reason);
    plane.answer((workflow, job), answer, (&who, None)).await?;
    plane.tell_of_run(&who, Deed::Released, Belonging::Job(job.0)).await?;
    Ok(back(pipeline))
}

async fn pipeline_of(plane: &Plane, workflow: WorkflowId) -> Result<PipelineId, Refusal> {
    let missing = || Refusal::Missing("there is no such workflow".to_owned());
    plane.store.pipeline_of(workflow).await?.ok_or_else(missing)
}
