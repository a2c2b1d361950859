//! Many small files as one content, in memory: a whole bundle goes on its way at once, and nobody can change it any more.

use protocol::{
    bundle::{Member, index},
    ids::Digest,
    transfer::{Artifact, Content},
};
use sha2::{Digest as _, Sha256};
use std::{collections::HashMap, fs::File, io};

/// The most bytes of a bundle's files, before they are compressed.
const MOST: usize = 4 * 1024 * 1024;
/// As archives have it.
const LEVEL: i32 = 3;

/// A bundle that is being filled.
pub(super) struct Bundle {
    frames: Vec<u8>,
    members: Vec<Member>,
    /// Where the frame of each content lies: equal ones are there once.
    places: HashMap<Digest, (u64, u64)>,
    contents: usize,
    compressor: zstd::bulk::Compressor<'static>,
}

impl Bundle {
    pub(super) fn new() -> io::Result<Self> {
        let compressor = zstd::bulk::Compressor::new(LEVEL)?;
        let (frames, members, places) = (Vec::new(), Vec::new(), HashMap::new());
        Ok(Self { frames, members, places, contents: 0, compressor })
    }

    pub(super) fn files(&self) -> usize {
        self.members.len()
    }

    /// Bytes of the files.
    pub(super) fn contents(&self) -> usize {
        self.contents
    }

    /// Whether a file of so many bytes still fits; the first always does.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.members.is_empty() || self.contents + bytes <= MOST
    }

    pub(super) fn add(&mut self, path: &str, content: &[u8]) -> io::Result<()> {
        let digest = Digest::of_bytes(&Sha256::digest(content).into());
        let (start, stored) = match self.places.get(&digest) {
            Some(place) => *place,
            None => self.append(content)?,
        };
        self.places.insert(digest.clone(), (start, stored));
        let content_of = Content { digest, size: content.len() as u64 };
        let artifact = Artifact { path: path.to_owned(), content: content_of };
        self.members.push(Member { artifact, start, stored });
        self.contents += content.len();
        Ok(())
    }

    fn append(&mut self, content: &[u8]) -> io::Result<(u64, u64)> {
        let start = self.frames.len() as u64;
        let frame = self.compressor.compress(content)?;
        self.frames.extend_from_slice(&frame);
        Ok((start, frame.len() as u64))
    }

    /// The whole of it, sealed.
    pub(super) fn seal(mut self) -> io::Result<File> {
        let table = self.compressor.compress(&serde_json::to_vec(&self.members)?)?;
        self.frames.extend_from_slice(&index(&table));
        sandbox::memory::sealed("bundle", &self.frames).map(File::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn stock_zstd_reads_all_files_of_a_bundle_one_after_the_other() {
        let mut bundle = Bundle::new().unwrap();
        for (path, content) in [("a", "one "), ("b", "two "), ("c", "one ")] {
            bundle.add(path, content.as_bytes()).unwrap();
        }
        assert_eq!((bundle.files(), bundle.contents()), (3, 12));
        let mut bytes = Vec::new();
        bundle.seal().unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(zstd::decode_all(&*bytes).unwrap(), b"one two ", "equal files share a frame");
    }

    #[test]
    fn a_full_bundle_takes_no_more_and_an_empty_one_takes_anything() {
        let mut bundle = Bundle::new().unwrap();
        assert!(bundle.has_room(MOST + 1));
        bundle.add("a", &vec![0; MOST - 1]).unwrap();
        assert!(bundle.has_room(1) && !bundle.has_room(2));
    }
}
