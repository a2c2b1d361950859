//! What a process makes of itself.

use nix::{
    libc,
    sys::{
        signal::{SigHandler, SigSet, Signal, signal},
        signalfd::{SfdFlags, SignalFd},
    },
    unistd::{Gid, Uid, setgroups, setresgid, setresuid},
};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_child_subreaper, set_dumpable_behavior, setrlimit,
};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

/// Readable when a child of this process has ended.
#[derive(Debug)]
pub struct ChildSignals(SignalFd);

impl ChildSignals {
    /// For a process that has no other thread yet: threads started later inherit what is blocked here.
    pub fn take() -> io::Result<Self> {
        let mut set = SigSet::empty();
        set.add(Signal::SIGCHLD);
        set.thread_block()?;
        Ok(Self(SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
    }

    /// Forgets the ends heard of so far; before the children are asked.
    pub fn clear(&self) -> io::Result<()> {
        while self.0.read_signal()?.is_some() {}
        Ok(())
    }
}

impl AsFd for ChildSignals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// By which somebody outside has a process end, or begin anew.
const ORDERS: [Signal; 3] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM];

/// From now on orders wait while this thread is the only one, also over an exec: for the program that comes then.
pub fn hold_orders() -> io::Result<()> {
    Ok(SigSet::from_iter(ORDERS).thread_block()?)
}

/// From now on orders come through again, those that waited first.
pub fn take_orders() -> io::Result<()> {
    Ok(SigSet::from_iter(ORDERS).thread_unblock()?)
}

/// From now on orphans among this process's descendants become its children, whatever sessions they are in.
pub fn become_subreaper() -> io::Result<()> {
    Ok(set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// From now on as many descriptors as the host allows. What is started with [`crate::launch`] or [`crate::job`] finds the
/// usual limit again.
pub fn raise_descriptor_limit() -> io::Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}

/// From now on threads started later have one heap between them, beside this one's: a heap for each costs a small process
/// more, in memory and in time, than waiting for each other.
pub fn share_heaps() {
    const HEAPS: libc::c_int = 2;
    // SAFETY: a number; no other thread allocates yet. Where it is refused, each thread has a heap of its own.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, HEAPS) };
}

/// From now on the kernel ends others first when memory runs out, unless an administrator has said otherwise or this process
/// may not ask for it.
pub fn be_spared() {
    const SCORE: &str = "/proc/self/oom_score_adj";
    if std::fs::read_to_string(SCORE).is_ok_and(|score| score.trim() == "0") {
        // Refused to ordinary accounts, and where root has not this right; then its jobs are ended first all the same.
        let _ = std::fs::write(SCORE, "-500");
    }
}

/// From now on, and for good, this process has another account's rights. For one of root that has no other thread yet.
pub fn become_account(uid: u32, gid: u32, groups: &[u32]) -> io::Result<()> {
    let groups: Vec<_> = groups.iter().copied().map(Gid::from_raw).collect();
    setgroups(&groups)?;
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    make_undumpable()
}

/// From now on no process of the same account reads this one's memory, environment or descriptors.
pub fn make_undumpable() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// Does not hear the signals with which a job could end every process of its account in passing. Commands started
/// with [`crate::job`] hear them again.
pub fn ignore_endings() -> io::Result<()> {
    for ending in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGPIPE] {
        // SAFETY: no handler of ours is installed, only the kernel's own disposition is changed.
        unsafe { signal(ending, SigHandler::SigIgn) }?;
    }
    Ok(())
}
