//! What a launch-agent sends of one task: log chunks and journal records in one ordered stream, repeatable at will.
//!
//! ```text
//! body   := item*
//! item   := length:u32  header_length:u16  header:json  payload      (big-endian; length counts what follows it)
//! header := {"log": Chunk, and its marks}    payload: one independent zstd frame of `length` raw bytes
//!         | {"record": Record}               payload: none
//! ```
//!
//! A chunk that starts where the stored log ends, and a record with the next sequence number, are stored. One that lies
//! wholly in what is stored changes nothing. Anything else is refused with what is [`Acknowledged`], and is cut anew from there.

use crate::{ids::StepNumber, journal::Record, marks::Marks};
use bytes_of::Cursor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most raw bytes of one chunk.
pub const MAX_CHUNK: usize = 1024 * 1024;
/// The most bytes of one body.
pub const MAX_BODY: usize = 4 * 1024 * 1024;
/// The most logs of a task: those of the steps with smaller numbers than this. No other step is taken.
pub const MOST_LOGS: u32 = 10_000;

/// Where a log chunk belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Whose log.
    pub step: StepNumber,
    /// Of its first byte in the raw log.
    pub offset: u64,
    /// Raw bytes; 1 to [`MAX_CHUNK`].
    pub length: u32,
}

/// One item of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A piece of a step's log.
    Log {
        /// Where it belongs.
        chunk: Chunk,
        /// When its bytes were written, as far as that is known.
        marks: Marks,
        /// An independent zstd frame.
        frame: Vec<u8>,
    },
    /// A record of the task-agent's journal.
    Record(Record),
}

/// How far the control plane has a task's stream, on disk. The answer to every write and to a question alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// The sequence number of the record that comes next.
    pub next_record: u64,
    /// The stored length of each log that has any.
    pub logs: BTreeMap<StepNumber, u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Header {
    Log(LogHeader),
    Record(Record),
}

/// Whoever does not know of marks reads a chunk all the same, and sends one without any.
#[derive(Serialize, Deserialize)]
struct LogHeader {
    step: StepNumber,
    offset: u64,
    length: u32,
    #[serde(default, skip_serializing_if = "Marks::is_empty")]
    marks: Marks,
}

impl LogHeader {
    fn of(Chunk { step, offset, length }: Chunk, marks: Marks) -> Self {
        Self { step, offset, length, marks }
    }
}

/// A body that is no stream.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum StreamError {
    /// It ends within an item.
    #[error("the stream ends within the item at byte {0}")]
    Torn(usize),
    /// A header is not JSON of this version.
    #[error("the item at byte {0} has an unknown header")]
    Header(usize),
    /// A chunk has no bytes, or more than [`MAX_CHUNK`].
    #[error("the log chunk at byte {0} is empty or over {MAX_CHUNK} bytes")]
    Chunk(usize),
    /// A chunk has marks behind its last byte.
    #[error("the log chunk at byte {0} has marks of bytes that it has not")]
    Marks(usize),
    /// A record has a payload.
    #[error("the record at byte {0} has bytes after it, and no record has any")]
    Surplus(usize),
}

/// Appends one item to a body.
pub fn encode(item: &Item, body: &mut Vec<u8>) {
    let (header, payload) = match item {
        Item::Log { chunk, marks, frame } => {
            (Header::Log(LogHeader::of(*chunk, marks.clone())), frame.as_slice())
        }
        Item::Record(record) => (Header::Record(record.clone()), [].as_slice()),
    };
    let header = serde_json::to_vec(&header).expect("a header has only string keys");
    let header_length = u16::try_from(header.len()).expect("a header is shorter than 64 KiB");
    let length = u32::try_from(2 + header.len() + payload.len()).expect("an item is shorter than 4 GiB");
    body.extend_from_slice(&length.to_be_bytes());
    body.extend_from_slice(&header_length.to_be_bytes());
    body.extend_from_slice(&header);
    body.extend_from_slice(payload);
}

/// The items of a whole body.
pub fn decode(body: &[u8]) -> Result<Vec<Item>, StreamError> {
    let (mut items, mut cursor) = (Vec::new(), Cursor::new(body));
    while !cursor.is_empty() {
        items.push(item(&mut cursor)?);
    }
    Ok(items)
}

fn item(cursor: &mut Cursor<'_>) -> Result<Item, StreamError> {
    let at = cursor.position();
    let torn = || StreamError::Torn(at);
    let length = cursor.u32().ok_or_else(torn)?;
    let mut rest = Cursor::new(cursor.take(length as usize).ok_or_else(torn)?);
    let header_length = rest.u16().ok_or_else(torn)?;
    let header = rest.take(header_length.into()).ok_or_else(torn)?;
    match serde_json::from_slice(header).map_err(|_| StreamError::Header(at))? {
        Header::Record(record) if rest.is_empty() => Ok(Item::Record(record)),
        Header::Record(_) => Err(StreamError::Surplus(at)),
        Header::Log(log) => log_item(log, rest.rest(), at),
    }
}

fn log_item(log: LogHeader, frame: &[u8], at: usize) -> Result<Item, StreamError> {
    let LogHeader { step, offset, length, marks } = log;
    if !(1..=MAX_CHUNK).contains(&(length as usize)) {
        return Err(StreamError::Chunk(at));
    }
    if !marks.are_within(length) {
        return Err(StreamError::Marks(at));
    }
    Ok(Item::Log { chunk: Chunk { step, offset, length }, marks, frame: frame.to_vec() })
}

/// Reading numbers and slices off the front of a byte slice.
mod bytes_of {
    pub(super) struct Cursor<'b> {
        bytes: &'b [u8],
        at: usize,
    }

    impl<'b> Cursor<'b> {
        pub(super) fn new(bytes: &'b [u8]) -> Self {
            Self { bytes, at: 0 }
        }

        pub(super) fn is_empty(&self) -> bool {
            self.at == self.bytes.len()
        }

        pub(super) fn position(&self) -> usize {
            self.at
        }

        pub(super) fn take(&mut self, length: usize) -> Option<&'b [u8]> {
            let taken = self.bytes.get(self.at..self.at.checked_add(length)?)?;
            self.at += length;
            Some(taken)
        }

        pub(super) fn rest(&self) -> &'b [u8] {
            &self.bytes[self.at..]
        }

        pub(super) fn u16(&mut self) -> Option<u16> {
            self.take(2)?.try_into().ok().map(u16::from_be_bytes)
        }

        pub(super) fn u32(&mut self) -> Option<u32> {
            self.take(4)?.try_into().ok().map(u32::from_be_bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{journal::TaskEvent, marks::Mark};

    fn marks(all: &[(u64, u32)]) -> Marks {
        let mut marks = Marks::default();
        all.iter().for_each(|(offset, ms)| assert!(marks.push(Mark { offset: *offset, ms: *ms })));
        marks
    }

    fn items() -> Vec<Item> {
        let chunk = Chunk { step: StepNumber(3), offset: 10, length: 5 };
        let record = Record { seq: 0, at_ms: 1, event: TaskEvent::StepStarted { step: StepNumber(3) } };
        let marks = marks(&[(0, 120), (4, 230)]);
        vec![Item::Log { chunk, marks, frame: vec![1, 2, 3] }, Item::Record(record)]
    }

    /// A body of one item with this header and no payload.
    fn body_of(header: &str) -> Vec<u8> {
        let length = u32::try_from(2 + header.len()).unwrap().to_be_bytes();
        let header_length = u16::try_from(header.len()).unwrap().to_be_bytes();
        [&length[..], &header_length, header.as_bytes()].concat()
    }

    #[test]
    fn a_chunk_of_whoever_knows_no_marks_is_read_and_one_without_any_is_written_so() {
        let chunk = Chunk { step: StepNumber(3), offset: 10, length: 5 };
        let item = Item::Log { chunk, marks: Marks::default(), frame: vec![] };
        let old = body_of(&format!("{{\"log\":{}}}", serde_json::to_string(&chunk).unwrap()));
        assert_eq!(decode(&old), Ok(vec![item.clone()]));
        let mut new = Vec::new();
        encode(&item, &mut new);
        assert_eq!(new, old);
    }

    #[test]
    fn marks_of_bytes_that_a_chunk_has_not_or_in_no_order_are_refused() {
        let with = |marks: &str| {
            body_of(&format!("{{\"log\":{{\"step\":1,\"offset\":0,\"length\":5,\"marks\":{marks}}}}}"))
        };
        assert_eq!(decode(&with("[5,1]")), Err(StreamError::Marks(0)));
        assert_eq!(decode(&with("[1,1,0,1]")), Err(StreamError::Header(0)));
        assert!(decode(&with("[0,7,4,1]")).is_ok());
    }

    fn body() -> Vec<u8> {
        let mut body = Vec::new();
        items().iter().for_each(|item| encode(item, &mut body));
        body
    }

    #[test]
    fn a_body_is_read_as_it_was_written() {
        assert_eq!(decode(&body()), Ok(items()));
    }

    #[test]
    fn a_cut_body_is_torn_at_every_byte_but_between_items() {
        let whole = body();
        let whole_prefixes = (0..whole.len()).filter(|cut| decode(&whole[..*cut]).is_ok()).count();
        assert_eq!(whole_prefixes, 2, "nothing, and the first item alone");
    }

    #[test]
    fn an_empty_or_oversized_chunk_is_refused() {
        for length in [0, u32::MAX] {
            let mut body = Vec::new();
            let chunk = Chunk { step: StepNumber(1), offset: 0, length };
            encode(&Item::Log { chunk, marks: Marks::default(), frame: vec![] }, &mut body);
            assert_eq!(decode(&body), Err(StreamError::Chunk(0)));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_body_is_items_or_an_error(body: Vec<u8>) {
            let _ = decode(&body);
        }
    }
}
