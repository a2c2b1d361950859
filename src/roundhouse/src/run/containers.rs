//! Jobs of a local run that name images: the engine they run in, or what differs where they run without.

use crate::failure::Failure;
use launch_agent::config::{ContainerSettings, EngineChoice};
use protocol::{
    image::Image,
    pipeline::{Executor, Job, Pipeline},
};

/// How the launch-agent of a run of this pipeline is to run jobs in containers. `refuse` says why none can.
pub(crate) async fn settings(
    pipeline: &Pipeline,
    native: bool,
    refuse: impl FnOnce(String) -> Result<(), Failure>,
) -> Result<ContainerSettings, Failure> {
    let settings = ContainerSettings::default();
    if native || !wants_containers(pipeline) {
        // Nothing is asked of an engine that nobody needs.
        return Ok(ContainerSettings { engine: EngineChoice::Off, ..settings });
    }
    if let Err(why) = launch_agent::find_engine(&settings).await {
        refuse(why)?;
    }
    Ok(settings)
}

fn wants_containers(pipeline: &Pipeline) -> bool {
    jobs(pipeline).next().is_some()
}

fn jobs(pipeline: &Pipeline) -> impl Iterator<Item = (&Job, &[Image])> {
    let jobs = pipeline.workflows.iter().flat_map(|workflow| &workflow.jobs);
    jobs.filter_map(|job| match &job.executor {
        Executor::Docker { images } => Some((job, images.as_slice())),
        Executor::Machine | Executor::Macos => None,
    })
}

/// What is different for jobs that name images and run directly on this host, a line each.
pub(crate) fn differences(pipeline: &Pipeline) -> String {
    let mut lines: Vec<String> = jobs(pipeline).map(|(job, images)| difference(job, images)).collect();
    lines.sort();
    lines.dedup();
    if lines.is_empty() {
        return String::new();
    }
    let head =
        "roundhouse: --native: these jobs run directly on this host, with its programs and as its user\n";
    head.to_owned() + &lines.concat()
}

fn difference(job: &Job, images: &[Image]) -> String {
    let mut left_out: Vec<String> =
        images.iter().take(1).map(|image| format!("not in {}", image.image)).collect();
    left_out.extend(images.iter().skip(1).map(|image| format!("without the service {}", image.image)));
    left_out
        .extend(images.iter().take(1).filter_map(|image| Some(format!("not as {}", image.user.as_ref()?))));
    left_out.extend(job.resource_class.iter().map(|class| format!("without the limits of {class}")));
    format!("  {}: {}\n", job.name, left_out.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipeline(text: &str) -> Pipeline {
        let (pipeline, said) = compiler::compile(text, &compiler::Inputs::default());
        pipeline.unwrap_or_else(|| panic!("{said:?}"))
    }

    #[test]
    fn what_differs_on_the_host_is_told_of_each_job() {
        let told = differences(&pipeline(
            "version: 2.1\njobs:\n  a: {docker: [{image: 'app:1', user: ci}, {image: 'postgres:16'}], resource_class: \
             large, steps: [checkout]}\n  b: {machine: true, steps: [checkout]}\nworkflows: {all: {jobs: [a, b]}}\n",
        ));
        assert!(told.contains("directly on this host"), "{told}");
        assert!(
            told.ends_with(
                "  a: not in app:1, without the service postgres:16, not as ci, without the limits of large\n"
            ),
            "{told}"
        );
    }

    #[test]
    fn an_engine_is_looked_for_only_where_a_job_wants_one() {
        let host = pipeline("version: 2.1\njobs: {build: {machine: true, steps: [checkout]}}\n");
        assert!(!wants_containers(&host) && differences(&host).is_empty());
        let contained = pipeline("version: 2.1\njobs: {build: {docker: [{image: x}], steps: [checkout]}}\n");
        assert!(wants_containers(&contained));
    }
}
