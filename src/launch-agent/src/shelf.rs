//! Contents kept on this host by digest: the programs of task-agents, and near copies of caches and layers.
//!
//! A content is fetched once, however many tasks ask at once; it appears under its digest whole and checked or not at
//! all. A shelf with a limit gives up what was asked for longest ago.

use client::{ClientError, TaskClient};
use protocol::{ids::Digest, transfer::Content};
use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, flock, linkat};
use sandbox::settled::is_written_by_nobody;
use sha2::{Digest as _, Sha256};
use std::{
    collections::{HashMap, HashSet},
    fs::{self, File, Permissions},
    io::{self, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{FileExt, MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};
use uuid::Uuid;

/// Bytes read at once.
const PIECE: usize = 256 * 1024;

/// A directory of contents, shared by all tasks of the host.
#[derive(Debug)]
pub(crate) struct Shelf {
    directory: PathBuf,
    mode: u32,
    limit: u64,
    /// Shared by all launch-agents that have this directory open: a part may be another's.
    _lock: File,
    /// Parts that were left in it.
    torn: usize,
    asked: Mutex<Asked>,
}

/// What was asked for in this life of the launch-agent.
#[derive(Debug, Default)]
struct Asked {
    turns: HashMap<Digest, Arc<tokio::sync::Mutex<()>>>,
    checked: HashSet<Digest>,
}

/// A content on the shelf, open for reading at its start: it stays readable even if the shelf gives it up.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Where it lies.
    pub(crate) path: PathBuf,
    /// Open.
    pub(crate) file: File,
}

/// A content that cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShelfError {
    /// The control plane did not give it, or gave something else.
    #[error("cannot fetch {digest}: {cause}")]
    Fetch {
        /// Which.
        digest: Digest,
        /// Why.
        #[source]
        cause: ClientError,
    },
    /// The disk did not take it.
    #[error("cannot keep {path}: {cause}")]
    Disk {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

impl Shelf {
    /// A shelf of readable contents that holds about `limit` bytes.
    pub(crate) fn of_contents(directory: PathBuf, limit: u64) -> io::Result<Self> {
        Self::open(directory, 0o400, limit)
    }

    /// A shelf of programs. Where root keeps it, others may execute but not read them: a process that runs a program it
    /// cannot read is not dumpable, so a job cannot look into its task-agent.
    pub(crate) fn of_programs(directory: PathBuf, by_root: bool) -> io::Result<Self> {
        let shelf = Self::open(directory, if by_root { 0o711 } else { 0o500 }, u64::MAX)?;
        fs::set_permissions(&shelf.directory, Permissions::from_mode(if by_root { 0o711 } else { 0o700 }))?;
        Ok(shelf)
    }

    fn open(directory: PathBuf, mode: u32, limit: u64) -> io::Result<Self> {
        fs::create_dir_all(&directory)?;
        fs::set_permissions(&directory, Permissions::from_mode(0o700))?;
        let lock = File::open(&directory)?;
        let mut torn = 0;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            for part in entries(&directory)?.into_iter().filter(|entry| digest_of(&entry.path).is_none()) {
                fs::remove_file(part.path)?;
                torn += 1;
            }
        }
        flock(&lock, FlockOperation::LockShared)?;
        Ok(Self { directory, mode, limit, _lock: lock, torn, asked: Mutex::default() })
    }

    /// Where the contents lie.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// How many parts an earlier life had left.
    pub(crate) fn torn(&self) -> usize {
        self.torn
    }

    /// A name that no other part has, of another launch-agent neither.
    fn part(&self) -> PathBuf {
        self.directory.join(format!("{}.part", Uuid::new_v4()))
    }

    /// The content, from the shelf or else from the control plane.
    pub(crate) async fn obtain(
        &self,
        from: &TaskClient,
        url: &str,
        content: &Content,
    ) -> Result<Kept, ShelfError> {
        let turn = self.turn(&content.digest);
        let _mine = turn.lock().await;
        let path = self.directory.join(content.digest.as_str());
        if let Some(file) = self.found(&path, content).await {
            return Ok(Kept { path, file });
        }
        let file = self.fetch(from, url, content, &path).await?;
        self.asked().checked.insert(content.digest.clone());
        self.make_room(&content.digest);
        Ok(Kept { path, file })
    }

    /// Whose turn it is to fetch a content; kept while anybody waits for it.
    fn turn(&self, digest: &Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut asked = self.asked();
        asked.turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        asked.turns.entry(digest.clone()).or_default().clone()
    }

    /// A file without a name, for a task to make an archive in: gone with its last descriptor, unless it is kept.
    /// Whoever has it cannot open it anew for writing.
    pub(crate) fn lend(&self) -> io::Result<File> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(&self.directory, flags, Mode::RUSR | Mode::WUSR)?);
        file.set_permissions(Permissions::from_mode(0o444))?;
        Ok(file)
    }

    /// Keeps a file that was lent, as it is: it can be no other by now. None where it was not, or may still be changed.
    fn keep_lent(&self, file: &File, size: u64) -> io::Result<Option<(Content, File)>> {
        let about = file.metadata()?;
        let is_lent = about.nlink() == 0
            && about.uid() == rustix::process::geteuid().as_raw()
            && about.dev() == fs::metadata(&self.directory)?.dev();
        if !is_lent || about.len() != size || size > self.limit || !is_written_by_nobody(file) {
            return Ok(None);
        }
        let (content, _) = hash_and_copy(file, size, None)?;
        let (part, own) = (self.part(), format!("/proc/self/fd/{}", file.as_raw_fd()));
        linkat(CWD, &own, CWD, &part, AtFlags::SYMLINK_FOLLOW)?;
        let kept = self.settle(file.try_clone()?, &part, &self.directory.join(content.digest.as_str()));
        if kept.is_err() {
            // Whatever is left of it is swept when the shelf is opened.
            let _ = fs::remove_file(&part);
        }
        Ok(Some((content, kept?)))
    }

    /// Takes a file a task stores: hashed and copied in one pass, so that what is sent later is what was hashed, and a
    /// restore on this host finds it near. Exactly `size` bytes from its start; a shorter file is an error. What does
    /// not fit the shelf or its disk is only hashed: no copy is given then.
    pub(crate) async fn keep(
        self: &Arc<Self>,
        file: Arc<File>,
        size: u64,
    ) -> io::Result<(Content, Option<File>)> {
        let shelf = self.clone();
        let keeping = tokio::task::spawn_blocking(move || shelf.keep_now(&file, size));
        keeping.await.map_err(io::Error::other)?
    }

    fn keep_now(&self, file: &File, size: u64) -> io::Result<(Content, Option<File>)> {
        if let Ok(Some((content, kept))) = self.keep_lent(file, size) {
            self.asked().checked.insert(content.digest.clone());
            self.make_room(&content.digest);
            return Ok((content, Some(kept)));
        }
        let part = self.part();
        let copy = if size <= self.limit { File::create(&part).ok() } else { None };
        let (content, copy) = hash_and_copy(file, size, copy)?;
        let kept = copy.and_then(|copy| {
            let path = self.directory.join(content.digest.as_str());
            self.settle(copy, &part, &path).ok()
        });
        match &kept {
            Some(_) => {
                self.asked().checked.insert(content.digest.clone());
                self.make_room(&content.digest);
            }
            // Whatever is left of it is swept when the shelf is opened.
            None => drop(fs::remove_file(&part)),
        }
        Ok((content, kept))
    }

    fn asked(&self) -> std::sync::MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What lies there, if it is what its name says. Read once in a life of the launch-agent; by then it was synced.
    async fn found(&self, path: &Path, content: &Content) -> Option<File> {
        let file = File::open(path).ok()?;
        let known = self.asked().checked.contains(&content.digest);
        if !known && !is_whole(file.try_clone().ok()?, content.clone()).await {
            return None;
        }
        self.asked().checked.insert(content.digest.clone());
        // The time of use: what was asked for longest ago goes first. A disk that refuses it costs only that order.
        let _ = file.set_modified(SystemTime::now());
        File::open(path).ok()
    }

    async fn fetch(
        &self,
        from: &TaskClient,
        url: &str,
        content: &Content,
        path: &Path,
    ) -> Result<File, ShelfError> {
        let part = self.part();
        let disk = |cause| ShelfError::Disk { path: part.clone(), cause };
        let fetched = async {
            let file = File::options().write(true).create(true).truncate(true).open(&part).map_err(disk)?;
            let got = from.get(url, content, &file).await;
            got.map_err(|cause| ShelfError::Fetch { digest: content.digest.clone(), cause })?;
            self.settle(file, &part, path).map_err(disk)
        };
        let settled = fetched.await;
        if settled.is_err() {
            // Whatever is left of it is swept when the shelf is opened.
            let _ = fs::remove_file(&part);
        }
        settled
    }

    fn settle(&self, part: File, from: &Path, to: &Path) -> io::Result<File> {
        part.set_permissions(Permissions::from_mode(self.mode))?;
        part.sync_all()?;
        // A program cannot be started while somebody has it open for writing.
        drop(part);
        fs::rename(from, to)?;
        File::open(to)
    }

    /// Gives up the least recently used until the rest fits; never what was just asked for.
    fn make_room(&self, keep: &Digest) {
        let mut all = entries(&self.directory).unwrap_or_default();
        all.sort_by_key(|entry| entry.used);
        let mut held: u64 = all.iter().map(|entry| entry.size).sum();
        for entry in all {
            let spare = digest_of(&entry.path).is_some_and(|digest| digest != *keep);
            if held > self.limit && spare && fs::remove_file(&entry.path).is_ok() {
                held -= entry.size;
            }
        }
    }
}

/// One pass from the file's start. A copy that cannot be written is given up, the hash goes on.
fn hash_and_copy(file: &File, size: u64, mut copy: Option<File>) -> io::Result<(Content, Option<File>)> {
    let (mut hash, mut at, mut buffer) = (Sha256::new(), 0, vec![0; PIECE]);
    while at < size {
        let most = usize::try_from(size - at).map_or(PIECE, |left| left.min(PIECE));
        match file.read_at(&mut buffer[..most], at)? {
            0 => {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    format!("it ends at byte {at} of {size}"),
                ));
            }
            read => {
                hash.update(&buffer[..read]);
                copy = copy.filter(|mut copy| copy.write_all(&buffer[..read]).is_ok());
                at += read as u64;
            }
        }
    }
    Ok((Content { digest: Digest::of_bytes(&hash.finalize().into()), size }, copy))
}

async fn is_whole(mut file: File, content: Content) -> bool {
    let hashing = move || {
        let mut hash = Hash(Sha256::new());
        let size = io::copy(&mut file, &mut hash).ok()?;
        Some(size == content.size && Digest::of_bytes(&hash.0.finalize().into()) == content.digest)
    };
    matches!(tokio::task::spawn_blocking(hashing).await, Ok(Some(true)))
}

struct Hash(Sha256);

impl io::Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Entry {
    path: PathBuf,
    size: u64,
    used: SystemTime,
}

fn entries(directory: &Path) -> io::Result<Vec<Entry>> {
    let entry = |entry: io::Result<fs::DirEntry>| {
        let entry = entry?;
        let about = entry.metadata()?;
        Ok(Entry { path: entry.path(), size: about.len(), used: about.modified()? })
    };
    fs::read_dir(directory)?.map(entry).collect()
}

fn digest_of(path: &Path) -> Option<Digest> {
    path.file_name()?.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::{App, HttpResponse, HttpServer, web};
    use std::{
        os::unix::fs::MetadataExt,
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    /// A control plane that gives `body` and counts how often.
    async fn control_plane(body: &'static str) -> (TaskClient, Arc<AtomicUsize>) {
        let gets = Arc::new(AtomicUsize::new(0));
        let counted = gets.clone();
        let app = move || {
            let counted = counted.clone();
            let give = move || {
                counted.fetch_add(1, Ordering::SeqCst);
                async move { HttpResponse::Ok().body(body) }
            };
            App::new().route("/content", web::get().to(give))
        };
        let server = HttpServer::new(app).workers(1).bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", server.addrs()[0]);
        #[expect(
            clippy::disallowed_methods,
            reason = "the server of this test lives as long as its runtime"
        )]
        actix_rt::spawn(server.run());
        let transport = client::Transport::new(client::Settings::new(&url)).unwrap();
        (transport.task("token"), gets)
    }

    fn content(body: &str) -> Content {
        Content { digest: Digest::of_bytes(&Sha256::digest(body).into()), size: body.len() as u64 }
    }

    #[actix_rt::test]
    async fn a_content_asked_for_twice_at_once_is_fetched_once() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::of_contents(dir.path().join("shelf"), 100).unwrap();
        let (client, gets) = control_plane("hello").await;
        let wanted = content("hello");
        let ask = || shelf.obtain(&client, "/content", &wanted);
        let (one, other) = tokio::join!(ask(), ask());
        assert_eq!(io::read_to_string(one.unwrap().file).unwrap(), "hello");
        assert_eq!(io::read_to_string(other.unwrap().file).unwrap(), "hello");
        assert_eq!(gets.load(Ordering::SeqCst), 1);
    }

    #[actix_rt::test]
    async fn another_content_than_promised_is_refused_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::of_contents(dir.path().to_owned(), 100).unwrap();
        let (client, _) = control_plane("evil!").await;
        let refused = shelf.obtain(&client, "/content", &content("hello")).await.unwrap_err();
        assert!(matches!(refused, ShelfError::Fetch { cause: ClientError::Digest { .. }, .. }), "{refused}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[actix_rt::test]
    async fn what_an_earlier_life_kept_is_checked_before_it_is_used() {
        let dir = tempfile::tempdir().unwrap();
        let (client, gets) = control_plane("hello").await;
        let wanted = content("hello");
        fs::write(dir.path().join(wanted.digest.as_str()), "hellO").unwrap();
        fs::write(dir.path().join("torn.part"), "he").unwrap();
        let shelf = Shelf::of_contents(dir.path().to_owned(), 100).unwrap();
        let kept = shelf.obtain(&client, "/content", &wanted).await.unwrap();
        assert_eq!(io::read_to_string(kept.file).unwrap(), "hello");
        assert_eq!((gets.load(Ordering::SeqCst), fs::read_dir(dir.path()).unwrap().count()), (1, 1));
    }

    #[actix_rt::test]
    async fn a_kept_file_is_near_when_it_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Arc::new(Shelf::of_contents(dir.path().join("shelf"), 5).unwrap());
        let file = dir.path().join("file");
        fs::write(&file, "hello, world").unwrap();
        let open = || Arc::new(File::open(&file).unwrap());
        let (kept, copy) = shelf.keep(open(), 5).await.unwrap();
        assert_eq!(
            (kept.clone(), io::read_to_string(copy.unwrap()).unwrap()),
            (content("hello"), "hello".to_owned())
        );
        let (client, gets) = control_plane("never asked").await;
        shelf.obtain(&client, "/content", &kept).await.unwrap();
        assert_eq!(gets.load(Ordering::SeqCst), 0);

        let (large, none) = shelf.keep(open(), 12).await.unwrap();
        assert_eq!((large, none.is_none()), (content("hello, world"), true));
        assert_eq!(shelf.keep(open(), 13).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(fs::read_dir(dir.path().join("shelf")).unwrap().count(), 1);
    }

    #[actix_rt::test]
    async fn a_lent_file_is_kept_as_it_is_once_nobody_writes_it() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Arc::new(Shelf::of_contents(dir.path().to_owned(), 100).unwrap());
        let mut lent = shelf.lend().unwrap();
        lent.write_all(b"hello").unwrap();
        let number = lent.metadata().unwrap().ino();
        let reader = Arc::new(File::open(format!("/proc/self/fd/{}", lent.as_raw_fd())).unwrap());
        let (copied, _) = shelf.keep(reader.clone(), 5).await.unwrap();
        let path = dir.path().join(copied.digest.as_str());
        assert_ne!(fs::metadata(&path).unwrap().ino(), number, "somebody may still change it");
        drop(lent);
        let (kept, copy) = shelf.keep(reader, 5).await.unwrap();
        assert_eq!(
            (kept.clone(), io::read_to_string(copy.unwrap()).unwrap()),
            (content("hello"), "hello".to_owned())
        );
        assert_eq!(fs::metadata(&path).unwrap().ino(), number);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[actix_rt::test]
    async fn a_program_may_be_executed_by_all_and_read_by_root_alone() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::of_programs(dir.path().join("agents"), true).unwrap();
        let (client, _) = control_plane("hello").await;
        let kept = shelf.obtain(&client, "/content", &content("hello")).await.unwrap();
        assert_eq!(fs::metadata(kept.path).unwrap().mode() & 0o777, 0o711);
    }

    #[actix_rt::test]
    async fn a_full_shelf_gives_up_what_was_asked_for_longest_ago() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::of_contents(dir.path().to_owned(), 10).unwrap();
        let (old, newer) = (content("12345"), content("67890"));
        for (age, body) in [(20, "12345"), (10, "67890")] {
            let path = dir.path().join(content(body).digest.as_str());
            fs::write(&path, body).unwrap();
            File::open(&path).unwrap().set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        }
        let (client, _) = control_plane("hello").await;
        shelf.obtain(&client, "/content", &content("hello")).await.unwrap();
        let there = |content: &Content| dir.path().join(content.digest.as_str()).exists();
        assert_eq!((there(&old), there(&newer), there(&content("hello"))), (false, true, true));
    }
}
