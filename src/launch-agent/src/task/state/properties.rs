//! What no order of events does to a task, however late and however often they come.

use super::*;
use crate::task::journal::{Entry, past};
use TaskEvent::*;
use proptest::prelude::*;

fn reason() -> impl Strategy<Value = CancelReason> {
    use CancelReason::*;
    prop::sample::select(vec![Canceled, Fenced, MaxRunTime, Shutdown])
}

fn outcome() -> impl Strategy<Value = Outcome> {
    use Outcome::*;
    prop::sample::select(vec![Success, Failed, Canceled, Timedout, InfrastructureFail])
}

fn event() -> impl Strategy<Value = TaskEvent> {
    prop_oneof![
        4 => Just(Started),
        1 => Just(NotLaunched),
        4 => Just(Granted),
        2 => reason().prop_map(End),
        3 => prop::option::of(outcome()).prop_map(AgentGone),
        4 => prop::sample::select(vec![Swept, LogsDrained, UploadsDrained, Told]),
        1 => prop::sample::select(vec![NotTakenBack, Abandoned]),
    ]
}

fn events() -> impl Strategy<Value = Vec<TaskEvent>> {
    prop::collection::vec(event(), 0..40)
}

/// The states on the way, from the first, each with the event that leads on and what is to be done about it.
fn walk(events: &[TaskEvent]) -> Vec<(TaskState, TaskEvent, TaskState, Option<Effect>)> {
    let mut state = TaskState::Starting;
    let step = |event: &TaskEvent| {
        let before = state;
        let (after, effect) = before.on(*event);
        state = after;
        (before, *event, after, effect)
    };
    events.iter().map(step).collect()
}

fn end(events: &[TaskEvent]) -> TaskState {
    TaskState::after(events.iter().copied())
}

/// All that still comes of a task whose process, kill, logs, uploads and control plane do what they must in the end.
const REST: [TaskEvent; 6] = [NotLaunched, AgentGone(None), Swept, LogsDrained, UploadsDrained, Told];

proptest! {
    #[test]
    fn what_is_done_stays_done_and_asks_for_nothing(events in events()) {
        for (before, event, after, effect) in walk(&events) {
            if matches!(before, TaskState::Done(_)) {
                prop_assert_eq!((after, effect), (before, None), "{:?}", event);
            }
        }
    }

    #[test]
    fn a_task_may_begin_once_at_most_and_never_after_it_was_to_end(events in events()) {
        let walk = walk(&events);
        let begins = walk.iter().filter(|(.., effect)| *effect == Some(Effect::SendBegin)).count();
        let asked = walk.iter().filter(|(.., effect)| *effect == Some(Effect::AskBegin)).count();
        prop_assert!(begins <= asked && asked <= 1);
        let ended = walk.iter().position(|(_, event, ..)| matches!(event, End(_) | Abandoned));
        let begun = walk.iter().rposition(|(.., effect)| *effect == Some(Effect::SendBegin));
        prop_assert!(!matches!((ended, begun), (Some(ended), Some(begun)) if begun > ended));
    }

    #[test]
    fn an_event_that_comes_again_changes_nothing(events in events()) {
        let twice: Vec<_> = events.iter().flat_map(|event| [*event, *event]).collect();
        prop_assert_eq!(end(&twice), end(&events));
    }

    #[test]
    fn every_task_ends_once_all_that_can_come_has_come(events in events()) {
        let state = REST.iter().fold(end(&events), |state, event| state.on(*event).0);
        prop_assert!(matches!(state, TaskState::Done(_)), "{:?}", state);
    }

    #[test]
    fn a_task_that_is_not_taken_back_ends_as_lost(events in events()) {
        let mut state = end(&events);
        for event in [NotLaunched, AgentGone(None), Swept, NotTakenBack, LogsDrained, UploadsDrained, Told] {
            let before = state;
            state = state.on(event).0;
            if before == TaskState::Reporting(Ending::GivenBack) && event == NotTakenBack {
                let is_lost = matches!(state, TaskState::Draining { ending, .. } if ending == LOST);
                prop_assert!(is_lost, "{:?}", state);
            }
        }
        prop_assert!(matches!(state, TaskState::Done(_)), "{:?}", state);
    }

    #[test]
    fn what_was_granted_leave_is_never_given_back(events in events()) {
        let walk = walk(&events);
        let granted = walk.iter().any(|(before, event, after, _)| *event == Granted && after != before);
        if granted {
            prop_assert_ne!(end(&events), TaskState::Done(Ending::GivenBack));
            prop_assert_ne!(end(&events), TaskState::Reporting(Ending::GivenBack));
        }
    }

    #[test]
    fn nothing_is_reported_or_finished_before_the_last_process_is_gone(events in events()) {
        let mut is_swept = false;
        for (before, event, _, effect) in walk(&events) {
            is_swept |= event == Swept && matches!(before, TaskState::Sweeping(_));
            let is_late = matches!(effect, Some(Effect::Drain | Effect::Report(_) | Effect::Finish(_)));
            prop_assert!(is_swept || !is_late, "{:?} + {:?}", before, event);
        }
    }

    #[test]
    fn a_success_is_the_task_agents_own_word(events in events()) {
        let said = events.contains(&AgentGone(Some(Outcome::Success)));
        prop_assert!(said || end(&events) != TaskState::Done(Ending::Outcome(Outcome::Success)));
    }

    /// An actor writes down only what changes something, and may be struck after any line of it.
    #[test]
    fn a_journal_adds_up_to_the_state_that_wrote_it(events in events(), torn in 0..10_usize) {
        let written = walk(&events).into_iter().filter(|(before, _, after, effect)| before != after || effect.is_some());
        let written: Vec<_> = written.map(|(_, event, ..)| event).collect();
        prop_assert_eq!(end(&written), end(&events));
        let line = |event: &TaskEvent| serde_json::to_string(&Entry::Event(*event)).unwrap() + "\n";
        let text: String = written.iter().map(line).collect();
        prop_assert_eq!(&past(text.as_bytes()).events, &written);
        let half = &text.as_bytes()[..text.len().saturating_sub(torn)];
        let read = past(half).events;
        prop_assert_eq!(&read[..], &written[..read.len()], "what is read is what was written first");
    }

    #[test]
    fn a_fresh_actor_has_something_to_do_in_every_state(events in events()) {
        let state = end(&events);
        let effect = state.resume();
        prop_assert!(effect.is_some());
        prop_assert_eq!(matches!(effect, Some(Effect::Finish(_))), matches!(state, TaskState::Done(_)));
    }
}
