//! Every state of a task under every event, and what no sequence of events can do.

use crate::engine::task::{Event, State, Task, Verdict};
use proptest::prelude::*;
use protocol::{Epoch, Outcome};

const NOW: u64 = 10;

fn states() -> Vec<(&'static str, Task)> {
    let task = |state| Task { state, epoch: Epoch(2), unclaims: 0, canceled: false };
    let (claimed, begun) = (State::Claimed { until: NOW }, State::Begun { until: NOW });
    vec![
        ("queued", task(State::Queued)),
        ("claimed", task(claimed)),
        ("claimed, given back 3 times", Task { unclaims: 3, ..task(claimed) }),
        ("claimed, canceled", Task { canceled: true, ..task(claimed) }),
        ("begun", task(begun)),
        ("begun, canceled", Task { canceled: true, ..task(begun) }),
        ("ended", task(State::Ended(Outcome::Failed))),
    ]
}

fn events() -> Vec<(&'static str, Event)> {
    let (epoch, old) = (Epoch(2), Epoch(1));
    let outcome = Outcome::Success;
    vec![
        ("claim", Event::Claim { until: 20 }),
        ("renew", Event::Renew { epoch, until: 20 }),
        ("renew, old epoch", Event::Renew { epoch: old, until: 20 }),
        ("begin", Event::Begin { epoch }),
        ("begin, old epoch", Event::Begin { epoch: old }),
        ("unclaim", Event::Unclaim { epoch }),
        ("unclaim, old epoch", Event::Unclaim { epoch: old }),
        ("finish", Event::Finish { epoch, outcome }),
        ("finish, old epoch", Event::Finish { epoch: old, outcome }),
        ("tick before the lease's end", Event::Tick { now: NOW - 1 }),
        ("tick at the lease's end", Event::Tick { now: NOW }),
        ("overdue", Event::Overdue),
        ("cancel", Event::Cancel),
    ]
}

#[test]
fn the_table_of_a_task() {
    let mut table = String::new();
    for (state, task) in states() {
        table += &format!("{state}\n");
        for (word, event) in events() {
            let (after, verdict) = task.after(event);
            let change = if after == task {
                "–".to_owned()
            } else {
                let canceled = if after.canceled { ", canceled" } else { "" };
                format!("{:?}, epoch {}{canceled}", after.state, after.epoch.0)
            };
            table += &format!("    {word:28} {:28} {change}\n", format!("{verdict:?}"));
        }
    }
    insta::assert_snapshot!(table);
}

fn event() -> impl Strategy<Value = Event> {
    let epoch = || (0..5_u64).prop_map(Epoch);
    let outcome = prop_oneof![Just(Outcome::Success), Just(Outcome::Failed), Just(Outcome::Canceled)];
    prop_oneof![
        4 => (0..50_u64).prop_map(|until| Event::Claim { until }),
        2 => (epoch(), 0..50_u64).prop_map(|(epoch, until)| Event::Renew { epoch, until }),
        4 => epoch().prop_map(|epoch| Event::Begin { epoch }),
        2 => epoch().prop_map(|epoch| Event::Unclaim { epoch }),
        2 => (epoch(), outcome).prop_map(|(epoch, outcome)| Event::Finish { epoch, outcome }),
        2 => (0..50_u64).prop_map(|now| Event::Tick { now }),
        1 => Just(Event::Overdue),
        1 => Just(Event::Cancel),
    ]
}

proptest! {
    #[test]
    fn a_task_begins_and_ends_once_and_never_goes_back(events in prop::collection::vec(event(), 0..60)) {
        let mut task = Task::new();
        let (mut grants, mut ends) = (0, 0);
        for event in events {
            let (after, verdict) = task.after(event);
            prop_assert!(after.epoch >= task.epoch, "an epoch never goes back");
            prop_assert!(after.unclaims >= task.unclaims && after.canceled >= task.canceled);
            if matches!(task.state, State::Ended(_)) {
                prop_assert_eq!(after, task, "an end is an end");
            }
            if matches!(task.state, State::Begun { .. }) {
                prop_assert!(!matches!(after.state, State::Queued | State::Claimed { .. }), "never run again");
            }
            grants += usize::from(verdict == Verdict::Granted);
            ends += usize::from(matches!(verdict, Verdict::Over(_) | Verdict::Exhausted));
            task = after;
        }
        prop_assert!(grants <= 1 && ends <= 1);
    }

    #[test]
    fn a_refused_event_changes_nothing(events in prop::collection::vec(event(), 0..60)) {
        let mut task = Task::new();
        for event in events {
            let (after, verdict) = task.after(event);
            if matches!(verdict, Verdict::Fenced | Verdict::Repeated | Verdict::Unmoved | Verdict::Begun) {
                prop_assert_eq!(after, task);
            }
            task = after;
        }
    }

    #[test]
    fn whoever_lost_a_task_is_fenced(events in prop::collection::vec(event(), 0..60)) {
        let mut task = Task::new();
        let mut lost: Vec<Epoch> = Vec::new();
        for event in events {
            let held = task.is_held().then_some(task.epoch);
            let (after, verdict) = task.after(event);
            let by_itself = matches!(event, Event::Tick { .. });
            lost.extend(held.filter(|_| by_itself && verdict != Verdict::Unmoved));
            task = after;
        }
        for epoch in lost {
            prop_assert_eq!(task.after(Event::Begin { epoch }).1, Verdict::Fenced);
            prop_assert_eq!(task.after(Event::Finish { epoch, outcome: Outcome::Success }).1, Verdict::Fenced);
        }
    }

    #[test]
    fn an_event_that_comes_again_changes_nothing(events in prop::collection::vec(event(), 0..60)) {
        let mut task = Task::new();
        for event in events {
            task = task.after(event).0;
            prop_assert_eq!(task.after(event).0, task, "{:?}", event);
        }
    }

    #[test]
    fn a_task_ends_once_all_that_can_come_has_come(events in prop::collection::vec(event(), 0..60)) {
        let left = events.into_iter().fold(Task::new(), |task, event| task.after(event).0);
        // A launch-agent takes it and does what it must, whether it held it before or not.
        let held = left.after(Event::Claim { until: u64::MAX }).0;
        let begun = held.after(Event::Begin { epoch: held.epoch }).0;
        let done = begun.after(Event::Finish { epoch: begun.epoch, outcome: Outcome::Success }).0;
        prop_assert!(matches!(done.state, State::Ended(_)), "{:?}", done);
        // Or nobody ever does, and somebody cancels it.
        let alone = left.after(Event::Cancel).0.after(Event::Tick { now: u64::MAX }).0;
        prop_assert!(matches!(alone.state, State::Ended(_)), "{:?}", alone);
    }

    #[test]
    fn what_a_lost_holder_had_begun_is_not_run_again(events in prop::collection::vec(event(), 0..60)) {
        let left = events.into_iter().fold(Task::new(), |task, event| task.after(event).0);
        if matches!(left.state, State::Begun { .. }) {
            let (gone, verdict) = left.after(Event::Tick { now: u64::MAX });
            let outcome = if left.canceled { Outcome::Canceled } else { Outcome::InfrastructureFail };
            prop_assert_eq!((gone.state, verdict), (State::Ended(outcome), Verdict::Over(outcome)));
        }
    }
}
