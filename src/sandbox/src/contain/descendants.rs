//! The kill of a process tree: its root's descendants, and strays that carry the task's cookie in their environment.

use super::{COOKIE, Gone, Survivors, stop, terminate, until_gone};
use crate::{Identity, identity::Stat};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::Path,
    time::{Duration, Instant},
};

/// The parent of all threads of the kernel, on the host itself.
const KERNEL: i32 = 2;
/// How long one look waits for processes that are executing a program. It takes them microseconds, on a busy host more.
const EXECUTING: Duration = Duration::from_millis(250);

/// The descendants of one process, and strays of one task.
#[derive(Clone, Debug)]
pub struct Descendants {
    root: Option<Identity>,
    with_root: bool,
    cookie: Option<Vec<u8>>,
}

impl Descendants {
    /// All below this process but not itself, which is a subreaper: none of them can leave.
    pub fn of_own() -> std::io::Result<Self> {
        Ok(Self { root: Some(Identity::own()?), with_root: false, cookie: None })
    }

    /// This process and all below it.
    pub fn of(root: Identity) -> Self {
        Self { root: Some(root), with_root: true, cookie: None }
    }

    pub(super) fn of_task(root: Option<Identity>, task: &str) -> Self {
        let cookie = (!task.is_empty()).then(|| format!("{COOKIE}={task}").into_bytes());
        Self { root, with_root: true, cookie }
    }

    /// All of them that have not ended.
    pub fn members(&self) -> Vec<Identity> {
        self.among(&processes())
    }

    /// Asks all of them to end.
    pub fn terminate(&self) {
        terminate(|| self.members());
    }

    /// Kills all of them and returns when none is left, or those that are when the time is over.
    pub fn kill(&self, within: Duration) -> Result<Gone, Survivors> {
        until_gone(within, || self.strike(), || self.members())
    }

    pub(super) fn strike(&self) {
        stop(|| self.members()).iter().for_each(super::kill_one);
    }

    fn among(&self, processes: &[Stat]) -> Vec<Identity> {
        let patience = Instant::now() + EXECUTING;
        let found = trees(processes, |stat| self.is_root(stat) || self.has_cookie(stat, patience));
        let own = i32::try_from(std::process::id()).unwrap_or_default();
        let belongs = |stat: &&Stat| {
            let excluded = stat.identity.pid == own || (!self.with_root && self.is_root(stat));
            found.contains(&stat.identity.pid) && stat.is_alive() && !excluded
        };
        processes.iter().filter(belongs).map(|stat| stat.identity).collect()
    }

    fn is_root(&self, stat: &Stat) -> bool {
        self.root == Some(stat.identity)
    }

    /// Not readable of other accounts' processes: those are found as descendants or not at all.
    fn has_cookie(&self, stat: &Stat, patience: Instant) -> bool {
        let Some(cookie) = &self.cookie else { return false };
        environment(stat, patience).split(|byte| *byte == 0).any(|variable| variable == cookie.as_slice())
    }
}

fn environment(stat: &Stat, patience: Instant) -> Vec<u8> {
    let environment = about(stat, "environ");
    match environment.is_empty() && !command_line(stat, patience).is_empty() {
        true => about(stat, "environ"),
        false => environment,
    }
}

/// Its arguments. A process in the middle of execve(2) has left its old ones, and its old environment, and does not show the
/// new ones yet: it is looked at again, or it would pass for nobody's.
fn command_line(stat: &Stat, patience: Instant) -> Vec<u8> {
    loop {
        let line = about(stat, "cmdline");
        let is_executing = line.is_empty() && !is_kernels(stat) && stat.identity.is_alive();
        if !is_executing || Instant::now() > patience {
            return line;
        }
        std::thread::yield_now();
    }
}

/// Nothing where we may not read it.
fn about(stat: &Stat, file: &str) -> Vec<u8> {
    std::fs::read(format!("/proc/{}/{file}", stat.identity.pid)).unwrap_or_default()
}

/// The kernel's threads are nobody's, and many.
pub(super) fn is_kernels(stat: &Stat) -> bool {
    stat.identity.pid == KERNEL || stat.parent == KERNEL
}

/// The processes that run a program of this directory, as their command lines say, and are neither `kept` nor below one
/// that is.
pub fn strays(programs: &Path, kept: &[Identity]) -> Vec<Identity> {
    let processes = processes();
    let held = trees(&processes, |stat| kept.contains(&stat.identity));
    let patience = Instant::now() + EXECUTING;
    let is_stray = |stat: &&Stat| {
        stat.is_alive() && !held.contains(&stat.identity.pid) && runs_from(stat, programs, patience)
    };
    processes.iter().filter(is_stray).map(|stat| stat.identity).collect()
}

/// Its first word, which everybody may read, also of a process that is otherwise hidden.
fn runs_from(stat: &Stat, programs: &Path, patience: Instant) -> bool {
    let line = command_line(stat, patience);
    let program = line.split(|byte| *byte == 0).next().unwrap_or_default();
    Path::new(OsStr::from_bytes(program)).parent() == Some(programs)
}

/// The numbers of the roots and of all below them.
fn trees(processes: &[Stat], is_root: impl Fn(&Stat) -> bool) -> BTreeSet<i32> {
    let mut found = BTreeSet::new();
    let roots = processes.iter().filter(|stat| is_root(stat));
    let mut pending: Vec<i32> = roots.map(|stat| stat.identity.pid).collect();
    let children = children(processes);
    while let Some(pid) = pending.pop() {
        if found.insert(pid) {
            pending.extend(children.get(&pid).into_iter().flatten());
        }
    }
    found
}

fn children(processes: &[Stat]) -> BTreeMap<i32, Vec<i32>> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for stat in processes {
        children.entry(stat.parent).or_default().push(stat.identity.pid);
    }
    children
}

/// Every process of the host, as far as it can be seen.
pub(crate) fn processes() -> Vec<Stat> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Stat::of(pid).ok()).collect()
}
