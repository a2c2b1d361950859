//! Which of the jobs that wait is meant by a name or an answer. Pure.

use crate::{failure::Failure, follow::words};
use protocol::api::OnHold;
use std::collections::BTreeSet;

/// Whether this names the job of this workflow: `JOB` or `WORKFLOW/JOB`.
pub(crate) fn names(given: &str, workflow: &str, job: &str) -> bool {
    let rest = given.strip_prefix(workflow).and_then(|rest| rest.strip_prefix('/'));
    given == job || rest == Some(job)
}

/// What jobs may wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Approval,
    Release,
}

impl Wanted {
    /// What this job waits for.
    pub(crate) fn by(job: &OnHold) -> Self {
        if job.plan.is_some() { Self::Release } else { Self::Approval }
    }

    /// As people say it.
    pub(crate) fn shown(job: &OnHold) -> String {
        job.plan
            .as_deref()
            .map_or_else(|| "an approval".to_owned(), |plan| format!("the release {}", words::shown(plan)))
    }

    fn names(self, given: &str, job: &OnHold) -> bool {
        let is_plan = self == Self::Release && job.plan.as_deref() == Some(given);
        is_plan || names(given, &job.workflow_name, &job.name)
    }

    fn fits(self, job: &OnHold) -> Result<(), Failure> {
        let (name, shown) = (words::shown(&job.name), Self::shown(job));
        let command = match (self, Self::by(job)) {
            (Self::Approval, Self::Release) => "roundhouse release",
            (Self::Release, Self::Approval) => "roundhouse approve",
            _ => return Ok(()),
        };
        Err(Failure::usage(format!("`{name}` waits for {shown}: `{command} {}`", words::in_shell(&name))))
    }

    /// Why nothing of a name waits for it.
    fn missing(self, name: &str) -> String {
        match self {
            Self::Approval => format!(
                "no job `{name}` waits for an approval: it was approved already, or jobs that it requires are not over"
            ),
            Self::Release => format!(
                "no job or plan `{name}` waits for a release: that is over already, or jobs that it requires are not"
            ),
        }
    }
}

/// The places of the jobs of these names, each of which must be the only one.
pub(crate) fn named(given: &[String], waiting: &[&OnHold], wanted: Wanted) -> Result<Vec<usize>, Failure> {
    let places = given.iter().map(|name| one(name, waiting, wanted)).collect::<Result<BTreeSet<_>, _>>()?;
    Ok(places.into_iter().collect())
}

fn one(name: &str, waiting: &[&OnHold], wanted: Wanted) -> Result<usize, Failure> {
    let is_meant = |place: &usize| wanted.names(name, waiting[*place]);
    let found: Vec<usize> = (0..waiting.len()).filter(is_meant).collect();
    match found[..] {
        [place] => wanted.fits(waiting[place]).map(|()| place),
        [] => Err(Failure::usage(wanted.missing(name) + &others(waiting))),
        _ => {
            let found: String = found.iter().map(|place| told(waiting[*place])).collect();
            Err(Failure::usage(format!("`{name}` waits in several places, say in which:{found}")))
        }
    }
}

fn others(waiting: &[&OnHold]) -> String {
    let names: Vec<String> = waiting.iter().map(|job| format!("`{}`", words::shown(&job.name))).collect();
    if names.is_empty() { "; none does".to_owned() } else { format!("; what waits: {}", names.join(", ")) }
}

fn told(job: &OnHold) -> String {
    let OnHold { pipeline, project, number, workflow_name, name, .. } = job;
    let shown = words::shown(&format!("{workflow_name}/{name}"));
    format!("\n  --pipeline {pipeline} {}   ({} {number})", words::in_shell(&shown), words::shown(project))
}

/// All that wait for this.
pub(crate) fn all(waiting: &[&OnHold], wanted: Wanted) -> Vec<usize> {
    (0..waiting.len()).filter(|place| Wanted::by(waiting[*place]) == wanted).collect()
}

/// The places of approvals that an answer means: numbers and names, `all`, or nothing.
pub(crate) fn answered(answer: &str, waiting: &[&OnHold]) -> Result<Vec<usize>, Failure> {
    let mut words = answer.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
    if answer.trim() == "all" {
        return Ok(all(waiting, Wanted::Approval));
    }
    let place = |word: &str| match word.parse::<usize>() {
        Ok(number) if (1..=waiting.len()).contains(&number) => {
            Wanted::Approval.fits(waiting[number - 1]).map(|()| number - 1)
        }
        Ok(number) => Err(Failure::usage(format!("there is no {number} in the list; nothing was approved"))),
        Err(_) => one(word, waiting, Wanted::Approval),
    };
    let places: BTreeSet<usize> = words.try_fold(BTreeSet::new(), |mut places, word| {
        places.insert(place(word)?);
        Ok::<_, Failure>(places)
    })?;
    Ok(places.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{JobId, PipelineId, WorkflowId};

    fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(number: usize) -> T {
        format!("00000000-0000-0000-0000-{number:012}").parse().unwrap()
    }

    fn waiting(jobs: &[(&str, &str)]) -> Vec<OnHold> {
        let job = |(place, (workflow, name)): (usize, &(&str, &str))| OnHold {
            project: "local/tour".to_owned(),
            pipeline: id::<PipelineId>(place),
            number: 7,
            workflow: id::<WorkflowId>(place),
            workflow_name: (*workflow).to_owned(),
            job: id::<JobId>(place),
            name: (*name).to_owned(),
            plan: None,
            since_ms: 0,
        };
        jobs.iter().enumerate().map(job).collect()
    }

    fn choose(given: &[&str], jobs: &[OnHold]) -> Result<Vec<usize>, String> {
        let given: Vec<String> = given.iter().map(|name| (*name).to_owned()).collect();
        named(&given, &jobs.iter().collect::<Vec<_>>(), Wanted::Approval).map_err(|failure| failure.message)
    }

    #[test]
    fn a_job_is_meant_by_its_name_or_with_its_workflow() {
        let jobs = waiting(&[("main", "hold"), ("nightly", "hold"), ("main", "both/end")]);
        assert_eq!(choose(&["nightly/hold", "both/end"], &jobs), Ok(vec![1, 2]));
        assert_eq!(choose(&["main/hold", "main/hold"], &jobs), Ok(vec![0]));
        let several = choose(&["hold"], &jobs).unwrap_err();
        assert!(several.contains(" main/hold ") && several.contains(" nightly/hold "), "{several}");
    }

    #[test]
    fn a_name_that_does_not_wait_is_told_which_do() {
        let none = choose(&["nope"], &waiting(&[("main", "hold")])).unwrap_err();
        assert!(none.contains("no job `nope` waits") && none.contains("what waits: `hold`"), "{none}");
        assert!(choose(&["hold"], &[]).unwrap_err().contains("none does"));
    }

    #[test]
    fn an_answer_is_numbers_names_all_or_nothing() {
        let jobs = waiting(&[("main", "hold"), ("main", "ship")]);
        let jobs: Vec<&OnHold> = jobs.iter().collect();
        let answer = |text: &str| answered(text, &jobs).map_err(|failure| failure.message);
        assert_eq!(answer("\n"), Ok(vec![]));
        assert_eq!(answer("all\n"), Ok(vec![0, 1]));
        assert_eq!(answer("ship, 1\n"), Ok(vec![0, 1]));
        assert!(answer("3\n").unwrap_err().contains("no 3 in the list"));
        assert!(answer("0").is_err() && answer("nope").is_err());
    }

    #[test]
    fn a_release_is_meant_by_its_plan_too_and_is_no_approval() {
        let mut jobs = waiting(&[("main", "hold"), ("main", "ship")]);
        jobs[1].plan = Some("shop".to_owned());
        let jobs: Vec<&OnHold> = jobs.iter().collect();
        let named =
            |name: &str, wanted| named(&[name.to_owned()], &jobs, wanted).map_err(|failure| failure.message);
        for name in ["shop", "ship", "main/ship"] {
            assert_eq!(named(name, Wanted::Release), Ok(vec![1]), "{name}");
        }
        let wrong = named("ship", Wanted::Approval).unwrap_err();
        assert!(
            wrong.contains("waits for the release shop") && wrong.contains("roundhouse release ship"),
            "{wrong}"
        );
        let wrong = named("hold", Wanted::Release).unwrap_err();
        assert!(wrong.contains("roundhouse approve hold"), "{wrong}");
        let shop = named("shop", Wanted::Approval).unwrap_err();
        assert!(shop.contains("no job `shop` waits"), "{shop}");
        assert_eq!((all(&jobs, Wanted::Approval), answered("all", &jobs).ok()), (vec![0], Some(vec![0])));
        assert!(answered("2", &jobs).unwrap_err().message.contains("roundhouse release ship"));
    }
}
