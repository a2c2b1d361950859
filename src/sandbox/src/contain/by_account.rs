//! The kill of everything that runs under an account which is one task's alone.

use crate::{
    Identity,
    birth::{Child, Home, bear},
    contain::descendants,
    identity::Stat,
    packet::readable,
};
use nix::libc;
use rustix::{io::Errno, process::Uid};
use std::{
    io,
    os::{fd::AsFd, unix::fs::MetadataExt},
    time::Duration,
};

/// An account that no host gives away. Who strikes is really this one: the struck account may not strike back.
const NOBODYS: u32 = 4_294_900_123;
/// The longest that one strike may take: a system call, on a host where a job has every processor busy.
const STRIKE: Duration = Duration::from_secs(2);

/// Everything under the account that has not ended.
pub(super) fn members(uid: u32) -> Vec<Identity> {
    if nobody_runs_as(uid) {
        return Vec::new();
    }
    let belongs =
        |stat: &Stat| stat.is_alive() && !descendants::is_kernels(stat) && runs_as(stat.identity.pid, uid);
    descendants::processes().into_iter().filter(belongs).map(|stat| stat.identity).collect()
}

/// One system call instead of a walk over all processes, in the usual case that all are gone.
pub(crate) fn nobody_runs_as(uid: u32) -> bool {
    rustix::process::getpriority_user(Uid::from_raw(uid)) == Err(Errno::SRCH)
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
        let _ = signal_all_of(uid, libc::SIGKILL);
    }
}

/// Sends a signal to every process that the account may signal, all at once, from a process with that account's rights:
/// nothing that it forks meanwhile escapes. Never for root, whose "every process" is the host.
fn signal_all_of(uid: u32, signal: i32) -> io::Result<()> {
    if uid == 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "root's processes are not one task's"));
    }
    // SAFETY: system calls on plain numbers, and nothing else.
    let striker = unsafe { bear(Home::Copied, None, &|| strike_as(uid, signal)) }?;
    within(STRIKE, &striker)
}

/// Without the account's rights nothing is signalled.
fn strike_as(uid: u32, signal: i32) -> libc::c_int {
    // SAFETY: plain numbers. The kernel's own calls: the C library's would wait for threads that this process has not.
    unsafe {
        let none = std::ptr::null::<libc::gid_t>();
        if libc::syscall(libc::SYS_setgroups, 0, none) != 0 {
            return 1;
        }
        // Whom one may signal is told by one's own real and effective account and the other's real and saved one. Where
        // this user namespace has no such number, the account may stop the striker, and the wait for it has an end.
        let is_safe = libc::syscall(libc::SYS_setresuid, NOBODYS, uid, NOBODYS) == 0;
        if !is_safe && libc::syscall(libc::SYS_setresuid, uid, uid, uid) != 0 {
            return 1;
        }
        libc::c_int::from(libc::kill(-1, signal) != 0)
    }
}

fn within(time: Duration, striker: &Child) -> io::Result<()> {
    match readable(&[striker.pidfd.as_fd()], Some(time)) {
        Ok(ended) if ended[0] => striker.wait().map(drop),
        _ => striker.kill(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepare::take_rights;

    /// The user number of the test's accounts: of no other test, for the strike hits all under it.
    const ACCOUNT: u32 = 61_303;

    #[test]
    fn the_account_cannot_stop_who_strikes_it() {
        if !rustix::process::geteuid().is_root() {
            return eprintln!("skipped: being another account needs root");
        }
        let life = || {
            // SAFETY: as `strike_as`, but it waits to be struck.
            let is_striker = unsafe { libc::syscall(libc::SYS_setresuid, NOBODYS, ACCOUNT, NOBODYS) == 0 };
            // SAFETY: plain numbers; the wait is ended by a signal.
            unsafe { if is_striker { libc::pause() } else { 1 } }
        };
        // SAFETY: system calls on plain numbers.
        let striker = unsafe { bear(Home::Copied, None, &life) }.unwrap();
        while !runs_as(striker.pid, ACCOUNT) {
            assert!(Identity::of(striker.pid).is_ok_and(|one| one.is_alive()), "it is no striker");
            std::thread::yield_now();
        }
        let pid = striker.pid;
        let stop = move || {
            let became = take_rights(ACCOUNT, ACCOUNT, &[]).is_ok();
            // SAFETY: plain numbers.
            let refused = unsafe { libc::kill(pid, libc::SIGSTOP) } == -1;
            libc::c_int::from(!(became && refused))
        };
        // SAFETY: system calls on plain numbers.
        let job = unsafe { bear(Home::Copied, None, &stop) }.unwrap();
        assert_eq!(job.wait().unwrap().exit_status(), Some(0), "the job may not signal the striker");
        striker.kill().unwrap();
    }

    #[test]
    fn a_striker_that_does_not_come_to_its_end_is_ended() {
        // SAFETY: one system call.
        let idle = unsafe { bear(Home::Copied, None, &|| libc::pause()) }.unwrap();
        within(Duration::from_millis(10), &idle).unwrap();
        assert!(Identity::of(idle.pid).is_err(), "it is gone and was waited for");
    }

    #[test]
    fn everybody_under_root_is_never_struck() {
        assert_eq!(signal_all_of(0, libc::SIGKILL).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
