//! Tests of contents on a real directory.

use super::*;
use protocol::transfer::{PART, Parts};
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

/// Three parts; the bytes of each begin with its number.
fn large() -> Vec<u8> {
    let mut bytes = vec![7; usize::try_from(2 * PART + 9).unwrap()];
    for number in 0..3u8 {
        bytes[usize::from(number) * usize::try_from(PART).unwrap()] = number;
    }
    bytes
}

fn content_of(bytes: &[u8]) -> protocol::transfer::Content {
    protocol::transfer::Content { digest: digest_of(bytes), size: bytes.len() as u64 }
}

async fn send(blobs: &Blobs, bytes: &[u8], number: u32) -> Result<(), BlobError> {
    let content = content_of(bytes);
    let range = Parts::range(content.size, PART, number);
    let part = &bytes[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
    let mut writer = blobs.part(&project(), &content, (number, digest_of(part))).await?;
    for piece in part.chunks(1 << 20) {
        writer.push(Bytes::copy_from_slice(piece)).await?;
    }
    writer.finish().await
}

#[tokio::test]
async fn parts_come_in_any_order_and_over_lives_and_become_one_content() {
    let folder = TempDir::new().unwrap();
    let (bytes, project) = (large(), project());
    let content = content_of(&bytes);
    {
        let blobs = blobs(&folder).await;
        send(&blobs, &bytes, 2).await.unwrap();
        send(&blobs, &bytes, 0).await.unwrap();
    }
    let blobs = blobs(&folder).await;
    assert_eq!(blobs.parts(&project, &content).await.unwrap(), [0, 2]);
    assert_eq!(blobs.join(&project, &content).await.unwrap(), Joined::Missing);
    assert_eq!(blobs.size(&project, &content.digest).await.unwrap(), None, "not before all of it is there");
    send(&blobs, &bytes, 1).await.unwrap();
    for _ in 0..2 {
        assert_eq!(blobs.join(&project, &content).await.unwrap(), Joined::Whole);
    }
    assert!(read(&blobs, &project, &content.digest).await.unwrap() == bytes);
    assert!(blobs.unfinished().unwrap().is_empty(), "nothing of the parts is left");
}

#[tokio::test]
async fn parts_of_a_content_are_known_however_large_it_is_said_to_be() {
    let folder = TempDir::new().unwrap();
    let (blobs, bytes) = (blobs(&folder).await, large());
    let (digest, size) = (digest_of(b"never sent"), u64::MAX);
    let endless = protocol::transfer::Content { digest, size };
    assert!(blobs.parts(&project(), &endless).await.unwrap().is_empty());
    for number in [1, 0] {
        let part = &bytes[..usize::try_from(PART).unwrap()];
        let mut writer = blobs.part(&project(), &endless, (number, digest_of(part))).await.unwrap();
        for piece in part.chunks(1 << 20) {
            writer.push(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        writer.finish().await.unwrap();
    }
    assert_eq!(blobs.parts(&project(), &endless).await.unwrap(), [0, 1]);
}

#[tokio::test]
async fn parts_that_are_not_the_content_are_sent_anew() {
    let folder = TempDir::new().unwrap();
    let blobs = blobs(&folder).await;
    let (bytes, project) = (large(), project());
    let wrong = protocol::transfer::Content { digest: digest_of(b"another"), size: bytes.len() as u64 };
    for number in 0..3 {
        let range = Parts::range(wrong.size, PART, number);
        let part = &bytes[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
        let mut writer = blobs.part(&project, &wrong, (number, digest_of(part))).await.unwrap();
        writer.push(Bytes::copy_from_slice(part)).await.unwrap();
        writer.finish().await.unwrap();
    }
    assert!(blobs.join(&project, &wrong).await.unwrap_err().is_senders());
    assert!(blobs.parts(&project, &wrong).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_part_that_is_cut_or_damaged_is_not_there() {
    let folder = TempDir::new().unwrap();
    let blobs = blobs(&folder).await;
    let (bytes, project) = (large(), project());
    let content = content_of(&bytes);
    let part = async |digest| blobs.part(&project, &content, (2, digest)).await.unwrap();
    let mut cut = part(digest_of(b"\x02")).await;
    cut.push(Bytes::from_static(b"\x02")).await.unwrap();
    assert!(matches!(cut.finish().await, Err(BlobError::Size { .. })));
    let mut long = part(digest_of(&[2; 10])).await;
    assert!(matches!(long.push(Bytes::from_static(&[2; 10])).await, Err(BlobError::Size { .. })));
    let mut damaged = part(digest_of(b"x")).await;
    damaged.push(Bytes::from_static(&[2; 9])).await.unwrap();
    assert!(matches!(damaged.finish().await, Err(BlobError::Digest { .. })));
    assert!(blobs.parts(&project, &content).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_comes_late_changes_no_part_that_is_there_and_no_content_that_is_whole() {
    let folder = TempDir::new().unwrap();
    let blobs = blobs(&folder).await;
    let (bytes, project) = (large(), project());
    let content = content_of(&bytes);
    let wrong = [9; 9];
    let late = async || {
        let mut late = blobs.part(&project, &content, (2, digest_of(&wrong))).await.unwrap();
        late.push(Bytes::copy_from_slice(&wrong)).await.unwrap();
        late
    };
    // One ends between the parts, one after the whole: each brings a part that is what it says, but none of this content.
    let (between, after) = (late().await, late().await);
    for number in [0, 2] {
        send(&blobs, &bytes, number).await.unwrap();
    }
    between.finish().await.unwrap();
    send(&blobs, &bytes, 1).await.unwrap();
    let (one, other) = tokio::join!(blobs.join(&project, &content), blobs.join(&project, &content));
    assert_eq!((one.unwrap(), other.unwrap()), (Joined::Whole, Joined::Whole));
    after.finish().await.unwrap();
    assert!(read(&blobs, &project, &content.digest).await.unwrap() == bytes);
    assert!(blobs.unfinished().unwrap().is_empty());
}

#[tokio::test]
async fn parts_that_nobody_goes_on_with_are_swept_and_told() {
    let folder = TempDir::new().unwrap();
    let blobs = blobs(&folder).await;
    send(&blobs, &large(), 2).await.unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(60);
    assert!(blobs.sweep_parts(long_ago).unwrap().is_empty());
    assert_eq!(blobs.unfinished().unwrap().len(), 1);
    assert_eq!(blobs.sweep_parts(SystemTime::now() + Duration::from_secs(1)).unwrap().len(), 1);
    assert!(blobs.parts(&project(), &content_of(&large())).await.unwrap().is_empty());
}
