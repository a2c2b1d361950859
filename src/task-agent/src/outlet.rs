//! Where a command's output comes out: of a terminal, as the programs of CircleCI's jobs see one, or of a pipe.

use sandbox::terminal::{self, Size, Terminal};
use std::{
    fs::File,
    io::{self, Read},
    os::fd::OwnedFd,
};

/// What a pipe holds, where the kernel grants it: a command that writes much is woken rarely.
pub(crate) const PIPE: usize = 256 * 1024;
/// As programs expect one of which they know nothing.
const SIZE: Size = Size { columns: 80, rows: 24 };

/// Of which kind it is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Terminal,
    Pipe,
}

/// Our end, read without waiting.
#[derive(Debug)]
pub(crate) struct Outlet {
    file: File,
}

/// Our end, the command's, and what became of a terminal that could not be had.
pub(crate) type Opened = (Outlet, OwnedFd, Option<io::Error>);

/// Opens one: a pipe too where there is no terminal to be had.
pub(crate) fn open(kind: Kind) -> io::Result<Opened> {
    let (file, inside, refusal) = match kind {
        Kind::Pipe => piped(None)?,
        Kind::Terminal => match Terminal::open(SIZE) {
            Ok(Terminal { inside, outside }) => (File::from(outside), inside, None),
            Err(error) => piped(Some(error))?,
        },
    };
    rustix::io::ioctl_fionbio(&file, true)?;
    Ok((Outlet { file }, inside, refusal))
}

fn piped(refusal: Option<io::Error>) -> io::Result<(File, OwnedFd, Option<io::Error>)> {
    let (output, input) = io::pipe()?;
    // An account that has used up its share of pipes keeps the smaller ones.
    let _ = rustix::pipe::fcntl_setpipe_size(&output, PIPE);
    Ok((File::from(OwnedFd::from(output)), input.into(), refusal))
}

impl Outlet {
    /// As much as may lie in it.
    pub(crate) fn room(&self) -> usize {
        PIPE.max(rustix::pipe::fcntl_getpipe_size(&self.file).unwrap_or_default())
    }

    /// What others write into it from now on is read to nowhere: closing it would end them.
    pub(crate) fn leave_open(mut self) {
        let mut probe = [0; 1];
        if matches!(self.read(&mut probe), Ok(0)) {
            return;
        }
        let read_on = move || {
            let _ = rustix::io::ioctl_fionbio(&self.file, false);
            let _ = io::copy(&mut self, &mut io::sink());
        };
        // Without a thread it closes, which a process left behind has to bear.
        let _ = std::thread::Builder::new().stack_size(64 * 1024).spawn(read_on);
    }
}

impl Read for Outlet {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        terminal::read(&mut self.file, into)
    }
}

impl std::os::fd::AsFd for Outlet {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.file.as_fd()
    }
}
