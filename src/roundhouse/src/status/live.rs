//! The status drawn again and again over a whole terminal, which is given back as it was.

use super::{AGAIN, tree};
use crate::{
    failure::{Failure, OrFail},
    follow::{Interrupts, words::Paint},
    say,
};
use console::{Term, truncate_str};
use launch_agent::status::ask;
use protocol::exit;
use rustix::process::{Signal as Raise, getpid, kill_process};
use std::{
    io,
    path::{Path, PathBuf},
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::spawn_blocking,
    time::sleep,
};

/// What the terminal does that it is drawn on.
struct Changes {
    resized: Signal,
    /// Ctrl-Z.
    stopped: Signal,
}

impl Changes {
    fn listen() -> io::Result<Self> {
        let stopped = SignalKind::from_raw(Raise::TSTP.as_raw());
        Ok(Self { resized: signal(SignalKind::window_change())?, stopped: signal(stopped)? })
    }
}

/// The second screen of a terminal, without a cursor. Dropping it brings back the first, as it was.
struct Screen;

impl Screen {
    fn enter() -> Result<Self, Failure> {
        say::print("\u{1b}[?1049h\u{1b}[?25l")?;
        Ok(Self)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        let _ = say::print("\u{1b}[?25h\u{1b}[?1049l");
    }
}

/// Until somebody interrupts it, or there is nothing more to show.
pub(super) async fn watch(state: PathBuf) -> Result<u8, Failure> {
    let mut interrupts = Interrupts::listen().or_machinery("cannot listen to signals")?;
    let mut changes = Changes::listen().or_machinery("cannot listen to signals")?;
    let mut screen = Some(Screen::enter()?);
    loop {
        tokio::select! {
            _ = interrupts.next() => return Ok(exit::INTERRUPTED),
            drawn = draw(&state) => drawn?,
        }
        tokio::select! {
            _ = interrupts.next() => return Ok(exit::INTERRUPTED),
            _ = changes.resized.recv() => {}
            _ = changes.stopped.recv() => {
                drop(screen.take());
                // Goes on here when somebody continues it.
                kill_process(getpid(), Raise::STOP).or_machinery("cannot stop")?;
                screen = Some(Screen::enter()?);
            }
            () = sleep(AGAIN) => {}
        }
    }
}

async fn draw(state: &Path) -> Result<(), Failure> {
    let state = state.to_owned();
    let asked = spawn_blocking(move || ask(&state)).await.or_machinery("there is no status")?;
    let status = asked.or_machinery("there is no status")?;
    say::print(frame(&Term::stdout(), &tree::drawn(&status, Paint::of(&io::stdout()))))
}

/// Over what was there, without a moment of nothing; what the window has no room for is cut.
fn frame(term: &Term, text: &str) -> String {
    let (rows, columns) = term.size();
    let room = usize::from(rows).saturating_sub(1).max(1);
    let lines: Vec<_> = text.lines().collect();
    let mut frame = String::from("\u{1b}[H");
    for line in lines.iter().take(room) {
        frame += &format!("{}\u{1b}[K\n", truncate_str(line, usize::from(columns), "…"));
    }
    if lines.len() > room {
        frame += &format!("… {} lines more\u{1b}[K", lines.len() - room);
    }
    frame + "\u{1b}[J"
}
