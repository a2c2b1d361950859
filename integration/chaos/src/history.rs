//! What was done, when, and to whom: kept in a file from which the run can be done again.

use crate::schedule::Strike;
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// One line of a history's file; `at` is in milliseconds after its beginning.
#[expect(missing_docs, reason = "what the fields are is said once, at the type")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The first line: what determines the run.
    Run { seed: u64, length: u64 },
    /// A fault, and the task, program or place that it struck; none: nobody was there.
    Struck { at: u64, strike: Strike, victim: Option<String> },
    /// Something else worth telling: a program that ended by itself, a pipeline that ended.
    Noted { at: u64, what: String },
}

/// A run's history as it grows.
#[derive(Debug)]
pub struct History {
    began: Instant,
    lines: Mutex<(File, Vec<Line>)>,
}

impl History {
    /// Begins in a new file.
    pub fn begin(path: &Path, seed: u64, length: u64) -> io::Result<Self> {
        let history = Self { began: Instant::now(), lines: Mutex::new((File::create(path)?, Vec::new())) };
        history.add(Line::Run { seed, length });
        Ok(history)
    }

    /// Milliseconds since it began.
    pub fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A fault was done.
    pub fn struck(&self, strike: &Strike, victim: Option<String>) {
        self.add(Line::Struck { at: self.now(), strike: strike.clone(), victim });
    }

    /// Something happened by itself.
    pub fn note(&self, what: impl Into<String>) {
        self.add(Line::Noted { at: self.now(), what: what.into() });
    }

    /// All of it so far.
    pub fn lines(&self) -> Vec<Line> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    fn add(&self, line: Line) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let text = serde_json::to_string(&line).expect("it has only string keys");
        // The run is worth more than its file.
        let _ = writeln!(lines.0, "{text}");
        lines.1.push(line);
    }
}

/// The seed, the length in milliseconds and the strikes of a history's file.
pub fn read(path: &Path) -> io::Result<(u64, u64, Vec<Strike>)> {
    let text = fs::read_to_string(path)?;
    let (mut run, mut strikes) = ((0, 0), Vec::new());
    for line in text.lines() {
        match serde_json::from_str(line)? {
            Line::Run { seed, length } => run = (seed, length),
            Line::Struck { strike, .. } => strikes.push(strike),
            Line::Noted { .. } => {}
        }
    }
    Ok((run.0, run.1, strikes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::plan;

    #[test]
    fn a_history_brings_back_the_run_it_tells_of() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history.jsonl");
        let history = History::begin(&path, 17, 3).unwrap();
        let strikes = plan(17, 5_000);
        strikes.iter().for_each(|strike| history.struck(strike, None));
        history.note("an end");
        assert_eq!(read(&path).unwrap(), (17, 3, strikes));
    }
}
