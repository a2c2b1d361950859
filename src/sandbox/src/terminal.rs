//! A terminal for the commands of a job: they see one, and what they write comes out of it byte by byte as they wrote it.
//!
//! Nothing is echoed, and no line end is made another one (`OPOST` is off). It is no command's controlling terminal, so that
//! a program that would ask a person finds nobody, and fails at once instead of waiting.

use nix::{
    libc,
    sys::termios::{LocalFlags, OutputFlags, SetArg, tcgetattr, tcsetattr},
};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use std::{
    io::{self, Read},
    os::fd::{AsRawFd, OwnedFd},
};

/// How much a terminal shows at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Characters in a line.
    pub columns: u16,
    /// Lines.
    pub rows: u16,
}

/// The two ends of a new terminal.
#[derive(Debug)]
pub struct Terminal {
    /// What a command writes into.
    pub inside: OwnedFd,
    /// Where it comes out, to be read with [`read`].
    pub outside: OwnedFd,
}

impl Terminal {
    /// A terminal of this size.
    pub fn open(size: Size) -> io::Result<Self> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let outside = openpt(flags)?;
        unlockpt(&outside)?;
        let inside = ioctl_tiocgptpeer(&outside, flags)?;
        let mut modes = tcgetattr(&inside)?;
        modes.output_flags.remove(OutputFlags::OPOST);
        modes.local_flags.remove(LocalFlags::ECHO | LocalFlags::ECHONL);
        tcsetattr(&inside, SetArg::TCSANOW, &modes)?;
        resize(&inside, size)?;
        Ok(Self { inside, outside })
    }
}

fn resize(terminal: &OwnedFd, size: Size) -> io::Result<()> {
    let size = libc::winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel reads a structure of this size, which lives.
    let done = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Reads what came out of a terminal; nothing, once nobody has its other end open and all was read.
///
/// The kernel looks for bytes first, and then whether the other end is closed (`n_tty_read`). What a command wrote between
/// the two, just before it ended, is there for whoever asks a second time.
pub fn read(outside: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    match read_unless_closed(outside, into)? {
        Some(length) => Ok(length),
        None => Ok(read_unless_closed(outside, into)?.unwrap_or(0)),
    }
}

fn read_unless_closed(outside: &mut impl Read, into: &mut [u8]) -> io::Result<Option<usize>> {
    match outside.read(into) {
        Err(error) if error.raw_os_error() == Some(libc::EIO) => Ok(None),
        read => read.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::File, io::Write};

    const SIZE: Size = Size { columns: 80, rows: 24 };

    #[test]
    fn what_is_written_comes_out_as_it_is_and_then_the_end() {
        let Terminal { inside, outside } = Terminal::open(SIZE).unwrap();
        let (mut inside, mut outside) = (File::from(inside), File::from(outside));
        let bytes: Vec<u8> = (0..=255).collect();
        inside.write_all(&bytes).unwrap();
        let mut came = vec![0; bytes.len()];
        outside.read_exact(&mut came).unwrap();
        assert_eq!(came, bytes);
        inside.write_all(b"last\n").unwrap();
        drop(inside);
        let mut rest = [0; 16];
        assert_eq!(read(&mut outside, &mut rest).unwrap(), 5);
        assert_eq!(read(&mut outside, &mut rest).unwrap(), 0);
    }

    #[test]
    fn what_is_written_just_before_the_end_while_somebody_reads_is_all_there() {
        for _ in 0..10_000 {
            let Terminal { inside, outside } = Terminal::open(SIZE).unwrap();
            rustix::io::ioctl_fionbio(&outside, true).unwrap();
            let (mut inside, mut outside) = (File::from(inside), File::from(outside));
            let writer = std::thread::spawn(move || inside.write_all(&[b'x'; 3600]).unwrap());
            let (mut heard, mut piece) = (0, [0; 8192]);
            loop {
                match read(&mut outside, &mut piece) {
                    Ok(0) => break,
                    Ok(length) => heard += length,
                    Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
                }
            }
            writer.join().unwrap();
            assert_eq!(heard, 3600);
        }
    }

    #[test]
    fn it_has_its_size_and_is_a_terminal() {
        let Terminal { inside, outside: _open } = Terminal::open(SIZE).unwrap();
        assert!(std::io::IsTerminal::is_terminal(&inside));
        let asked = std::process::Command::new("stty").arg("size").stdin(inside).output().unwrap();
        assert_eq!(String::from_utf8(asked.stdout).unwrap(), "24 80\n");
    }
}
