//! A log whose lines begin with the time at which they were written, where that is known.

use super::piece;
use crate::{
    logs::LogName,
    plane::{Plane, clock::rfc3339},
    refusal::Refusal,
};
use actix_web::error::Error;
use bytes::Bytes;
use futures_util::{Stream, stream};
use protocol::marks::LogTimes;
use std::{ops::Range, sync::Arc};

/// Bytes that are read at once: should each of them be a line, they become 26 times as many.
const PIECE: u64 = 64 * 1024;

/// What is still to be told.
struct Rest {
    plane: Arc<Plane>,
    name: LogName,
    part: Range<u64>,
    lines: Lines,
}

/// Lines as they come, in pieces that end anywhere.
struct Lines {
    times: LogTimes,
    /// Whether the next byte begins one.
    begins: bool,
}

/// The part of the log in pieces.
pub(super) fn pieces(
    plane: Arc<Plane>,
    name: LogName,
    part: Range<u64>,
) -> impl Stream<Item = Result<Bytes, Error>> {
    let lines = Lines { times: LogTimes::default(), begins: true };
    stream::try_unfold(Rest { plane, name, part, lines }, |rest| async { Ok(rest.next().await?) })
}

impl Rest {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Refusal> {
        if self.part.is_empty() {
            return Ok(None);
        }
        let left = self.timed().await?.min(PIECE);
        let bytes = piece(&self.plane.logs, self.name, self.part.start, left).await?;
        let text = self.lines.shown(self.part.start, &bytes);
        self.part.start += bytes.len() as u64;
        Ok(Some((text.into(), self)))
    }

    /// How many of the next bytes have all their times.
    async fn timed(&mut self) -> Result<u64, Refusal> {
        let Range { start, end } = self.part;
        if self.lines.times.until <= start {
            let times = self.plane.logs.times(self.name, start..end).await?;
            self.lines.times = times.unwrap_or_default();
        }
        let until = self.lines.times.until;
        Ok(if until > start { until.min(end) - start } else { end - start })
    }
}

impl Lines {
    /// These bytes, the first of which is at this offset.
    fn shown(&mut self, mut offset: u64, bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::with_capacity(bytes.len() * 2);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.begins
                && let Some(at) = self.at(offset)
            {
                text.extend_from_slice(format!("{} ", rfc3339(at)).as_bytes());
            }
            text.extend_from_slice(line);
            offset += line.len() as u64;
            self.begins = line.ends_with(b"\n");
        }
        text
    }

    fn at(&self, offset: u64) -> Option<i64> {
        Some(self.times.started_ms?.saturating_add(self.times.of(offset)?.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_begins_with_its_time_wherever_its_pieces_end() {
        let marks = vec![(4, 1000), (12, 62_500)];
        let times = LogTimes { started_ms: Some(0), marks, until: 99 };
        let raw = b"one\ntwo\nto\n\nand the last";
        for cut in 0..raw.len() {
            let mut lines = Lines { times: times.clone(), begins: true };
            let text = [lines.shown(0, &raw[..cut]), lines.shown(cut as u64, &raw[cut..])].concat();
            assert_eq!(
                String::from_utf8(text).unwrap(),
                "one\n1970-01-01T00:00:01.000Z two\n1970-01-01T00:00:01.000Z to\n\
                 1970-01-01T00:00:01.000Z \n1970-01-01T00:01:02.500Z and the last"
            );
        }
    }
}
