//! What can be seen of a tree of actors from outside, at any moment.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic, with its place")]

use actix::prelude::*;
use std::{
    sync::{Arc, Barrier, mpsc},
    time::Duration,
};
use supervise::{
    Above, Child, ChildExited, Exit, Home, Seat, Standing, Tolerance, Tree, Verdict, run, say_state, start,
    take_counted,
};

const TOLERANCE: Tolerance =
    Tolerance { failures: 2, within: Duration::from_secs(60), backoff: Duration::ZERO };

#[derive(Message)]
#[rtype(result = "()")]
enum Work {
    /// Waits for whoever else comes to the barrier, twice.
    Hold(Arc<Barrier>),
    Say(&'static str),
    Fail,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Done;

/// Works, and tells its parent.
struct Worker(Above<Done>);

impl Actor for Worker {
    type Context = Context<Self>;
}

take_counted!(Worker: Work);

impl Handler<Work> for Worker {
    type Result = ();

    fn handle(&mut self, work: Work, _: &mut Context<Self>) {
        match work {
            Work::Hold(barrier) => {
                barrier.wait();
                barrier.wait();
            }
            Work::Say(state) => say_state(state),
            Work::Fail => panic!("the worker's own fault"),
        }
        self.0.tell(Done);
    }
}

/// Has one worker in its seat, and passes work on to it.
struct Boss {
    seat: Option<Seat>,
    home: Home,
    worker: Option<Child<Worker>>,
    verdicts: mpsc::Sender<Verdict>,
}

impl Boss {
    fn new(verdicts: mpsc::Sender<Verdict>) -> Self {
        let seat = Seat::new::<Worker>("the only", TOLERANCE);
        Self { seat: Some(seat), home: Home::new().unwrap(), worker: None, verdicts }
    }

    fn hire(&mut self, ctx: &mut Context<Self>) {
        let (above, arbiter) = (Above::of(ctx), self.home.arbiter().clone());
        let seat = self.seat.as_ref().unwrap();
        self.worker = Some(start(ctx, seat, &arbiter, (), move |_| Worker(above)));
    }
}

impl Actor for Boss {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.hire(ctx);
    }
}

take_counted!(Boss: Done, ChildExited<()>);

impl Handler<Done> for Boss {
    type Result = ();

    fn handle(&mut self, _: Done, _: &mut Context<Self>) {}
}

impl Handler<ChildExited<()>> for Boss {
    type Result = ();

    fn handle(&mut self, exited: ChildExited<()>, ctx: &mut Context<Self>) {
        let verdict = self.seat.as_mut().unwrap().failed(&exited.exit.failure().unwrap());
        match verdict {
            Verdict::RestartAfter(_) => self.hire(ctx),
            Verdict::Escalate => (self.worker, self.seat) = (None, None),
        }
        self.verdicts.send(verdict).unwrap();
    }
}

/// From the test, by the way that a program's own orders come.
#[derive(Message)]
#[rtype(result = "()")]
enum Order {
    Pass(Work),
    Leave,
}

impl Handler<Order> for Boss {
    type Result = ();

    fn handle(&mut self, order: Order, ctx: &mut Context<Self>) {
        match order {
            Order::Pass(work) => self.worker.as_ref().unwrap().tell(work),
            Order::Leave => ctx.stop(),
        }
    }
}

/// A boss that runs, its tree, and what it decides.
struct House {
    tree: Tree,
    boss: Addr<Boss>,
    verdicts: mpsc::Receiver<Verdict>,
    thread: std::thread::JoinHandle<Exit>,
}

impl House {
    fn new() -> Self {
        let tree = Tree::of::<Boss>();
        let ((verdict, verdicts), (tell, told)) = (mpsc::channel(), mpsc::channel());
        let its = tree.clone();
        let make = move |ctx: &mut Context<Boss>| {
            tell.send(ctx.address()).unwrap();
            Boss::new(verdict)
        };
        let thread = std::thread::spawn(move || System::new().block_on(run(&its, make)));
        Self { tree, boss: told.recv().unwrap(), verdicts, thread }
    }

    fn pass(&self, work: Work) {
        self.boss.do_send(Order::Pass(work));
    }

    fn worker(&self) -> Standing {
        self.tree.look().below.remove(0)
    }

    fn until(&self, what: &str, is_so: impl Fn(&Standing) -> bool) -> Standing {
        for _ in 0..20_000 {
            match self.tree.look() {
                so if is_so(&so) => return so,
                _ => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        panic!("{what}: never in {:#?}", self.tree.look());
    }

    fn leave(self) {
        self.boss.do_send(Order::Leave);
        assert_eq!(self.thread.join().unwrap(), Exit::Stopped);
    }
}

#[test]
fn messages_that_wait_are_counted_until_they_are_taken_up() {
    let house = House::new();
    let barrier = Arc::new(Barrier::new(2));
    house.pass(Work::Hold(barrier.clone()));
    barrier.wait();
    (0..10).for_each(|_| house.pass(Work::Say("busy")));
    house.until("ten wait", |tree| tree.below[0].queued == 10);
    let worker = house.worker();
    assert_eq!(
        (worker.handled, worker.state.as_str()),
        (1, "Started"),
        "what is being handled waits no more"
    );
    barrier.wait();
    let tree = house.until("all is done", |tree| tree.below[0].handled == 11 && tree.handled == 11);
    assert_eq!((tree.queued, tree.below[0].queued), (0, 0));
    assert_eq!(tree.below[0].state, "busy");
    house.leave();
}

#[test]
fn a_failure_is_kept_for_whoever_looks_and_a_new_life_begins_with_an_empty_mailbox() {
    let house = House::new();
    house.pass(Work::Say("fine"));
    house.pass(Work::Fail);
    assert_eq!(house.verdicts.recv().unwrap(), Verdict::RestartAfter(Duration::ZERO));
    let worker = house.until("it is back", |tree| tree.below[0].restarts == 1).below.remove(0);
    assert_eq!(
        (worker.actor, worker.name.as_str(), worker.state.as_str()),
        ("Worker", "the only", "Started")
    );
    assert_eq!((worker.queued, worker.handled), (0, 0));
    assert_eq!(worker.failure.unwrap().0, "the worker's own fault");
    assert_eq!(house.tree.restarts().get("Worker"), Some(&1));
    house.leave();
}

#[test]
fn who_is_beyond_its_tolerance_leaves_the_tree_and_its_restarts_stay_counted() {
    let house = House::new();
    for left in [true, true, false] {
        house.pass(Work::Fail);
        let verdict = house.verdicts.recv().unwrap();
        assert_eq!(verdict == Verdict::RestartAfter(Duration::ZERO), left);
    }
    assert_eq!(house.tree.look().below, []);
    assert_eq!(house.tree.restarts().get("Worker"), Some(&2));
    house.leave();
}
