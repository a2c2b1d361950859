//! A large content that comes in parts, in any order and over any number of connections and lives of both sides.
//!
//! ```text
//! <directory>/parts/<scope>-<digest>-<size>/data     the content, with holes where parts are missing
//! <directory>/parts/<scope>-<digest>-<size>/<n>      empty: part n is on disk
//! ```
//!
//! A part arrives in a file of its own and goes into the content whole and checked, once: what a connection still brings
//! never touches a part that is there, nor a content that was checked. Once all parts are there the whole is checked and put
//! in its place. Parts that nobody goes on with are swept by age.

use crate::{
    BlobError, Blobs, Scope, Writer, blocking,
    directory::{Directory, Incoming, sync},
};
use bytes::Bytes;
use failpoints::Guard;
use protocol::{
    Digest,
    transfer::{Content, PART, Parts},
};
use ring::digest::{Context, SHA256};
use std::{
    fs::{self, DirEntry, File},
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, ErrorKind, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

pub(crate) const PARTS: &str = "parts";
const DATA: &str = "data";
/// Bytes that are read at once.
const PIECE: usize = 1024 * 1024;

/// Who changes the parts of a content is alone with them. Contents that fall together only wait for each other.
#[derive(Debug, Default)]
pub(crate) struct Alone([Mutex<()>; 16]);

impl Alone {
    fn with(&self, place: &Path) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        place.hash(&mut hasher);
        let number = usize::try_from(hasher.finish() % self.0.len() as u64).unwrap_or_default();
        self.0[number].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One part being written. Dropped before [`PartWriter::finish`], it was never there.
#[derive(Debug)]
pub struct PartWriter {
    writer: Writer,
    part: Part,
}

/// Where a part belongs.
#[derive(Debug)]
struct Part {
    directory: Arc<Directory>,
    scope: Scope,
    content: Content,
    number: u32,
}

/// What became of a content whose parts were all sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// It is in its place.
    Whole,
    /// Some of its parts are not there: ask which, and send them.
    Missing,
}

impl Blobs {
    /// Which parts of a content are on disk.
    pub async fn parts(&self, scope: &Scope, content: &Content) -> Result<Vec<u32>, BlobError> {
        let (place, all) = (place(&self.directory, scope, content), Parts::number(content.size, PART));
        blocking(move || stored(&place, all)).await
    }

    /// Begins to write a part that the content has, of this digest.
    pub async fn part(
        &self,
        scope: &Scope,
        content: &Content,
        (number, digest): (u32, Digest),
    ) -> Result<PartWriter, BlobError> {
        let range = Parts::range(content.size, PART, number);
        let (directory, length) = (self.directory.clone(), range.end - range.start);
        let writer = Writer::begin(directory.clone(), scope.clone(), Some(digest), Some(length)).await?;
        let (scope, content) = (scope.clone(), content.clone());
        Ok(PartWriter { writer, part: Part { directory, scope, content, number } })
    }

    /// Checks a content whose parts are all there, and puts it in its place.
    pub async fn join(&self, scope: &Scope, content: &Content) -> Result<Joined, BlobError> {
        let (directory, scope, content) = (self.directory.clone(), scope.clone(), content.clone());
        blocking(move || join(&directory, &scope, &content)).await
    }

    /// Removes what came in parts, was never whole, and got none since `limit`; the bytes of each.
    pub fn sweep_parts(&self, limit: SystemTime) -> Result<Vec<u64>, BlobError> {
        let mut swept = Vec::new();
        for place in places(&self.directory)? {
            let _alone = self.directory.parts.with(&place);
            let Some((modified, bytes)) = look(&place)? else { continue };
            if modified < limit {
                fs::remove_dir_all(&place).map_err(|error| BlobError::system("remove", &place, error))?;
                swept.push(bytes);
            }
        }
        Ok(swept)
    }

    /// The bytes of each content of which only some parts came.
    pub fn unfinished(&self) -> Result<Vec<u64>, BlobError> {
        let found = places(&self.directory)?.into_iter().map(|place| look(&place));
        found.filter_map(|found| found.map(|found| Some(found?.1)).transpose()).collect()
    }
}

impl PartWriter {
    /// Adds a piece. One beyond the part's end is refused at once.
    pub async fn push(&mut self, piece: Bytes) -> Result<(), BlobError> {
        self.writer.push(piece).await
    }

    /// Checks length and digest; the part is on disk when this returns.
    pub async fn finish(self) -> Result<(), BlobError> {
        let (part, (incoming, _)) = (self.part, self.writer.checked().await?);
        blocking(move || part.keep(incoming)).await
    }
}

impl Part {
    fn keep(&self, incoming: Incoming) -> Result<(), BlobError> {
        let Self { directory, scope, content, number } = self;
        let place = place(directory, scope, content);
        let _alone = directory.parts.with(&place);
        let mark = place.join(number.to_string());
        let is_whole = || Ok(directory.size(scope, &content.digest)? == Some(content.size));
        if mark.exists() || is_whole()? {
            return Ok(());
        }
        let start = Parts::range(content.size, PART, *number).start;
        let kept = copy(incoming, &place, start).and_then(|()| {
            File::create(mark)?;
            sync(&place)
        });
        kept.map_err(|error| BlobError::system("store", &place, error))
    }
}

fn copy(mut part: Incoming, place: &Path, start: u64) -> io::Result<()> {
    fs::create_dir_all(place)?;
    let mut data = File::options().write(true).create(true).truncate(false).open(place.join(DATA))?;
    data.seek(SeekFrom::Start(start))?;
    part.file.rewind()?;
    io::copy(&mut part.file, &mut data)?;
    if Guard::Fsync.is_out() { Ok(()) } else { data.sync_data() }
}

fn digest_of(hash: Context) -> Digest {
    Digest::of_bytes(hash.finish().as_ref().try_into().expect("a SHA-256 has 32 bytes"))
}

fn place(directory: &Directory, scope: &Scope, content: &Content) -> PathBuf {
    let (Content { digest, size }, scope) = (content, scope.as_segment());
    directory.path().join(PARTS).join(format!("{scope}-{digest}-{size}"))
}

fn join(directory: &Directory, scope: &Scope, content: &Content) -> Result<Joined, BlobError> {
    // Somebody else may have sent the same.
    if directory.hold(scope, &content.digest, content.size)? {
        return Ok(Joined::Whole);
    }
    let place = place(directory, scope, content);
    let Some(mut file) = open_whole(directory, &place, content.size)? else { return Ok(Joined::Missing) };
    let path = place.join(DATA);
    // Nobody writes to it any more: all its parts are there.
    let found = read(&mut file).map_err(|error| BlobError::system("read", &path, error))?;
    let _alone = directory.parts.with(&place);
    if !is_at(&file, &path) {
        // It was joined by another call meanwhile, or swept.
        let is_there = directory.hold(scope, &content.digest, content.size)?;
        return Ok(if is_there { Joined::Whole } else { Joined::Missing });
    }
    let joined = if found == content.digest {
        directory.place_file(&mut file, &path, scope, &content.digest).map(|()| Joined::Whole)
    } else {
        // All of it is sent anew.
        Err(BlobError::Digest { announced: content.digest.clone(), found })
    };
    if !matches!(joined, Err(BlobError::System { .. } | BlobError::Unwritable { .. })) {
        // What remains of it is swept one day.
        let _ = fs::remove_dir_all(&place);
    }
    joined
}

/// Listed, not looked for: how many a content has is its sender's word.
fn stored(place: &Path, all: u32) -> Result<Vec<u32>, BlobError> {
    let number = |entry: DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
    let listed = match fs::read_dir(place) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        listed => {
            listed.and_then(|entries| entries.map(|entry| entry.map(number)).collect::<io::Result<_>>())
        }
    };
    let listed: Vec<_> = listed.map_err(|error| BlobError::system("list", place, error))?;
    let mut stored: Vec<u32> = listed.into_iter().flatten().filter(|number| *number < all).collect();
    stored.sort_unstable();
    Ok(stored)
}

/// The content, if all its parts are there.
fn open_whole(directory: &Directory, place: &Path, size: u64) -> Result<Option<File>, BlobError> {
    let _alone = directory.parts.with(place);
    if !(0..Parts::number(size, PART)).all(|number| place.join(number.to_string()).exists()) {
        return Ok(None);
    }
    let path = place.join(DATA);
    File::open(&path).map(Some).map_err(|error| BlobError::system("open", &path, error))
}

fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(ours), Ok(there)) = (file.metadata(), fs::metadata(path)) else { return false };
    (ours.dev(), ours.ino()) == (there.dev(), there.ino())
}

fn read(file: &mut File) -> io::Result<Digest> {
    let (mut hash, mut piece) = (Context::new(&SHA256), vec![0; PIECE]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(digest_of(hash)),
            length => hash.update(&piece[..length]),
        }
    }
}

/// When a content last got a part, and the bytes of it on disk; none: it became whole meanwhile.
fn look(place: &Path) -> Result<Option<(SystemTime, u64)>, BlobError> {
    let moment = || -> io::Result<_> {
        let (marked, data) = (fs::metadata(place)?.modified()?, fs::metadata(place.join(DATA))?);
        // What is being written shows in the file before it does in the folder.
        Ok((marked.max(data.modified()?), data.blocks() * 512))
    };
    match moment() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        found => found.map(Some).map_err(|error| BlobError::system("look at", place, error)),
    }
}

fn places(directory: &Directory) -> Result<Vec<PathBuf>, BlobError> {
    let parts = directory.path().join(PARTS);
    let listed = match fs::read_dir(&parts) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect()),
    };
    listed.map_err(|error| BlobError::system("list", &parts, error))
}
