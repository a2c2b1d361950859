//! Descriptors that came from a job: what they may be, and what is in them. No path of the job's is ever opened.

use protocol::{
    api::MAX_CONTINUE,
    bundle::MAX_BUNDLE,
    frame::Wanted,
    ids::Digest,
    transfer::{Content, MAX_TESTS, TestCase, is_safe_path},
};
use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat};
use sha2::{Digest as _, Sha256};
use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{Arc, OnceLock},
};

/// Something to be carried, checked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    number: u64,
    wanted: Wanted,
    file: Option<Arc<File>>,
    size: u64,
    known: Arc<OnceLock<Known>>,
}

/// What the first pass over a file has found: a try after it, by whichever uploader, reads nothing again before it sends.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) content: Content,
    /// What is sent: a copy of ours where there is one, for that cannot change any more.
    pub(super) source: Arc<File>,
}

/// The largest content that is carried.
const MAX_CONTENT: u64 = 64 << 30;
/// How much of a file is hashed at once.
const PIECE: usize = 256 * 1024;

impl Request {
    /// Checks what came: a descriptor where one belongs, of a regular file that can be read, bounded in size.
    pub(crate) fn new(number: u64, wanted: Wanted, file: Option<File>) -> Result<Self, &'static str> {
        let takes_file = is_upload(&wanted);
        if takes_file != file.is_some() {
            return Err("the request needs a descriptor, or has one too many");
        }
        if let Wanted::StoreArtifact { path } = &wanted
            && !is_safe_path(path)
        {
            return Err("the artifact's path is not relative, or leaves its root");
        }
        let size = file.as_ref().map_or(Ok(0), checked_size)?;
        let limit = match wanted {
            Wanted::StoreTestResults => MAX_TESTS as u64,
            Wanted::ContinuePipeline => MAX_CONTINUE as u64,
            Wanted::StoreBundle => MAX_BUNDLE,
            _ => MAX_CONTENT,
        };
        if size > limit {
            return Err(
                "the file is over the limit: 64 GiB for a content, 81 MiB for a bundle, 31 MiB for test results, 4 MiB for a continuation",
            );
        }
        Ok(Self { number, wanted, file: file.map(Arc::new), size, known: Arc::default() })
    }

    /// The task-agent's number.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// What is asked.
    pub(crate) fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Whether something leaves the host.
    pub(crate) fn is_upload(&self) -> bool {
        is_upload(&self.wanted)
    }

    /// The content, of a request that has one.
    pub(super) fn file(&self) -> Arc<File> {
        self.file.clone().expect("a request to store has its descriptor: `new` checked")
    }

    /// What is known of the content, if it was read before.
    pub(super) fn known(&self) -> Option<&Known> {
        self.known.get()
    }

    /// The file was read.
    pub(super) fn is_known(&self, content: Content, source: Arc<File>) -> &Known {
        self.known.get_or_init(|| Known { content, source })
    }

    /// Its bytes when it came.
    pub(super) fn size(&self) -> u64 {
        self.size
    }
}

fn is_upload(wanted: &Wanted) -> bool {
    matches!(
        wanted,
        Wanted::StoreArtifact { .. }
            | Wanted::StoreBundle
            | Wanted::StoreTestResults
            | Wanted::SaveCache { .. }
            | Wanted::PersistLayer
            | Wanted::KeepMirror { .. }
            | Wanted::ContinuePipeline
    )
}

/// Never waits: a pipe, a device or a socket is refused before anything is read from it.
fn checked_size(file: &File) -> Result<u64, &'static str> {
    let stat = fstat(file).map_err(|_| "the descriptor cannot be looked at")?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err("only regular files can be stored");
    }
    let flags = fcntl_getfl(file).map_err(|_| "the descriptor cannot be looked at")?;
    if flags.contains(OFlags::PATH) || flags.contains(OFlags::WRONLY) {
        return Err("the descriptor is not open for reading");
    }
    u64::try_from(stat.st_size).map_err(|_| "the file has no size")
}

/// Reads all of it once. A file that has become shorter is an error; what was added since is not read.
pub(super) fn hash(file: &File, size: u64) -> io::Result<Content> {
    hash_part(file, 0, size)
}

/// The same of so many bytes from a place on.
pub(super) fn hash_part(file: &File, start: u64, size: u64) -> io::Result<Content> {
    let (mut hash, mut offset) = (Sha256::new(), 0);
    let mut piece = vec![0; PIECE.min(usize::try_from(size).unwrap_or(PIECE))];
    while offset < size {
        let length = piece.len().min(usize::try_from(size - offset).unwrap_or(PIECE));
        file.read_exact_at(&mut piece[..length], start + offset)?;
        hash.update(&piece[..length]);
        offset += length as u64;
    }
    Ok(Content { digest: Digest::of_bytes(&hash.finalize().into()), size })
}

/// All of it, of a file that is small.
pub(super) fn whole(file: &File, size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(size).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// One test case a line.
pub(super) fn test_cases(file: &File, size: u64) -> io::Result<Vec<TestCase>> {
    let text = whole(file, size)?;
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).map_err(io::Error::from)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn artifact() -> Wanted {
        Wanted::StoreArtifact { path: "a".to_owned() }
    }

    #[test]
    fn only_a_regular_file_that_can_be_read_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(Request::new(1, artifact(), Some(File::open(&path).unwrap())).unwrap().size(), 3);
        let (reader, _writer) = io::pipe().unwrap();
        let odd = [
            File::open(dir.path()).unwrap(),
            File::open("/dev/zero").unwrap(),
            File::from(std::os::fd::OwnedFd::from(reader)),
            File::options().write(true).open(&path).unwrap(),
        ];
        for file in odd {
            assert!(Request::new(1, artifact(), Some(file)).is_err());
        }
        assert!(Request::new(1, artifact(), None).is_err());
        let unsafe_path = Wanted::StoreArtifact { path: "../a".to_owned() };
        assert!(Request::new(1, unsafe_path, Some(File::open(&path).unwrap())).is_err());
    }

    #[test]
    fn what_the_first_reading_found_is_known_to_every_copy_of_a_request() {
        let file = tempfile::tempfile().unwrap();
        let request = Request::new(1, artifact(), Some(file)).unwrap();
        let for_another_uploader = request.clone();
        assert!(for_another_uploader.known().is_none());
        let content = hash(&request.file(), request.size()).unwrap();
        request.is_known(content.clone(), request.file());
        assert_eq!(for_another_uploader.known().unwrap().content, content);
    }

    #[test]
    fn a_file_is_hashed_up_to_the_size_it_had() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"abcdef").unwrap();
        let content = hash(&file, 3).unwrap();
        assert_eq!(
            content.digest.as_str(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(hash(&file, 7).is_err(), "it became shorter");
    }
}
