//! Whole workflows under random orders, outcomes, losses and cancels, against a model that looks at everything.

use crate::engine::workflow::{Effect, Event, Shape, ShapeError, Workflow};
use proptest::{prelude::*, sample::Index};
use protocol::{JobStatus, Outcome, WorkflowStatus};

fn shape(requires: &[usize], parallelism: u32) -> Shape {
    Shape { requires: requires.to_vec(), parallelism }
}

fn ended(job: usize, outcome: Outcome) -> Event {
    Event::TaskEnded { job, outcome, was_held: true }
}

#[test]
fn a_circle_or_a_missing_job_is_no_workflow() {
    assert_eq!(Workflow::new(&[shape(&[1], 1), shape(&[0], 1)]), Err(ShapeError::Cycle));
    assert_eq!(Workflow::new(&[shape(&[0], 1)]), Err(ShapeError::Cycle));
    assert_eq!(Workflow::new(&[shape(&[7], 1)]), Err(ShapeError::Dangling));
    assert_eq!(Workflow::new(&[shape(&[], 0)]), Err(ShapeError::Dangling));
}

#[test]
fn a_workflow_without_jobs_is_not_run() {
    assert_eq!(Workflow::new(&[]).unwrap().status(), WorkflowStatus::NotRun);
}

/// `a` is needed by `b`, of two tasks, which is needed by `c`; `d` stands alone.
fn walked(events: &[Event]) -> String {
    let shapes = [shape(&[], 1), shape(&[0], 2), shape(&[1], 1), shape(&[], 1)];
    let mut workflow = Workflow::new(&shapes).unwrap();
    let mut walk = String::new();
    for event in events {
        walk += &format!("{event:?}\n");
        for effect in workflow.apply(*event) {
            walk += &format!("    {effect:?}\n");
        }
    }
    walk
}

#[test]
fn the_walks_of_a_workflow() {
    use Outcome::{Canceled, Failed, InfrastructureFail, Success, Timedout};
    let claimed = Event::TaskClaimed;
    let succeeds = [
        Event::Start,
        claimed(0),
        ended(0, Success),
        claimed(1),
        Event::TaskRequeued(1),
        claimed(1),
        claimed(1),
        ended(1, Success),
        ended(1, Success),
        claimed(2),
        ended(2, Success),
        claimed(3),
        ended(3, Success),
    ];
    let fails = [
        Event::Start,
        claimed(0),
        ended(0, Success),
        claimed(1),
        claimed(1),
        ended(1, Failed),
        ended(1, InfrastructureFail),
        claimed(3),
        ended(3, Timedout),
    ];
    let canceled = [
        Event::Start,
        claimed(0),
        Event::Cancel,
        Event::Cancel,
        Event::TaskEnded { job: 3, outcome: Canceled, was_held: false },
        ended(0, Canceled),
    ];
    let walks = [("succeeds", &succeeds[..]), ("fails", &fails), ("is canceled", &canceled)];
    let walks: String = walks.iter().map(|(name, events)| format!("== {name}\n{}", walked(events))).collect();
    insta::assert_snapshot!(walks);
}

/// A graph without cycles: each job requires some of those before it.
pub(super) fn shapes() -> impl Strategy<Value = Vec<Shape>> {
    prop::collection::vec((prop::collection::vec(any::<Index>(), 0..3), 1..4_u32), 1..12).prop_map(|jobs| {
        let shape = |(place, (requires, parallelism)): (usize, (Vec<Index>, u32))| {
            let requires =
                if place == 0 { vec![] } else { requires.iter().map(|index| index.index(place)).collect() };
            Shape { requires, parallelism }
        };
        jobs.into_iter().enumerate().map(shape).collect()
    })
}

/// What a random driver does next to one of the tasks that it may do it to.
#[derive(Clone, Debug)]
struct Move {
    which: Index,
    kind: u8,
    outcome: Outcome,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let outcome = prop_oneof![
        6 => Just(Outcome::Success),
        1 => Just(Outcome::Failed),
        1 => Just(Outcome::Timedout),
        1 => Just(Outcome::InfrastructureFail),
    ];
    let one =
        (any::<Index>(), 0..40_u8, outcome).prop_map(|(which, kind, outcome)| Move { which, kind, outcome });
    prop::collection::vec(one, 300..301)
}

/// The tasks as their owner knows them, beside the engine.
struct Driver {
    shapes: Vec<Shape>,
    engine: Workflow,
    queued: Vec<usize>,
    held: Vec<usize>,
    canceled: bool,
}

impl Driver {
    fn apply(&mut self, event: Event) {
        for effect in self.engine.apply(event) {
            match effect {
                Effect::QueueTasks(job) => self.queue(job),
                Effect::CancelTasks(job) => self.cancel(job),
                Effect::Job(..) | Effect::Workflow(_) => {}
            }
        }
    }

    fn queue(&mut self, job: usize) {
        for required in &self.shapes[job].requires {
            assert_eq!(self.engine.job_status(*required), JobStatus::Success, "{job} runs before {required}");
        }
        assert!(!self.queued.contains(&job) && !self.held.contains(&job), "{job} is queued twice");
        assert!(!self.canceled, "{job} is queued after the cancel");
        self.queued.extend(std::iter::repeat_n(job, self.shapes[job].parallelism as usize));
    }

    fn cancel(&mut self, job: usize) {
        let waiting = self.queued.iter().filter(|queued| **queued == job).count();
        self.queued.retain(|queued| *queued != job);
        for _ in 0..waiting {
            self.apply(Event::TaskEnded { job, outcome: Outcome::Canceled, was_held: false });
        }
    }

    fn make(&mut self, step: &Move) {
        match step.kind {
            0 => {
                self.canceled = true;
                self.apply(Event::Cancel);
            }
            1..=3 if !self.held.is_empty() && !self.canceled => {
                let job = self.held.swap_remove(step.which.index(self.held.len()));
                self.queued.push(job);
                self.apply(Event::TaskRequeued(job));
            }
            4..=20 if !self.held.is_empty() => {
                let job = self.held.swap_remove(step.which.index(self.held.len()));
                let outcome = if self.canceled { Outcome::Canceled } else { step.outcome };
                self.apply(ended(job, outcome));
            }
            _ if !self.queued.is_empty() => {
                let job = self.queued.swap_remove(step.which.index(self.queued.len()));
                self.held.push(job);
                self.apply(Event::TaskClaimed(job));
            }
            _ => {}
        }
    }

    fn check(&self) {
        let jobs: Vec<_> = (0..self.shapes.len()).map(|job| self.engine.job_status(job)).collect();
        for (job, status) in jobs.iter().enumerate() {
            let (held, queued) = (self.held.contains(&job), self.queued.contains(&job));
            match status {
                JobStatus::Running => assert!(held || queued, "{job} runs without a task"),
                JobStatus::Queued => assert!(queued && !held, "{job} waits without a task"),
                _ => assert!(!held && !queued, "{job} is {status} with a task"),
            }
            let lost =
                |required: &usize| jobs[*required].is_terminal() && jobs[*required] != JobStatus::Success;
            if *status == JobStatus::Blocked {
                assert!(!self.shapes[job].requires.iter().any(lost), "{job} waits for what never comes");
            }
            if *status == JobStatus::NotRun {
                assert!(self.shapes[job].requires.iter().any(lost), "{job} might have run");
            }
        }
        let over = jobs.iter().all(|status| status.is_terminal());
        assert_eq!(self.engine.status().is_terminal(), over, "{:?}", self.engine.status());
        let all = jobs.iter().all(|status| *status == JobStatus::Success);
        assert_eq!(self.engine.status() == WorkflowStatus::Success, all);
        assert!(over || !self.queued.is_empty() || !self.held.is_empty(), "nothing can move any more");
    }
}

proptest! {
    #[test]
    fn every_path_keeps_the_rules_and_ends(shapes in shapes(), moves in moves()) {
        let engine = Workflow::new(&shapes).unwrap();
        let mut driver = Driver { shapes, engine, queued: vec![], held: vec![], canceled: false };
        driver.apply(Event::Start);
        driver.check();
        for step in &moves {
            driver.make(step);
            driver.check();
        }
        let end = |which| Move { which, kind: 20, outcome: Outcome::Success };
        for step in moves.iter().cycle().take(2000) {
            driver.make(&end(step.which));
        }
        driver.check();
        prop_assert!(driver.engine.status().is_terminal());
        prop_assert_eq!(driver.engine.status() == WorkflowStatus::Canceled, driver.was_stopped());
    }

    #[test]
    fn a_workflow_that_is_taken_up_again_is_the_one_that_was_left(shapes in shapes(), moves in moves()) {
        let engine = Workflow::new(&shapes).unwrap();
        let mut driver = Driver { shapes, engine, queued: vec![], held: vec![], canceled: false };
        driver.apply(Event::Start);
        let mut ends: Vec<Vec<Outcome>> = vec![vec![]; driver.shapes.len()];
        for step in &moves[..40] {
            let before = driver.held.clone();
            driver.make(&Move { kind: step.kind.max(4), ..step.clone() });
            if driver.held.len() < before.len() {
                let gone = (0..ends.len()).find(|job| count(&before, *job) > count(&driver.held, *job));
                ends[gone.unwrap()].push(step.outcome);
            }
        }
        let mut again = Workflow::new(&driver.shapes).unwrap();
        again.restore(driver.canceled, (0..ends.len()).map(|job| {
            (driver.engine.job_status(job), u32::try_from(count(&driver.held, job)).unwrap(), ends[job].clone())
        }));
        prop_assert_eq!(again, driver.engine);
    }
}

fn count(tasks: &[usize], job: usize) -> usize {
    tasks.iter().filter(|task| **task == job).count()
}

impl Driver {
    fn was_stopped(&self) -> bool {
        (0..self.shapes.len()).any(|job| self.engine.job_status(job) == JobStatus::Canceled)
    }
}
