//! Which jobs of a workflow run again: those that are wanted, and all that depends on them.

use crate::{
    engine::{
        hold::Holds,
        workflow::{Need, Standing},
    },
    plane::restore::shapes,
    refusal::Refusal,
};
use protocol::{JobId, JobStatus};
use store::{JobRow, WorkflowRow};

/// What of a workflow is wanted again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// All of it.
    All,
    /// What failed or was canceled.
    FromFailed,
    /// The same, and of jobs that failed of tests alone only those tests.
    FailedTests,
    /// These jobs, by the ids they are shown with.
    Jobs(Vec<JobId>),
}

/// Of each job, whether it runs again.
pub(crate) fn chosen(jobs: &[JobRow], workflow: &WorkflowRow, which: &Which) -> Result<Vec<bool>, Refusal> {
    let mut again = wanted(jobs, workflow, which)?;
    if !again.contains(&true) {
        return Err(Refusal::Conflict(match which {
            Which::FromFailed | Which::FailedTests => {
                format!("nothing of the workflow `{}` has failed", workflow.name)
            }
            _ => format!("the workflow `{}` has no jobs", workflow.name),
        }));
    }
    let (needs, holds) = needs(jobs)?;
    loop {
        let before = again.clone();
        add_dependents(jobs, &needs, &mut again);
        add_groups(jobs, &needs, &holds, &mut again);
        if again == before {
            break;
        }
    }
    can_run(jobs, &needs, &again)?;
    Ok(again)
}

fn wanted(jobs: &[JobRow], workflow: &WorkflowRow, which: &Which) -> Result<Vec<bool>, Refusal> {
    match which {
        Which::All => Ok(vec![true; jobs.len()]),
        Which::FromFailed | Which::FailedTests => Ok(jobs.iter().map(|job| has_failed(job.status)).collect()),
        Which::Jobs(ids) => {
            let shown = |job: &JobRow| job.origin.unwrap_or(job.id);
            let stranger = ids.iter().find(|id| !jobs.iter().any(|job| shown(job) == **id));
            match stranger {
                Some(id) => {
                    Err(Refusal::Bad(format!("the workflow `{}` has no job with the id {id}", workflow.name)))
                }
                None => Ok(jobs.iter().map(|job| ids.contains(&shown(job))).collect()),
            }
        }
    }
}

/// Ended by itself as it should not; what never ran because of that depends on it.
fn has_failed(status: JobStatus) -> bool {
    use JobStatus::{Canceled, Failed, InfrastructureFail, Timedout, Unauthorized};
    matches!(status, Failed | Canceled | Timedout | InfrastructureFail | Unauthorized)
}

/// What each job requires, and which have the turn of a serial group together.
fn needs(jobs: &[JobRow]) -> Result<(Vec<Vec<Need>>, Holds), Refusal> {
    let definitions: Vec<_> = jobs.iter().map(|job| &job.definition).collect();
    let shapes = shapes(&definitions)?;
    let holds = Holds::of(&definitions, &shapes);
    Ok((shapes.into_iter().map(|shape| shape.requires).collect(), holds))
}

/// The places so that each comes after those that it requires.
fn in_order(needs: &[Vec<Need>]) -> Vec<usize> {
    let mut dependents = vec![Vec::new(); needs.len()];
    let mut missing: Vec<usize> = needs.iter().map(Vec::len).collect();
    for (place, of) in needs.iter().enumerate() {
        of.iter().for_each(|need| dependents[need.job].push(place));
    }
    let mut order: Vec<usize> = (0..needs.len()).filter(|place| missing[*place] == 0).collect();
    let mut next = 0;
    while let Some(&place) = order.get(next) {
        next += 1;
        for dependent in &dependents[place] {
            missing[*dependent] -= 1;
            if missing[*dependent] == 0 {
                order.push(*dependent);
            }
        }
    }
    order
}

/// A requirement that is never met: the job ended otherwise, and does not run again.
fn lost<'n>(needs: &'n [Need], jobs: &[JobRow], again: &[bool]) -> Option<&'n Need> {
    needs.iter().find(|need| !again[need.job] && need.standing(jobs[need.job].status) == Standing::Lost)
}

/// What depends on a job that runs again runs again, unless something that stays as it is keeps it from that.
fn add_dependents(jobs: &[JobRow], needs: &[Vec<Need>], again: &mut [bool]) {
    for place in in_order(needs) {
        let reached = needs[place].iter().any(|need| again[need.job]);
        again[place] |= reached && lost(&needs[place], jobs, again).is_none();
    }
}

/// Of jobs between a lock and its unlock all run again, or none: the others have the turn no more.
fn add_groups(jobs: &[JobRow], needs: &[Vec<Need>], holds: &Holds, again: &mut [bool]) {
    for span in holds.spans().filter(|span| span.iter().any(|place| again[*place])).collect::<Vec<_>>() {
        for place in span {
            again[*place] |= lost(&needs[*place], jobs, again).is_none();
        }
    }
}

/// A job that requires what will not be would wait for ever.
fn can_run(jobs: &[JobRow], needs: &[Vec<Need>], again: &[bool]) -> Result<(), Refusal> {
    for place in (0..jobs.len()).filter(|place| again[*place]) {
        if let Some(need) = lost(&needs[place], jobs, again) {
            let (job, other) = (&jobs[place].definition.name, &jobs[need.job]);
            return Err(Refusal::Conflict(format!(
                "the job `{job}` cannot run: what it requires of `{}` is not so, which is {} and would not run again; \
                 name that one too",
                other.definition.name, other.status
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
