//! `roundhouse rerun`: runs a workflow of a control plane again.

use crate::{
    arguments::{self, Output},
    connect::{Access, block_on, failed},
    failure::{Failure, OrFail},
    follow::{Interrupts, words::shown},
    pipeline::Following,
    say,
};
use protocol::{
    JobId,
    api::{Created, PipelineView, Rerun, WorkflowView},
    exit,
};
use std::time::Instant;

/// Runs it again, and follows it where asked; the exit status.
pub(crate) fn rerun(options: &arguments::Rerun) -> Result<u8, Failure> {
    let began = Instant::now();
    let access = Access::of(&options.connection)?;
    block_on(async {
        let operator = access.operator();
        // A workflow's id leads to its pipeline too.
        let view = operator.pipeline(options.id).await.map_err(failed)?;
        let workflow = wanted(&view, options)?;
        let jobs = options.jobs.iter().map(|name| job(workflow, name)).collect::<Result<_, _>>()?;
        let (is_from_failed, is_failed_tests) = (options.from_failed, options.failed_tests);
        let rerun = Rerun { is_from_failed, is_failed_tests, jobs, variables: None };
        let mut interrupts = Interrupts::listen().or_machinery("cannot listen to signals")?;
        let id = operator.rerun(workflow.id, &rerun).await.map_err(failed)?;
        if options.follow {
            let (output, artifacts, only) = (options.output, options.artifacts.as_deref(), Some(id));
            let created = Created { id: view.id, number: view.number, warnings: Vec::new() };
            let following = Following { access: &access, output, artifacts, only, began };
            return following.follow(&operator, &options.connection, &created, &mut interrupts).await;
        }
        match options.output {
            Output::Json => say::print(format_args!("{}\n", serde_json::json!({ "workflow_id": id })))?,
            Output::Text => {
                let (name, url) = (shown(&workflow.name), access.url());
                say::note(format_args!("the workflow {name} runs again: {url}/pipelines/{}#{id}", view.id));
                say::print(format_args!("{id}\n"))?;
            }
        }
        Ok(exit::SUCCESS)
    })
}

/// The workflow of that id, or the only one of the pipeline of that id that can be meant.
fn wanted<'v>(view: &'v PipelineView, options: &arguments::Rerun) -> Result<&'v WorkflowView, Failure> {
    if let Some(workflow) = view.workflows.iter().find(|workflow| workflow.id.0 == options.id.0) {
        return Ok(workflow);
    }
    let last: Vec<&WorkflowView> =
        view.last_runs(None).into_iter().map(|place| &view.workflows[place]).collect();
    match last[..] {
        [only] => Ok(only),
        [] => Err(Failure::usage(format!("pipeline {} has no workflow that could run again", view.number))),
        _ => {
            let listed = last.iter().map(|workflow| {
                format!("\n  {}  {}  {}", workflow.id, shown(&workflow.name), workflow.status)
            });
            Err(Failure::usage(format!(
                "pipeline {} has several workflows: name one of them{}",
                view.number,
                listed.collect::<String>()
            )))
        }
    }
}

fn job(workflow: &WorkflowView, name: &str) -> Result<JobId, Failure> {
    let found = workflow.jobs.iter().find(|job| job.name == name);
    let names = || workflow.jobs.iter().map(|job| shown(&job.name)).collect::<Vec<_>>().join(", ");
    let missing =
        || format!("the workflow {} has no job `{name}`: its jobs are {}", shown(&workflow.name), names());
    found.map(|job| job.id).ok_or_else(|| Failure::usage(missing()))
}
