//! Judges what became of a pipeline by what the workload says must be, and by what the history excuses. Pure.

mod excuse;

pub use excuse::HOST_NAMES;

use crate::{
    blame::Blame,
    seen::{JobSeen, PipelineSeen, StepSeen, TaskSeen, sha256},
    workload::{Job, Pipeline, Step, numbers},
};
use excuse::Excuse;

/// What was checked and what is wrong.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Each a sentence.
    pub wrong: Vec<String>,
    /// Jobs that were judged.
    pub jobs: u64,
    /// Tasks that the machinery lost, as the history excuses.
    pub excused: u64,
    /// Bytes of logs and artifacts that were compared.
    pub bytes: u64,
}

impl Verdict {
    /// Both.
    pub fn and(&mut self, other: Self) {
        self.wrong.extend(other.wrong);
        self.jobs += other.jobs;
        self.excused += other.excused;
        self.bytes += other.bytes;
    }

    fn wrong(&mut self, what: impl Into<String>) {
        self.wrong.push(what.into());
    }
}

/// Judges one pipeline.
pub fn judge(pipeline: &Pipeline, seen: &PipelineSeen, blame: &Blame) -> Verdict {
    let mut verdict = Verdict::default();
    if !seen.is_over {
        verdict.wrong("it is not over");
    }
    for job in &pipeline.jobs {
        verdict.jobs += 1;
        match seen.jobs.get(&job.name) {
            None => verdict.wrong(format!("{} is not there", job.name)),
            Some(found) => Judge { pipeline, job, seen, blame, verdict: &mut verdict }.judge_job(found),
        }
    }
    verdict.wrong.iter_mut().for_each(|wrong| *wrong = format!("{}: {wrong}", pipeline.name));
    verdict
}

struct Judge<'j> {
    pipeline: &'j Pipeline,
    job: &'j Job,
    seen: &'j PipelineSeen,
    blame: &'j Blame,
    verdict: &'j mut Verdict,
}

impl Judge<'_> {
    fn wrong(&mut self, what: impl std::fmt::Display) {
        let name = &self.job.name;
        self.verdict.wrong(format!("{name}: {what}"));
    }

    fn judge_job(&mut self, found: &JobSeen) {
        if !self.may_run() {
            if found.status != "not_run" || !found.tasks.is_empty() {
                self.wrong(format!("is {}, though what it requires did not succeed", found.status));
            }
            return;
        }
        if found.tasks.len() != self.job.parallelism as usize {
            return self.wrong(format!("has {} tasks and is {}", found.tasks.len(), found.status));
        }
        found.tasks.iter().for_each(|task| self.judge_task(task));
        let outcomes: Vec<_> = found.tasks.iter().map(|task| task.outcome.as_str()).collect();
        let agrees = match found.status.as_str() {
            "success" => outcomes.iter().all(|outcome| *outcome == "success"),
            status => outcomes.contains(&status),
        };
        if !agrees {
            self.wrong(format!("is {}, and its tasks {outcomes:?}", found.status));
        }
        self.judge_tests(found, &outcomes);
    }

    fn may_run(&self) -> bool {
        let status = |place: &usize| {
            self.seen.jobs.get(&self.pipeline.jobs[*place].name).map(|job| job.status.as_str())
        };
        self.job.requires.iter().all(|place| status(place) == Some("success"))
    }

    fn judge_tests(&mut self, found: &JobSeen, outcomes: &[&str]) {
        if outcomes.contains(&"infrastructure_fail") {
            return;
        }
        let (passed, failed, skipped) = self.job.tests();
        let tasks = u64::from(self.job.parallelism);
        let wanted = (passed * tasks, failed * tasks, skipped * tasks);
        if found.tests != wanted {
            self.wrong(format!("has test results {:?}, not {wanted:?}", found.tests));
        }
    }

    fn judge_task(&mut self, task: &TaskSeen) {
        if task.runs > 1 {
            self.wrong(format!("task {} ran {} times", task.id, task.runs));
        }
        let wanted = if self.job.fails_with().is_some() { "failed" } else { "success" };
        let excuse = Excuse::of(task, self.seen.span, self.blame);
        if task.outcome == wanted {
            self.judge_whole(task, excuse.spoiled);
        } else if excuse.allows(&task.outcome) {
            self.verdict.excused += 1;
            self.judge_beginning(task, excuse.spoiled);
        } else {
            let TaskSeen { id, outcome, message, runner, .. } = task;
            self.wrong(format!("task {id} on {runner} is {outcome}, not {wanted}: {message}"));
        }
    }

    /// Every byte of a task that went its way.
    fn judge_whole(&mut self, task: &TaskSeen, spoiled: bool) {
        if task.runs != 1 {
            self.wrong(format!("task {} ended without having run", task.id));
        }
        for (step, number) in self.job.steps.iter().zip(numbers(self.job)) {
            self.judge_step(task, step, number, spoiled);
        }
        let wanted = self.job.artifacts(task.index);
        if wanted.len() != task.artifacts.len() {
            self.wrong(format!(
                "task {} has {} artifacts, not {}",
                task.id,
                task.artifacts.len(),
                wanted.len()
            ));
        }
        self.judge_artifacts(task);
    }

    /// A task that was lost has a beginning of each log, and whole artifacts.
    fn judge_beginning(&mut self, task: &TaskSeen, spoiled: bool) {
        for (step, number) in self.job.steps.iter().zip(numbers(self.job)) {
            let (Some(printed), Some(found)) =
                (self.pipeline.printed(step, task.index), task.steps.get(&number))
            else {
                continue;
            };
            if !begins(&printed, &found.log, spoiled) {
                self.wrong(format!("task {} step {number}: {}", task.id, differs(&printed, &found.log)));
            }
            self.verdict.bytes += found.log.len() as u64;
        }
        self.judge_artifacts(task);
    }

    fn judge_step(&mut self, task: &TaskSeen, step: &Step, number: u64, spoiled: bool) {
        let Some(found) = task.steps.get(&number) else {
            return self.wrong(format!("task {} has no step {number}", task.id));
        };
        if let Some(wrong) = ends_otherwise(step, found) {
            self.wrong(format!("task {} step {number} {wrong}", task.id));
        }
        if found.claimed_length != found.log.len() as u64 {
            self.wrong(format!(
                "task {} step {number}: {} of {} bytes can be read",
                task.id,
                found.log.len(),
                found.claimed_length
            ));
        }
        let Some(printed) = self.pipeline.printed(step, task.index) else { return };
        self.verdict.bytes += found.log.len() as u64;
        let is_right = match step {
            // Ended with the job, wherever it was.
            Step::Background(_) => begins(&printed, &found.log, spoiled),
            _ => found.log == printed || (spoiled && begins(&printed, &found.log, true)),
        };
        if !is_right {
            self.wrong(format!("task {} step {number}: {}", task.id, differs(&printed, &found.log)));
        }
    }

    fn judge_artifacts(&mut self, task: &TaskSeen) {
        let wanted = self.job.artifacts(task.index);
        for (path, (claimed, found)) in &task.artifacts {
            let content = wanted.iter().find(|(name, _)| name == path).map(|(_, content)| content);
            if content.map(|content| sha256(content)).as_ref() != Some(found) || claimed != found {
                self.wrong(format!(
                    "task {}: artifact {path} has digest {found}, and claims {claimed}",
                    task.id
                ));
            }
            self.verdict.bytes += content.map_or(0, |content| content.len() as u64);
        }
    }
}

fn ends_otherwise(step: &Step, found: &StepSeen) -> Option<String> {
    let (status, exit) = match step {
        Step::Fail(_, exit) => ("failed", Some(i64::from(*exit))),
        Step::Print(_) => ("success", Some(0)),
        Step::Background(_) => return None,
        _ => ("success", found.exit_code),
    };
    let is_right = found.status == status && found.exit_code == exit;
    (!is_right).then(|| format!("is {} with exit code {:?}", found.status, found.exit_code))
}

/// Whether a log is a beginning of what was printed. Where the disk under it failed, a line may say what was dropped.
fn begins(printed: &[u8], log: &[u8], spoiled: bool) -> bool {
    let dropped = b" bytes of output dropped at byte ";
    let gap = spoiled.then(|| log.windows(dropped.len()).position(|window| window == dropped)).flatten();
    let end = gap.map_or(log.len(), |at| log[..at].iter().rposition(|byte| *byte == b'\n').unwrap_or(0));
    printed.starts_with(&log[..end])
}

fn differs(printed: &[u8], log: &[u8]) -> String {
    let at = printed.iter().zip(log).take_while(|(wanted, found)| wanted == found).count();
    let around = |bytes: &[u8]| {
        String::from_utf8_lossy(&bytes[at.min(bytes.len())..(at + 40).min(bytes.len())]).into_owned()
    };
    format!(
        "its log of {} bytes differs at byte {at} from the {} that were printed: {:?}, not {:?}",
        log.len(),
        printed.len(),
        around(log),
        around(printed)
    )
}

#[cfg(test)]
mod tests;
