//! What each test of a list weighs: one, its file's size, or the time that it took in former runs.

use super::{SuiteError, Surroundings, arguments::Options, listing::Listed, text_of};
use protocol::{
    former::{Former, Timings},
    transfer::TestCase,
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// How tests are weighed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum By {
    #[default]
    Name,
    Filesize,
    Timings,
}

/// What a list names: the tests of a file, those of a class, or those of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Filename,
    Classname,
    Testname,
}

const KINDS: [Kind; 3] = [Kind::Filename, Kind::Classname, Kind::Testname];

/// Weights, a test each, and sentences for the step's log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Weighed {
    pub(crate) weights: Vec<u64>,
    pub(crate) told: Vec<String>,
}

/// So many tests that nothing is known of are named.
const NAMED: usize = 10;
/// The longest time and the largest file that count, so that all together can be summed.
const HEAVIEST: u64 = 1 << 42;

/// Weighs a list. What former runs tell is asked for only where it is needed and not known yet.
pub(crate) fn weigh(
    listed: &[Listed],
    options: &Options,
    former: Option<&Former>,
    here: &Surroundings<'_>,
) -> Result<Weighed, SuiteError> {
    Ok(match (options.by, &options.timings_file) {
        (By::Name, _) => equal(listed, Vec::new()),
        (By::Filesize, _) => by_size(listed, here),
        (By::Timings, Some(file)) => by_time(listed, &of_file(here, file)?, options),
        (By::Timings, None) => match former {
            Some(former) => by_time(listed, &former.timings, options),
            None => match (here.former)() {
                Ok(former) => by_time(listed, &former.timings, options),
                Err(why) => fallen_back(listed, why),
            },
        },
    })
}

fn equal(listed: &[Listed], told: Vec<String>) -> Weighed {
    Weighed { weights: vec![1; listed.len()], told }
}

/// As CircleCI says it, so that whoever looks for it finds it.
fn fallen_back(listed: &[Listed], why: String) -> Weighed {
    let said = "Error auto-detecting timing type, falling back to weighting by name.".to_owned();
    equal(listed, vec![said, why])
}

fn by_size(listed: &[Listed], here: &Surroundings<'_>) -> Weighed {
    let size = |test: &Listed| {
        let metadata = here.directory.join(&test.name).metadata().ok().filter(std::fs::Metadata::is_file);
        metadata.map(|metadata| metadata.len())
    };
    let sizes: Vec<_> = listed.iter().map(size).collect();
    if !listed.is_empty() && sizes.iter().all(Option::is_none) {
        return equal(
            listed,
            vec!["None of the list is a file, falling back to weighting by name.".to_owned()],
        );
    }
    let default = mean(&sizes);
    filled(
        listed,
        &sizes,
        default,
        &format!("is no file: each counts as {default} bytes, the mean of the others"),
    )
}

fn by_time(listed: &[Listed], timings: &Timings, options: &Options) -> Weighed {
    let known = KINDS.map(|kind| (kind, times(listed, table(timings, kind))));
    let count = |times: &[Option<u64>]| times.iter().flatten().count();
    let best = known
        .iter()
        .filter(|(kind, _)| options.kind.is_none_or(|wanted| wanted == *kind))
        // Of several that know as many the first.
        .rev()
        .max_by_key(|(_, times)| count(times));
    let Some((_, times)) = best.filter(|(_, times)| count(times) > 0) else {
        return if listed.is_empty() {
            equal(listed, Vec::new())
        } else {
            fallen_back(listed, nothing_known(timings, options))
        };
    };
    let given = options.time_default.map(|time| u64::try_from(time.as_micros()).unwrap_or(HEAVIEST));
    let default = given.unwrap_or_else(|| mean(times));
    let how = if given.is_some() { "" } else { ", the mean of the others" };
    let seconds = std::time::Duration::from_micros(default).as_secs_f64();
    filled(listed, times, default, &format!("has no known time: each counts as {seconds:.3}s{how}"))
}

fn table(timings: &Timings, kind: Kind) -> &BTreeMap<String, f64> {
    match kind {
        Kind::Filename => &timings.files,
        Kind::Classname => &timings.classes,
        Kind::Testname => &timings.names,
    }
}

fn nothing_known(timings: &Timings, options: &Options) -> String {
    match options.kind {
        _ if *timings == Timings::default() => {
            "No former run of this job on this branch or the default one has stored test results with times."
                .to_owned()
        }
        None => "Autodetect no matching filename or classname.".to_owned(),
        Some(kind) => format!("No time is known of any {} in the list.", kind.word()),
    }
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Filename => "filename",
            Self::Classname => "classname",
            Self::Testname => "testname",
        }
    }
}

/// In microseconds.
fn times(listed: &[Listed], table: &BTreeMap<String, f64>) -> Vec<Option<u64>> {
    let time = |test: &Listed| test.keys.iter().find_map(|key| table.get(key));
    // A number of a file may be anything; the cast holds it to what there is.
    listed.iter().map(|test| time(test).map(|seconds| (seconds * 1e6) as u64)).collect()
}

fn mean(known: &[Option<u64>]) -> u64 {
    let some: Vec<u64> = known.iter().flatten().map(|weight| (*weight).min(HEAVIEST)).collect();
    some.iter().sum::<u64>() / (some.len() as u64).max(1)
}

/// What is not known counts as the default, and is named.
fn filled(listed: &[Listed], known: &[Option<u64>], default: u64, what: &str) -> Weighed {
    let unknown = listed.iter().zip(known).filter(|(_, weight)| weight.is_none());
    let unknown: Vec<&str> = unknown.map(|(test, _)| test.name.as_str()).collect();
    let mut told = Vec::new();
    if !unknown.is_empty() {
        let more = unknown.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let named: Vec<_> = unknown.iter().take(NAMED).map(|name| format!("\"{name}\"")).collect();
        told.push(format!("{}{more} {what}.", named.join(", ")));
    }
    let weights = known.iter().map(|weight| weight.unwrap_or(default).min(HEAVIEST)).collect();
    Weighed { weights, told }
}

/// As test results are shown: a list of tests, or a structure that has it as `tests`.
#[derive(Deserialize)]
#[serde(untagged)]
enum TimingsFile {
    Tests(Vec<Timed>),
    Within { tests: Vec<Timed> },
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Timed {
    file: Option<String>,
    classname: Option<String>,
    name: Option<String>,
    #[serde(alias = "time")]
    run_time: Option<f64>,
}

fn of_file(here: &Surroundings<'_>, name: &str) -> Result<Timings, SuiteError> {
    let text = text_of(&here.directory, name)?;
    let refused =
        |error: serde_json::Error| SuiteError::Read { what: format!("`{name}`"), cause: error.into() };
    let tests = match serde_json::from_str(&text).map_err(refused)? {
        TimingsFile::Tests(tests) | TimingsFile::Within { tests } => tests,
    };
    let case = |timed: Timed| TestCase {
        classname: timed.classname.unwrap_or_default(),
        name: timed.name.unwrap_or_default(),
        file: timed.file,
        result: protocol::transfer::TestResult::Success,
        run_time: timed.run_time,
        message: None,
    };
    Ok(Timings::of(tests.into_iter().map(case)))
}
