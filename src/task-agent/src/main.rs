//! The task-agent: runs the steps of one task as the job's user, writes down what happens, and leaves no process behind.
//!
//! ```text
//! main      watches: children that end, orders to end, the time          ── journal: Ended
//! steps     one after the other; a thread more for each in the background ── journal, spools
//! wire      keeps the connection to the launch-agent, whoever that is now
//! ```
//!
//! It holds no credentials and opens no network connection. What must leave the host or come to it is a request to the
//! launch-agent with a descriptor. It goes on while no launch-agent is there. To the jobs of a setup workflow it listens on
//! the loopback address (`continuation`). Under other names it is what jobs call: their commands (`in_job`).

mod bell;
mod cache_key;
mod carry;
mod children;
mod commands;
mod continuation;
mod control;
mod follow;
mod glob;
mod hints;
mod in_job;
mod job_socket;
mod journal;
mod memory;
mod outlet;
mod place;
mod resident;
mod sequence;
mod shell;
mod spool;
mod step_log;
mod steps;
mod suite;
mod surroundings;
mod times;
mod watch;
mod wire;

use crate::{
    bell::Bell,
    carry::Carry,
    children::Children,
    commands::Runner,
    continuation::CannotOpen,
    control::Control,
    hints::Hints,
    job_socket::{Callers, CannotListen},
    journal::Journal,
    outlet::Kind,
    resident::CannotReside,
    sequence::{Background, JournalLost, Sequence},
    spool::Limits,
    steps::{checkout::Own, ssh},
    surroundings::CannotMake,
    watch::Watch,
    wire::{Delivered, NoTask, Wire},
};
use masking::Masker;
use protocol::{
    VERSION,
    container::JOB,
    exit,
    frame::Invitation,
    status::{Outcome, StepStatus},
    task::TaskSpec,
};
use sandbox::own::{self, ChildSignals};
use std::{
    io::{self, BufRead, Read},
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, OnceLock},
    thread,
    time::{Duration, Instant},
};

/// The longest invitation that is read, in bytes.
const MOST_INVITATION: u64 = 64 * 1024;
/// Enough for the threads: what they move is on the heap, and archives are made by threads of their own.
const STACK: usize = 1024 * 1024;

/// On a host: the directory of the job's commands and their socket, in that of its temporary files.
const OWN_JOB: &str = ".job";

/// Why a task-agent ends without a journal that has its end.
#[derive(Debug, thiserror::Error)]
enum Fatal {
    #[error("cannot prepare this process: {0}")]
    Process(#[from] io::Error),
    #[error("no invitation on standard input: {0}; a launch-agent starts this program, not a person")]
    Invitation(#[from] serde_json::Error),
    #[error("the launch-agent speaks version {0}, this task-agent version {VERSION}")]
    Version(u32),
    #[error(transparent)]
    Container(#[from] CannotReside),
    #[error(transparent)]
    NoTask(#[from] NoTask),
    #[error(transparent)]
    Journal(#[from] JournalLost),
}

/// A task that has nowhere to run.
#[derive(Debug, thiserror::Error)]
enum NoPlace {
    #[error(transparent)]
    Surroundings(#[from] CannotMake),
    #[error(transparent)]
    Commands(#[from] CannotListen),
    #[error(transparent)]
    Continuation(#[from] CannotOpen),
}

fn main() -> ExitCode {
    if let Some(name) = in_job::called_as() {
        return in_job::main(name);
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("roundhouse-task-agent: {error}");
            ExitCode::from(exit::MACHINERY)
        }
    }
}

fn run() -> Result<(), Fatal> {
    own::share_heaps();
    own::make_undumpable()?;
    own::become_subreaper()?;
    // A spool for each step, and whatever is on its way: where the host allows no more, the usual limit does.
    let _ = own::raise_descriptor_limit();
    own::ignore_endings()?;
    let signals = ChildSignals::take()?;
    let mut invitation = invitation()?;
    let resident = resident::of_arguments()?;
    if let Some(resident) = &resident {
        resident::settle(resident, &mut invitation)?;
    }
    let (control, hints) = (Arc::new(Control::new()?), Arc::new(Hints::new()?));
    let wire = Arc::new(Wire::new(Arc::clone(&control), Arc::clone(&hints), limits(&invitation)));
    attend(Arc::clone(&wire), invitation.clone())?;
    let delivered = wire.wait_for_begin()?;
    let journal = Arc::new(Journal::new(delivered.journal.try_clone()?, hints));
    let callers = if resident.is_some() { Callers::All } else { Callers::Own };
    if let Some(resident) = resident {
        resident::start_beside(resident, &invitation.root)?;
    }
    let task = Task { signals, invitation, callers, control, wire, journal };
    task.run(delivered)
}

fn invitation() -> Result<Invitation, Fatal> {
    let mut line = String::new();
    // No further than the line: a command_prefix may keep its end of the pipe open.
    io::stdin().lock().take(MOST_INVITATION).read_line(&mut line)?;
    let invitation: Invitation = serde_json::from_str(&line)?;
    if invitation.version == VERSION { Ok(invitation) } else { Err(Fatal::Version(invitation.version)) }
}

fn limits(invitation: &Invitation) -> Limits {
    Limits { most: invitation.max_spool, wait: Duration::from_millis(invitation.spool_wait_ms) }
}

fn attend(wire: Arc<Wire>, invitation: Invitation) -> io::Result<()> {
    let thread = thread::Builder::new().name("wire".to_owned()).stack_size(STACK);
    thread.spawn(move || wire::attend(&wire, &invitation)).map(drop)
}

/// A task that came whole.
struct Task {
    signals: ChildSignals,
    invitation: Invitation,
    callers: Callers,
    control: Arc<Control>,
    wire: Arc<Wire>,
    journal: Arc<Journal>,
}

impl Task {
    /// Runs its steps and ends it in its journal, whatever happens.
    fn run(self, delivered: Delivered) -> Result<(), Fatal> {
        let spools = Arc::clone(&delivered.spools);
        let (outcome, running) = match self.control.ending() {
            Some(ending) => (ending.outcome, ending.step_status()),
            None => self.steps(delivered)?,
        };
        let log_bytes = |step| spools.written(step);
        self.journal.close(outcome, running, log_bytes).map_err(JournalLost::from)?;
        Ok(())
    }

    /// How the task ended, and what became of steps that still ran then.
    fn steps(&self, delivered: Delivered) -> Result<(Outcome, StepStatus), Fatal> {
        let deadline = Instant::now().checked_add(Duration::from_millis(delivered.spec.max_run_time_ms));
        let sequence = match self.sequence(delivered) {
            Ok(sequence) => Arc::new(sequence),
            Err(error) => {
                eprintln!("roundhouse-task-agent: {error}");
                return Ok((Outcome::InfrastructureFail, StepStatus::Canceled));
            }
        };
        let (finished, done) = (Arc::new(Bell::new()?), Arc::new(OnceLock::new()));
        start(&sequence, &finished, &done)?;
        let children = &sequence.runner.children;
        let watch =
            Watch { signals: &self.signals, control: &self.control, children, finished: &finished, deadline };
        watch.until_over()?;
        sequence.background.is_over();
        watch.end_all()?;
        watch.last_words(|| sequence.background.is_quiet())?;
        let ending = self.control.ending();
        let unfinished = ending.map_or(Outcome::InfrastructureFail, |ending| ending.outcome);
        let outcome = match done.get() {
            Some(Err(error)) => {
                return Err(Fatal::Journal(JournalLost::from(io::Error::other(error.to_string()))));
            }
            Some(Ok(outcome)) => *outcome,
            None => unfinished,
        };
        Ok((outcome, ending.map_or(StepStatus::Success, |ending| ending.step_status())))
    }

    fn sequence(&self, delivered: Delivered) -> Result<Sequence, NoPlace> {
        let Delivered { spec, tree, spools, .. } = delivered;
        let mut place = surroundings::make(&self.invitation, &spec, own_variables())?;
        let directory = match self.callers {
            Callers::Own => place.temporary.join(OWN_JOB),
            Callers::All => PathBuf::from(JOB),
        };
        let masker = Masker::new(secrets(&spec));
        let carry = Arc::clone(&self.wire) as Arc<dyn Carry>;
        let tools = (Arc::clone(&carry), &masker);
        job_socket::open(&directory, self.callers, &mut place, &self.control, tools)?;
        ssh::find_first(&mut place, &spec);
        if spec.is_setup {
            continuation::open(&mut place, carry)?;
        }
        let (children, control) = (Arc::new(Children::default()), Arc::clone(&self.control));
        let outlet = if self.invitation.terminal { Kind::Terminal } else { Kind::Pipe };
        let variables = Arc::new(place.variables.clone());
        let runner = Runner { children, control, variables, engine: Arc::default(), outlet };
        let (wire, journal) = (Arc::clone(&self.wire), Arc::clone(&self.journal));
        let (background, checked_out) = (Background::default(), Own::default());
        Ok(Sequence { spec, tree, place, runner, wire, journal, spools, masker, background, checked_out })
    }
}

/// Variables that are no text cannot be a job's.
fn own_variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn secrets(spec: &TaskSpec) -> Vec<String> {
    let secret = spec.environment.iter().filter(|variable| variable.secret);
    let keys = spec.ssh.checkout.iter().chain(&spec.ssh.keys).map(|key| key.private_key.trim().to_owned());
    let shown = keys.chain(spec.login.password().map(str::to_owned)).chain(spec.masks.iter().cloned());
    secret.map(|variable| variable.value.clone()).chain(shown).collect()
}

type Done = OnceLock<Result<Outcome, JournalLost>>;

/// Runs the steps in a thread of their own.
fn start(sequence: &Arc<Sequence>, finished: &Arc<Bell>, done: &Arc<Done>) -> io::Result<()> {
    let (sequence, finished, done) = (Arc::clone(sequence), Finished(Arc::clone(finished)), Arc::clone(done));
    let thread = thread::Builder::new().name("steps".to_owned()).stack_size(STACK);
    let steps = move || {
        let _finished = finished;
        let _ = done.set(sequence.run());
    };
    thread.spawn(steps).map(drop)
}

/// Rings however the thread ends.
struct Finished(Arc<Bell>);

impl Drop for Finished {
    fn drop(&mut self) {
        self.0.ring();
    }
}
