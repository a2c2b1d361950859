//! Pipelines of forks' pull requests: kept apart from the project's own, and held until somebody has approved them.

use protocol::{
    api::{Fork, NewPipeline},
    pipeline::{Job, Kind, Pipeline as Compiled, Requirement, Workflow},
};

/// What waits for the approval, unless the configuration has a job of this name.
const APPROVAL: &str = "approve-fork";

/// Takes away what a fork's pipeline is not given, whoever asks for it.
pub(super) fn without_secrets(mut new: NewPipeline) -> NewPipeline {
    if new.git.fork().is_some() {
        new.environment.clear();
        new.contexts.clear();
        new.ssh_keys.clear();
    }
    new
}

/// Its jobs take no turns of the project's serial groups.
pub(super) fn set_apart(compiled: &mut Compiled, fork: &Fork) {
    let groups = compiled.workflows.iter_mut().flat_map(|workflow| &mut workflow.jobs);
    for group in groups.filter_map(|job| job.serial_group.as_mut()) {
        *group = format!("{}: {group}", fork.trust_class());
    }
}

/// Nothing of it runs before somebody has approved it: every job requires that, for one may also be written to run where
/// another never does.
pub(super) fn hold(compiled: &mut Compiled) {
    for workflow in compiled.workflows.iter_mut().filter(|workflow| !workflow.jobs.is_empty()) {
        let name = free_name(workflow);
        for job in &mut workflow.jobs {
            job.requires.push(Requirement::success(&name));
        }
        workflow.jobs.insert(0, Job::without_tasks(name, Kind::Approval));
    }
}

fn free_name(workflow: &Workflow) -> String {
    let names = (1..).map(|number| format!("{APPROVAL}-{number}"));
    let mut names = std::iter::once(APPROVAL.to_owned()).chain(names);
    let is_free = |name: &String| workflow.jobs.iter().all(|job| job.name != *name);
    names.find(is_free).expect("numbers do not end")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled() -> Compiled {
        let job = |name: &str, kind| Job::without_tasks(name, kind);
        let mut last = job("last", Kind::Lock);
        last.serial_group = Some("deploy".to_owned());
        last.requires = vec![Requirement::success("approve-fork")];
        let jobs = vec![job("approve-fork", Kind::NoOp), last];
        let workflow = |jobs| Workflow { name: "all".to_owned(), jobs, max_auto_reruns: 0 };
        Compiled {
            workflows: vec![workflow(jobs), workflow(Vec::new())],
            is_setup: false,
            schedules: Vec::new(),
        }
    }

    #[test]
    fn every_job_waits_for_an_approval_that_no_job_of_the_configuration_is() {
        let mut held = compiled();
        hold(&mut held);
        let jobs = &held.workflows[0].jobs;
        assert_eq!((jobs[0].name.as_str(), jobs[0].kind), ("approve-fork-1", Kind::Approval));
        assert!(jobs[1..].iter().all(|job| job.requires.contains(&Requirement::success("approve-fork-1"))));
        assert_eq!(jobs[2].requires.len(), 2);
        assert!(held.workflows[1].jobs.is_empty(), "where nothing would run nobody is asked");
    }

    #[test]
    fn a_forks_job_takes_no_turn_of_the_projects_group() {
        let mut apart = compiled();
        set_apart(&mut apart, &Fork { path: "eve/app".to_owned(), ..Fork::default() });
        assert_eq!(apart.workflows[0].jobs[1].serial_group.as_deref(), Some("fork eve/app: deploy"));
    }
}
