//! Processes by the mark that every one of a place inherits.

use rustix::process::{Pid, Signal, kill_process};
use std::fs;

/// A process, by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process(pub i32);

/// All processes that carry the mark of a place, or of any place below it.
pub fn processes(mark: &str) -> Vec<Process> {
    let names = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.file_name());
    let all = names.filter_map(|name| name.to_str()?.parse().ok()).map(Process);
    let wanted = format!("CHAOS_PLACE={mark}");
    all.filter(|process| process.variables().any(|variable| variable.starts_with(&wanted))).collect()
}

impl Process {
    fn variables(self) -> impl Iterator<Item = String> {
        let variables = fs::read(format!("/proc/{}/environ", self.0)).unwrap_or_default();
        let texts = variables.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
        texts.collect::<Vec<_>>().into_iter()
    }

    /// Its command line, spaces between.
    pub fn command_line(self) -> String {
        let line = fs::read(format!("/proc/{}/cmdline", self.0)).unwrap_or_default();
        String::from_utf8_lossy(&line).replace('\0', " ")
    }

    /// The task that it was launched for.
    pub fn task(self) -> Option<String> {
        let launch =
            self.variables().find_map(|text| text.strip_prefix("CIRCLECI_LAUNCH_ID=").map(str::to_owned))?;
        launch.rsplit_once('-').map(|(task, _)| task.to_owned())
    }

    /// Sends a signal. One that is gone gets none.
    pub fn signal(self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.0) {
            // It may be gone by now, which is as good.
            let _ = kill_process(pid, signal);
        }
    }
}
