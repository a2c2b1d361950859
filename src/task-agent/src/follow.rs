//! Reads what a command writes, in the order it was written, until the command has ended.

use crate::{
    children::Children,
    outlet::{Outlet, PIPE},
};
use sandbox::{identity::Exit, launch::Started, packet::readable};
use std::{
    io::{self, Read, Write},
    os::fd::AsFd,
    time::{Duration, Instant},
};

/// How much is read at once.
const PIECE: usize = PIPE;
/// After so long without more the log shows what it held back of the last piece, as far as it may: a prompt is read.
const PAUSE: Duration = Duration::from_millis(500);

/// When a command is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// When its own process has ended, whoever else still has its output open.
    Exit,
    /// When nobody has its output open any more.
    Silence,
}

/// Follows a command to its end, and leaves the outlet to whoever still has it open. `on_quiet` is called once if it writes nothing for that long.
pub(crate) fn follow(
    children: &Children,
    started: &Started,
    mut output: Outlet,
    until: Until,
    quiet: Option<Duration>,
    on_quiet: &mut dyn FnMut(&mut dyn Write),
    log: &mut dyn Write,
) -> io::Result<Exit> {
    let mut heard = Heard { piece: vec![0; PIECE], last: Instant::now(), quiet, is_settled: true };
    let (mut runs, mut open) = (true, true);
    while runs || (open && until == Until::Silence) {
        let mut sources = Vec::with_capacity(2);
        sources.extend(open.then(|| output.as_fd()));
        sources.extend(runs.then(|| started.pidfd.as_fd()));
        let ready = readable(&sources, heard.time_left())?;
        runs &= !ready[usize::from(open)..].contains(&true);
        if open && ready[0] {
            open = heard.take(&mut output, log)?.open;
        }
        heard.settle(log)?;
        if heard.is_too_quiet() {
            heard.quiet = None;
            on_quiet(log);
        }
    }
    if open {
        heard.drain(&mut output, log)?;
        output.leave_open();
    }
    Ok(children.exit_of(started))
}

struct Taken {
    length: usize,
    open: bool,
}

struct Heard {
    piece: Vec<u8>,
    last: Instant,
    quiet: Option<Duration>,
    /// Whether the log was told that nothing follows for now.
    is_settled: bool,
}

impl Heard {
    fn time_left(&self) -> Option<Duration> {
        let pause = Some(PAUSE).filter(|_| !self.is_settled);
        let next = [self.quiet, pause].into_iter().flatten().min()?;
        Some(next.saturating_sub(self.last.elapsed()))
    }

    fn is_too_quiet(&self) -> bool {
        self.quiet.is_some_and(|quiet| self.last.elapsed() >= quiet)
    }

    fn settle(&mut self, log: &mut dyn Write) -> io::Result<()> {
        if !self.is_settled && self.last.elapsed() >= PAUSE {
            self.is_settled = true;
            log.flush()?;
        }
        Ok(())
    }

    /// All that is there now, in one piece as long as it fits, so that a command that writes little at a time costs few
    /// writes here. Whether more can come.
    fn take(&mut self, output: &mut Outlet, log: &mut dyn Write) -> io::Result<Taken> {
        let (mut length, mut open) = (0, true);
        while open && length < self.piece.len() {
            match output.read(&mut self.piece[length..]) {
                Ok(0) => open = false,
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if length > 0 {
            log.write_all(&self.piece[..length])?;
            (self.last, self.is_settled) = (Instant::now(), false);
        }
        Ok(Taken { length, open })
    }

    /// What was in it when the command ended. What others write later into it is not the command's.
    fn drain(&mut self, output: &mut Outlet, log: &mut dyn Write) -> io::Result<()> {
        let mut left = output.room();
        while left > 0 {
            match self.take(output, log)? {
                Taken { length: 0, .. } | Taken { open: false, .. } => break,
                Taken { length, .. } => left = left.saturating_sub(length),
            }
        }
        Ok(())
    }
}
