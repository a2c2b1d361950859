//! What a container prints, line by line, until it ends.

use crate::{
    engine::{Engine, EngineError},
    state::State,
};
use bollard::{container::LogOutput, errors::Error, query_parameters::LogsOptions};
use futures_util::{
    Stream, StreamExt,
    stream::{BoxStream, unfold},
};
use std::{collections::VecDeque, mem, time::Duration};
use tokio::time::sleep;

/// What is heard of a container.
#[derive(Debug)]
pub enum Heard {
    /// A line that it printed, without its end.
    Line(String),
    /// It ended, or is gone. The last of it.
    Ended(State),
    /// The engine does not answer any more, for longer than its calls wait. The last of it.
    Lost(EngineError),
}

/// A line longer than this is told in pieces.
const MOST_LINE: usize = 16 * 1024;
/// The most bytes of one container that are told; what comes then is only counted.
const MOST_BYTES: u64 = 8 * 1024 * 1024;
/// Before a container that runs is listened to again.
const PAUSE: Duration = Duration::from_millis(500);

impl Engine {
    /// Hears what a container prints, but the first `skip` lines, and how it ends. Goes on over restarts of the engine:
    /// lines are counted, and those that were told are not told again.
    pub fn attend(&self, id: &str, skip: u64) -> impl Stream<Item = Heard> + use<> {
        let listener = Listener {
            engine: self.clone(),
            id: id.to_owned(),
            skip,
            printed: None,
            lines: Lines::default(),
            ready: VecDeque::new(),
            ended: None,
            is_over: false,
        };
        unfold(listener, |mut listener| async move { Some((listener.next().await?, listener)) })
    }

    fn follow(&self, id: &str) -> BoxStream<'static, Result<LogOutput, Error>> {
        let options = LogsOptions {
            follow: true,
            stdout: true,
            stderr: true,
            tail: "all".to_owned(),
            ..LogsOptions::default()
        };
        self.docker.logs(id, Some(options)).boxed()
    }
}

struct Listener {
    engine: Engine,
    id: String,
    /// Lines of the log that were told in an earlier life, or over an earlier connection.
    skip: u64,
    printed: Option<BoxStream<'static, Result<LogOutput, Error>>>,
    lines: Lines,
    ready: VecDeque<Heard>,
    /// How it stood when the connection was made: then the log ends where it does.
    ended: Option<State>,
    is_over: bool,
}

impl Listener {
    async fn next(&mut self) -> Option<Heard> {
        loop {
            if let Some(heard) = self.ready.pop_front() {
                return Some(heard);
            }
            if self.is_over {
                return None;
            }
            self.listen().await;
        }
    }

    async fn listen(&mut self) {
        let (engine, id) = (&self.engine, &self.id);
        let printed = self.printed.get_or_insert_with(|| engine.follow(id));
        match printed.next().await {
            Some(Ok(part)) => {
                let lines = self.lines.take(&part.into_bytes(), self.skip);
                self.ready.extend(lines.into_iter().map(Heard::Line));
            }
            Some(Err(_)) | None => self.look().await,
        }
    }

    /// Nothing more comes: it ended, or the engine did. What it said last may only come over the next connection.
    async fn look(&mut self) {
        match self.engine.inspect(&self.id).await {
            Ok(state @ (State::Ended { .. } | State::Gone))
                if self.ended.is_some() || state == State::Gone =>
            {
                let last = self.lines.end(self.skip);
                self.ready.extend(last.map(Heard::Line).into_iter().chain([Heard::Ended(state)]));
                self.is_over = true;
            }
            Ok(state) => {
                self.skip = self.skip.max(self.lines.count);
                (self.printed, self.lines) = (None, Lines { bytes: self.lines.bytes, ..Lines::default() });
                match state {
                    State::Ended { .. } => self.ended = Some(state),
                    _ => sleep(PAUSE).await,
                }
            }
            Err(error) => {
                self.ready.push_back(Heard::Lost(error));
                self.is_over = true;
            }
        }
    }
}

/// Bytes made into lines.
#[derive(Debug, Default)]
struct Lines {
    begun: Vec<u8>,
    /// So many lines came.
    count: u64,
    /// So many bytes were told.
    bytes: u64,
}

impl Lines {
    fn take(&mut self, bytes: &[u8], skip: u64) -> Vec<String> {
        let mut lines = Vec::new();
        for byte in bytes {
            if *byte != b'\n' {
                self.begun.push(*byte);
            }
            if *byte == b'\n' || self.begun.len() == MOST_LINE {
                lines.extend(self.line(skip));
            }
        }
        lines
    }

    fn end(&mut self, skip: u64) -> Option<String> {
        if self.begun.is_empty() { None } else { self.line(skip) }
    }

    /// What came is a line. None: it was told before, or too much was.
    fn line(&mut self, skip: u64) -> Option<String> {
        let line = mem::take(&mut self.begun);
        self.count += 1;
        if self.count <= skip || self.bytes > MOST_BYTES {
            return None;
        }
        self.bytes += line.len() as u64 + 1;
        if self.bytes > MOST_BYTES {
            return Some(format!("(the rest of its output is left out: {MOST_BYTES} bytes were shown)"));
        }
        Some(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_their_bytes_do() {
        let mut lines = Lines::default();
        assert_eq!(lines.take(b"on", 0), Vec::<String>::new());
        assert_eq!(lines.take(b"e\r\ntwo\nthr", 0), ["one", "two"]);
        assert_eq!(lines.end(0).as_deref(), Some("thr"));
        assert_eq!(lines.end(0), None);
    }

    #[test]
    fn lines_that_were_told_are_not_told_again() {
        let mut lines = Lines::default();
        assert_eq!(lines.take(b"one\ntwo\nthree\n", 2), ["three"]);
        assert_eq!(lines.count, 3);
    }

    #[test]
    fn a_line_without_end_and_output_without_end_are_bounded() {
        let mut lines = Lines::default();
        let told = lines.take(&vec![b'x'; 3 * MOST_LINE + 1], 0);
        assert_eq!(told.len(), 3);
        assert!(told.iter().all(|line| line.len() == MOST_LINE) && lines.begun.len() == 1);
        let all: usize =
            (0..1000).map(|_| lines.take(&[b'x'; MOST_LINE], 0).iter().map(String::len).sum::<usize>()).sum();
        assert!(all as u64 <= MOST_BYTES);
        assert!(lines.take(b"\nmore\n", 0).is_empty(), "and that was said once");
    }
}
