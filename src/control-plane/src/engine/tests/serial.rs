//! Serial groups under random workflows that come, wait, hold, end, are canceled, lost and read again: never two at once,
//! and all that wait end.

use crate::engine::{
    hold::{Holds, Step},
    serial::{Decision, Groups, LONGEST_MS, Party, Verdict, Waiter},
    workflow::{Effect, Event, Left, Need, Shape, Work, Workflow},
};
use proptest::{prelude::*, sample::Index};
use protocol::{
    JobStatus, Outcome, WorkflowId,
    pipeline::{Ending, Job, Kind, Requirement},
};
use std::{collections::BTreeSet, sync::Arc};
use store::ProjectId;
use uuid::Uuid;

const GROUPS: [&str; 2] = ["a", "b"];

fn party(workflow: usize, number: u64) -> Party {
    let project = ProjectId(i64::try_from(workflow % 2).unwrap());
    Party { workflow: WorkflowId(Uuid::from_u128(workflow as u128 + 1)), project, number }
}

fn waiter(workflow: usize, number: u64, since_ms: i64) -> Waiter {
    Waiter { party: party(workflow, number), job: 0, since_ms }
}

fn verdicts(groups: &mut Groups, now_ms: i64) -> Vec<(u64, Verdict)> {
    let decided = std::iter::from_fn(|| groups.next(now_ms));
    decided.map(|Decision { waiter, verdict, .. }| (waiter.party.number, verdict)).collect()
}

#[test]
fn who_came_first_has_its_turn_first_and_an_older_pipeline_of_its_project_none() {
    let (mut groups, group) = (Groups::default(), Arc::from("a"));
    groups.join(&group, waiter(0, 1, 10));
    assert_eq!(verdicts(&mut groups, 10), [(1, Verdict::Turn)]);
    // Another project's number says nothing; the own project's newer one skips the older that waits, not the one that runs.
    groups.join(&group, waiter(2, 2, 30));
    groups.join(&group, waiter(1, 1, 20));
    groups.join(&group, waiter(4, 3, 40));
    assert_eq!(verdicts(&mut groups, 40), [(2, Verdict::Skipped { by: 3 })]);
    groups.free(&group, party(1, 1).workflow);
    assert_eq!(verdicts(&mut groups, 40), [], "who has no turn gives none back");
    groups.free(&group, party(0, 1).workflow);
    assert_eq!(verdicts(&mut groups, 40), [(1, Verdict::Turn)]);
    groups.free(&group, party(1, 1).workflow);
    assert_eq!(verdicts(&mut groups, 40), [(3, Verdict::Turn)]);
    groups.join(&group, waiter(6, 2, 50));
    assert_eq!(verdicts(&mut groups, 50), [(2, Verdict::Skipped { by: 3 })]);
}

#[test]
fn who_waits_for_five_hours_waits_no_more() {
    let (mut groups, group) = (Groups::default(), Arc::from("a"));
    groups.take_up(&group, party(1, 1));
    groups.join(&group, waiter(0, 1, 0));
    assert_eq!(verdicts(&mut groups, LONGEST_MS), []);
    assert_eq!(verdicts(&mut groups, LONGEST_MS + 1), [(1, Verdict::Expired)]);
    groups.forget(party(1, 1).workflow);
    assert_eq!(groups, Groups::default(), "nothing is kept of a group that nobody has");
}

/// A workflow of jobs that each require the one before, written as their kinds.
fn chain(kinds: &[(Kind, Option<&str>)]) -> Vec<Job> {
    let job = |(place, (kind, group)): (usize, &(Kind, Option<&str>))| Job {
        kind: *kind,
        serial_group: group.map(str::to_owned),
        requires: place
            .checked_sub(1)
            .map(|before| Requirement::success(before.to_string()))
            .into_iter()
            .collect(),
        parallelism: 1,
        ..Job::without_tasks(place.to_string(), *kind)
    };
    kinds.iter().enumerate().map(job).collect()
}

fn shapes(jobs: &[Job]) -> Vec<Shape> {
    crate::plane::restore::shapes(&jobs.iter().collect::<Vec<_>>()).unwrap()
}

fn spans(jobs: &[Job]) -> Vec<BTreeSet<usize>> {
    Holds::of(&jobs.iter().collect::<Vec<_>>(), &shapes(jobs)).spans().cloned().collect()
}

#[test]
fn a_lock_is_for_all_that_its_unlock_waits_for_and_without_one_for_the_workflow() {
    use Kind::{Build, Lock, Unlock};
    let locked = [(Build, None), (Lock, Some("a")), (Build, None), (Unlock, Some("a")), (Build, None)];
    assert_eq!(spans(&chain(&locked)), [BTreeSet::from([1, 2, 3])]);
    let other = [(Lock, Some("a")), (Build, None), (Unlock, Some("b"))];
    assert_eq!(spans(&chain(&other)), [BTreeSet::from([0, 1, 2])]);
    let before = [(Unlock, Some("a")), (Lock, Some("a")), (Build, Some("a"))];
    assert_eq!(spans(&chain(&before)), [BTreeSet::from([0, 1, 2])], "an unlock before it is none of its own");
}

/// One workflow as the plane drives it: its engine, its holds, and where it stands among all.
#[derive(Clone)]
struct One {
    jobs: Vec<Job>,
    shapes: Vec<Shape>,
    engine: Workflow,
    holds: Holds,
    party: Party,
    since: Vec<i64>,
    /// Jobs that run.
    running: Vec<usize>,
    canceled: bool,
    /// Whether the memory of it is lost.
    lost: bool,
}

struct House {
    all: Vec<One>,
    groups: Groups,
    now: i64,
}

fn kinds() -> impl Strategy<Value = Vec<(Kind, Option<&'static str>)>> {
    let group = prop_oneof![2 => Just(None), 3 => prop::sample::select(GROUPS.to_vec()).prop_map(Some)];
    let one = (0..8_u8, group).prop_map(|(kind, group)| match (kind, group) {
        (0, Some(_)) => (Kind::Lock, group),
        (1, Some(_)) => (Kind::Unlock, group),
        (2, _) => (Kind::NoOp, group),
        _ => (Kind::Build, group),
    });
    prop::collection::vec(one, 1..6)
}

/// Jobs that require any of those before them, to end well or at all, or nothing.
fn jobs() -> impl Strategy<Value = Vec<Job>> {
    let need = (any::<Index>(), prop::sample::select(vec![Ending::Terminal, Ending::Success]));
    let needs = prop::collection::vec(prop::option::of(need), 6);
    (kinds(), needs).prop_map(|(kinds, needs)| {
        let mut jobs = chain(&kinds);
        for (place, (job, need)) in jobs.iter_mut().zip(needs).enumerate().skip(1) {
            job.requires =
                need.into_iter().map(|(index, ending)| required(index.index(place), ending)).collect();
        }
        jobs
    })
}

fn required(place: usize, ending: Ending) -> Requirement {
    Requirement { job: place.to_string(), endings: vec![ending] }
}

impl One {
    fn new(place: usize, jobs: Vec<Job>) -> Self {
        let shapes = shapes(&jobs);
        let holds = Holds::of(&jobs.iter().collect::<Vec<_>>(), &shapes);
        let (engine, since) = (Workflow::new(&shapes).unwrap(), vec![0; jobs.len()]);
        let party = party(place, (place / 2) as u64);
        Self { jobs, shapes, engine, holds, party, since, running: vec![], canceled: false, lost: false }
    }

    /// The groups that jobs which run need, and locks that stand.
    fn needed(&self) -> BTreeSet<&str> {
        let running = self.running.iter().filter_map(|job| self.jobs[*job].serial_group.as_deref());
        running.collect()
    }
}

impl House {
    fn apply(&mut self, place: usize, event: Event) -> Vec<Step> {
        let (one, now) = (&mut self.all[place], self.now);
        let mut todo = vec![event];
        while let Some(event) = todo.pop() {
            for effect in one.engine.apply(event) {
                match effect {
                    Effect::AwaitTurn(job) => one.since[job] = now,
                    Effect::QueueTasks(job) => one.running.push(job),
                    Effect::CancelTasks(job) => {
                        one.running.retain(|running| *running != job);
                        todo.push(Event::TaskEnded { job, outcome: Outcome::Canceled, was_held: false });
                    }
                    Effect::Job(..) | Effect::Workflow(_) => {}
                }
            }
            if todo.is_empty() {
                todo.extend(one.holds.within(&one.engine).map(Event::Turn));
            }
        }
        let steps = one.holds.look(&one.engine);
        for step in &steps {
            match step {
                Step::Waits { group, job } => {
                    let waiter = Waiter { party: one.party, job: *job, since_ms: one.since[*job] };
                    self.groups.join(group, waiter);
                }
                Step::Left { group, job } => self.groups.leave(group, one.party.workflow, *job),
                Step::Freed { group } => self.groups.free(group, one.party.workflow),
            }
        }
        steps
    }

    fn serve(&mut self) {
        while let Some(Decision { group, waiter, verdict }) = self.groups.next(self.now) {
            let is_it = |one: &One| one.party.workflow == waiter.party.workflow;
            let place = self.all.iter().position(is_it).unwrap();
            assert!(!self.all[place].lost, "a turn for a workflow that nobody knows");
            let event = match verdict {
                Verdict::Turn => Event::Turn(waiter.job),
                Verdict::Skipped { .. } => Event::Skip(waiter.job),
                Verdict::Expired => Event::Expire(waiter.job),
            };
            assert!(self.all[place].engine.is_waiting(waiter.job), "a verdict for a job that does not wait");
            self.apply(place, event);
            if !self.all[place].holds.had().contains(&group) {
                self.groups.free(&group, waiter.party.workflow);
            }
            self.check();
        }
    }

    /// Forgets a workflow's memory, as after a write that failed; or reads it again.
    fn lose_or_read(&mut self, place: usize) {
        if !std::mem::replace(&mut self.all[place].lost, true) {
            return self.groups.pause(self.all[place].party.workflow);
        }
        let one = &mut self.all[place];
        one.lost = false;
        let left = |job: usize| {
            let (status, is_waiting) = (one.engine.job_status(job), one.engine.is_waiting(job));
            let outcome = match status {
                JobStatus::Failed => Some(Outcome::Failed),
                JobStatus::Success => Some(Outcome::Success),
                JobStatus::Canceled => Some(Outcome::Canceled),
                _ => None,
            };
            Left { status, held: 0, ended: outcome.into_iter().collect(), is_waiting }
        };
        let left: Vec<Left> = (0..one.jobs.len()).map(left).collect();
        let mut engine = Workflow::new(&one.shapes).unwrap();
        engine.restore(one.canceled, left);
        let mut holds = Holds::of(&one.jobs.iter().collect::<Vec<_>>(), &one.shapes);
        holds.look(&engine);
        assert_eq!(holds.had(), one.holds.had(), "what it has is read again");
        (one.engine, one.holds) = (engine, holds);
        self.groups.forget(one.party.workflow);
        for group in one.holds.had() {
            self.groups.take_up(&group, one.party);
        }
        for (group, job) in one.holds.waiting() {
            self.groups.join(group, Waiter { party: one.party, job, since_ms: one.since[job] });
        }
    }

    fn make(&mut self, kind: u8, which: Index, again: Index) {
        let place = which.index(self.all.len());
        match kind {
            0 => {
                self.all[place].canceled |= !self.all[place].engine.status().is_terminal();
                if !self.all[place].lost {
                    self.apply(place, Event::Cancel);
                }
            }
            1 | 2 => self.lose_or_read(place),
            3 => self.now += LONGEST_MS / 3,
            4 => drop((!self.all[place].lost).then(|| self.apply(place, Event::Start))),
            _ => self.end_one(place, again, kind == 5),
        }
        self.check();
        self.serve();
    }

    fn end_one(&mut self, place: usize, which: Index, fails: bool) {
        let one = &mut self.all[place];
        if one.lost || one.running.is_empty() {
            return;
        }
        let job = one.running.swap_remove(which.index(one.running.len()));
        let outcome = if fails { Outcome::Failed } else { Outcome::Success };
        self.apply(place, Event::TaskEnded { job, outcome, was_held: false });
    }

    fn check(&self) {
        for group in GROUPS {
            let (holder, waiting) = self.groups.standing(group);
            let needs: Vec<Party> =
                self.all.iter().filter(|one| one.needed().contains(group)).map(|one| one.party).collect();
            assert!(needs.len() < 2, "two have the turn of {group}: {needs:?}");
            let has = self.all.iter().filter(|one| one.holds.had().contains(group)).map(|one| one.party);
            let has: Vec<Party> = has.collect();
            assert!(has.len() < 2, "{group} is kept for two: {has:?}");
            assert!(needs.iter().all(|party| has.contains(party)), "{group} is had without a turn");
            assert!(has.iter().all(|party| holder == Some(*party)), "{group}: {holder:?}, {has:?}");
            assert!(waiting.is_sorted_by_key(|waiter| waiter.since_ms), "{waiting:?}");
        }
    }
}

proptest! {
    #[test]
    fn never_two_have_the_turn_and_all_that_wait_end(
        all in prop::collection::vec(jobs(), 1..6),
        moves in prop::collection::vec((0..12_u8, any::<Index>(), any::<Index>()), 60),
    ) {
        let all = all.into_iter().enumerate().map(|(place, jobs)| One::new(place, jobs)).collect();
        let mut house = House { all, groups: Groups::default(), now: 0 };
        for place in 0..house.all.len() {
            house.apply(place, Event::Start);
            house.serve();
        }
        for (kind, which, again) in moves {
            house.now += 1;
            house.make(if kind == 4 { 6 } else { kind }, which, again);
        }
        // Nothing is lost for ever, what runs ends, and nobody waits for longer than the time allows.
        for round in 0..60 {
            for place in 0..house.all.len() {
                if house.all[place].lost {
                    house.lose_or_read(place);
                }
                house.serve();
                while let Some(job) = house.all[place].running.pop() {
                    house.apply(place, Event::TaskEnded { job, outcome: Outcome::Success, was_held: false });
                    house.serve();
                }
            }
            house.now += if round % 10 == 9 { LONGEST_MS + 1 } else { 1 };
            house.serve();
        }
        for one in &house.all {
            prop_assert!(one.engine.status().is_terminal(), "{:?} {:?}", one.jobs, one.engine);
        }
        prop_assert_eq!(house.groups, Groups::default());
    }
}

#[test]
fn a_need_of_a_job_is_named_by_its_place() {
    let jobs = chain(&[(Kind::Build, None), (Kind::Build, Some("a"))]);
    let need = Need { job: 0, endings: vec![Ending::Success] };
    let shape = Shape { requires: vec![need], work: Work::Tasks(1), is_serial: true };
    assert_eq!(shapes(&jobs)[1], shape);
}
