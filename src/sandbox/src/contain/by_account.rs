//! The kill of everything that runs under an account which is one task's alone.

use crate::{Identity, contain::descendants, identity::Stat, prepare::signal_all_of};
use rustix::{io::Errno, process::Uid};
use std::os::unix::fs::MetadataExt;

/// The parent of all threads of the kernel, on the host itself.
const KERNEL: i32 = 2;

/// Everything under the account that has not ended.
pub(super) fn members(uid: u32) -> Vec<Identity> {
    if nobody_runs_as(uid) {
        return Vec::new();
    }
    let belongs = |stat: &Stat| stat.is_alive() && !is_kernels(stat) && runs_as(stat.identity.pid, uid);
    descendants::processes().into_iter().filter(belongs).map(|stat| stat.identity).collect()
}

/// One system call instead of a walk over all processes, in the usual case that all are gone.
pub(crate) fn nobody_runs_as(uid: u32) -> bool {
    rustix::process::getpriority_user(Uid::from_raw(uid)) == Err(Errno::SRCH)
}

/// The kernel's threads are nobody's, and many.
fn is_kernels(stat: &Stat) -> bool {
    stat.identity.pid == KERNEL || stat.parent == KERNEL
}

/// Whether any of its user numbers (real, effective, saved, of the file system) is this one.
fn runs_as(pid: i32, uid: u32) -> bool {
    let owner = std::fs::metadata(format!("/proc/{pid}")).map(|about| about.uid());
    match owner {
        Ok(owner) if owner == uid => return true,
        // Root's own, or with rights that its account has not: only its status says whose it is.
        Ok(0) => {}
        _ => return false,
    }
    let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) else { return false };
    let Some(numbers) = status.lines().find_map(|line| line.strip_prefix("Uid:")) else { return false };
    numbers.split_whitespace().any(|number| number.parse() == Ok(uid))
}

pub(super) fn kill(uid: u32) {
    if !nobody_runs_as(uid) {
        // A fork that fails is tried again by the loop that asks who is left.
        let _ = signal_all_of(uid, nix::libc::SIGKILL);
    }
}
