//! What a parent can rely on, whatever becomes of its children.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic, with its place")]

use actix::prelude::*;
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use supervise::{
    Child, ChildExited, Exit, Home, Homes, Report, Seat, Tolerance, Tree, install_panic_hook, run, start,
    start_beside, take_counted,
};

type Exits = Arc<Mutex<Vec<Exit>>>;

/// Where children live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Beside,
    Elsewhere,
}

/// More failures than any test has.
const TOLERANCE: Tolerance =
    Tolerance { failures: 1000, within: Duration::from_secs(60), backoff: Duration::ZERO };

const PLACES: [Place; 2] = [Place::Beside, Place::Elsewhere];
const DEADLINE: Duration = Duration::from_secs(20);

/// Fails on demand, and counts how many of it live.
struct Victim {
    handled: usize,
    living: Arc<AtomicUsize>,
}

impl Victim {
    fn new(living: Arc<AtomicUsize>) -> Self {
        living.fetch_add(1, SeqCst);
        Self { handled: 0, living }
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        self.living.fetch_sub(1, SeqCst);
    }
}

impl Actor for Victim {
    type Context = Context<Self>;
}

#[derive(Message, Clone, Copy)]
#[rtype(result = "usize")]
enum Do {
    Count,
    Panic,
    PanicLater,
    Stop,
    Hang,
}

impl Handler<Do> for Victim {
    type Result = usize;

    fn handle(&mut self, order: Do, ctx: &mut Context<Self>) -> usize {
        self.handled += 1;
        match order {
            Do::Count => {}
            Do::Panic => panic!("boom {}", self.handled),
            Do::PanicLater => drop(ctx.run_later(Duration::from_millis(1), |_, _| panic!("late boom"))),
            Do::Stop => ctx.stop(),
            Do::Hang => std::thread::sleep(Duration::from_secs(3)),
        }
        self.handled
    }
}

/// Bears a new child for each that fails.
struct Parent {
    place: Place,
    seat: Seat,
    child: Option<Child<Victim>>,
    home: Option<Home>,
    exits: Exits,
    births: Arc<AtomicUsize>,
    living: Arc<AtomicUsize>,
}

impl Parent {
    fn bear(&mut self, ctx: &mut Context<Self>) {
        let living = self.living.clone();
        let make = move |_: &mut _| Victim::new(living);
        self.child = Some(match self.place {
            Place::Beside => start_beside(ctx, &self.seat, "victim", make),
            Place::Elsewhere => {
                let home = self.home.get_or_insert_with(|| Home::new().unwrap());
                start(ctx, &self.seat, home.arbiter(), "victim", make)
            }
        });
        self.births.fetch_add(1, SeqCst);
    }
}

impl Actor for Parent {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.bear(ctx);
    }
}

take_counted!(Parent: ChildExited<&'static str>);

impl Handler<ChildExited<&'static str>> for Parent {
    type Result = ();

    fn handle(&mut self, exited: ChildExited<&'static str>, ctx: &mut Context<Self>) {
        self.exits.lock().unwrap().push(exited.exit.clone());
        match exited.exit {
            Exit::Panicked(_) | Exit::Lost => self.bear(ctx),
            Exit::Stopped => self.child = None,
        }
    }
}

#[derive(Message)]
#[rtype(result = "Option<Addr<Victim>>")]
struct WhereIsChild;

impl Handler<WhereIsChild> for Parent {
    type Result = Option<Addr<Victim>>;

    fn handle(&mut self, _: WhereIsChild, _: &mut Context<Self>) -> Self::Result {
        self.child.as_ref().map(|child| child.addr().clone())
    }
}

#[derive(Message)]
#[rtype(result = "()")]
enum Order {
    LetGo,
    NewHome,
    Panic,
}

impl Handler<Order> for Parent {
    type Result = ();

    fn handle(&mut self, order: Order, ctx: &mut Context<Self>) {
        match order {
            Order::LetGo => self.child = None,
            Order::NewHome => {
                (self.child, self.home) = (None, None);
                self.bear(ctx);
            }
            Order::Panic => panic!("parent boom"),
        }
    }
}

struct Family {
    parent: Addr<Parent>,
    exits: Exits,
    births: Arc<AtomicUsize>,
    living: Arc<AtomicUsize>,
}

impl Family {
    fn at(place: Place) -> Self {
        let (exits, births, living) = (Exits::default(), Arc::default(), Arc::default());
        let parent = Parent {
            place,
            seat: Seat::new::<Victim>("only", TOLERANCE),
            child: None,
            home: None,
            exits: Arc::clone(&exits),
            births: Arc::clone(&births),
            living: Arc::clone(&living),
        };
        Self { parent: parent.start(), exits, births, living }
    }

    async fn child(&self) -> Addr<Victim> {
        self.parent.send(WhereIsChild).await.unwrap().unwrap()
    }

    fn exits(&self) -> Vec<Exit> {
        self.exits.lock().unwrap().clone()
    }
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let waiting = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("{what}: never"));
}

fn panicked(message: &str) -> Exit {
    Exit::Panicked(message.to_owned())
}

#[test]
fn a_panicked_child_is_heard_with_its_message_and_reborn_every_time() {
    for place in PLACES {
        System::new().block_on(async move {
            let family = Family::at(place);
            for round in 1..=100 {
                let child = family.child().await;
                assert_eq!(child.send(Do::Count).await, Ok(1), "a fresh value");
                assert_eq!(child.send(Do::Panic).await, Err(MailboxError::Closed));
                until("a rebirth", || family.births.load(SeqCst) == round + 1).await;
            }
            assert_eq!(family.exits(), vec![panicked("boom 2"); 100]);
        });
    }
}

#[test]
fn a_panic_in_a_timer_of_the_child_is_heard_too() {
    for place in PLACES {
        System::new().block_on(async move {
            let family = Family::at(place);
            family.child().await.send(Do::PanicLater).await.unwrap();
            until("the exit", || family.exits() == [panicked("late boom")]).await;
        });
    }
}

#[test]
fn a_clean_stop_is_heard_as_such() {
    for place in PLACES {
        System::new().block_on(async move {
            let family = Family::at(place);
            family.child().await.send(Do::Stop).await.unwrap();
            until("the exit", || family.exits() == [Exit::Stopped]).await;
        });
    }
}

#[test]
fn a_child_that_is_let_go_ends_in_silence() {
    for place in PLACES {
        System::new().block_on(async move {
            let family = Family::at(place);
            let child = family.child().await;
            child.send(Do::Count).await.unwrap();
            family.parent.send(Order::LetGo).await.unwrap();
            until("its end", || !child.connected() && family.living.load(SeqCst) == 0).await;
            assert_eq!(family.exits(), []);
        });
    }
}

#[test]
fn no_child_outlives_its_parent() {
    for place in PLACES {
        System::new().block_on(async move {
            let family = Family::at(place);
            family.child().await.send(Do::Count).await.unwrap();
            assert_eq!(family.parent.send(Order::Panic).await, Err(MailboxError::Closed));
            until("its end", || family.living.load(SeqCst) == 0).await;
        });
    }
}

#[test]
fn a_hung_child_is_replaced_on_a_thread_of_its_own() {
    System::new().block_on(async {
        let family = Family::at(Place::Elsewhere);
        let hung = family.child().await;
        hung.do_send(Do::Hang);
        family.parent.send(Order::NewHome).await.unwrap();
        let fresh = family.child().await;
        let answer = fresh.send(Do::Count).timeout(Duration::from_secs(2)).await;
        assert_eq!(answer, Ok(1), "while the old thread is still blocked");
        assert_eq!(family.exits(), [], "and nothing is heard of the old one");
    });
}

/// Held by tests that count this process's threads: fifty of one are fifty too many for the other.
static THREADS: Mutex<()> = Mutex::new(());

#[test]
fn a_home_gives_its_thread_back() {
    let _alone = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
    System::new().block_on(async {
        let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
        let before = threads();
        let homes: Vec<_> = (0..50).map(|_| Home::new().unwrap()).collect();
        // Other tests of this process come and go, but not fifty of them.
        assert!(threads() >= before + 25);
        drop(homes);
        until("the threads' end", || threads() < before + 25).await;
    });
}

#[test]
fn a_home_left_in_order_is_the_next_ones_and_only_a_few_are_kept() {
    let _alone = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
    System::new().block_on(async {
        let mut homes = Homes::default();
        let first = homes.take().unwrap();
        let thread = thread_of(&first);
        homes.give_back(first);
        assert_eq!(thread_of(&homes.take().unwrap()), thread);
        let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
        let before = threads();
        let many: Vec<_> = (0..50).map(|_| homes.take().unwrap()).collect();
        many.into_iter().for_each(|home| homes.give_back(home));
        until("the others' end", || threads() < before + 25).await;
    });
}

fn thread_of(home: &Home) -> std::thread::ThreadId {
    let (tell, told) = std::sync::mpsc::channel();
    home.arbiter().spawn_fn(move || tell.send(std::thread::current().id()).unwrap());
    told.recv_timeout(Duration::from_secs(10)).unwrap()
}

/// Starts children on a thread that is ending, and one that fails to be made.
struct Unlucky(Exits, Vec<Child<Victim>>);

impl Actor for Unlucky {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let (arbiter, seat) = (Arbiter::new(), Seat::new::<Victim>("", TOLERANCE));
        self.1.push(start(ctx, &seat, &arbiter.handle(), (), |_| panic!("constructor boom")));
        let dead = Arbiter::new();
        dead.stop();
        let handle = dead.handle();
        dead.join().unwrap();
        self.1.push(start(ctx, &seat, &handle, (), |_| Victim::new(Arc::default())));
    }
}

take_counted!(Unlucky: ChildExited<()>);

impl Handler<ChildExited<()>> for Unlucky {
    type Result = ();

    fn handle(&mut self, exited: ChildExited<()>, _: &mut Context<Self>) {
        self.0.lock().unwrap().push(exited.exit);
    }
}

#[test]
fn a_failed_constructor_and_a_dead_thread_are_heard() {
    System::new().block_on(async {
        let exits = Exits::default();
        let _unlucky = Unlucky(exits.clone(), Vec::new()).start();
        until("both exits", || exits.lock().unwrap().len() == 2).await;
        let exits = exits.lock().unwrap();
        assert!(exits.contains(&panicked("constructor boom")) && exits.contains(&Exit::Lost), "{exits:?}");
    });
}

struct Root(&'static str);

impl Actor for Root {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        match self.0 {
            "stop" => ctx.stop(),
            message => panic!("{message}"),
        }
    }
}

#[test]
fn the_root_says_how_it_ended() {
    System::new().block_on(async {
        let tree = Tree::of::<Root>();
        assert_eq!(run(&tree, |_| Root("stop")).await, Exit::Stopped);
        assert_eq!(run(&tree, |_| Root("root boom")).await, panicked("root boom"));
        assert_eq!(Exit::Stopped.failure(), None);
        assert_eq!(Exit::Lost.failure().as_deref(), Some("its thread ended"));
    });
}

#[test]
fn the_hook_tells_message_place_and_actor_and_no_backtrace() {
    let reports: Arc<Mutex<Vec<Report>>> = Arc::default();
    let heard = reports.clone();
    install_panic_hook(move |report| heard.lock().unwrap().push(report));
    System::new().block_on(async { run(&Tree::of::<Root>(), |_| Root("hooked boom")).await });
    let _ = std::panic::take_hook();
    let reports = reports.lock().unwrap();
    let report = reports.iter().find(|report| report.message == "hooked boom").unwrap();
    assert_eq!(report.actor, "Root");
    assert!(report.location.contains("supervision.rs:"), "{report:?}");
}
