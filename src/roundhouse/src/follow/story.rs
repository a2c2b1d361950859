//! A fresh view of a pipeline told as news, for a follower that missed some. Pure.

use protocol::{
    JobStatus, StepStatus,
    api::{JobView, PipelineView, TaskView},
    feed::News,
    pipeline::Kind,
};

/// The news that make this view of a pipeline that had not begun: what a follower knows already changes nothing.
pub(crate) fn of(view: &PipelineView) -> Vec<News> {
    let mut story = Vec::new();
    for (workflow, of) in view.workflows.iter().enumerate() {
        for (job, view) in of.jobs.iter().enumerate() {
            tell_job(workflow, job, view, &mut story);
        }
        story.push(News::Workflow { workflow, status: of.status });
    }
    story
}

fn tell_job(workflow: usize, job: usize, view: &JobView, story: &mut Vec<News>) {
    let now = |status, reason| News::Job { workflow, job, status, reason };
    if view.started_ms.is_some() && view.kind == Kind::Build {
        story.push(now(JobStatus::Running, None));
    }
    for task in &view.tasks {
        story.push(News::Task { workflow, job, task: task.id, index: task.index });
        tell_task(task, story);
    }
    story.push(now(view.status, view.reason.clone()));
}

fn tell_task(view: &TaskView, story: &mut Vec<News>) {
    let task = view.id;
    story.extend(view.runner.clone().map(|runner| News::TaskClaimed { task, runner }));
    for of in view.steps.iter().filter(|step| step.status != StepStatus::Skipped) {
        let step = of.number;
        story.push(News::StepStarted { task, step, name: of.name.clone() });
        story.push(News::LogGrew { task, step, length: of.log_bytes });
        if of.status != StepStatus::Running {
            let (status, exit_code) = (of.status, of.exit_code);
            let duration_ms = of.duration_ms.unwrap_or(0);
            story.push(News::StepEnded { task, step, status, exit_code, duration_ms });
        }
    }
    let message = view.message.clone();
    story.extend(view.outcome.map(|outcome| News::TaskEnded { task, outcome, message }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::follow::{
        Model,
        scripted::{finished, pipeline},
    };

    #[test]
    fn a_view_told_as_news_is_that_view() {
        let mut model = Model::new(pipeline(&[("main", &["build", "deploy"])]));
        let news = of(&finished());
        assert!(news.iter().filter(|news| model.apply(news)).count() > 5);
        let (told, view) = (model.view(), finished());
        assert_eq!(told.workflows[0].status, view.workflows[0].status);
        for (told, job) in told.workflows[0].jobs.iter().zip(&view.workflows[0].jobs) {
            assert_eq!(told.status, job.status);
            let steps = |job: &JobView| {
                let steps = job.tasks.iter().flat_map(|task| task.steps.clone());
                steps.map(|step| (step.number, step.status, step.log_bytes)).collect::<Vec<_>>()
            };
            assert_eq!(steps(told), steps(job));
        }
        assert!(!news.iter().any(|news| model.apply(news)), "what is known changes nothing");
    }
}
