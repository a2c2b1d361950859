//! Looking into bundles of artifacts: all of one before it is named, and a member of it whenever somebody reads that.
//!
//! A bundle is read as if a stranger had written it: each member must be what the table says before any row names it.

use protocol::{
    Digest,
    bundle::{BundleError, MAX_MEMBER, MAX_TABLE, Member, TAIL, check, table_range},
};
use ring::digest::{SHA256, digest};
use std::{collections::HashSet, fs::File, io, ops::Range, os::unix::fs::FileExt};

/// A bundle that cannot be taken, or a member that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Faulty {
    /// It is none.
    #[error("the bundle is not taken: {0}")]
    Bundle(#[from] BundleError),
    /// Its table is no table.
    #[error("the bundle is not taken: its table cannot be read: {0}")]
    Table(#[from] serde_json::Error),
    /// A file in it is not what the table says.
    #[error("the bundle is not taken: the file `{0}` is not what its table says")]
    Member(String),
    /// The disk does not give it.
    #[error("cannot read a bundle: {0}")]
    Read(#[from] io::Error),
}

impl Faulty {
    /// Whether the sender is at fault rather than this side.
    pub(crate) fn is_senders(&self) -> bool {
        match self {
            Self::Read(error) => error.kind() == io::ErrorKind::InvalidData,
            _ => true,
        }
    }
}

/// All members of a bundle, each found to be what the table says.
pub(crate) fn members(file: &File, size: u64) -> Result<Vec<Member>, Faulty> {
    let mut tail = [0; TAIL];
    file.read_exact_at(&mut tail, size.checked_sub(TAIL as u64).ok_or(BundleError::NoIndex)?)?;
    let range = table_range(size, tail)?;
    let members: Vec<Member> = serde_json::from_slice(&decompressed(&read(file, &range)?, MAX_TABLE)?)?;
    check(&members, &range)?;
    verify(file, &members)?;
    Ok(members)
}

fn verify(file: &File, members: &[Member]) -> Result<(), Faulty> {
    let (mut decoder, mut known) = (zstd::bulk::Decompressor::new()?, HashSet::new());
    for member in members {
        // Those with the same content share a frame.
        if known.insert((member.start, member.stored, &member.artifact.content.digest)) {
            let content = content(&mut decoder, file, member)?;
            if digest_of(&content) != member.artifact.content.digest {
                return Err(Faulty::Member(member.artifact.path.clone()));
            }
        }
    }
    Ok(())
}

fn content(
    decoder: &mut zstd::bulk::Decompressor<'_>,
    file: &File,
    member: &Member,
) -> Result<Vec<u8>, Faulty> {
    let frame = read(file, &(member.start..member.start + member.stored))?;
    let size = member.artifact.content.size;
    let content = decoder.decompress(&frame, capacity(size));
    let content = content.map_err(|_| Faulty::Member(member.artifact.path.clone()))?;
    let is_whole = content.len() as u64 == size;
    is_whole.then_some(content).ok_or_else(|| Faulty::Member(member.artifact.path.clone()))
}

/// The content of the member whose frame lies there.
pub(crate) fn member(file: &File, frame: &Range<u64>, size: u64) -> io::Result<Vec<u8>> {
    let content = decompressed(&read(file, frame)?, capacity(size))?;
    let is_whole = content.len() as u64 == size;
    is_whole
        .then_some(content)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it is not all there"))
}

fn capacity(size: u64) -> usize {
    usize::try_from(size.min(MAX_MEMBER)).unwrap_or_default()
}

/// The range is of bounded length.
fn read(file: &File, range: &Range<u64>) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(range.end - range.start).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes)
}

fn decompressed(frame: &[u8], most: usize) -> io::Result<Vec<u8>> {
    let most = zstd::zstd_safe::get_frame_content_size(frame)
        .ok()
        .flatten()
        .and_then(|size| usize::try_from(size).ok())
        .map_or(most, |size| size.min(most));
    zstd::bulk::decompress(frame, most).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn digest_of(content: &[u8]) -> Digest {
    let hash = digest(&SHA256, content);
    Digest::of_bytes(hash.as_ref().try_into().expect("a SHA-256 has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{
        bundle::index,
        transfer::{Artifact, Content},
    };
    use std::io::Write;

    fn member_of(path: &str, content: &[u8], start: u64, stored: usize) -> Member {
        let content = Content { digest: digest_of(content), size: content.len() as u64 };
        Member { artifact: Artifact { path: path.to_owned(), content }, start, stored: stored as u64 }
    }

    fn file(members: &[u8], table: &[Member]) -> (File, u64) {
        let table = zstd::bulk::compress(&serde_json::to_vec(table).unwrap(), 3).unwrap();
        let bundle = [members, &index(&table)].concat();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bundle).unwrap();
        (file, bundle.len() as u64)
    }

    #[test]
    fn each_member_is_found_and_read_alone() {
        let (one, two) =
            (zstd::bulk::compress(b"one", 3).unwrap(), zstd::bulk::compress(&[7; 4096], 3).unwrap());
        let table = [
            member_of("a/1", b"one", 0, one.len()),
            member_of("a/2", &[7; 4096], one.len() as u64, two.len()),
            member_of("b/1", b"one", 0, one.len()),
        ];
        let (file, size) = file(&[one.clone(), two].concat(), &table);
        assert_eq!(members(&file, size).unwrap(), table);
        assert_eq!(member(&file, &(0..one.len() as u64), 3).unwrap(), b"one");
    }

    #[test]
    fn a_member_that_is_not_what_the_table_says_is_refused() {
        let frame = zstd::bulk::compress(b"one", 3).unwrap();
        for table in [
            member_of("a", b"two", 0, frame.len()),
            member_of("a", b"ones", 0, frame.len()),
            member_of("a", b"on", 0, frame.len()),
            member_of("a", b"one", 1, frame.len() - 1),
        ] {
            let (file, size) = file(&frame, &[table]);
            assert!(matches!(members(&file, size), Err(Faulty::Member(_))));
        }
    }

    #[test]
    fn what_is_no_bundle_is_the_senders_fault() {
        for bytes in [&b""[..], b"x", b"nothing at all", &index(b"no zstd"), &index(b"")] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            assert!(members(&file, bytes.len() as u64).unwrap_err().is_senders(), "{bytes:?}");
        }
    }
}
