//! Which process: a pid means nothing without the time it started, for pids are used again.

use rustix::{
    io::Errno,
    process::{
        Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus, WaitOptions, WaitStatus, pidfd_open,
        pidfd_send_signal, wait, waitid,
    },
};
use serde::{Deserialize, Serialize};
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

/// A process for certain. Plain data: it may be kept in a file and checked after a restart of whoever kept it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identity {
    /// Its number.
    pub pid: i32,
    /// When it started, in clock ticks since the host did (field 22 of `/proc/<pid>/stat`).
    pub start: u64,
}

/// What `/proc/<pid>/stat` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) identity: Identity,
    pub(crate) parent: i32,
    pub(crate) state: u8,
}

impl Stat {
    pub(crate) fn of(pid: i32) -> io::Result<Self> {
        let text = std::fs::read(format!("/proc/{pid}/stat"))?;
        parse(pid, &text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no stat of a process"))
    }

    /// Whether it runs, or could: a zombie only waits to be asked how it ended.
    pub(crate) fn is_alive(&self) -> bool {
        !matches!(self.state, b'Z' | b'X' | b'x')
    }
}

/// The name of a program may have spaces and parentheses in it: fields are counted from the last one.
fn parse(pid: i32, text: &[u8]) -> Option<Stat> {
    let after_name = text.iter().rposition(|byte| *byte == b')')? + 1;
    let rest = std::str::from_utf8(&text[after_name..]).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let parent = fields.next()?.parse().ok()?;
    // The state is field 3 and the parent field 4, so 17 fields lie between the parent and field 22.
    let start = fields.nth(17)?.parse().ok()?;
    Some(Stat { identity: Identity { pid, start }, parent, state })
}

impl Identity {
    /// Of the process that has this number now.
    pub fn of(pid: i32) -> io::Result<Self> {
        Ok(Stat::of(pid)?.identity)
    }

    /// Of this very process.
    pub fn own() -> io::Result<Self> {
        Self::of(i32::try_from(std::process::id()).map_err(io::Error::other)?)
    }

    /// Whether the process is there and has not ended. A zombie has.
    pub fn is_alive(&self) -> bool {
        Stat::of(self.pid).is_ok_and(|stat| stat.identity == *self && stat.is_alive())
    }

    /// A descriptor of exactly this process, readable once it ended; none if it is gone.
    pub fn pidfd(&self) -> io::Result<Option<OwnedFd>> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(None) };
        let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // The number may have been given away between the two: the descriptor is right only if the time still is.
        Ok(Self::of(self.pid).is_ok_and(|now| now == *self).then_some(pidfd))
    }

    /// Sends KILL to exactly this process. False if it was gone already.
    pub fn kill(&self) -> io::Result<bool> {
        self.signal(Signal::KILL)
    }

    /// Takes its exit if it has ended and is a child of this process, so that it is no zombie any more.
    /// It is this very one that is asked: its number may be another child's by now.
    pub fn reap(&self) -> Option<Exit> {
        let pidfd = self.pidfd().ok()??;
        exit(waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG).ok()??)
    }

    pub(crate) fn signal(&self, signal: Signal) -> io::Result<bool> {
        let Some(pidfd) = self.pidfd()? else { return Ok(false) };
        match pidfd_send_signal(pidfd, signal) {
            Ok(()) => Ok(true),
            Err(Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// How a child of this process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl Exit {
    /// As a shell reports it: 128 and the number for a signal.
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

impl Exit {
    /// As programmers call the signal that ended it: `SIGSEGV`.
    pub fn signal_name(self) -> Option<&'static str> {
        let Self::Signal(signal) = self else { return None };
        nix::sys::signal::Signal::try_from(signal).ok().map(nix::sys::signal::Signal::as_str)
    }
}

/// Takes the exit of any child that has ended.
pub fn reap_any() -> Option<(i32, Exit)> {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => return Some((pid.as_raw_nonzero().get(), exit_of_any(status)?)),
            Err(Errno::INTR) => {}
            Ok(None) | Err(_) => return None,
        }
    }
}

/// Whether this process has any child, ended or not.
pub fn has_children() -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::All, options), Err(Errno::CHILD))
}

fn exit(status: WaitIdStatus) -> Option<Exit> {
    status.exit_status().map(Exit::Code).or_else(|| status.terminating_signal().map(Exit::Signal))
}

fn exit_of_any(status: WaitStatus) -> Option<Exit> {
    status.exit_status().map(Exit::Code).or_else(|| status.terminating_signal().map(Exit::Signal))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_program_may_have_any_name() {
        let mut text = b"7 (a) R 1 (b)) S 5".to_vec();
        text.extend_from_slice(b" 0".repeat(17).as_slice());
        text.extend_from_slice(b" 4242 0 0\n");
        let identity = Identity { pid: 7, start: 4242 };
        assert_eq!(parse(7, &text), Some(Stat { identity, parent: 5, state: b'S' }));
        assert_eq!(parse(7, b"7 (a) S"), None);
        assert_eq!(parse(7, b""), None);
    }

    #[test]
    fn this_process_is_alive_and_itself() {
        let own = Identity::own().unwrap();
        assert!(own.is_alive());
        assert!(own.pidfd().unwrap().is_some());
        assert_eq!(own, Identity::of(own.pid).unwrap());
    }

    #[test]
    fn the_same_pid_with_another_start_is_another_process() {
        let own = Identity::own().unwrap();
        let other = Identity { start: own.start + 1, ..own };
        assert!(!other.is_alive());
        assert!(other.pidfd().unwrap().is_none());
        assert!(!other.kill().unwrap(), "and it is not hit");
    }

    #[test]
    #[expect(clippy::zombie_processes, reason = "the zombie is what is tested")]
    fn a_zombie_is_not_alive_and_is_reaped_once() {
        let child = Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let identity = Identity::of(pid).unwrap();
        let pidfd = identity.pidfd().unwrap().unwrap();
        crate::packet::readable(&[pidfd.as_fd()], None).unwrap();
        assert!(!identity.is_alive());
        let other = Identity { start: identity.start + 1, ..identity };
        assert_eq!(other.reap(), None, "of the same number, but another one");
        assert_eq!(identity.reap(), Some(Exit::Code(7)));
        assert_eq!(identity.reap(), None);
    }

    #[test]
    fn a_signal_counts_from_128() {
        assert_eq!(Exit::Signal(9).code(), 137);
        assert_eq!(Exit::Code(3).code(), 3);
    }
}
