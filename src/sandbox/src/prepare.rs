//! Starts a program in a new process, and what happens there between birth and exec. Nothing in the child allocates, locks
//! or panics: it shares its memory with threads that may hold any lock.

use crate::{
    Identity,
    birth::{Child, Home, bear, forget_handlers, hear_signals, wants_a_move},
    contain::Entrance,
    image::Image,
    launch::Started,
};
use nix::libc;
use std::{
    ffi::{CStr, CString},
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
    sync::atomic::{AtomicI32, Ordering},
};

/// Who comes after the launch-agent when memory runs out or processors are short, and how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rank {
    /// A task-agent: what jobs print and how they end passes through it.
    Agent,
    /// A job's command: however many they are, the agents come to their turn.
    Job,
}

/// How much sooner the kernel ends them than others when memory runs out.
const OOM_SCORE_OF_AGENTS: i32 = 500;
const OOM_SCORE_OF_JOBS: i32 = 700;
/// How much a job leaves the processors to others.
const NICER: libc::c_int = 5;
/// The same for its whole session: kernels with autogroups share the processors out among sessions first.
const NICER_SESSION: &[u8] = b"5";
/// Where a kernel without `close_range` stops looking for descriptors.
const MOST_DESCRIPTORS: libc::c_int = 65_536;
/// The usual soft limit of descriptors. The agents raise their own; programs that close all they may have would take minutes.
const USUAL_DESCRIPTORS: libc::rlim_t = 1024;
/// The number of a descriptor that is handed on besides the standard three, as service managers hand on listening sockets.
const HANDED: i32 = 3;
/// The first number that a program does not begin with.
const FREE: i32 = 4;
/// How a child ends that could not become its program; nobody sees it.
const NOT_EXECUTED: i32 = 127;

/// What a new process is to be, all of it made before there is one.
pub(crate) struct Preparation {
    pub(crate) image: Image,
    pub(crate) directory: CString,
    /// Standard input, output and error.
    pub(crate) streams: [OwnedFd; 3],
    /// A fourth one, where it gets one.
    pub(crate) handed: Option<OwnedFd>,
    /// The group it belongs to.
    pub(crate) entrance: Option<Entrance>,
    rank: Rank,
    /// As the kernel reads it.
    oom_score: Vec<u8>,
    /// Whose rights it gets: user, group, groups.
    pub(crate) rights: Option<(u32, u32, Vec<u32>)>,
}

impl Preparation {
    /// Of a program in a directory that reads and writes these.
    pub(crate) fn new(
        image: Image,
        directory: &Path,
        streams: [BorrowedFd<'_>; 3],
        rank: Rank,
    ) -> io::Result<Self> {
        let [input, output, errors] = streams.map(aside);
        Ok(Self {
            image,
            directory: CString::new(directory.as_os_str().as_bytes())?,
            streams: [input?, output?, errors?],
            handed: None,
            entrance: None,
            rank,
            oom_score: oom_score(rank),
            rights: None,
        })
    }

    /// Starts it: the leader of a session of its own, with default signals, umask 022, the usual limit of descriptors, none
    /// open but the standard ones and the one handed on, and what else this says. Whatever fails before its program runs is an error here.
    pub(crate) fn start(&self) -> io::Result<Started> {
        let refusal = AtomicI32::new(0);
        let child = self.bear(&refusal)?;
        let identity = match refusal.into_inner() {
            0 => Identity::of(child.pid),
            number => Err(io::Error::from_raw_os_error(number)),
        };
        match identity {
            Ok(identity) => Ok(Started { identity, pidfd: child.pidfd }),
            Err(error) => {
                // It is ending, or cannot be known: nobody is left behind. It cannot be gone before it was waited for.
                let _ = child.kill();
                Err(error)
            }
        }
    }

    /// In its group at once, or into it by its own hand where there is no such birth.
    fn bear(&self, refusal: &AtomicI32) -> io::Result<Child> {
        let group = self.entrance.as_ref().and_then(|entrance| entrance.directory.as_ref());
        if let Some(group) = group {
            // SAFETY: a life makes system calls on what was prepared, and nothing else.
            match unsafe { bear(Home::Shared, Some(group.as_fd()), &|| self.live(None, refusal)) } {
                Err(error) if wants_a_move(&error) => {}
                born => return born,
            }
        }
        let door = self.entrance.as_ref().map(|entrance| &entrance.door);
        // SAFETY: as above.
        unsafe { bear(Home::Shared, None, &|| self.live(door, refusal)) }
    }

    /// Tells why it could not become its program where its parent sees it.
    fn live(&self, door: Option<&OwnedFd>, refusal: &AtomicI32) -> libc::c_int {
        let number = self.become_it(door);
        refusal.store(number, Ordering::Release);
        NOT_EXECUTED
    }

    fn become_it(&self, door: Option<&OwnedFd>) -> i32 {
        match self.prepare(door) {
            Ok(()) => self.image.execute(),
            Err(error) => error.raw_os_error().unwrap_or(libc::EINVAL),
        }
    }

    fn prepare(&self, door: Option<&OwnedFd>) -> io::Result<()> {
        forget_handlers();
        self.take_streams()?;
        // SAFETY: the string ends in NUL; the others take and return plain numbers.
        unsafe {
            check(libc::chdir(self.directory.as_ptr()))?;
            check(libc::setsid())?;
            libc::umask(0o022);
        }
        if let Some(door) = door {
            enter(door)?;
        }
        self.give_way();
        if let Some((uid, gid, groups)) = &self.rights {
            take_rights(*uid, *gid, groups)?;
        }
        close_on_exec(self.take_handed()?)?;
        limit_descriptors();
        hear_signals();
        Ok(())
    }

    /// Best effort. Everyone may give way; an ordinary account cannot get back before the launch-agent.
    fn give_way(&self) {
        write_to(c"/proc/self/oom_score_adj", &self.oom_score);
        if self.rank == Rank::Job {
            // SAFETY: plain numbers.
            unsafe { libc::nice(NICER) };
            write_to(c"/proc/self/autogroup", NICER_SESSION);
        }
    }

    fn take_streams(&self) -> io::Result<()> {
        for (stream, standard) in self.streams.iter().zip(0..) {
            // SAFETY: both are plain numbers, and differ: ours lie above the standard ones.
            check(unsafe { libc::dup2(stream.as_raw_fd(), standard) })?;
        }
        Ok(())
    }

    /// The first number that is to be closed. After the door of the group was gone through, which may have this number.
    fn take_handed(&self) -> io::Result<libc::c_int> {
        let Some(handed) = &self.handed else { return Ok(HANDED) };
        // SAFETY: both are plain numbers, and differ: ours lies above.
        check(unsafe { libc::dup2(handed.as_raw_fd(), HANDED) })?;
        Ok(FREE)
    }
}

/// A copy that no stream of the child overwrites.
pub(crate) fn aside(descriptor: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(descriptor, FREE)?)
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn check_call(result: libc::c_long) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn enter(door: &OwnedFd) -> io::Result<()> {
    // SAFETY: one byte is read from a static string; the descriptor is open.
    let written = unsafe { libc::write(door.as_raw_fd(), b"0".as_ptr().cast(), 1) };
    if written == 1 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Never below this process's own: an administrator may have set that.
fn oom_score(rank: Rank) -> Vec<u8> {
    let own = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap_or_default();
    let score = match rank {
        Rank::Agent => OOM_SCORE_OF_AGENTS,
        Rank::Job => OOM_SCORE_OF_JOBS,
    };
    own.trim().parse().map_or(score, |own: i32| own.max(score)).to_string().into_bytes()
}

fn write_to(path: &CStr, text: &[u8]) {
    // SAFETY: the path ends in NUL, the bytes are read, and the descriptor is closed where it was opened.
    unsafe {
        let file = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if file != -1 {
            libc::write(file, text.as_ptr().cast(), text.len());
            libc::close(file);
        }
    }
}

/// By the kernel's own calls: those of the C library would make all threads take the rights, and wait for threads that a
/// new process has not.
pub(crate) fn take_rights(uid: u32, gid: u32, groups: &[u32]) -> io::Result<()> {
    // SAFETY: `groups` is a slice of its length; the others are plain numbers.
    unsafe {
        check_call(libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()))?;
        check_call(libc::syscall(libc::SYS_setresgid, gid, gid, gid))?;
        check_call(libc::syscall(libc::SYS_setresuid, uid, uid, uid))
    }
}

/// Everything from this number on is closed by the exec; the door of its group among them.
fn close_on_exec(first: libc::c_int) -> io::Result<()> {
    // SAFETY: plain numbers; `fcntl` on a number that is no descriptor changes nothing.
    unsafe {
        if libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) == 0 {
            return Ok(());
        }
        let mut limit = std::mem::zeroed::<libc::rlimit>();
        check(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit))?;
        let most = libc::c_int::try_from(limit.rlim_cur).unwrap_or(MOST_DESCRIPTORS).min(MOST_DESCRIPTORS);
        for descriptor in first..most {
            libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC);
        }
    }
    Ok(())
}

/// The soft limit alone: whoever needs more raises it again, up to the hard one. A lower one stays.
fn limit_descriptors() {
    // SAFETY: the structure is ours; lowering the soft limit is always allowed.
    unsafe {
        let mut limit = std::mem::zeroed::<libc::rlimit>();
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 && limit.rlim_cur > USUAL_DESCRIPTORS {
            limit.rlim_cur = USUAL_DESCRIPTORS;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}
