//! The life of a task on its host, as a table. Pure: no actors, no clocks, no I/O.

use protocol::{Outcome, frame::CancelReason};
use serde::{Deserialize, Serialize};

/// Where a task is. Each state holds only what is true in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TaskState {
    /// Its program and directories are made ready; no process is known.
    Starting,
    /// Its process runs; leave to run user code is asked for.
    Launched,
    /// Leave was granted: user code may run.
    Running,
    /// It was told to end.
    Stopping {
        /// What for.
        why: CancelReason,
        /// Whether leave had been granted.
        begun: bool,
    },
    /// Its task-agent is gone; whatever it left is being killed.
    Sweeping(Ending),
    /// No process is left; what it wrote and stored is on its way.
    Draining {
        /// What it comes to.
        ending: Ending,
        /// Whether the control plane has all logs and records.
        logs: bool,
        /// Whether no upload is under way.
        uploads: bool,
    },
    /// The control plane is told how it ended.
    Reporting(Ending),
    /// Over: the slot can be given to another.
    Done(Ending),
}

/// What a task comes to on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ending {
    /// It ran, or had to.
    Outcome(Outcome),
    /// It never began: another host may have it.
    GivenBack,
    /// Its lease was lost: nobody wants to hear of it.
    Fenced,
}

/// What can happen to a task, in any order, more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TaskEvent {
    /// Its process was started.
    Started,
    /// No process could be started, or none was found.
    NotLaunched,
    /// No process can be started of it, here or anywhere: it asks for what cannot be.
    Unlaunchable,
    /// The control plane granted leave to run user code.
    Granted,
    /// It is to be ended.
    End(CancelReason),
    /// The task-agent is gone; with the outcome of its journal, if that has one of steps that ran.
    AgentGone(Option<Outcome>),
    /// No process of it is left.
    Swept,
    /// The control plane has its logs and records.
    LogsDrained,
    /// Its uploads are stored, or will never be.
    UploadsDrained,
    /// The control plane took the ending.
    Told,
    /// The control plane does not take the task back, for it had begun or came back too often.
    NotTakenBack,
    /// Its actor failed beyond what is tolerated: the machinery lost it.
    Abandoned,
}

impl TaskEvent {
    /// Without what it carries.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::NotLaunched => "not-launched",
            Self::Unlaunchable => "unlaunchable",
            Self::Granted => "granted",
            Self::End(_) => "end",
            Self::AgentGone(_) => "agent-gone",
            Self::Swept => "swept",
            Self::LogsDrained => "logs-drained",
            Self::UploadsDrained => "uploads-drained",
            Self::Told => "told",
            Self::NotTakenBack => "not-taken-back",
            Self::Abandoned => "abandoned",
        }
    }
}

/// What the actor must do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Make everything ready and start the process.
    Launch,
    /// Ask the control plane for leave to run user code.
    AskBegin,
    /// Tell the task-agent that it may.
    SendBegin,
    /// Have the task-agent end: TERM, and KILL after the grace.
    StopAgent(CancelReason),
    /// Kill what is left.
    Sweep,
    /// Have logs and uploads finished.
    Drain,
    /// Tell the control plane.
    Report(Ending),
    /// Remove what is on disk and tell the parent.
    Finish(Ending),
}

impl TaskState {
    /// The only way a task changes state. A late or repeated event changes nothing: delivery is at least once.
    pub(crate) fn on(self, event: TaskEvent) -> (Self, Option<Effect>) {
        use {TaskEvent::*, TaskState::*};
        match (self, event) {
            (Done(_), _) => (self, None),
            (_, End(CancelReason::Fenced)) => self.fenced(),
            (Starting | Launched | Running | Stopping { .. }, Abandoned) => sweep(LOST),
            (Starting, Started) => (Launched, Some(Effect::AskBegin)),
            (Starting, NotLaunched) | (Launched, AgentGone(None)) => sweep(Ending::GivenBack),
            // Leave was granted, or no step would have run: that this is not known is the journal's loss.
            (Launched, AgentGone(Some(outcome))) => sweep(Ending::Outcome(outcome)),
            (Starting, Unlaunchable) => sweep(LOST),
            (Starting, End(why)) => (Stopping { why, begun: false }, None),
            (Launched, Granted) => (Running, Some(Effect::SendBegin)),
            (Launched, End(why)) => stop(why, false),
            (Running, End(why)) => stop(why, true),
            (Running, AgentGone(outcome)) => sweep(outcome.map_or(LOST, Ending::Outcome)),
            (Stopping { why, .. }, Granted) => (Stopping { why, begun: true }, None),
            (Stopping { why, .. }, Started) => (self, Some(Effect::StopAgent(why))),
            (Stopping { why, begun }, NotLaunched | Unlaunchable) => sweep(ending_of(why, begun, None)),
            (Stopping { why, begun }, AgentGone(outcome)) => sweep(ending_of(why, begun, outcome)),
            (Sweeping(ending), Swept) => ending.after_sweep(),
            (Draining { ending, uploads, .. }, LogsDrained) => drained(ending, true, uploads),
            (Draining { ending, logs, .. }, UploadsDrained) => drained(ending, logs, true),
            (Reporting(ending), Told) => (Done(ending), Some(Effect::Finish(ending))),
            (Reporting(Ending::GivenBack), NotTakenBack) => LOST.after_sweep(),
            _ => (self, None),
        }
    }

    /// The state a task was in when its actor died: what its journal adds up to.
    pub(crate) fn after(events: impl IntoIterator<Item = TaskEvent>) -> Self {
        events.into_iter().fold(Self::Starting, |state, event| state.on(event).0)
    }

    /// What a fresh actor has to do in this state: the effect that led here may not have been done.
    pub(crate) fn resume(self) -> Option<Effect> {
        match self {
            Self::Starting => Some(Effect::Launch),
            Self::Launched => Some(Effect::AskBegin),
            Self::Running => Some(Effect::SendBegin),
            Self::Stopping { why, .. } => Some(Effect::StopAgent(why)),
            Self::Sweeping(_) => Some(Effect::Sweep),
            Self::Draining { .. } => Some(Effect::Drain),
            Self::Reporting(ending) => Some(Effect::Report(ending)),
            Self::Done(ending) => Some(Effect::Finish(ending)),
        }
    }

    /// Whether its task-agent may be alive.
    pub(crate) fn may_have_agent(self) -> bool {
        matches!(self, Self::Starting | Self::Launched | Self::Running | Self::Stopping { .. })
    }

    fn fenced(self) -> (Self, Option<Effect>) {
        let why = CancelReason::Fenced;
        match self {
            Self::Starting => (Self::Stopping { why, begun: false }, None),
            Self::Launched => stop(why, false),
            Self::Running => stop(why, true),
            Self::Stopping { begun, .. } => (Self::Stopping { why, begun }, None),
            Self::Sweeping(_) => (Self::Sweeping(Ending::Fenced), None),
            Self::Draining { .. } | Self::Reporting(_) => done(Ending::Fenced),
            Self::Done(_) => (self, None),
        }
    }
}

/// A task that the machinery failed.
const LOST: Ending = Ending::Outcome(Outcome::InfrastructureFail);

impl Ending {
    /// As it is counted: the outcome, or what became of the task without one.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Outcome(outcome) => outcome.to_string(),
            Self::GivenBack => "given_back".to_owned(),
            Self::Fenced => "fenced".to_owned(),
        }
    }

    fn after_sweep(self) -> (TaskState, Option<Effect>) {
        match self {
            Self::Outcome(_) => {
                (TaskState::Draining { ending: self, logs: false, uploads: false }, Some(Effect::Drain))
            }
            Self::GivenBack => (TaskState::Reporting(self), Some(Effect::Report(self))),
            Self::Fenced => done(self),
        }
    }
}

fn sweep(ending: Ending) -> (TaskState, Option<Effect>) {
    (TaskState::Sweeping(ending), Some(Effect::Sweep))
}

fn stop(why: CancelReason, begun: bool) -> (TaskState, Option<Effect>) {
    (TaskState::Stopping { why, begun }, Some(Effect::StopAgent(why)))
}

fn done(ending: Ending) -> (TaskState, Option<Effect>) {
    (TaskState::Done(ending), Some(Effect::Finish(ending)))
}

fn drained(ending: Ending, logs: bool, uploads: bool) -> (TaskState, Option<Effect>) {
    if logs && uploads {
        (TaskState::Reporting(ending), Some(Effect::Report(ending)))
    } else {
        (TaskState::Draining { ending, logs, uploads }, None)
    }
}

/// What a stopped task comes to. Its own last word counts, if it had one: it may have been over just before.
fn ending_of(why: CancelReason, begun: bool, outcome: Option<Outcome>) -> Ending {
    match (why, outcome) {
        (CancelReason::Fenced, _) => Ending::Fenced,
        (_, Some(outcome)) => Ending::Outcome(outcome),
        (CancelReason::Shutdown | CancelReason::MaxRunTime, None) if !begun => Ending::GivenBack,
        (CancelReason::Canceled, None) => Ending::Outcome(Outcome::Canceled),
        (CancelReason::MaxRunTime, None) => Ending::Outcome(Outcome::Timedout),
        (CancelReason::Shutdown, None) => LOST,
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;
    use {TaskEvent::*, TaskState::*};

    const SUCCESS: Ending = Ending::Outcome(Outcome::Success);

    fn states() -> Vec<TaskState> {
        let stopping = |why, begun| Stopping { why, begun };
        let draining = |logs, uploads| Draining { ending: SUCCESS, logs, uploads };
        let endings = [SUCCESS, Ending::GivenBack, Ending::Fenced];
        let mut states = vec![Starting, Launched, Running];
        for why in
            [CancelReason::Canceled, CancelReason::Fenced, CancelReason::Shutdown, CancelReason::MaxRunTime]
        {
            states.extend([stopping(why, false), stopping(why, true)]);
        }
        states.extend(endings.map(Sweeping));
        states.extend([draining(false, false), draining(true, false), draining(false, true)]);
        states.extend([Reporting(SUCCESS), Reporting(Ending::GivenBack), Done(SUCCESS)]);
        states
    }

    const EVENTS: [TaskEvent; 13] = [
        Started,
        NotLaunched,
        Granted,
        End(CancelReason::Canceled),
        End(CancelReason::Fenced),
        AgentGone(None),
        AgentGone(Some(Outcome::Success)),
        Swept,
        LogsDrained,
        UploadsDrained,
        Told,
        NotTakenBack,
        Abandoned,
    ];

    /// The whole machine, read aloud.
    #[test]
    fn the_table_is_the_documented_one() {
        let mut table = String::new();
        for (state, event) in states().into_iter().flat_map(|state| EVENTS.map(|event| (state, event))) {
            let (next, effect) = state.on(event);
            if (next, effect) != (state, None) {
                let effect = effect.map(|effect| format!("{effect:?}")).unwrap_or_default();
                let row = format!("{} + {} -> {}  {}", show(state), show(event), show(next), effect);
                table += row.trim_end();
                table.push('\n');
            }
        }
        insta::assert_snapshot!(table);
    }

    fn show(value: impl std::fmt::Debug) -> String {
        format!("{value:?}")
    }

    #[test]
    fn every_path_that_ends_is_finished_exactly_once_and_swept_before() {
        const DEPTH: u32 = 5;
        for mut path in 0..EVENTS.len().pow(DEPTH) {
            let (mut state, mut finished, mut swept) = (Starting, 0, false);
            for _ in 0..DEPTH {
                let event = EVENTS[path % EVENTS.len()];
                swept |= event == Swept && matches!(state, Sweeping(_));
                let (next, effect) = state.on(event);
                finished += usize::from(matches!(effect, Some(Effect::Finish(_))));
                (state, path) = (next, path / EVENTS.len());
            }
            assert_eq!(finished, usize::from(matches!(state, Done(_))));
            assert!(swept || !matches!(state, Draining { .. } | Reporting(_) | Done(_)), "{state:?}");
        }
    }

    #[test]
    fn leave_once_granted_is_never_given_back() {
        const DEPTH: u32 = 5;
        for mut path in 0..EVENTS.len().pow(DEPTH) {
            let mut state = Running;
            for _ in 0..DEPTH {
                state = state.on(EVENTS[path % EVENTS.len()]).0;
                path /= EVENTS.len();
                assert!(!matches!(state, Done(Ending::GivenBack) | Reporting(Ending::GivenBack)));
            }
        }
    }
}
