//! What happens in a new process between fork and exec. Nothing here allocates, locks or panics: another thread may have
//! held any lock when the fork happened.

use nix::libc;
use std::{
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::Command,
};

/// How much sooner the kernel ends a job than anything else when memory runs out.
const OOM_SCORE: &[u8] = b"500";
/// Where a kernel without `close_range` stops looking for descriptors.
const MOST_DESCRIPTORS: libc::c_int = 65_536;

/// What is done in the new process, in this order.
#[derive(Debug, Default)]
pub(crate) struct Preparation {
    /// `cgroup.procs` files, open for writing, to be a member of.
    pub(crate) groups: Vec<OwnedFd>,
    /// Whether the kernel ends it sooner than others.
    pub(crate) expendable: bool,
    /// Whose rights it gets: user, group, groups.
    pub(crate) rights: Option<(u32, u32, Vec<u32>)>,
}

/// Makes the command's process the leader of a session of its own, with default signals, umask 022, no descriptors but
/// the standard ones, and what else the preparation says. A failure is the command's failure to start.
pub(crate) fn prepare(command: &mut Command, preparation: Preparation) {
    // SAFETY: the closure makes system calls on data that was allocated before the fork, and nothing else.
    unsafe { command.pre_exec(move || preparation.apply()) };
}

impl Preparation {
    fn apply(&self) -> io::Result<()> {
        default_signals();
        // SAFETY: both calls take and return plain numbers.
        unsafe {
            check(libc::setsid())?;
            libc::umask(0o022);
        }
        for group in &self.groups {
            join(group)?;
        }
        if self.expendable {
            raise_oom_score();
        }
        if let Some((uid, gid, groups)) = &self.rights {
            take_rights(*uid, *gid, groups)?;
        }
        close_on_exec()
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Ignored and blocked signals outlive an exec: the program must find what every program expects.
fn default_signals() {
    // The kernel's own structure: all zero is the default disposition. The C library would refuse its own two signals.
    let default = [0u64; 8];
    for number in 1..=64 {
        // SAFETY: the structure is larger than any kernel's; numbers that cannot be set are refused without harm.
        unsafe {
            libc::syscall(libc::SYS_rt_sigaction, number, default.as_ptr(), std::ptr::null_mut::<u64>(), 8)
        };
    }
    // SAFETY: an empty set is written to memory of our own, and read.
    unsafe {
        let mut none = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

fn join(group: &OwnedFd) -> io::Result<()> {
    // SAFETY: one byte is read from a static string; the descriptor is open.
    let written = unsafe { libc::write(group.as_raw_fd(), b"0".as_ptr().cast(), 1) };
    if written == 1 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Best effort: who may not be killed sooner (its score is higher already) stays as it is.
fn raise_oom_score() {
    // SAFETY: the path ends in NUL, the bytes are static, and the descriptor is closed where it was opened.
    unsafe {
        let file = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if file != -1 {
            libc::write(file, OOM_SCORE.as_ptr().cast(), OOM_SCORE.len());
            libc::close(file);
        }
    }
}

fn take_rights(uid: u32, gid: u32, groups: &[u32]) -> io::Result<()> {
    // SAFETY: `groups` is a slice of its length; the others are plain numbers.
    unsafe {
        check(libc::setgroups(groups.len(), groups.as_ptr()))?;
        check(libc::setresgid(gid, gid, gid))?;
        check(libc::setresuid(uid, uid, uid))
    }
}

/// Everything above the standard three is closed by the exec; not before it, for the parent hears of a failed exec there.
fn close_on_exec() -> io::Result<()> {
    // SAFETY: plain numbers; `fcntl` on a number that is no descriptor changes nothing.
    unsafe {
        if libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) == 0 {
            return Ok(());
        }
        let mut limit = std::mem::zeroed::<libc::rlimit>();
        check(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit))?;
        let most = libc::c_int::try_from(limit.rlim_cur).unwrap_or(MOST_DESCRIPTORS).min(MOST_DESCRIPTORS);
        for descriptor in 3..most {
            libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC);
        }
    }
    Ok(())
}

/// Sends a signal to every process that the account may signal, all at once, from a process of that account: nothing that
/// it forks meanwhile escapes. Never for root, whose "every process" is the host.
pub(crate) fn signal_all_of(uid: u32, signal: i32) -> io::Result<()> {
    if uid == 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "root's processes are not one task's"));
    }
    // SAFETY: the child makes system calls only, and ends without running anything of this process's.
    let child = unsafe { libc::fork() };
    check(child)?;
    if child == 0 {
        // SAFETY: as above; without the account's rights nothing is signalled.
        unsafe {
            let gone = libc::setgroups(0, std::ptr::null()) == 0 && libc::setresuid(uid, uid, uid) == 0;
            let code = if gone { libc::kill(-1, signal) } else { 1 };
            libc::_exit(if code == 0 { 0 } else { 1 });
        }
    }
    wait_for(child)
}

fn wait_for(child: libc::pid_t) -> io::Result<()> {
    let mut status = 0;
    // SAFETY: `status` is ours; the child is ours and not waited for by anybody else.
    while unsafe { libc::waitpid(child, &raw mut status, 0) } == -1 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    Ok(())
}
