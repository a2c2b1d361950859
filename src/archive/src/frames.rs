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

/// Compresses what is written to it.
pub(crate) struct Frames<W: Write> {
    /// None only while a frame is ended.
    frame: Option<Encoder<'static, W>>,
    raw: u64,
}

impl<W: Write> Frames<W> {
    pub(crate) fn new(out: W) -> io::Result<Self> {
        Ok(Self { frame: Some(begin(out)?), raw: 0 })
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.end()
    }

    fn end(&mut self) -> io::Result<W> {
        let frame = self.frame.take().ok_or_else(|| io::Error::other("an earlier write failed"))?;
        frame.finish()
    }
}

impl<W: Write> Write for Frames<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.raw >= FRAME {
            self.frame = Some(begin(self.end()?)?);
            self.raw = 0;
        }
        let frame = self.frame.as_mut().ok_or_else(|| io::Error::other("an earlier write failed"))?;
        let written = frame.write(bytes)?;
        self.raw += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.frame.as_mut().map_or(Ok(()), Write::flush)
    }
}

fn begin<W: Write>(out: W) -> io::Result<Encoder<'static, W>> {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    let mut frame = Encoder::new(out, LEVEL)?;
    frame.multithread(cores.min(MOST_WORKERS))?;
    frame.long_distance_matching(true)?;
    frame.window_log(WINDOW_LOG)?;
    frame.include_checksum(true)?;
    Ok(frame)
}
