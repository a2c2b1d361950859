//! `chaos`: lets the adversary loose, or judges the suite itself. `scripts/chaos` builds what it needs and calls it.

use chaos::{disk, history, mutations, run, schedule};
use std::{
    env, fs, io,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const USAGE: &str = "usage: chaos --programs DIR [--seed S] [--minutes M] [--report FILE] [--history FILE] [--replay FILE] [--mutations] [--needs]";
/// What a test harness takes for a test that was skipped.
const LACKING: u8 = 77;

/// What stands before the report in the documentation.
const PAGE: &str = include_str!("page.md");

struct Options {
    programs: PathBuf,
    seed: Option<u64>,
    minutes: f64,
    report: Option<PathBuf>,
    history: PathBuf,
    replay: Option<PathBuf>,
    mutations: bool,
    needs: bool,
}

fn main() -> ExitCode {
    let Some(options) = parse(env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    if let Some(lacking) = lacking() {
        eprintln!("skipped: the chaos suite needs {lacking}");
        return ExitCode::from(LACKING);
    }
    if options.needs {
        return ExitCode::SUCCESS;
    }
    let result = if options.mutations { judge_suite(&options) } else { let_loose(&options) };
    result.unwrap_or_else(|error| {
        eprintln!("chaos: {error}");
        ExitCode::from(3)
    })
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Options> {
    let history = env::temp_dir().join(format!("roundhouse-chaos-{}.jsonl", std::process::id()));
    let (programs, seed, report, replay) = (PathBuf::new(), None, None, None);
    let mut options =
        Options { programs, seed, minutes: 1.0, report, history, replay, mutations: false, needs: false };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--mutations" => options.mutations = true,
            "--needs" => options.needs = true,
            _ => options.take(&argument, &arguments.next()?)?,
        }
    }
    (options.needs || options.programs.join("roundhouse").exists()).then_some(options)
}

impl Options {
    fn take(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "--programs" => self.programs = value.into(),
            "--seed" => self.seed = Some(value.parse().ok()?),
            "--minutes" => self.minutes = value.parse().ok()?,
            "--report" => self.report = Some(value.into()),
            "--history" => self.history = value.into(),
            "--replay" => self.replay = Some(value.into()),
            _ => return None,
        }
        Some(())
    }
}

fn lacking() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("root, to mount disks that fail".to_owned());
    }
    disk::lacking()
}

fn judge_suite(options: &Options) -> io::Result<ExitCode> {
    let wrong = mutations::check(&options.programs, |line| println!("{line}"))?;
    wrong.iter().for_each(|wrong| eprintln!("{wrong}"));
    Ok(ExitCode::from(u8::from(!wrong.is_empty())))
}

fn let_loose(options: &Options) -> io::Result<ExitCode> {
    let order = order(options)?;
    let report =
        run::run(&order).map_err(|error| io::Error::other(format!("seed {}: {error}", order.seed)))?;
    println!("{report}");
    if let Some(path) = &options.report {
        fs::write(path, format!("{PAGE}\n{report}"))?;
    }
    println!("{}", report.summary());
    if report.is_clean() {
        fs::remove_file(&order.history)?;
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{}", report.failure());
    Ok(ExitCode::FAILURE)
}

fn order(options: &Options) -> io::Result<run::Order> {
    let (seed, length, plan) = match &options.replay {
        Some(path) => history::read(path)?,
        None => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let seed = options.seed.unwrap_or(now.as_secs());
            let length = Duration::try_from_secs_f64(options.minutes * 60.0).map_err(io::Error::other)?;
            let length = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
            (seed, length, schedule::plan(seed, length))
        }
    };
    let (programs, history) = (fs::canonicalize(&options.programs)?, options.history.clone());
    Ok(run::Order { programs, seed, length, plan, history })
}
