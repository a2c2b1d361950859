//! Tasks and their workflow together, under calls of holders that come late, twice, or from a lease long lost.

use super::workflows::shapes;
use crate::engine::{
    task::{self, Millis, State, Task, Verdict},
    workflow::{self, Effect, Shape, Workflow},
};
use proptest::{prelude::*, sample::Index};
use protocol::{Epoch, JobStatus, Outcome};

/// A call, or time, that reaches the control plane. The lease it names may be any the task ever had.
#[derive(Clone, Debug)]
struct Call {
    task: Index,
    lease: Index,
    kind: u8,
    outcome: Outcome,
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    use Outcome::{Failed, InfrastructureFail, Success, Timedout};
    let outcome = prop::sample::select(vec![Success, Success, Success, Failed, Timedout, InfrastructureFail]);
    let call = (any::<Index>(), any::<Index>(), 0..30_u8, outcome);
    let call = call.prop_map(|(task, lease, kind, outcome)| Call { task, lease, kind, outcome });
    prop::collection::vec(call, 0..300)
}

/// A workflow and its tasks, as a control plane holds them.
struct House {
    shapes: Vec<Shape>,
    engine: Workflow,
    /// With the place of their jobs.
    tasks: Vec<(usize, Task)>,
    grants: Vec<usize>,
    now: Millis,
}

/// How long a lease lasts.
const LEASE: Millis = 10;

impl House {
    fn new(shapes: Vec<Shape>) -> Self {
        let engine = Workflow::new(&shapes).unwrap();
        let mut house = Self { shapes, engine, tasks: vec![], grants: vec![], now: 0 };
        house.tell(workflow::Event::Start);
        house
    }

    /// A job hears whichever word it may wait for.
    fn answer(&mut self, job: usize) {
        self.tell(workflow::Event::Approve(job));
        self.tell(workflow::Event::Released { job, succeeded: true });
    }

    fn tell(&mut self, event: workflow::Event) {
        for effect in self.engine.apply(event) {
            match effect {
                Effect::QueueTasks(job) => {
                    let parallelism = self.shapes[job].tasks();
                    assert!(self.tasks.iter().all(|(of, _)| *of != job), "{job} is queued twice");
                    self.tasks.extend(std::iter::repeat_n((job, Task::new()), parallelism));
                    self.grants.resize(self.tasks.len(), 0);
                }
                Effect::CancelTasks(job) => {
                    let own = (0..self.tasks.len()).filter(|place| self.tasks[*place].0 == job);
                    own.collect::<Vec<_>>()
                        .into_iter()
                        .for_each(|place| self.happens(place, task::Event::Cancel));
                }
                // Nobody else is there: its turn is at once.
                Effect::AwaitTurn(job) => self.tell(workflow::Event::Turn(job)),
                Effect::Job(..) | Effect::Workflow(_) => {}
            }
        }
    }

    fn happens(&mut self, place: usize, event: task::Event) {
        let (job, before) = self.tasks[place];
        let (after, verdict) = before.after(event);
        self.tasks[place].1 = after;
        let ended = |outcome| workflow::Event::TaskEnded { job, outcome, was_held: before.is_held() };
        match verdict {
            Verdict::Claimed => self.tell(workflow::Event::TaskClaimed(job)),
            Verdict::Requeued => self.tell(workflow::Event::TaskRequeued(job)),
            Verdict::Over(outcome) => self.tell(ended(outcome)),
            Verdict::Exhausted => self.tell(ended(Outcome::InfrastructureFail)),
            Verdict::Granted => self.grants[place] += 1,
            _ => {}
        }
    }

    fn make(&mut self, call: &Call) {
        if self.tasks.is_empty() {
            return;
        }
        let place = call.task.index(self.tasks.len());
        let epoch = self.tasks[place].1.epoch.0;
        let epoch = Epoch(epoch - u64::try_from(call.lease.index(3)).unwrap().min(epoch));
        let (until, outcome) = (self.now + LEASE, call.outcome);
        match call.kind {
            0 => self.tell(workflow::Event::Cancel),
            27..=29 => self.answer(call.lease.index(self.shapes.len())),
            1..=3 => {
                self.now += LEASE / 2;
                let now = self.now;
                (0..self.tasks.len()).for_each(|place| self.happens(place, task::Event::Tick { now }));
            }
            4..=5 => self.happens(place, task::Event::Unclaim { epoch }),
            6..=8 => self.happens(place, task::Event::Renew { epoch, until }),
            9..=15 => self.happens(place, task::Event::Begin { epoch }),
            16..=20 => self.happens(place, task::Event::Finish { epoch, outcome }),
            _ => self.happens(place, task::Event::Claim { until }),
        }
    }

    fn check(&self) {
        assert!(self.grants.iter().all(|grants| *grants <= 1), "user code ran twice");
        for job in 0..self.shapes.len() {
            let own: Vec<_> = self.tasks.iter().filter(|(of, _)| *of == job).map(|(_, task)| task).collect();
            let is_over = own.iter().all(|task| matches!(task.state, State::Ended(_)));
            let status = self.engine.job_status(job);
            assert_eq!(
                status.is_terminal() && !own.is_empty(),
                is_over && !own.is_empty(),
                "{job} is {status}"
            );
            let is_held = own.iter().any(|task| task.is_held());
            assert!(
                !is_held || status == JobStatus::Running,
                "{job} is {status}, and somebody holds a task of it"
            );
        }
    }

    /// Launch-agents that do what they must take whatever is queued, and people approve whatever waits.
    fn finish(&mut self) {
        (0..self.shapes.len()).for_each(|job| self.answer(job));
        let mut place = 0;
        while place < self.tasks.len() {
            self.happens(place, task::Event::Claim { until: Millis::MAX });
            let epoch = self.tasks[place].1.epoch;
            self.happens(place, task::Event::Begin { epoch });
            self.happens(place, task::Event::Finish { epoch, outcome: Outcome::Success });
            place += 1;
            (0..self.shapes.len()).for_each(|job| self.answer(job));
        }
    }
}

proptest! {
    #[test]
    fn no_late_or_repeated_call_makes_a_job_run_twice_or_wait_for_ever(shapes in shapes(), calls in calls()) {
        let mut house = House::new(shapes);
        for call in &calls {
            house.make(call);
            house.check();
        }
        house.finish();
        house.check();
        let over = (0..house.shapes.len()).all(|job| house.engine.job_status(job).is_terminal());
        prop_assert!(over && house.engine.status().is_terminal(), "{:?}", house.engine);
    }

    #[test]
    fn a_workflow_that_is_over_stays_as_it_is(shapes in shapes(), calls in calls(), late in calls()) {
        let mut house = House::new(shapes);
        calls.iter().for_each(|call| house.make(call));
        house.finish();
        let (engine, tasks) = (house.engine.clone(), house.tasks.clone());
        late.iter().for_each(|call| house.make(call));
        prop_assert_eq!((house.engine, house.tasks), (engine, tasks));
    }
}
