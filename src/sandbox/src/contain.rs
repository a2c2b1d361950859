//! The certain kill: what holds all processes of one task, and how none of them is left.
//!
//! ```text
//! cgroup v2    cgroup.kill, also where v2 is mounted beside v1      certain, forks included
//! cgroup v1    the freezer: freeze, kill each, thaw, look again     certain
//! own account  kill of everything under it, as itself, at once      certain, if the account is this task's alone
//! descendants  stop, look again, kill; strays by their cookie       best effort
//! ```
//!
//! They are combined: what left the group still has the account. Where the account is not the task's alone, the process
//! tree is walked after the group.

mod by_account;
mod descendants;
mod group;

use crate::{Account, Identity};
pub(crate) use by_account::nobody_runs_as;
pub use descendants::Descendants;
pub(crate) use descendants::processes;
pub use descendants::strays;
use group::Group;
pub(crate) use group::{Entrance, own_group};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    fmt, io,
    time::{Duration, Instant},
};

/// The environment variable by which a process is known to belong to a task.
pub const COOKIE: &str = "ROUNDHOUSE_TASK";
/// The longest pause between two looks whether anybody is left.
const LONGEST_PAUSE: Duration = Duration::from_millis(16);

/// By what the processes of a task are held, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Means {
    /// cgroup v2 and its `cgroup.kill`.
    CgroupKill,
    /// The freezer of cgroup v1 and a kill loop.
    Freezer,
    /// An account that no other task has at the same time.
    Account,
    /// The process tree and the cookie in its environment.
    Descendants,
}

impl fmt::Display for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CgroupKill => "cgroup v2 (cgroup.kill)",
            Self::Freezer => "cgroup v1 (freezer)",
            Self::Account => "an account of its own",
            Self::Descendants => "its process tree (best effort)",
        })
    }
}

/// What holds the processes of one task. Plain data: it may be kept in a file and used after a restart of whoever kept it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Containment {
    task: String,
    group: Option<Group>,
    account: Option<u32>,
    root: Option<Identity>,
}

/// No process of the task is left.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// Processes that would not go.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} of the task would not go within {waited:?}: pids {}", count(.left), pids(.left))]
pub struct Survivors {
    /// Which.
    pub left: Vec<Identity>,
    /// How long they were struck.
    pub waited: Duration,
}

fn count(left: &[Identity]) -> String {
    format!("{} process{}", left.len(), if left.len() == 1 { "" } else { "es" })
}

fn pids(left: &[Identity]) -> String {
    left.iter().map(|identity| identity.pid.to_string()).collect::<Vec<_>>().join(", ")
}

impl Containment {
    /// The strongest that this host and this process's rights allow, for a task of this unique name. `house` is whoever
    /// starts the task and comes back for it after a restart: the same call finds the same containment again then.
    /// `own_account` only if no other task and nobody else has it: everything under it is killed.
    pub fn strongest(house: &str, task: &str, own_account: Option<&Account>) -> Self {
        let group = Group::unified(house, task).or_else(|| Group::freezer(house, task));
        Self::made(task, group, own_account)
    }

    /// The groups that earlier lives of a house made and did not remove.
    pub fn left_by(house: &str) -> Vec<Self> {
        let groups = Group::of_house(house).into_iter();
        groups.map(|(task, group)| Self::made(&task, Some(group), None)).collect()
    }

    /// Everything under an account that nobody holds.
    pub(crate) fn of_account(uid: u32) -> Self {
        Self { task: String::new(), group: None, account: Some(uid).filter(|uid| *uid != 0), root: None }
    }

    /// By this means alone, of no house; none if the host or this process's rights have it not.
    pub fn only(means: Means, task: &str, own_account: Option<&Account>) -> Option<Self> {
        match means {
            Means::CgroupKill => Some(Self::made(task, Some(Group::unified("", task)?), None)),
            Means::Freezer => Some(Self::made(task, Some(Group::freezer("", task)?), None)),
            Means::Account => Some(Self::made(task, None, own_account)).filter(|held| held.account.is_some()),
            Means::Descendants => Some(Self::made(task, None, None)),
        }
    }

    fn made(task: &str, group: Option<Group>, own_account: Option<&Account>) -> Self {
        // Killing as another account needs root's rights; root's own processes are never one task's.
        let may = rustix::process::geteuid().is_root();
        let account = own_account.map(|account| account.uid).filter(|uid| may && *uid != 0);
        Self { task: task.to_owned(), group, account, root: None }
    }

    /// The task's name.
    pub fn task(&self) -> &str {
        &self.task
    }

    /// The account under which everything is killed, if the task has one to itself.
    pub fn account(&self) -> Option<u32> {
        self.account
    }

    /// The account is somebody else's by now.
    pub fn without_account(&mut self) {
        self.account = None;
    }

    /// The strongest of those it uses.
    pub fn means(&self) -> Means {
        match (&self.group, self.account) {
            (Some(group), _) => group.means(),
            (None, Some(_)) => Means::Account,
            (None, None) => Means::Descendants,
        }
    }

    /// Names the process whose descendants the task's processes are. [`crate::launch::Launch::start`] does.
    pub fn rooted_in(&mut self, root: Identity) {
        self.root = Some(root);
    }

    /// The process named last as the root.
    pub fn root(&self) -> Option<Identity> {
        self.root
    }

    /// By which a process gets into the group, before it executes anything.
    pub(crate) fn entrance(&self) -> io::Result<Option<Entrance>> {
        self.group.as_ref().map(Group::entrance).transpose()
    }

    /// Whether the process that has this number now belongs to the task.
    pub fn contains(&self, pid: i32) -> bool {
        // Nearly always it is the task-agent itself that is asked about, and no walk is needed.
        self.root.is_some_and(|root| root.pid == pid && root.is_alive())
            || self.members().iter().any(|member| member.pid == pid)
    }

    /// All processes of the task that have not ended.
    pub fn members(&self) -> Vec<Identity> {
        let mut members: BTreeSet<Identity> = BTreeSet::new();
        members.extend(self.group.iter().flat_map(Group::members));
        members.extend(self.account.into_iter().flat_map(by_account::members));
        members.extend(self.descendants().iter().flat_map(Descendants::members));
        members.extend(self.root.filter(Identity::is_alive));
        members.into_iter().collect()
    }

    /// Not where group and account hold them for certain: the walk reads about every process of the host.
    fn descendants(&self) -> Option<Descendants> {
        let is_certain = self.group.is_some() && self.account.is_some();
        (!is_certain).then(|| Descendants::of_task(self.root, &self.task))
    }

    /// Asks every process of the task to end.
    pub fn terminate(&self) {
        terminate(|| self.members());
    }

    /// Kills every process of the task and returns when none is left, or those that are when the time is over.
    pub fn kill(&self, within: Duration) -> Result<Gone, Survivors> {
        until_gone(within, || self.strike(), || self.members())
    }

    fn strike(&self) {
        if let Some(group) = &self.group {
            group.kill();
        }
        if let Some(uid) = self.account {
            by_account::kill(uid);
        }
        if let Some(descendants) = self.descendants() {
            descendants.strike();
        }
        if let Some(root) = self.root {
            kill_one(&root);
        }
    }

    /// Removes what it made on the host. For after the kill.
    pub fn remove(self) {
        if let Some(group) = self.group {
            group.remove();
        }
    }
}

impl fmt::Display for Containment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let then = if self.account.is_some() { Means::Account } else { Means::Descendants };
        match self.group {
            Some(_) => write!(f, "{}, then {then}", self.means()),
            None => write!(f, "{then}"),
        }
    }
}

/// How often a tree that keeps growing while it is stopped is looked at again.
const ROUNDS: usize = 64;

/// Stops all, and looks again until no new one appears: what is stopped forks nothing.
fn stop(members: impl Fn() -> Vec<Identity>) -> BTreeSet<Identity> {
    let mut stopped = BTreeSet::new();
    for _ in 0..ROUNDS {
        let fresh: Vec<_> = members().into_iter().filter(|member| !stopped.contains(member)).collect();
        if fresh.is_empty() {
            break;
        }
        fresh.iter().for_each(|member| send(member, Signal::STOP));
        stopped.extend(fresh);
    }
    stopped
}

/// TERM to all that there are at one moment: none is missed because it was just forked, and none is hit that is started
/// in answer to it.
fn terminate(members: impl Fn() -> Vec<Identity>) {
    let stopped = stop(members);
    for signal in [Signal::TERM, Signal::CONT] {
        stopped.iter().for_each(|member| send(member, signal));
    }
}

/// It may have ended meanwhile, or have rights that ours do not reach: the kill says which are left.
fn send(member: &Identity, signal: Signal) {
    let _ = member.signal(signal);
}

fn kill_one(identity: &Identity) {
    send(identity, Signal::KILL);
}

fn until_gone(
    within: Duration,
    strike: impl Fn(),
    members: impl Fn() -> Vec<Identity>,
) -> Result<Gone, Survivors> {
    let (begin, mut pause) = (Instant::now(), Duration::from_micros(250));
    loop {
        let left = members();
        if left.is_empty() {
            return Ok(Gone);
        }
        if begin.elapsed() >= within {
            return Err(Survivors { left, waited: within });
        }
        strike();
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
