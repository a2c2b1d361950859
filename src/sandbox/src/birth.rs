//! Makes processes, each in its control group from its first moment and known by a descriptor.
//!
//! A process that is moved into a group later waits for all processors of the host to have been elsewhere once, which takes
//! milliseconds; one that is born in it does not wait.

use nix::{errno::Errno, libc};
use rustix::process::{Signal, WaitId, WaitIdOptions, WaitIdStatus, pidfd_send_signal, waitid};
use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

/// Of clone3 alone: no 32 bits have room for it.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
/// A process of its own, whose end its parent hears as of any child, and a descriptor of it.
const FLAGS: libc::c_int = libc::CLONE_PIDFD;
const ENDS_WITH: libc::c_int = libc::SIGCHLD;
/// The size of the kernel's own set of signals.
const SIGNALS: usize = 8;

/// A child of this process that nobody has waited for.
#[derive(Debug)]
pub(crate) struct Child {
    /// Its number.
    pub(crate) pid: i32,
    /// Readable once it ended.
    pub(crate) pidfd: OwnedFd,
}

impl Child {
    /// Waits for its end, whatever that is.
    pub(crate) fn wait(&self) -> io::Result<WaitIdStatus> {
        loop {
            match waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED) {
                Ok(Some(status)) => return Ok(status),
                Ok(None) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Ends it for certain.
    pub(crate) fn kill(&self) -> io::Result<()> {
        pidfd_send_signal(&self.pidfd, Signal::KILL)?;
        self.wait().map(drop)
    }
}

/// Makes a child that lives `life` and ends with its number: in this group of v2, or in this process's own groups. It has a
/// copy of this process's memory, in which the calling thread alone goes on, with every signal blocked.
///
/// # Safety
///
/// `life` makes system calls on what is there already. It allocates and frees nothing, takes no lock and does not panic:
/// other threads may have held any lock when the copy was made. It calls no function of the C library that speaks to the
/// other threads, as `setuid` does: the library still believes in them.
pub(crate) unsafe fn bear(
    group: Option<BorrowedFd<'_>>,
    life: &dyn Fn() -> libc::c_int,
) -> io::Result<Child> {
    let mut pidfd: libc::c_int = -1;
    // No handler of this process's may run in the child, nor here with what the child has changed.
    let silence = Silence::begin()?;
    // SAFETY: `pidfd` outlives the call, and the child gets no stack but its copy of this one.
    let born = unsafe {
        match group {
            Some(group) => clone_into(group, &raw mut pidfd),
            None => clone_beside(&raw mut pidfd),
        }
    };
    if born == 0 {
        // SAFETY: the child ends here, without destructors of this process's.
        unsafe { libc::_exit(life()) };
    }
    let failure = Errno::last_raw();
    drop(silence);
    let Ok(pid @ 1..) = i32::try_from(born) else { return Err(io::Error::from_raw_os_error(failure)) };
    // SAFETY: the kernel has made this descriptor for us, and nobody else has it.
    Ok(Child { pid, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } })
}

/// Whether a birth in a group failed because this kernel, a filter of system calls or the group has none, so that a move
/// may do instead.
pub(crate) fn wants_a_move(error: &io::Error) -> bool {
    let unsupported =
        [libc::ENOSYS, libc::EPERM, libc::EINVAL, libc::E2BIG, libc::EOPNOTSUPP, libc::EBUSY, libc::EACCES];
    error.raw_os_error().is_some_and(|number| unsupported.contains(&number))
}

/// Needs Linux 5.7.
unsafe fn clone_into(group: BorrowedFd<'_>, pidfd: *mut libc::c_int) -> libc::c_long {
    // SAFETY: a structure of numbers, for which all zero says "nothing of that kind".
    let mut wanted = unsafe { std::mem::zeroed::<libc::clone_args>() };
    wanted.flags = FLAGS as u64 | CLONE_INTO_CGROUP;
    wanted.pidfd = pidfd.expose_provenance() as u64;
    wanted.exit_signal = ENDS_WITH as u64;
    wanted.cgroup = group.as_raw_fd() as u64;
    // SAFETY: the kernel reads the structure, whose size it is told, and writes one descriptor.
    unsafe { libc::syscall(libc::SYS_clone3, &raw const wanted, size_of::<libc::clone_args>()) }
}

/// The older call, which filters that know no clone3 let through.
unsafe fn clone_beside(pidfd: *mut libc::c_int) -> libc::c_long {
    let none = std::ptr::null_mut::<libc::c_void>();
    let flags = libc::c_long::from(FLAGS | ENDS_WITH);
    // SAFETY: the kernel writes one descriptor; no stack, no thread area and no other place is named.
    unsafe { libc::syscall(libc::SYS_clone, flags, none, pidfd, none, none) }
}

/// While it is there this thread hears no signal, those of the C library included.
struct Silence(u64);

impl Silence {
    fn begin() -> io::Result<Self> {
        let mut before = 0;
        // SAFETY: both sets are ours and of the size that is told.
        let failed = unsafe { set_mask(&u64::MAX, &raw mut before) } == -1;
        if failed { Err(io::Error::last_os_error()) } else { Ok(Self(before)) }
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // SAFETY: as above; a mask that was there can be set again.
        unsafe { set_mask(&self.0, std::ptr::null_mut()) };
    }
}

unsafe fn set_mask(mask: &u64, before: *mut u64) -> libc::c_long {
    // SAFETY: the caller has `before` of the size of a set, or none.
    unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, std::ptr::from_ref(mask), before, SIGNALS)
    }
}

/// What any new process needs first: no signal is handled, ignored or blocked, as every program expects to find it.
pub(crate) fn hear_signals() {
    // The kernel's own structure: all zero is the default disposition. The C library would refuse its own two signals.
    let default = [0u64; 8];
    for number in 1..=64 {
        // SAFETY: the structure is larger than any kernel's; numbers that cannot be set are refused without harm.
        unsafe {
            let none = std::ptr::null_mut::<u64>();
            libc::syscall(libc::SYS_rt_sigaction, number, default.as_ptr(), none, SIGNALS)
        };
    }
    // SAFETY: the set is ours.
    unsafe { set_mask(&0, std::ptr::null_mut()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_ends_with_the_number_of_its_life_and_hears_nothing_before() {
        let before = mask();
        // SAFETY: system calls only.
        let child = unsafe { bear(None, &|| if mask() == !KILL_AND_STOP { 7 } else { 1 }) }.unwrap();
        assert_eq!(child.wait().unwrap().exit_status(), Some(7));
        assert_eq!(mask(), before);
        assert!(child.wait().is_err(), "it was waited for");
    }

    #[test]
    fn a_birth_in_what_is_no_group_is_an_error_here_and_no_child() {
        let file = tempfile::tempfile().unwrap();
        // SAFETY: no life at all.
        let error = unsafe { bear(Some(file.as_fd()), &|| 0) }.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    }

    /// Those two cannot be blocked.
    const KILL_AND_STOP: u64 = 1 << (libc::SIGKILL - 1) | 1 << (libc::SIGSTOP - 1);

    fn mask() -> u64 {
        let mut now = 0;
        // SAFETY: the mask is read into a number of its size, and stays as it is.
        unsafe {
            let none = std::ptr::null::<u64>();
            libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, none, &raw mut now, SIGNALS);
        }
        now
    }
}
