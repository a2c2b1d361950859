//! Whole workflows under random orders, outcomes, losses and cancels, against a model that looks at everything.

use crate::engine::workflow::{Effect, Event, Left, Need, Shape, ShapeError, Standing, Work, Workflow};
use proptest::{prelude::*, sample::Index};
use protocol::{JobStatus, Outcome, WorkflowStatus, pipeline::Ending};

fn shape(requires: &[usize], parallelism: u32) -> Shape {
    let success = |job: &usize| Need { job: *job, endings: vec![Ending::Success] };
    Shape {
        requires: requires.iter().map(success).collect(),
        work: Work::Tasks(parallelism),
        is_serial: false,
    }
}

/// Every way in which a job can stand.
const STATUSES: [JobStatus; 10] = [
    JobStatus::Blocked,
    JobStatus::OnHold,
    JobStatus::Queued,
    JobStatus::Running,
    JobStatus::Success,
    JobStatus::Failed,
    JobStatus::Timedout,
    JobStatus::InfrastructureFail,
    JobStatus::Canceled,
    JobStatus::NotRun,
];

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

#[test]
fn the_table_of_a_requirement() {
    let lists = Ending::ALL.iter().map(|ending| vec![*ending]);
    let lists = lists.chain([vec![Ending::Success, Ending::NotRun], vec![]]);
    let mut table = String::new();
    for endings in lists {
        let need = Need { job: 0, endings };
        let names: Vec<&str> = need.endings.iter().map(|ending| ending.as_str()).collect();
        table +=
            &format!("== {}\n", if names.is_empty() { "nothing".to_owned() } else { names.join(" or ") });
        for status in STATUSES {
            let required = status.to_string();
            table += &format!("{required:<20}{:?}\n", need.standing(status));
        }
    }
    insta::assert_snapshot!(table);
}

/// `a` is needed by `b`, of two tasks, which is needed by `c`; `d` stands alone.
fn four() -> Vec<Shape> {
    vec![shape(&[], 1), shape(&[0], 2), shape(&[1], 1), shape(&[], 1)]
}

/// `a` is approved before `b`, whose failure `c` waits for and whose success `d`; `e` waits for `d`'s not running, and
/// nothing-doing `f` for the end of all.
fn gated() -> Vec<Shape> {
    let need = |job, ending| Need { job, endings: vec![ending] };
    let of = |requires, work| Shape { requires, work, is_serial: false };
    let tasks = |requires| of(requires, Work::Tasks(1));
    let all = (1..5).map(|job| need(job, Ending::Terminal)).collect();
    vec![
        of(vec![], Work::Approval),
        tasks(vec![need(0, Ending::Success)]),
        tasks(vec![need(1, Ending::Failed)]),
        tasks(vec![need(1, Ending::Success)]),
        tasks(vec![need(3, Ending::NotRun)]),
        of(all, Work::Nothing),
    ]
}

fn walked(shapes: &[Shape], events: &[Event]) -> String {
    let mut workflow = Workflow::new(shapes).unwrap();
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
    let walk = |(name, events): &(&str, &[Event])| format!("== {name}\n{}", walked(&four(), events));
    insta::assert_snapshot!(walks.iter().map(walk).collect::<String>());
}

#[test]
fn the_walks_of_a_workflow_with_a_gate() {
    use Outcome::{Failed, Success};
    let claimed = Event::TaskClaimed;
    let approved = [Event::Start, Event::Approve(1), Event::Approve(0), Event::Approve(0), claimed(1)];
    let failed = [ended(1, Failed), claimed(2), claimed(4), ended(2, Success), ended(4, Success)];
    let succeeded = [ended(1, Success), claimed(3), ended(3, Success)];
    let walks = [
        ("the job behind the gate fails", [&approved[..], &failed].concat()),
        ("the job behind the gate succeeds", [&approved[..], &succeeded].concat()),
        ("nobody approves", vec![Event::Start, Event::Expire(0), claimed(4), ended(4, Success)]),
        ("it is canceled on hold", vec![Event::Start, Event::Cancel, Event::Approve(0)]),
    ];
    let walk = |(name, events): &(&str, Vec<Event>)| format!("== {name}\n{}", walked(&gated(), events));
    insta::assert_snapshot!(walks.iter().map(walk).collect::<String>());
}

#[test]
fn the_walks_of_a_workflow_with_a_release() {
    let need = |job, ending| Need { job, endings: vec![ending] };
    let of = |requires, work| Shape { requires, work, is_serial: false };
    // `a` is a release, `b` wants its success, `c` its failure.
    let shapes = [
        of(vec![], Work::Release),
        of(vec![need(0, Ending::Success)], Work::Nothing),
        of(vec![need(0, Ending::Failed)], Work::Nothing),
    ];
    let released = |succeeded| Event::Released { job: 0, succeeded };
    let walks = [
        ("it succeeds", vec![Event::Start, Event::Approve(0), released(true), released(false)]),
        ("it fails", vec![Event::Start, released(false), released(true)]),
        ("nobody says how it ended", vec![Event::Start, Event::Expire(0), released(true)]),
        ("it is canceled meanwhile", vec![Event::Start, Event::Cancel, released(true)]),
    ];
    let walk = |(name, events): &(&str, Vec<Event>)| format!("== {name}\n{}", walked(&shapes, events));
    insta::assert_snapshot!(walks.iter().map(walk).collect::<String>());
}

#[test]
fn a_workflow_of_nothing_to_do_is_over_as_it_starts() {
    let nothing = |requires: &[usize]| Shape { work: Work::Nothing, ..shape(requires, 1) };
    let mut workflow = Workflow::new(&[nothing(&[1]), nothing(&[])]).unwrap();
    let effects = workflow.apply(Event::Start);
    assert_eq!(effects.last(), Some(&Effect::Workflow(WorkflowStatus::Success)));
    assert_eq!(effects.len(), 3, "{effects:?}");
}

#[test]
fn a_long_chain_of_nothing_to_do_ends_at_once() {
    let nothing = |place: usize| {
        let before: Vec<usize> = place.checked_sub(1).into_iter().collect();
        Shape { work: Work::Nothing, ..shape(&before, 1) }
    };
    let mut workflow = Workflow::new(&(0..50_000).map(nothing).collect::<Vec<_>>()).unwrap();
    workflow.apply(Event::Start);
    assert_eq!(workflow.status(), WorkflowStatus::Success);
}

/// A graph without cycles: each job requires some of those before it, to end in some way.
pub(super) fn shapes() -> impl Strategy<Value = Vec<Shape>> {
    let endings = prop_oneof![
        6 => Just(vec![Ending::Success]),
        4 => prop::sample::subsequence(Ending::ALL.to_vec(), 0..4),
    ];
    let work = prop_oneof![
        6 => (1..4_u32).prop_map(Work::Tasks),
        1 => Just(Work::Approval),
        1 => Just(Work::Release),
        1 => Just(Work::Nothing),
    ];
    let needs = prop::collection::vec((any::<Index>(), endings), 0..3);
    let is_serial = prop::bool::weighted(0.2);
    prop::collection::vec((needs, work, is_serial), 1..12).prop_map(|jobs| {
        let jobs = jobs.into_iter().enumerate();
        let shape =
            |(place, (needs, work, is_serial))| Shape { requires: among(place, needs), work, is_serial };
        jobs.map(shape).collect()
    })
}

/// Needs of jobs before this place.
fn among(place: usize, needs: Vec<(Index, Vec<Ending>)>) -> Vec<Need> {
    let needs = needs.into_iter().filter(|_| place > 0);
    needs.map(|(index, endings)| Need { job: index.index(place), endings }).collect()
}

impl Shape {
    /// How many tasks it is.
    pub(super) fn tasks(&self) -> usize {
        if let Work::Tasks(number) = self.work { number as usize } else { 0 }
    }
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
                Effect::AwaitTurn(_) | Effect::Job(..) | Effect::Workflow(_) => {}
            }
        }
    }

    fn queue(&mut self, job: usize) {
        assert_eq!(self.standing(job), Standing::Met, "{job} runs before its turn");
        assert!(!self.queued.contains(&job) && !self.held.contains(&job), "{job} is queued twice");
        assert!(!self.canceled, "{job} is queued after the cancel");
        self.queued.extend(std::iter::repeat_n(job, self.shapes[job].tasks()));
    }

    /// How all requirements of a job stand, looked at one by one.
    fn standing(&self, job: usize) -> Standing {
        let needs = self.shapes[job].requires.iter();
        needs.map(|need| need.standing(self.engine.job_status(need.job))).min().unwrap_or(Standing::Met)
    }

    fn on_hold(&self) -> Vec<usize> {
        let jobs = 0..self.shapes.len();
        jobs.filter(|job| self.engine.job_status(*job) == JobStatus::OnHold).collect()
    }

    fn waiting(&self) -> Vec<usize> {
        (0..self.shapes.len()).filter(|job| self.engine.is_waiting(*job)).collect()
    }

    /// One of the jobs that wait for their turn has it, or never will.
    fn turn(&mut self, which: Index, event: fn(usize) -> Event) {
        let waiting = self.waiting();
        if !waiting.is_empty() {
            self.apply(event(waiting[which.index(waiting.len())]));
        }
    }

    /// Answers one of the jobs that wait for it, also in ways that it does not wait for, or lets its time run out.
    fn answer(&mut self, which: Index, kind: u8) {
        let on_hold = self.on_hold();
        if on_hold.is_empty() {
            return;
        }
        let job = on_hold[which.index(on_hold.len())];
        let before = self.engine.job_status(job);
        let succeeded = kind != 22;
        match kind {
            24 => self.apply(Event::Expire(job)),
            _ if self.shapes[job].work == Work::Approval => {
                self.apply(Event::Released { job, succeeded });
                assert_eq!(self.engine.job_status(job), before, "{job} is no release");
                self.apply(Event::Approve(job));
            }
            _ => {
                self.apply(Event::Approve(job));
                assert_eq!(self.engine.job_status(job), before, "{job} is no approval");
                self.apply(Event::Released { job, succeeded });
                let ended = if succeeded { JobStatus::Success } else { JobStatus::Failed };
                assert_eq!(self.engine.job_status(job), ended, "{job} ended as it was said");
            }
        }
        assert!(self.engine.job_status(job).is_terminal(), "{job} was answered");
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
                self.canceled |= !self.engine.status().is_terminal();
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
            21..=24 => self.answer(step.which, step.kind),
            25 => self.turn(step.which, Event::Expire),
            26 => self.turn(step.which, Event::Skip),
            27..=30 => self.turn(step.which, Event::Turn),
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
                JobStatus::Queued if self.engine.is_waiting(job) => {
                    assert!(self.shapes[job].is_serial && !queued && !held, "{job} waits with a task");
                }
                JobStatus::Queued => assert!(queued && !held, "{job} waits without a task"),
                _ => assert!(!held && !queued, "{job} is {status} with a task"),
            }
            match (status, self.standing(job)) {
                (JobStatus::Canceled, _) if self.canceled => {}
                (JobStatus::Blocked, standing) => assert_eq!(standing, Standing::Waits, "{job} is blocked"),
                (JobStatus::NotRun, Standing::Met) => {
                    assert!(self.shapes[job].is_serial, "{job} was skipped")
                }
                (JobStatus::NotRun, standing) => assert_eq!(standing, Standing::Lost, "{job} never ran"),
                (_, standing) => assert_eq!(standing, Standing::Met, "{job} is {status}"),
            }
        }
        let any = |wanted: &[JobStatus]| jobs.iter().any(|status| wanted.contains(status));
        let over = jobs.iter().all(|status| status.is_terminal());
        assert_eq!(self.engine.status().is_terminal(), over, "{:?}", self.engine.status());
        let has_failed = any(&[JobStatus::Failed, JobStatus::Timedout, JobStatus::InfrastructureFail]);
        let is_stopped = any(&[JobStatus::Canceled]) && (self.canceled || !has_failed);
        assert_eq!(self.engine.status() == WorkflowStatus::Canceled, over && is_stopped);
        assert_eq!(self.engine.status() == WorkflowStatus::Success, over && !is_stopped && !has_failed);
        let moves = !self.queued.is_empty() || !self.held.is_empty() || !self.waiting().is_empty();
        let waits = !self.on_hold().is_empty();
        assert_eq!(self.engine.status() == WorkflowStatus::OnHold, waits && !moves);
        assert!(over || moves || waits, "nothing can move any more");
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
        for step in moves.iter().cycle().take(2000) {
            for kind in [20, 21, 30] {
                driver.make(&Move { which: step.which, kind, outcome: Outcome::Success });
            }
        }
        driver.check();
        prop_assert!(driver.engine.status().is_terminal());
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
            let held = u32::try_from(count(&driver.held, job)).unwrap();
            let (status, is_waiting) = (driver.engine.job_status(job), driver.engine.is_waiting(job));
            Left { status, held, ended: ends[job].clone(), is_waiting }
        }));
        prop_assert_eq!(again, driver.engine);
    }
}

fn count(tasks: &[usize], job: usize) -> usize {
    tasks.iter().filter(|task| **task == job).count()
}
