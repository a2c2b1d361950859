//! The suite judged: with a guard of the house taken out it must find something wrong, and with it in, nothing.

use crate::{
    adversary::Adversary,
    fault::{Fault, Route, Tampering},
    history::History,
    house::{House, Plan},
    patience,
    proxy::Mode,
    run::{self, Made},
    schedule::Strike,
    seen,
    workload::{Job, Piece, Pipeline, Step},
};
use std::{fs, io, path::Path, sync::Arc, thread, time::Duration};

/// Short, so that one can be lost quickly; longer than a host with much else to do keeps a launch-agent waiting.
const LEASE: u64 = 4_000;
/// Until a pipeline is over, on a busy host too.
const OVER: Duration = Duration::from_secs(150);

/// Until a control plane that has its operator's token answers.
const BACK: Duration = Duration::from_secs(10);

/// A guard, and the adversary that its absence does not survive.
type Aimed = fn(&House, &Arc<History>) -> io::Result<Vec<Made>>;

/// All guards.
const GUARDS: [(&str, Aimed); 4] = [
    ("begin", without_begin),
    ("fencing", without_fencing),
    ("offsets", without_offsets),
    ("fsync", without_fsync),
];

/// Judges the suite; what is wrong with it.
pub fn check(programs: &Path, tell: impl Fn(String)) -> io::Result<Vec<String>> {
    let mut wrong = Vec::new();
    for (guard, aimed) in GUARDS {
        let whole = attempt(programs, None, aimed)?;
        if !whole.is_empty() {
            wrong.push(format!("with {guard} in its place the suite finds: {}", whole.join("; ")));
        }
        let found = attempt(programs, Some(guard), aimed)?;
        match found.first() {
            Some(first) => tell(format!("without {guard}: {first}")),
            None => wrong.push(format!("without {guard} the suite finds nothing wrong")),
        }
    }
    Ok(wrong)
}

fn attempt(programs: &Path, mutation: Option<&'static str>, aimed: Aimed) -> io::Result<Vec<String>> {
    let directory = tempfile::tempdir()?;
    let history = Arc::new(History::begin(&directory.path().join("history"), 0, 0)?);
    let plan = Plan { programs: programs.to_owned(), mutation, lease: LEASE };
    let mut house = House::open(plan, &history)?;
    let made = match aimed(&house, &history) {
        Ok(made) => made,
        // Without its guard the house may have lost what was asked for altogether.
        Err(error) => return Ok(vec![error.to_string()]),
    };
    run::judge(&mut house, &history, &made)
        .map_or_else(|error| Ok(vec![error.to_string()]), |verdict| Ok(verdict.wrong))
}

fn pipeline(steps: Vec<Step>) -> Pipeline {
    let job = Job { name: "j0".into(), requires: Vec::new(), parallelism: 1, steps };
    Pipeline { name: "p0".into(), jobs: vec![job] }
}

/// A job that takes a few seconds.
fn slow() -> Pipeline {
    pipeline(vec![Step::Print(vec![Piece::Slow(1, 60, 100)])])
}

fn make(house: &House, history: &History, pipeline: Pipeline) -> io::Result<Made> {
    run::make(house, history, pipeline).ok_or_else(|| io::Error::other("the pipeline cannot be made"))
}

fn over(house: &House, history: &History, mut made: Made) -> io::Result<Vec<Made>> {
    let over = || house.operator.glance(&made.id).filter(seen::is_over);
    patience::until(OVER, over).ok_or_else(|| io::Error::other("the pipeline is never over"))?;
    made.span.1 = Some(history.now());
    Ok(vec![made])
}

fn seen_to_be(what: &str, mut is: impl FnMut() -> bool) -> io::Result<()> {
    patience::until(OVER, || is().then_some(())).ok_or_else(|| io::Error::other(what.to_owned()))
}

fn has_run(house: &House) -> bool {
    fs::read_dir(&house.runs).is_ok_and(|mut runs| runs.next().is_some())
}

fn strike(house: &House, history: &History, fault: Fault) -> io::Result<()> {
    Adversary::new(house, history).carry_out(&[Strike { at: 0, fault }]).map(drop)
}

/// The lease of a running job runs out while its launch-agent stands still, and another waits for work.
fn without_begin(house: &House, history: &Arc<History>) -> io::Result<Vec<Made>> {
    house.hosts[0].agent.start();
    let made = make(house, history, slow())?;
    seen_to_be("the job never runs", || has_run(house))?;
    house.hosts[1].agent.start();
    strike(house, history, Fault::StopAgent { host: 0, length: LEASE * 3 })?;
    over(house, history, made)
}

/// A launch-agent asks leave to begin when its lease is another's.
fn without_fencing(house: &House, history: &Arc<History>) -> io::Result<Vec<Made>> {
    let cut_off = &house.hosts[0];
    cut_off.proxy.arm(Route::Begin, Tampering::Late { by: LEASE / 2 });
    cut_off.agent.start();
    let made = make(house, history, slow())?;
    seen_to_be("nobody begins", || !cut_off.proxy.done().is_empty())?;
    history.struck(&Strike { at: 0, fault: Fault::Silence { host: 0, length: LEASE * 3 } }, None);
    cut_off.proxy.set(Mode::Silent);
    house.hosts[1].agent.start();
    seen_to_be("the job never runs", || has_run(house))?;
    cut_off.proxy.set(Mode::Open);
    let made = over(house, history, made)?;
    // Whoever was late has its say, too.
    thread::sleep(Duration::from_millis(LEASE));
    Ok(made)
}

/// Every piece of a log is sent twice.
fn without_offsets(house: &House, history: &Arc<History>) -> io::Result<Vec<Made>> {
    house.hosts[0].agent.start();
    (0..200).for_each(|_| house.hosts[0].proxy.arm(Route::Stream, Tampering::Twice));
    let made = make(house, history, slow())?;
    over(house, history, made)
}

/// Power is cut once everything was acknowledged.
fn without_fsync(house: &House, history: &Arc<History>) -> io::Result<Vec<Made>> {
    house.hosts[0].agent.start();
    let artifacts = Step::Artifacts(vec![("f".to_owned(), vec![Piece::Fill("steam", 100_000)])]);
    let made = make(house, history, pipeline(vec![Step::Print(vec![Piece::Count(1, 500)]), artifacts]))?;
    let made = over(house, history, made)?;
    strike(house, history, Fault::PowerCutPlane { down: 100 })?;
    let back = || house.operator.is_answered().then_some(());
    patience::until(BACK, back)
        .ok_or_else(|| io::Error::other("the control plane knows its operator no more"))?;
    Ok(made)
}
