//! Frames of log: each an independent zstd frame that must hold exactly as many bytes as its chunk says.

use protocol::stream::{Chunk, MAX_CHUNK};
use std::cell::RefCell;
use zstd::bulk::Decompressor;

/// A frame whose bytes are not what its chunk says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the log frame of step {step} at byte {offset} does not hold the {length} bytes it announces")]
pub(crate) struct BadFrame {
    step: u32,
    offset: u64,
    length: u32,
}

/// What decompressing needs, kept by each thread that does it: about 1.2 MiB, of which only touched pages count.
struct Bench {
    decompressor: Decompressor<'static>,
    raw: Vec<u8>,
}

thread_local! {
    static BENCH: RefCell<Option<Bench>> = const { RefCell::new(None) };
}

/// The raw bytes of a frame, handed to `take`; none where it is no frame of at most [`MAX_CHUNK`] bytes.
pub(crate) fn with_raw<T>(frame: &[u8], take: impl FnOnce(&[u8]) -> T) -> Option<T> {
    BENCH.with_borrow_mut(|bench| {
        let bench = bench.get_or_insert_with(Bench::new);
        bench.raw.clear();
        bench.decompressor.decompress_to_buffer(frame, &mut bench.raw).ok()?;
        Some(take(&bench.raw))
    })
}

impl Bench {
    fn new() -> Self {
        let decompressor = Decompressor::new().expect("a decompression context is a few hundred kilobytes");
        Self { decompressor, raw: Vec::with_capacity(MAX_CHUNK) }
    }
}

/// How many bytes a frame holds; none where it is no frame of ours.
pub(crate) fn raw_length(frame: &[u8]) -> Option<usize> {
    with_raw(frame, <[u8]>::len)
}

/// Checks that the frame holds what the chunk says.
pub(crate) fn check(chunk: &Chunk, frame: &[u8]) -> Result<(), BadFrame> {
    let length = chunk.length as usize;
    if raw_length(frame) == Some(length) {
        return Ok(());
    }
    Err(BadFrame { step: chunk.step.0, offset: chunk.offset, length: chunk.length })
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::StepNumber;

    fn chunk(length: usize) -> Chunk {
        Chunk { step: StepNumber(1), offset: 7, length: length.try_into().unwrap() }
    }

    fn frame(raw: &[u8]) -> Vec<u8> {
        zstd::bulk::compress(raw, 1).unwrap()
    }

    #[test]
    fn a_frame_holds_what_its_chunk_says() {
        assert_eq!(check(&chunk(5), &frame(b"hello")), Ok(()));
        assert_eq!(check(&chunk(MAX_CHUNK), &frame(&vec![7; MAX_CHUNK])), Ok(()));
    }

    #[test]
    fn a_frame_of_another_length_is_refused_with_its_place() {
        let error = check(&chunk(4), &frame(b"hello")).unwrap_err();
        assert!(error.to_string().contains("step 1 at byte 7"), "{error}");
        assert!(check(&chunk(6), &frame(b"hello")).is_err());
    }

    #[test]
    fn a_bomb_is_not_inflated() {
        assert!(check(&chunk(MAX_CHUNK), &frame(&vec![0; 64 * MAX_CHUNK])).is_err());
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let torn = &frame(b"hello")[..9];
        for bytes in [b"".as_slice(), b"hello", torn, &[frame(b"hello"), b"x".to_vec()].concat()] {
            assert!(check(&chunk(5), bytes).is_err());
        }
    }
}
