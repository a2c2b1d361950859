//! A whole run: workload and adversary together, then peace, then judgment.

use crate::{
    adversary::Adversary,
    blame::Blame,
    fault::Fault,
    history::{History, Line},
    house::{House, Plan},
    leftovers,
    oracle::{self, Verdict},
    patience,
    report::Report,
    schedule::{LEASE, Strike},
    seen,
    workload::Pipeline,
};
use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Pipelines under way at once.
const AT_ONCE: usize = 4;
/// Between looks at them.
const LOOK: Duration = Duration::from_millis(400);
/// Once the faults stop, everything is over within this.
const DRAINED: Duration = Duration::from_secs(150);

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Order {
    /// Where the programs lie.
    pub programs: PathBuf,
    /// What determines workload and faults.
    pub seed: u64,
    /// How long faults are done, in milliseconds.
    pub length: u64,
    /// The faults.
    pub plan: Vec<Strike>,
    /// Where the history is written.
    pub history: PathBuf,
}

/// A pipeline that was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// What it is.
    pub pipeline: Pipeline,
    /// Its name at the control plane.
    pub id: String,
    /// Names the attempt that made it.
    pub tag: String,
    /// When it was asked for, and when its end was first seen.
    pub span: (u64, Option<u64>),
}

/// Carries out an order; what is wrong is in the report.
pub fn run(order: &Order) -> io::Result<Report> {
    let history = Arc::new(History::begin(&order.history, order.seed, order.length)?);
    let plan = Plan { programs: order.programs.clone(), mutation: None, lease: LEASE };
    let mut house = House::open(plan, &history)?;
    let began = Instant::now();
    house.hosts.iter().for_each(|host| host.agent.start());
    let peace = AtomicBool::new(false);
    let (made, done) = thread::scope(|scope| {
        let workload = scope.spawn(|| work(&house, &history, order.seed, &peace));
        let done = Adversary::new(&house, &history).carry_out(&order.plan);
        peace.store(true, Ordering::SeqCst);
        (workload.join(), done)
    });
    let never_came = done?;
    let made = made.map_err(|_| io::Error::other("the workload's thread panicked"))?;
    let kinds = kinds(&house, &history.lines(), never_came);
    let verdict = judge(&mut house, &history, &made)?;
    if !verdict.wrong.is_empty() {
        keep_logs(&house, order)?;
    }
    Ok(Report::of(order, kinds, made.len() as u64, verdict, began.elapsed()))
}

/// Makes pipelines until there is peace, then sees them all to their end.
fn work(house: &House, history: &History, seed: u64, peace: &AtomicBool) -> Vec<Made> {
    let mut made: Vec<Made> = Vec::new();
    let mut number = 0;
    let mut end: Option<Instant> = None;
    loop {
        let is_peace = peace.load(Ordering::SeqCst);
        look(house, history, &mut made);
        let open = made.iter().filter(|made| made.span.1.is_none()).count();
        if !is_peace && open < AT_ONCE {
            made.extend(make(house, history, Pipeline::generate(seed, number)));
            number += 1;
        }
        if is_peace {
            let end = *end.get_or_insert_with(|| Instant::now() + DRAINED);
            if open == 0 || Instant::now() > end {
                return made;
            }
        }
        thread::sleep(LOOK);
    }
}

fn look(house: &House, history: &History, made: &mut [Made]) {
    for made in made.iter_mut().filter(|made| made.span.1.is_none()) {
        if house.operator.glance(&made.id).is_some_and(|view| seen::is_over(&view)) {
            made.span.1 = Some(history.now());
        }
    }
}

/// Makes a pipeline; a call whose answer never came is made again under another tag, and what it may have made runs too.
pub fn make(house: &House, history: &History, pipeline: Pipeline) -> Option<Made> {
    let asked = history.now();
    let mut attempt = 0;
    patience::until(Duration::from_secs(30), || {
        let tag = format!("{}a{attempt}", pipeline.name);
        attempt += 1;
        let made = house.operator.create(&pipeline.body(&tag, &house.runs));
        if let Err(error) = &made {
            history.note(format!("a pipeline was not made: {error}"));
        }
        let id = made.ok()?;
        Some(Made { pipeline: pipeline.clone(), id, tag, span: (asked, None) })
    })
}

/// Judges everything that was made, and what is left.
pub fn judge(house: &mut House, history: &History, made: &[Made]) -> io::Result<Verdict> {
    let blame = Blame::of(&history.lines(), house.lease());
    let (mut verdict, mut tasks) = (Verdict::default(), Vec::new());
    for made in made {
        let span = (made.span.0, made.span.1.unwrap_or_else(|| history.now()));
        match seen::look(&house.operator, &made.id, &made.tag, &house.runs, span) {
            Ok(seen) => {
                tasks.extend(seen.jobs.values().flat_map(|job| &job.tasks).map(|task| task.id.clone()));
                verdict.and(oracle::judge(&made.pipeline, &seen, &blame));
            }
            // What was acknowledged can be read.
            Err(error) => verdict.wrong.push(format!("{}: {error}", made.pipeline.name)),
        }
    }
    verdict.wrong.extend(leftovers::of_tasks(house, &tasks)?);
    verdict.wrong.extend(leftovers::of_programs(house)?);
    verdict.wrong.extend(ran_twice(house));
    Ok(verdict)
}

/// Executions that were counted twice, also of pipelines whose making nobody heard of.
fn ran_twice(house: &House) -> Vec<String> {
    let names = std::fs::read_dir(&house.runs).into_iter().flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let mut tasks: Vec<_> =
        names.filter_map(|name| name.rsplit_once('.').map(|(task, _)| task.to_owned())).collect();
    tasks.sort_unstable();
    let twice = tasks.windows(2).filter(|pair| pair[0] == pair[1]);
    twice.map(|pair| format!("{} ran more than once", pair[0])).collect()
}

/// What the programs said, beside the history.
fn keep_logs(house: &House, order: &Order) -> io::Result<()> {
    for name in ["plane.log", "one.log", "two.log"] {
        let kept = order.history.with_extension(name);
        std::fs::copy(house.root().join(name), kept)?;
    }
    Ok(())
}

/// Faults that were done, by kind: none that found nobody, and of requests and panics those that came.
fn kinds(house: &House, lines: &[Line], never_came: u64) -> BTreeMap<&'static str, u64> {
    let mut kinds = BTreeMap::new();
    for line in lines {
        if let Line::Struck { strike: Strike { fault, .. }, victim: Some(_), .. } = line
            && !matches!(fault, Fault::Tamper { .. })
        {
            *kinds.entry(fault.name()).or_default() += 1;
        }
    }
    kinds.entry("panic in an actor").and_modify(|panics| *panics -= never_came);
    for (kind, times) in house.hosts.iter().flat_map(|host| host.proxy.done()) {
        *kinds.entry(kind).or_default() += times;
    }
    kinds
}
