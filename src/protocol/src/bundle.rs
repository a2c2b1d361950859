//! A bundle: many small artifacts as one content, each of which can be read alone.
//!
//! ```text
//! bundle := member* index
//! member := one zstd frame
//! index  := a skippable frame of zstd: magic:u32  length:u32  table  length of the table:u32  "RHb1"   (little-endian)
//! table  := one zstd frame: a list of [`Member`] as JSON
//! ```
//!
//! Whoever has the tail finds the index, and in it each member. `zstd -d` gives the contents one after the other. Members
//! with the same content may share a frame.

use crate::transfer::{Artifact, is_safe_path};
use serde::{Deserialize, Serialize};

/// The most bytes of one member, before it is compressed.
pub const MAX_MEMBER: u64 = 1024 * 1024;
/// The most members.
pub const MAX_MEMBERS: usize = 4096;
/// The most bytes of all of them, before they are compressed.
pub const MAX_CONTENTS: u64 = 64 * 1024 * 1024;
/// The most bytes of the table, before it is compressed.
pub const MAX_TABLE: usize = 16 * 1024 * 1024;
/// The most bytes of a whole bundle.
pub const MAX_BUNDLE: u64 = MAX_CONTENTS + (MAX_TABLE + 1024 * 1024) as u64;
/// Bytes at the end that tell where the index begins.
pub const TAIL: usize = 8;

/// One of those that decoders pass over.
const MAGIC: u32 = 0x184d_2a5b;
const HEAD: u64 = 8;
const NAME: &[u8; 4] = b"RHb1";

/// One artifact and where it lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its path and its content.
    #[serde(flatten)]
    pub artifact: Artifact,
    /// Of its frame, within the bundle.
    pub start: u64,
    /// Bytes of its frame.
    pub stored: u64,
}

/// A content that is no bundle.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BundleError {
    /// It does not end like one.
    #[error("it has no index at its end")]
    NoIndex,
    /// It is larger than any.
    #[error("it is over the limits: {MAX_MEMBERS} files of {MAX_MEMBER} bytes, {MAX_CONTENTS} bytes in all")]
    TooLarge,
    /// An artifact's path leads nowhere, or elsewhere.
    #[error("`{0}` is no path for an artifact")]
    Path(String),
    /// A member lies outside of the bundle, in its index, or partly in another.
    #[error("the file `{0}` does not lie among the members, or in another one's place")]
    Place(String),
}

/// The index around a compressed table.
pub fn index(table: &[u8]) -> Vec<u8> {
    let length = u32::try_from(table.len()).expect("a table is bounded");
    let mut index = Vec::with_capacity(table.len() + 16);
    index.extend_from_slice(&MAGIC.to_le_bytes());
    index.extend_from_slice(&(length + 8).to_le_bytes());
    index.extend_from_slice(table);
    index.extend_from_slice(&length.to_le_bytes());
    index.extend_from_slice(NAME);
    index
}

/// Where the compressed table lies in a bundle of `size` bytes that ends so.
pub fn table_range(size: u64, tail: [u8; TAIL]) -> Result<std::ops::Range<u64>, BundleError> {
    let [a, b, c, d, name @ ..] = tail;
    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
    let end = size.checked_sub(TAIL as u64).ok_or(BundleError::NoIndex)?;
    let start = end.checked_sub(length).filter(|start| name == *NAME && *start >= HEAD);
    if size > MAX_BUNDLE || length > MAX_TABLE as u64 {
        return Err(BundleError::TooLarge);
    }
    start.map(|start| start..end).ok_or(BundleError::NoIndex)
}

/// Looks a table over that was found at `table` in its bundle.
pub fn check(members: &[Member], table: &std::ops::Range<u64>) -> Result<(), BundleError> {
    let sizes = members.iter().map(|member| member.artifact.content.size);
    let all = sizes.clone().try_fold(0u64, u64::checked_add).unwrap_or(u64::MAX);
    if members.len() > MAX_MEMBERS || all > MAX_CONTENTS || sizes.max() > Some(MAX_MEMBER) {
        return Err(BundleError::TooLarge);
    }
    let end = table.start - HEAD;
    for Member { artifact, start, stored } in members {
        if !is_safe_path(&artifact.path) {
            return Err(BundleError::Path(artifact.path.clone()));
        }
        if start.checked_add(*stored).is_none_or(|after| after > end) || *stored > 2 * MAX_MEMBER {
            return Err(BundleError::Place(artifact.path.clone()));
        }
    }
    check_apart(members)
}

/// Members share a frame or have nothing in common, so that whoever reads all of them reads no byte of a bundle twice.
fn check_apart(members: &[Member]) -> Result<(), BundleError> {
    let mut places: Vec<_> = members.iter().map(|member| (member.start, member.stored, member)).collect();
    places.sort_unstable_by_key(|(start, stored, _)| (*start, *stored));
    places.dedup_by_key(|(start, stored, _)| (*start, *stored));
    match places.windows(2).find(|pair| pair[0].0 + pair[0].1 > pair[1].0) {
        Some(pair) => Err(BundleError::Place(pair[1].2.artifact.path.clone())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ids::Digest, transfer::Content};

    fn member(path: &str, size: u64, start: u64, stored: u64) -> Member {
        let content = Content { digest: Digest::of_bytes(&[7; 32]), size };
        Member { artifact: Artifact { path: path.to_owned(), content }, start, stored }
    }

    fn tail(bundle: &[u8]) -> [u8; TAIL] {
        *bundle.last_chunk().unwrap()
    }

    #[test]
    fn the_tail_tells_where_the_table_lies() {
        let bundle = [b"members".as_slice(), &index(b"table")].concat();
        let range = table_range(bundle.len() as u64, tail(&bundle)).unwrap();
        assert_eq!(&bundle[range.start as usize..range.end as usize], b"table");
        assert_eq!(check(&[member("a", 9, 0, 7)], &range), Ok(()));
    }

    #[test]
    fn what_lies_about_its_places_is_no_bundle() {
        let bundle = [b"members".as_slice(), &index(b"table")].concat();
        let size = bundle.len() as u64;
        assert_eq!(table_range(7, tail(&bundle)), Err(BundleError::NoIndex));
        assert_eq!(table_range(size, *b"\x05\0\0\0RHb2"), Err(BundleError::NoIndex));
        assert_eq!(table_range(size, *b"\xff\0\0\0RHb1"), Err(BundleError::NoIndex));
        assert_eq!(table_range(size, *b"\xff\xff\xff\xffRHb1"), Err(BundleError::TooLarge));
        let table = table_range(size, tail(&bundle)).unwrap();
        for (wrong, is_place) in [
            (member("a", 9, 1, 7), true),
            (member("a", 9, u64::MAX, 1), true),
            (member("../a", 9, 0, 7), false),
            (member("a", MAX_MEMBER + 1, 0, 7), false),
        ] {
            let error = check(&[wrong], &table).unwrap_err();
            assert_eq!(matches!(error, BundleError::Place(_)), is_place, "{error}");
        }
        let shared = [member("a", 9, 0, 3), member("b", 9, 3, 4), member("c", 9, 0, 3)];
        assert_eq!(check(&shared, &table), Ok(()));
        for other in [member("b", 9, 2, 4), member("b", 9, 0, 4), member("b", 9, 1, 1)] {
            let error = check(&[member("a", 9, 0, 3), other], &table).unwrap_err();
            assert_eq!(error, BundleError::Place("b".to_owned()));
        }
        let all = vec![member("a", 0, 0, 7); MAX_MEMBERS + 1];
        assert_eq!(check(&all, &table), Err(BundleError::TooLarge));
        let many = vec![member("a", MAX_MEMBER, 0, 7); 65];
        assert_eq!(check(&many, &table), Err(BundleError::TooLarge));
    }
}
