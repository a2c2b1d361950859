//! Files that others had open for writing: whether anybody still has.

use nix::libc;
use std::{fs::File, io, os::fd::AsRawFd};

/// Which signal tells that a lease is being broken (fcntl(2)); `libc` has no name for it on every platform.
const F_SETSIG: libc::c_int = 10;

/// Whether nobody has this file open for writing, and it is open here for reading only. Said by the kernel for files of
/// the caller's own account, which then knows who could open it again.
pub fn is_written_by_nobody(file: &File) -> bool {
    let control = |command: libc::c_int, argument: libc::c_int| {
        // SAFETY: the descriptor is open for as long as `file` is borrowed, and these commands take a plain number.
        match unsafe { libc::fcntl(file.as_raw_fd(), command, argument) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    };
    // Whoever opens the file in the moment between has the kernel send a signal: one that does nothing, not the one that
    // would end this process.
    if control(F_SETSIG, libc::SIGURG).is_err() {
        return false;
    }
    // The kernel grants it only where there is no writer.
    let granted = control(libc::F_SETLEASE, libc::F_RDLCK).is_ok();
    let returned = control(libc::F_SETLEASE, libc::F_UNLCK);
    granted && returned.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_is_seen_until_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let writer = File::create(&path).unwrap();
        let reader = File::open(&path).unwrap();
        assert!(!is_written_by_nobody(&reader));
        assert!(!is_written_by_nobody(&writer));
        drop(writer);
        assert!(is_written_by_nobody(&reader) && is_written_by_nobody(&reader));
    }
}
