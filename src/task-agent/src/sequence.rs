//! The steps of a task, one after the other.

use crate::{
    carry::Carry,
    commands::{CommandError, Commands, Runner},
    control::Control,
    journal::{Journal, StepEnd},
    memory,
    place::Place,
    shell,
    spool::Spools,
    step_log::StepLog,
    steps::{
        StepError, artifacts, cache,
        checkout::{Checkout, Own},
        engine, results,
        ssh::SshHome,
        workspace,
    },
    wire::Wire,
};
use masking::Masker;
use protocol::{
    ids::StepNumber,
    repository::Method,
    status::{Outcome, StepStatus},
    task::{Action, Run, Step, TaskSpec, When},
};
use sandbox::identity::Exit;
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// Enough for a thread that copies bytes; what it copies with is on the heap.
const STACK: usize = 256 * 1024;

/// A task that runs.
#[derive(Debug)]
pub(crate) struct Sequence {
    pub(crate) spec: TaskSpec,
    pub(crate) tree: Option<OwnedFd>,
    pub(crate) place: Place,
    pub(crate) runner: Runner,
    pub(crate) wire: Arc<Wire>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) spools: Arc<Spools>,
    pub(crate) masker: Masker,
    pub(crate) background: Background,
    pub(crate) checked_out: Own,
}

/// The steps that nobody waits for.
#[derive(Debug, Default)]
pub(crate) struct Background {
    threads: Mutex<Vec<JoinHandle<()>>>,
    over: AtomicBool,
}

impl Background {
    /// From now on what ends is ended by us.
    pub(crate) fn is_over(&self) {
        self.over.store(true, Ordering::Release);
    }

    /// Whether their output is all in their logs.
    pub(crate) fn is_quiet(&self) -> bool {
        self.lock().iter().all(JoinHandle::is_finished)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What ends a task from within: its journal cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the task's journal: {0}")]
pub(crate) struct JournalLost(#[from] io::Error);

impl Sequence {
    /// Runs the steps whose turn it is. Once the task is being ended, or the job is halted, none starts.
    pub(crate) fn run(self: &Arc<Self>) -> Result<Outcome, JournalLost> {
        let mut failed = false;
        for (number, step) in (1..).map(StepNumber).zip(&self.spec.steps) {
            if self.control().is_ending() || self.control().is_halted() {
                break;
            }
            if is_due(step.when, failed) {
                failed |= self.step(number, step)? == StepStatus::Failed;
            }
        }
        let done = if failed { Outcome::Failed } else { Outcome::Success };
        Ok(self.control().ending().map_or(done, |ending| ending.outcome))
    }

    fn control(&self) -> &Control {
        &self.runner.control
    }

    /// One that goes on in the background has not failed.
    fn step(self: &Arc<Self>, number: StepNumber, step: &Step) -> Result<StepStatus, JournalLost> {
        self.journal.started(number)?;
        let mut log = StepLog::new(number, Arc::clone(&self.spools), self.masker.fresh());
        if let Action::Run(run) = &step.action
            && run.background
        {
            return self.start_background(number, run, log);
        }
        let end = self.act(number, step, &mut log);
        self.journal.ended(number, end, log.finish())?;
        Ok(end.status)
    }

    fn act(&self, number: StepNumber, step: &Step, log: &mut StepLog) -> StepEnd {
        let (place, carry) = (&self.place, &*self.wire);
        let done = match &step.action {
            Action::Run(run) => return self.foreground((number, &step.name), run, log),
            Action::Checkout { path, method } => {
                let tools: (&dyn Carry, &dyn Commands) = (carry, &self.runner);
                self.checkout(path.as_deref(), *method).run(place, tools, log)
            }
            Action::AddSshKeys { fingerprints } => {
                SshHome::of(place, &self.spec.ssh).add(&self.spec.ssh.keys, fingerprints, log)
            }
            Action::SaveCache { key, paths } => cache::save(key, paths, place, carry, log),
            Action::RestoreCache { keys } => cache::restore(keys, place, carry, log),
            Action::PersistToWorkspace { root, paths } => workspace::persist(root, paths, place, carry, log),
            Action::AttachWorkspace { at } => workspace::attach(at, place, carry, log),
            Action::StoreArtifacts { path, destination } => {
                artifacts::store(path, destination.as_deref(), place, carry, log)
            }
            Action::StoreTestResults { path } => results::store(path, place, carry, log),
            Action::SetupRemoteDocker { version, docker_layer_caching } => {
                let address = engine::setup(version.as_deref(), *docker_layer_caching, carry, log);
                address.map(|address| self.runner.engine_is_at(address))
            }
        };
        self.built_in_end(done, log)
    }

    fn checkout<'a>(&'a self, path: Option<&'a str>, method: Method) -> Checkout<'a> {
        let TaskSpec { source, ssh, login, .. } = &self.spec;
        let (tree, own) = (self.tree.as_ref().map(AsFd::as_fd), &self.checked_out);
        Checkout { path, method, source, tree, ssh, login, own }
    }

    fn built_in_end(&self, done: Result<(), StepError>, log: &mut StepLog) -> StepEnd {
        let status = match done {
            Ok(()) => StepStatus::Success,
            Err(StepError::Ended(_)) => self.ended_status(),
            Err(error) => {
                log.line(format_args!("Error: {error}"));
                StepStatus::Failed
            }
        };
        StepEnd { status, exit_code: None }
    }

    /// Runs the command, and again as often as the step says while it fails.
    fn foreground(&self, step: (StepNumber, &str), run: &Run, log: &mut StepLog) -> StepEnd {
        let all = run.max_auto_reruns + 1;
        for attempt in 1..all {
            let end = self.attempt(step, run, log);
            let Some(code) = end.exit_code.filter(|_| end.status == StepStatus::Failed) else { return end };
            log.line(again((attempt, all), code, run.auto_rerun_delay_ms));
            if self.control().ends_within(Duration::from_millis(run.auto_rerun_delay_ms)) {
                return StepEnd { status: self.ended_status(), exit_code: None };
            }
        }
        self.attempt(step, run, log)
    }

    fn attempt(&self, (number, name): (StepNumber, &str), run: &Run, log: &mut StepLog) -> StepEnd {
        let (command, script) = match shell::command(number, run, &self.place, &self.runner) {
            Ok(command) => command,
            Err(error) => return refused(error, log),
        };
        let quiet = Duration::from_millis(run.no_output_timeout_ms);
        let started = self.runner.step(&command, log);
        let done = started.and_then(|running| running.until_exit(name, quiet, log));
        shell::remove(&script);
        match done {
            Ok(_) if self.control().is_ending() => StepEnd { status: self.ended_status(), exit_code: None },
            Ok(exit) => exited(exit, log),
            Err(CommandError::Ended) => StepEnd { status: self.ended_status(), exit_code: None },
            Err(error) => refused(error, log),
        }
    }

    fn start_background(
        self: &Arc<Self>,
        number: StepNumber,
        run: &Run,
        mut log: StepLog,
    ) -> Result<StepStatus, JournalLost> {
        let (command, _) = match shell::command(number, run, &self.place, &self.runner) {
            Ok(command) => command,
            Err(error) => {
                let end = refused(error, &mut log);
                self.journal.ended(number, end, log.finish())?;
                return Ok(end.status);
            }
        };
        let sequence = Arc::clone(self);
        let thread = std::thread::Builder::new().name(format!("step {}", number.0)).stack_size(STACK);
        let thread = thread.spawn(move || {
            let started = sequence.runner.step(&command, &mut log);
            let done = started.and_then(|running| running.until_silence(&mut log));
            sequence.background_end(number, done, log);
        })?;
        self.background.lock().push(thread);
        Ok(StepStatus::Running)
    }

    /// One that runs to the job's end is ended with it; its failure before is shown, and is no failure of the job.
    fn background_end(&self, number: StepNumber, done: Result<Exit, CommandError>, mut log: StepLog) {
        if self.background.over.load(Ordering::Acquire) || matches!(done, Err(CommandError::Ended)) {
            log.finish();
            return;
        }
        let end = match done {
            Ok(exit) => exited(exit, &mut log),
            Err(error) => refused(error, &mut log),
        };
        if let Err(error) = self.journal.ended(number, end, log.finish()) {
            eprintln!("roundhouse-task-agent: {}", JournalLost(error));
        }
    }

    fn ended_status(&self) -> StepStatus {
        self.control().ending().map_or(StepStatus::Canceled, |ending| ending.step_status())
    }
}

/// Between two attempts.
fn again((attempt, all): (u32, u32), code: i32, delay_ms: u64) -> String {
    let pause = match delay_ms {
        0 => String::new(),
        delay => format!(" in {:?}", Duration::from_millis(delay)),
    };
    let next = attempt + 1;
    format!(
        "\nAttempt {attempt} of {all} failed (exit code {code}). Attempt {next} of {all} begins{pause}:\n"
    )
}

fn is_due(when: When, failed: bool) -> bool {
    match when {
        When::OnSuccess => !failed,
        When::Always => true,
        When::OnFail => failed,
    }
}

fn refused(error: impl std::fmt::Display, log: &mut StepLog) -> StepEnd {
    log.line(format_args!("Error: {error}"));
    StepEnd { status: StepStatus::Failed, exit_code: None }
}

fn exited(exit: Exit, log: &mut StepLog) -> StepEnd {
    if let Exit::Signal(signal) = exit {
        let unnamed = || format!("signal {signal}");
        log.line(format_args!("Killed by {}", exit.signal_name().map_or_else(unnamed, str::to_owned)));
    }
    if let Some(sentence) = memory::news().filter(|_| exit != Exit::Code(0)) {
        log.line(format_args!("{sentence}"));
    }
    let status = if exit == Exit::Code(0) { StepStatus::Success } else { StepStatus::Failed };
    StepEnd { status, exit_code: Some(exit.code()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_two_attempts_the_log_says_which_failed_and_when_the_next_begins() {
        let said = "\nAttempt 1 of 3 failed (exit code 2). Attempt 2 of 3 begins in 1.5s:\n";
        assert_eq!(again((1, 3), 2, 1500), said);
        assert!(again((2, 3), 1, 0).ends_with("Attempt 3 of 3 begins:\n"));
    }

    #[test]
    fn a_failure_turns_the_steps_round() {
        for (when, failed, due) in [
            (When::OnSuccess, false, true),
            (When::OnSuccess, true, false),
            (When::Always, false, true),
            (When::Always, true, true),
            (When::OnFail, false, false),
            (When::OnFail, true, true),
        ] {
            assert_eq!(is_due(when, failed), due, "{when:?} {failed}");
        }
    }
}
