//! Processes as the kernel shows them: who is there, what they use.

use rustix::process::{Pid, Signal};
use std::{
    fs, io,
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

/// Ticks of a second in `/proc/<pid>/stat` (`USER_HZ`, a constant of the kernel's ABI).
const TICKS: u64 = 100;

/// A process of this machine, by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Process(pub i32);

/// All processes there are.
pub fn all() -> Vec<Process> {
    let names = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.filter_map(|name| name.to_str()?.parse().ok()).map(Process).collect()
}

/// The processes whose command line has `text` in it, zombies not among them.
pub fn running(text: &str) -> Vec<Process> {
    all().into_iter().filter(|process| process.command_line().contains(text)).collect()
}

/// These and all below them, however deep.
pub fn trees(roots: Vec<Process>) -> Vec<Process> {
    let all = all();
    let (mut found, mut at) = (roots, 0);
    while let Some(parent) = found.get(at).copied() {
        let children: Vec<_> =
            all.iter().filter(|process| process.parent() == Some(parent)).copied().collect();
        found.extend(children.into_iter().filter(|child| !found.contains(child)).collect::<Vec<_>>());
        at += 1;
    }
    found
}

impl Process {
    /// Its parent.
    pub fn parent(self) -> Option<Self> {
        self.stat()?[1].parse().ok().map(Self)
    }

    /// Those whose parent it is.
    pub fn children(self) -> Vec<Self> {
        all().into_iter().filter(|process| process.parent() == Some(self)).collect()
    }

    /// This one.
    pub fn own() -> Self {
        Self(rustix::process::getpid().as_raw_nonzero().get())
    }

    /// Its command line, spaces between; empty for a zombie and for one that is gone.
    pub fn command_line(self) -> String {
        let line = fs::read(format!("/proc/{}/cmdline", self.0)).unwrap_or_default();
        String::from_utf8_lossy(&line).replace('\0', " ")
    }

    /// Sends a signal. One that is gone gets none.
    pub fn signal(self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.0) {
            // It may be gone by now, which is as good.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// Whether it is there and no zombie.
    pub fn is_alive(self) -> bool {
        self.stat().is_some_and(|fields| !matches!(fields[0].as_str(), "Z" | "X"))
    }

    /// Processor time of it and of the children it has reaped.
    pub fn cpu(self) -> Duration {
        self.own_cpu() + self.reaped_cpu()
    }

    /// Processor time of itself alone.
    pub fn own_cpu(self) -> Duration {
        self.ticks(11..13)
    }

    /// Processor time of the children it has reaped.
    pub fn reaped_cpu(self) -> Duration {
        self.ticks(13..15)
    }

    fn ticks(self, fields: Range<usize>) -> Duration {
        let ticks =
            |stat: Vec<String>| stat[fields].iter().filter_map(|field| field.parse::<u64>().ok()).sum();
        Duration::from_millis(self.stat().map_or(0, ticks) * 1000 / TICKS)
    }

    /// Its share of memory, in bytes (`Pss`).
    pub fn memory(self) -> u64 {
        self.kilobytes("smaps_rollup", "Pss:") * 1024
    }

    /// The most resident memory it ever had, in bytes (`VmHWM`).
    pub fn peak(self) -> u64 {
        self.kilobytes("status", "VmHWM:") * 1024
    }

    /// How many threads it has.
    pub fn threads(self) -> u64 {
        self.kilobytes("status", "Threads:")
    }

    /// How many descriptors it has open.
    pub fn descriptors(self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.0)).map_or(0, Iterator::count)
    }

    fn kilobytes(self, file: &str, field: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/{file}", self.0)).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(field));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }

    /// The fields of its `stat` from the state on: what stands before may have spaces in it.
    fn stat(self) -> Option<Vec<String>> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).ok()?;
        let (_, fields) = stat.rsplit_once(')')?;
        Some(fields.split_whitespace().map(str::to_owned).collect())
    }
}

/// The control groups of this name, wherever they lie.
pub fn groups(name: &str) -> Vec<PathBuf> {
    let (mut found, mut pending) = (Vec::new(), vec![PathBuf::from("/sys/fs/cgroup")]);
    while let Some(directory) = pending.pop() {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        for path in below.map(|entry| entry.path()) {
            if path.ends_with(name) {
                found.push(path.clone());
            }
            pending.push(path);
        }
    }
    found
}

/// Names of what lies in a directory.
pub fn names(directory: &Path) -> io::Result<Vec<String>> {
    fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_sees_itself() {
        let own = Process::own();
        assert!(own.is_alive() && all().contains(&own));
        assert!(own.memory() > 0 && own.peak() > 0 && own.threads() > 0 && own.descriptors() > 2);
    }
}
