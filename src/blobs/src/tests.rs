//! Tests of contents on a real directory.

use super::*;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::Command,
    time::{Duration, SystemTime},
};
use tempfile::TempDir;

fn digest_of(bytes: &[u8]) -> Digest {
    let hash = ring::digest::digest(&ring::digest::SHA256, bytes);
    Digest::of_bytes(hash.as_ref().try_into().unwrap())
}

fn project() -> Scope {
    Scope::project("local/test")
}

async fn blobs(folder: &TempDir) -> Blobs {
    Blobs::open(folder.path().join("blobs")).await.unwrap()
}

async fn write(blobs: &Blobs, bytes: &'static [u8]) -> Result<(Digest, u64), BlobError> {
    let mut writer = blobs.write(&project(), digest_of(bytes), Some(bytes.len() as u64)).await?;
    for piece in bytes.chunks(3) {
        writer.push(Bytes::from_static(piece)).await?;
    }
    writer.finish().await
}

async fn read(blobs: &Blobs, scope: &Scope, digest: &Digest) -> Option<Vec<u8>> {
    let mut content = blobs.read(scope, digest).await.unwrap()?;
    let mut bytes = Vec::new();
    while let Some(piece) = content.next().await.unwrap() {
        bytes.extend_from_slice(&piece);
    }
    assert_eq!(bytes.len() as u64, content.size());
    Some(bytes)
}

fn incoming(folder: &TempDir) -> usize {
    fs::read_dir(folder.path().join("blobs/incoming")).unwrap().count()
}

#[tokio::test]
async fn a_content_is_read_as_it_was_written_and_only_in_its_scope() {
    let folder = TempDir::new().unwrap();
    let blobs = blobs(&folder).await;
    let (digest, size) = write(&blobs, b"hello blobs").await.unwrap();
    assert_eq!(size, 11);
    assert_eq!(read(&blobs, &project(), &digest).await.unwrap(), b"hello blobs");
    assert_eq!(blobs.size(&project(), &digest).await.unwrap(), Some(11));
    assert_eq!(read(&blobs, &Scope::agents(), &digest).await, None);
    assert_eq!(blobs.size(&Scope::agents(), &digest).await.unwrap(), None);
    assert_eq!(incoming(&folder), 0);
}

#[tokio::test]
async fn an_empty_content_is_a_content() {
    let folder = TempDir::new().unwrap();
    let blobs = blobs(&folder).await;
    let (digest, _) = write(&blobs, b"").await.unwrap();
    assert!(protocol::http::is_empty_content(&digest));
    assert_eq!(read(&blobs, &project(), &digest).await.unwrap(), b"");
}

#[tokio::test]
async fn a_content_of_another_digest_or_size_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let blobs = blobs(&folder).await;
    let mut wrong = blobs.write(&project(), digest_of(b"a"), None).await.unwrap();
    wrong.push(Bytes::from_static(b"b")).await.unwrap();
    let error = wrong.finish().await.unwrap_err();
    assert!(matches!(error, BlobError::Digest { .. }) && error.is_senders());
    let mut long = blobs.write(&project(), digest_of(b"ab"), Some(1)).await.unwrap();
    assert!(matches!(long.push(Bytes::from_static(b"ab")).await, Err(BlobError::Size { .. })));
    let short = blobs.write(&project(), digest_of(b"ab"), Some(2)).await.unwrap();
    assert!(matches!(short.finish().await, Err(BlobError::Size { announced: 2, found: 0 })));
    drop(long);
    assert_eq!(incoming(&folder), 0);
    assert_eq!(blobs.size(&project(), &digest_of(b"ab")).await.unwrap(), None);
}

#[tokio::test]
async fn writers_of_the_same_content_do_not_disturb_each_other() {
    let folder = TempDir::new().unwrap();
    let blobs = blobs(&folder).await;
    let one = || write(&blobs, b"the same");
    let (first, second, third) = tokio::join!(one(), one(), one());
    for written in [first, second, third] {
        assert_eq!(written.unwrap().0, digest_of(b"the same"));
    }
    assert_eq!(read(&blobs, &project(), &digest_of(b"the same")).await.unwrap(), b"the same");
}

#[tokio::test]
async fn what_a_dead_process_left_is_swept_at_open() {
    let folder = TempDir::new().unwrap();
    drop(blobs(&folder).await);
    fs::write(folder.path().join("blobs/incoming/1-0"), b"half").unwrap();
    assert_eq!(blobs(&folder).await.swept(), 1);
    assert_eq!(incoming(&folder), 0);
    assert_eq!(blobs(&folder).await.swept(), 0);
}

#[tokio::test]
async fn a_file_is_stored_under_its_own_digest() {
    let folder = TempDir::new().unwrap();
    let blobs = blobs(&folder).await;
    let path = folder.path().join("program");
    let bytes = vec![42; 3 * 1024 * 1024 + 1];
    fs::write(&path, &bytes).unwrap();
    let (digest, size) = blobs.store(&Scope::agents(), File::open(&path).unwrap()).await.unwrap();
    assert_eq!((digest.clone(), size), (digest_of(&bytes), bytes.len() as u64));
    assert_eq!(read(&blobs, &Scope::agents(), &digest).await.unwrap(), bytes);
}

#[tokio::test]
async fn a_path_that_cannot_be_a_directory_is_named() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("blobs"), b"a file").unwrap();
    let error = Blobs::open(folder.path().join("blobs")).await.unwrap_err();
    assert!(error.to_string().contains("blobs"), "{error}");
}

#[tokio::test]
async fn a_read_only_directory_is_refused_at_open() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("blobs");
    fs::create_dir_all(path.join("incoming")).unwrap();
    fs::set_permissions(path.join("incoming"), fs::Permissions::from_mode(0o555)).unwrap();
    // Root may write everywhere, so only an ordinary user can see this refusal.
    if fs::write(path.join("incoming/probe"), b"").is_err() {
        let error = Blobs::open(path).await.unwrap_err();
        assert!(matches!(error, BlobError::Unwritable { .. }), "{error}");
        assert!(error.to_string().contains("make it writable"), "{error}");
    }
}

/// A disk of one megabyte, where this process may mount one.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mounted() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let mount = ["-t", "tmpfs", "-o", "size=1m", "tmpfs"];
        let mounted = Command::new("mount").args(mount).arg(folder.path()).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_said_so_and_leaves_nothing() {
    let Some(disk) = SmallDisk::mounted() else {
        eprintln!("skipped: this user cannot mount a small disk");
        return;
    };
    let blobs = blobs(&disk.0).await;
    let (kept, _) = write(&blobs, b"fits").await.unwrap();
    let large = vec![7; 4 * 1024 * 1024];
    let mut writer = blobs.write(&project(), digest_of(&large), None).await.unwrap();
    let error = writer.push(large.clone().into()).await.unwrap_err();
    assert!(error.to_string().contains("make room"), "{error}");
    assert!(!error.is_senders());
    drop(writer);
    assert_eq!(incoming(&disk.0), 0);
    assert_eq!(blobs.size(&project(), &digest_of(&large)).await.unwrap(), None);
    assert_eq!(read(&blobs, &project(), &kept).await.unwrap(), b"fits");
    write(&blobs, b"fits again").await.unwrap();
}

fn age(blobs: &Blobs, digest: &Digest) {
    let file = fs::File::open(blobs.path(&project(), digest)).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(3600 * 24 * 7)).unwrap();
}

fn all(blobs: &Blobs) -> Vec<Stored> {
    blobs.folders().unwrap().iter().flat_map(|folder| blobs.stored(folder).unwrap()).collect()
}

#[tokio::test]
async fn what_is_stored_is_listed_and_what_is_being_written_is_not() {
    let folder = TempDir::new().unwrap();
    let blobs = blobs(&folder).await;
    let (digest, size) = write(&blobs, b"hello blobs").await.unwrap();
    let mut writer = blobs.compose(&project()).await.unwrap();
    writer.push(Bytes::from_static(b"half")).await.unwrap();
    let stored = all(&Blobs::at(folder.path().join("blobs")));
    assert_eq!(stored.len(), 1);
    assert_eq!((&stored[0].content.digest, stored[0].content.size), (&digest, size));
    assert_eq!(stored[0].path, blobs.path(&project(), &digest));
}

#[tokio::test]
async fn an_old_content_is_removed_unless_it_was_asked_for_in_this_round_or_the_one_before() {
    let folder = TempDir::new().unwrap();
    let blobs = blobs(&folder).await;
    let (digest, size) = write(&blobs, b"hello blobs").await.unwrap();
    let remove = || blobs.remove(&project(), std::slice::from_ref(&digest), SystemTime::now()).unwrap();
    age(&blobs, &digest);
    assert!(remove().is_empty(), "it was only just stored");
    blobs.turn();
    assert!(remove().is_empty());
    let wanted = protocol::transfer::Content { digest: digest.clone(), size };
    let wrong = protocol::transfer::Content { digest: digest.clone(), size: size + 1 };
    assert_eq!(blobs.hold(&project(), vec![wanted, wrong]).await.unwrap(), [true, false]);
    blobs.turn();
    assert!(remove().is_empty(), "somebody asked for it");
    blobs.turn();
    let week = Duration::from_secs(3600 * 24 * 6);
    let limit = SystemTime::now() - week;
    assert!(blobs.remove(&project(), std::slice::from_ref(&digest), limit).unwrap().is_empty());
    age(&blobs, &digest);
    assert_eq!(remove(), [size]);
    assert!(all(&blobs).is_empty() && remove().is_empty());
}
