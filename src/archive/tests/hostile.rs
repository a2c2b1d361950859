//! Archives that want out of their root, or are no archives.

#![expect(clippy::unwrap_used, reason = "what a test sets up is there")]

use archive::{ArchiveError, Packer, unpack};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, symlink},
    path::{Path, PathBuf},
};
use tar::{EntryType, Header};
use tempfile::{TempDir, tempdir};

/// One entry, with nothing in it checked.
fn entry(kind: EntryType, path: &str, points_to: &str, content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(0o6755);
    header.set_size(content.len() as u64);
    header.set_mtime(1);
    let ustar = header.as_ustar_mut().unwrap();
    ustar.name[..path.len()].copy_from_slice(path.as_bytes());
    ustar.linkname[..points_to.len()].copy_from_slice(points_to.as_bytes());
    header.set_cksum();
    let mut blocks = header.as_bytes().to_vec();
    blocks.extend_from_slice(content);
    blocks.resize(blocks.len().next_multiple_of(512), 0);
    blocks
}

fn archive(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut tar = entries.concat();
    tar.extend_from_slice(&[0; 1024]);
    zstd::encode_all(tar.as_slice(), 1).unwrap()
}

/// A root with a neighbor that nobody may touch.
struct Place {
    top: TempDir,
}

impl Place {
    fn new() -> Self {
        let top = tempdir().unwrap();
        fs::create_dir_all(top.path().join("root")).unwrap();
        fs::create_dir_all(top.path().join("neighbor")).unwrap();
        fs::write(top.path().join("neighbor/file"), "untouched").unwrap();
        Self { top }
    }

    fn root(&self) -> PathBuf {
        self.top.path().join("root")
    }

    fn unpack(&self, entries: &[Vec<u8>]) -> Result<archive::Report, ArchiveError> {
        let roots = BTreeMap::from([("work".to_owned(), self.root())]);
        let result = unpack(archive(entries).as_slice(), &roots);
        let beside: Vec<_> = fs::read_dir(self.top.path().join("neighbor")).unwrap().collect();
        assert_eq!(beside.len(), 1, "something was made outside the root");
        assert_eq!(fs::read_to_string(self.top.path().join("neighbor/file")).unwrap(), "untouched");
        assert_eq!(fs::metadata(self.top.path().join("neighbor/file")).unwrap().nlink(), 1);
        assert_eq!(fs::read_dir(self.top.path()).unwrap().count(), 2);
        result
    }
}

fn is_refused(result: &Result<archive::Report, ArchiveError>) -> bool {
    matches!(result, Err(ArchiveError::Refused { .. }))
}

#[test]
fn a_path_that_leaves_its_root_is_refused() {
    for path in ["../out", "work/../../out", "/work/out", "/etc/out", "work/a/../../../out", "other/file", ""]
    {
        let result = Place::new().unpack(&[entry(EntryType::Regular, path, "", b"x")]);
        assert!(is_refused(&result), "{path}: {result:?}");
    }
}

#[test]
fn a_file_through_a_link_out_of_the_root_is_refused() {
    for to in ["../neighbor", "/tmp", "..", "a/../../neighbor"] {
        let place = Place::new();
        let link = entry(EntryType::Symlink, "work/link", to, b"");
        for kind in [EntryType::Regular, EntryType::Directory, EntryType::Symlink] {
            let through = entry(kind, "work/link/file", "x", b"");
            assert!(is_refused(&place.unpack(&[link.clone(), through])), "{to}");
        }
    }
}

#[test]
fn a_link_that_stays_within_the_root_may_be_on_the_way() {
    let place = Place::new();
    let directory = entry(EntryType::Directory, "work/real", "", b"");
    let link = entry(EntryType::Symlink, "work/link", "real", b"");
    place.unpack(&[directory, link, entry(EntryType::Regular, "work/link/file", "", b"x")]).unwrap();
    assert_eq!(fs::read(place.root().join("real/file")).unwrap(), b"x");
}

#[test]
fn a_link_is_replaced_and_never_written_through() {
    let place = Place::new();
    let link = entry(EntryType::Symlink, "work/file", "../neighbor/file", b"");
    place.unpack(&[link, entry(EntryType::Regular, "work/file", "", b"mine")]).unwrap();
    assert_eq!(fs::read(place.root().join("file")).unwrap(), b"mine");
}

#[test]
fn a_hard_link_to_what_is_outside_is_refused() {
    for to in ["../neighbor/file", "work/../../neighbor/file", "/etc/hostname", "neighbor/file"] {
        assert!(is_refused(&Place::new().unpack(&[entry(EntryType::Link, "work/mine", to, b"")])), "{to}");
    }
    let link = entry(EntryType::Symlink, "work/way", "../neighbor", b"");
    let result = Place::new().unpack(&[link, entry(EntryType::Link, "work/mine", "work/way/file", b"")]);
    assert!(is_refused(&result), "{result:?}");
}

#[test]
fn devices_and_pipes_are_refused() {
    for kind in [EntryType::Char, EntryType::Block, EntryType::Fifo, EntryType::GNUSparse] {
        assert!(is_refused(&Place::new().unpack(&[entry(kind, "work/device", "", b"")])), "{kind:?}");
    }
}

#[test]
fn nobody_becomes_another_user_by_a_file_of_an_archive() {
    let place = Place::new();
    place.unpack(&[entry(EntryType::Regular, "work/tool", "", b"x")]).unwrap();
    assert_eq!(fs::metadata(place.root().join("tool")).unwrap().mode() & 0o7777, 0o755);
}

#[test]
fn a_root_is_not_replaced() {
    let place = Place::new();
    assert!(is_refused(&place.unpack(&[entry(EntryType::Regular, "work", "", b"x")])));
    assert!(is_refused(&place.unpack(&[entry(EntryType::Symlink, "work", "/tmp", b"")])));
    assert!(place.root().is_dir());
}

#[test]
fn a_declared_size_that_never_comes_allocates_nothing() {
    let mut huge = Header::new_ustar();
    huge.set_entry_type(EntryType::Regular);
    huge.set_size(1 << 60);
    huge.as_ustar_mut().unwrap().name[..9].copy_from_slice(b"work/huge");
    huge.set_cksum();
    let result = Place::new().unpack(&[huge.as_bytes().to_vec()]);
    assert!(matches!(result, Err(ArchiveError::Stream(_))), "{result:?}");
    let name = entry(EntryType::GNULongName, "././@LongLink", "", &vec![b'a'; 2 << 20]);
    assert!(matches!(Place::new().unpack(&[name]), Err(ArchiveError::Stream(_))));
}

#[test]
fn a_whole_directory_is_not_replaced_by_a_file() {
    let place = Place::new();
    let inside = entry(EntryType::Regular, "work/a/b", "", b"x");
    let result = place.unpack(&[inside, entry(EntryType::Regular, "work/a", "", b"x")]);
    assert!(matches!(result, Err(ArchiveError::File { path, .. }) if path == Path::new("a")));
}

#[test]
fn a_link_in_the_tree_is_packed_as_a_link() {
    let place = Place::new();
    symlink("../neighbor", place.root().join("link")).unwrap();
    let mut packer = Packer::new(Vec::new()).unwrap();
    packer.add("work", &place.root(), Path::new("link")).unwrap();
    let (_, report) = packer.finish().unwrap();
    assert_eq!((report.files, report.bytes), (1, 0));
}

#[test]
fn a_cut_or_changed_archive_is_an_error() {
    let whole = archive(&[entry(EntryType::Regular, "work/file", "", &[3; 5000])]);
    let roots = |place: &Place| BTreeMap::from([("work".to_owned(), place.root())]);
    for cut in [0, 1, whole.len() / 2, whole.len() - 1] {
        let place = Place::new();
        assert!(matches!(unpack(&whole[..cut], &roots(&place)), Err(ArchiveError::Stream(_))), "{cut}");
    }
    let place = Place::new();
    assert!(unpack(b"not an archive at all".as_slice(), &roots(&place)).is_err());
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_an_archive_or_an_error(tar: Vec<u8>, at in 0..1024_usize) {
        let place = Place::new();
        let roots = BTreeMap::from([("work".to_owned(), place.root())]);
        let mut changed = entry(EntryType::Regular, "work/file", "", b"content");
        let end = (at + tar.len()).min(changed.len());
        changed[at..end].copy_from_slice(&tar[..end - at]);
        let _ = unpack(archive(&[changed]).as_slice(), &roots);
        let _ = unpack(tar.as_slice(), &roots);
        proptest::prop_assert_eq!(std::fs::read_dir(place.top.path()).unwrap().count(), 2);
    }
}
