//! Makes processes, each in its control group from its first moment and known by a descriptor.
//!
//! A process that is moved into a group later waits for all processors of the host to have been elsewhere once, which takes
//! milliseconds; one that is born in it does not wait. Nor is memory copied for what only executes a program: until it does,
//! the child lives in its parent's, and the thread that bore it stands still.

use nix::libc;
use rustix::process::{Signal, WaitId, WaitIdOptions, WaitIdStatus, pidfd_send_signal, waitid};
use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

/// Of clone3 alone: no 32 bits have room for it.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
/// A process of its own, and a descriptor of it.
const FLAGS: libc::c_int = libc::CLONE_PIDFD;
/// Its parent hears of its end as of any child's.
const ENDS_WITH: libc::c_int = libc::SIGCHLD;
/// The size of the kernel's own set of signals.
const SIGNALS: usize = 8;
/// Enough for a life of system calls. It lies on the stack of the thread that stands still.
const STACK: usize = 16 * 1024;

/// Where a child lives before it executes a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// In this memory, while the thread that bore it stands still: what it writes down is there when it is born.
    Shared,
    /// In a copy, while that thread goes on: nobody who stops the child stops us.
    Copied,
}

impl Home {
    fn flags(self) -> libc::c_int {
        match self {
            Self::Shared => FLAGS | libc::CLONE_VM | libc::CLONE_VFORK,
            Self::Copied => FLAGS,
        }
    }
}

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

/// Makes a child that lives `life` and ends with its number: in this group of v2, or in this process's own groups. Every
/// signal is blocked in it.
///
/// # Safety
///
/// `life` makes system calls on what is there already. It allocates and frees nothing, takes no lock and does not panic:
/// its memory is that of all other threads, or a copy, any of which may hold any lock. It calls no function of the C library that
/// speaks to the other threads, as `setuid` does: the library believes that it is the thread that stands still.
pub(crate) unsafe fn bear(
    home: Home,
    group: Option<BorrowedFd<'_>>,
    life: &dyn Fn() -> libc::c_int,
) -> io::Result<Child> {
    let mut pidfd: libc::c_int = -1;
    let mut stack = Stack([MaybeUninit::uninit(); STACK]);
    let begin = Begin { life, stack: &raw mut stack };
    // No handler of this process's may run in the child, nor here with what the child has changed.
    let silence = Silence::begin()?;
    // SAFETY: `pidfd`, the stack and the life outlive the call, which returns when the child is done with them or has copies.
    let born = unsafe {
        match group {
            Some(group) => clone_into(group, home, &begin, &raw mut pidfd),
            None => clone_beside(home, &begin, &raw mut pidfd),
        }
    };
    drop(silence);
    let pid = match i32::try_from(born) {
        Ok(pid @ 1..) => pid,
        Ok(failure) => return Err(io::Error::from_raw_os_error(-failure)),
        Err(_) => return Err(io::ErrorKind::Other.into()),
    };
    // SAFETY: the kernel has made this descriptor for us, and nobody else has it.
    Ok(Child { pid, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } })
}

/// Of a child; processors want it to begin at a multiple of 16.
#[repr(C, align(16))]
struct Stack([MaybeUninit<u8>; STACK]);

/// What a child begins with.
struct Begin<'l> {
    life: &'l dyn Fn() -> libc::c_int,
    stack: *mut Stack,
}

/// The first that a child does on its own stack, and all.
unsafe extern "C" fn live(begin: *const Begin<'_>) -> ! {
    // SAFETY: whoever bore us waits with it; the child ends here, without destructors of this process's.
    unsafe { libc::_exit(((*begin).life)()) }
}

/// Whether a birth in a group failed because this kernel, a filter of system calls or the group has none, so that a move
/// may do instead.
pub(crate) fn wants_a_move(error: &io::Error) -> bool {
    let unsupported =
        [libc::ENOSYS, libc::EPERM, libc::EINVAL, libc::E2BIG, libc::EOPNOTSUPP, libc::EBUSY, libc::EACCES];
    error.raw_os_error().is_some_and(|number| unsupported.contains(&number))
}

/// Needs Linux 5.7.
unsafe fn clone_into(
    group: BorrowedFd<'_>,
    home: Home,
    begin: &Begin<'_>,
    pidfd: *mut libc::c_int,
) -> libc::c_long {
    // SAFETY: a structure of numbers, for which all zero says "nothing of that kind".
    let mut wanted = unsafe { std::mem::zeroed::<libc::clone_args>() };
    wanted.flags = home.flags() as u64 | CLONE_INTO_CGROUP;
    wanted.pidfd = pidfd.expose_provenance() as u64;
    wanted.exit_signal = ENDS_WITH as u64;
    wanted.stack = begin.stack.expose_provenance() as u64;
    wanted.stack_size = STACK as u64;
    wanted.cgroup = group.as_raw_fd() as u64;
    let places = [(&raw const wanted).expose_provenance(), size_of::<libc::clone_args>(), 0];
    // SAFETY: the kernel reads the structure, whose size it is told, and writes one descriptor.
    unsafe { born(libc::SYS_clone3, places, begin) }
}

/// The older call, which filters that know no clone3 let through.
unsafe fn clone_beside(home: Home, begin: &Begin<'_>, pidfd: *mut libc::c_int) -> libc::c_long {
    let top = begin.stack.expose_provenance() + STACK;
    let places = [(home.flags() | ENDS_WITH) as usize, top, pidfd.expose_provenance()];
    // SAFETY: the kernel writes one descriptor; no thread area and no other place is named.
    unsafe { born(libc::SYS_clone, places, begin) }
}

/// The system call itself: it returns here with what the kernel says, and there, on a stack that is empty, only to `live`.
#[cfg(target_arch = "x86_64")]
unsafe fn born(call: libc::c_long, places: [usize; 3], begin: &Begin<'_>) -> libc::c_long {
    let said: libc::c_long;
    // SAFETY: the kernel keeps all registers but these three; the child has no other use for them.
    unsafe {
        std::arch::asm!(
            "syscall", "test rax, rax", "jnz 2f",
            "xor ebp, ebp", "mov rdi, r12", "call r13", "ud2",
            "2:",
            inlateout("rax") call => said,
            in("rdi") places[0], in("rsi") places[1], in("rdx") places[2], in("r10") 0, in("r8") 0,
            in("r12") std::ptr::from_ref(begin), in("r13") live as unsafe extern "C" fn(*const Begin<'_>) -> !,
            lateout("rcx") _, lateout("r11") _,
        );
    }
    said
}

/// As above.
#[cfg(target_arch = "aarch64")]
unsafe fn born(call: libc::c_long, places: [usize; 3], begin: &Begin<'_>) -> libc::c_long {
    let said: libc::c_long;
    // SAFETY: the kernel keeps all registers but that of its answer.
    unsafe {
        std::arch::asm!(
            "svc #0", "cbnz x0, 2f",
            "mov x29, xzr", "mov x30, xzr", "mov x0, x20", "blr x21", "brk #1",
            "2:",
            in("x8") call,
            inlateout("x0") places[0] => said,
            in("x1") places[1], in("x2") places[2], in("x3") 0usize, in("x4") 0usize,
            in("x20") std::ptr::from_ref(begin), in("x21") live as unsafe extern "C" fn(*const Begin<'_>) -> !,
        );
    }
    said
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

/// What any new process needs first: no signal is handled or ignored, as every program expects to find it.
pub(crate) fn forget_handlers() {
    // The kernel's own structure: all zero is the default disposition. The C library would refuse its own two signals.
    let default = [0u64; 8];
    for number in 1..=64 {
        // SAFETY: the structure is larger than any kernel's; numbers that cannot be set are refused without harm.
        unsafe {
            let none = std::ptr::null_mut::<u64>();
            libc::syscall(libc::SYS_rt_sigaction, number, default.as_ptr(), none, SIGNALS)
        };
    }
}

/// What it needs last: no signal is blocked.
pub(crate) fn hear_signals() {
    // SAFETY: the set is ours.
    unsafe { set_mask(&0, std::ptr::null_mut()) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI32, Ordering};

    #[test]
    fn a_child_ends_with_the_number_of_its_life_and_hears_nothing_before() {
        let before = mask();
        for home in [Home::Shared, Home::Copied] {
            // SAFETY: system calls only.
            let child =
                unsafe { bear(home, None, &|| if mask() == !KILL_AND_STOP { 7 } else { 1 }) }.unwrap();
            assert_eq!(child.wait().unwrap().exit_status(), Some(7));
            assert_eq!(mask(), before);
            assert!(child.wait().is_err(), "it was waited for");
        }
    }

    #[test]
    fn what_a_child_in_this_memory_writes_down_is_there_when_it_is_born() {
        for (home, told) in [(Home::Shared, 7), (Home::Copied, 0)] {
            let word = AtomicI32::new(0);
            let life = || {
                word.store(7, Ordering::Release);
                0
            };
            // SAFETY: no system call at all.
            let child = unsafe { bear(home, None, &life) }.unwrap();
            assert_eq!(word.load(Ordering::Acquire), told, "{home:?}");
            child.wait().unwrap();
        }
    }

    #[test]
    fn a_birth_in_what_is_no_group_is_an_error_here_and_no_child() {
        let file = tempfile::tempfile().unwrap();
        // SAFETY: no life at all.
        let error = unsafe { bear(Home::Shared, Some(file.as_fd()), &|| 0) }.unwrap_err();
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
