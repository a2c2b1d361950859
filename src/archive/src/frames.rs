//! zstd on all cores: a stream as a row of independent frames, each found and checked by stock tools.

use std::io::{self, Write};
use zstd::stream::write::Encoder;

const LEVEL: i32 = 3;
/// Repetitions are found over so many bytes (two to this power); stock zstd takes no more without being asked.
pub(crate) const WINDOW_LOG: u32 = 27;
/// A frame is ended after so many raw bytes.
const FRAME: u64 = 512 * 1024 * 1024;
/// More would take memory and cores from the jobs beside.
const MOST_WORKERS: u32 = 8;

/// A first piece shorter than this is all there is: threads and tables for more are not worth their making.
const SMALL: usize = 256 * 1024;

/// Compresses what is written to it, in large pieces.
pub(crate) struct Frames<W: Write> {
    state: State<W>,
    raw: u64,
}

enum State<W: Write> {
    Between(W),
    Within(Encoder<'static, W>),
    Broken,
}

impl<W: Write> Frames<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { state: State::Between(out), raw: 0 }
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.end()
    }

    fn end(&mut self) -> io::Result<W> {
        match std::mem::replace(&mut self.state, State::Broken) {
            State::Between(out) => Ok(out),
            State::Within(frame) => frame.finish(),
            State::Broken => Err(broken()),
        }
    }
}

impl<W: Write> Write for Frames<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.raw >= FRAME || matches!(self.state, State::Between(_)) {
            self.state = State::Within(begin(self.end()?, bytes.len())?);
            self.raw = 0;
        }
        let State::Within(frame) = &mut self.state else { return Err(broken()) };
        let written = frame.write(bytes)?;
        self.raw += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        if let State::Within(frame) = &mut self.state { frame.flush() } else { Ok(()) }
    }
}

fn broken() -> io::Error {
    io::Error::other("an earlier write failed")
}

fn begin<W: Write>(out: W, first: usize) -> io::Result<Encoder<'static, W>> {
    let mut frame = Encoder::new(out, LEVEL)?;
    frame.include_checksum(true)?;
    if first >= SMALL {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
        frame.multithread(cores.min(MOST_WORKERS))?;
        frame.long_distance_matching(true)?;
        frame.window_log(WINDOW_LOG)?;
    }
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_pieces_are_read_as_they_were_written() {
        for pieces in [vec![0, 10], vec![SMALL, 1, SMALL * 5], vec![1, SMALL * 9]] {
            let mut frames = Frames::new(Vec::new());
            let all: Vec<_> = (0..pieces.iter().sum()).map(|at: usize| (at * at / 7) as u8).collect();
            let mut rest = all.as_slice();
            for piece in pieces {
                frames.write_all(&rest[..piece]).unwrap();
                rest = &rest[piece..];
            }
            assert_eq!(zstd::decode_all(frames.finish().unwrap().as_slice()).unwrap(), all);
        }
    }
}
