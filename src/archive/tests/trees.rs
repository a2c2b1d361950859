//! Trees packed, unpacked and copied come out as they went in.

#![expect(clippy::unwrap_used, reason = "what a test sets up is there")]

use archive::{ArchiveError, Packer, copy_tree, unpack};
use std::{
    collections::BTreeMap,
    fs::{self, File, FileTimes, Permissions},
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, UNIX_EPOCH},
};
use tempfile::{TempDir, tempdir};

fn write(path: &Path, content: &[u8], mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let modified = UNIX_EPOCH + Duration::new(1_000_000_000 + content.len() as u64, 123_456_789);
    File::open(path).unwrap().set_times(FileTimes::new().set_modified(modified)).unwrap();
}

/// A little of everything that a tree can hold.
fn tree() -> TempDir {
    let tree = tempdir().unwrap();
    let at = |path: &str| tree.path().join(path);
    write(&at("run.sh"), b"#!/bin/sh\n", 0o755);
    write(&at("deep/er/file"), &[7; 100_000], 0o640);
    write(&at("deep/er/empty"), b"", 0o600);
    write(&at("locked/inside"), b"x", 0o444);
    write(&tree.path().join(std::ffi::OsStr::from_bytes(b"not\xffutf8")), b"bytes", 0o644);
    write(&at(&format!("{}/{}", "long".repeat(40), "name".repeat(50))), b"long", 0o644);
    fs::create_dir(at("nothing in it")).unwrap();
    symlink("../nowhere/at all", at("deep/link")).unwrap();
    symlink("t".repeat(300), at("deep/long link")).unwrap();
    fs::hard_link(at("run.sh"), at("deep/another name")).unwrap();
    fs::set_permissions(at("locked"), Permissions::from_mode(0o555)).unwrap();
    tree
}

/// Every path with all that should be kept of it.
fn described(tree: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![tree.to_owned()];
    while let Some(path) = waiting.pop() {
        let metadata = path.symlink_metadata().unwrap();
        let content = if metadata.is_symlink() {
            format!("-> {:?}", fs::read_link(&path).unwrap())
        } else if metadata.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            String::new()
        } else {
            format!("{:?}", fs::read(&path).unwrap())
        };
        let times = format!("{}.{}", metadata.mtime(), metadata.mtime_nsec());
        found.insert(
            path.strip_prefix(tree).unwrap().to_owned(),
            format!("{:o} {times} {content}", metadata.mode()),
        );
    }
    found.remove(Path::new(""));
    found
}

fn pack(root: &str, base: &Path, relative: &[&str]) -> Vec<u8> {
    let mut packer = Packer::new(Vec::new()).unwrap();
    relative.iter().for_each(|relative| packer.add(root, base, Path::new(relative)).unwrap());
    packer.finish().unwrap().0
}

fn roots(root: &str, path: &Path) -> BTreeMap<String, PathBuf> {
    BTreeMap::from([(root.to_owned(), path.to_owned())])
}

#[test]
fn a_tree_comes_out_of_an_archive_as_it_went_in() {
    let (tree, out) = (tree(), tempdir().unwrap());
    let archive = pack("work", tree.path(), &["."]);
    let report = unpack(archive.as_slice(), &roots("work", &out.path().join("made/on the way"))).unwrap();
    assert_eq!(described(&out.path().join("made/on the way")), described(tree.path()));
    assert_eq!((report.files, report.notes), (9, vec![]));
    let names =
        [out.path().join("made/on the way/run.sh"), out.path().join("made/on the way/deep/another name")];
    assert_eq!(names[0].metadata().unwrap().ino(), names[1].metadata().unwrap().ino(), "one file, two names");
}

#[test]
fn unpacking_again_replaces_what_is_there() {
    let (tree, out) = (tree(), tempdir().unwrap());
    let archive = pack("work", tree.path(), &["."]);
    write(&out.path().join("run.sh"), b"another and longer content", 0o600);
    write(&out.path().join("deep"), b"a file where a directory belongs", 0o600);
    fs::create_dir_all(out.path().join("not\u{fffd}utf8")).unwrap();
    for _ in 0..2 {
        unpack(archive.as_slice(), &roots("work", out.path())).unwrap();
    }
    fs::remove_dir(out.path().join("not\u{fffd}utf8")).unwrap();
    assert_eq!(described(out.path()), described(tree.path()));
}

#[test]
fn a_tree_is_copied_as_it_is() {
    let (tree, out) = (tree(), tempdir().unwrap());
    let from = File::open(tree.path()).unwrap();
    let report = copy_tree(std::os::fd::AsFd::as_fd(&from), out.path()).unwrap();
    assert_eq!(described(out.path()), described(tree.path()));
    assert_eq!((report.files, report.bytes), (9, 100_030));
}

#[test]
fn stock_tools_read_an_archive() {
    let (tree, out) = (tree(), tempdir().unwrap());
    fs::write(out.path().join("a.tar.zst"), pack("work", tree.path(), &["."])).unwrap();
    let script = "zstd -qdc a.tar.zst | tar -xpf - && mv work .. || exit 1";
    fs::create_dir(out.path().join("in")).unwrap();
    fs::rename(out.path().join("a.tar.zst"), out.path().join("in/a.tar.zst")).unwrap();
    let status = Command::new("sh").args(["-c", script]).current_dir(out.path().join("in")).status().unwrap();
    assert!(status.success());
    assert_eq!(described(&out.path().join("work")), described(tree.path()));
}

#[test]
fn an_archive_made_by_stock_tools_is_unpacked() {
    for format in ["gnu", "pax", "ustar"] {
        let (tree, out) = (tempdir().unwrap(), tempdir().unwrap());
        write(&tree.path().join("work/a/b"), b"content", 0o640);
        write(&tree.path().join(format!("work/{}/{}", "d".repeat(99), "f".repeat(90))), b"long", 0o644);
        symlink("b", tree.path().join("work/a/link")).unwrap();
        fs::hard_link(tree.path().join("work/a/b"), tree.path().join("work/c")).unwrap();
        let script = format!("tar --format={format} -c work | zstd -qc");
        let packed = Command::new("sh").args(["-c", &script]).current_dir(tree.path()).output().unwrap();
        unpack(packed.stdout.as_slice(), &roots("work", out.path())).unwrap();
        assert_eq!(described(out.path()).len(), described(&tree.path().join("work")).len(), "{format}");
        assert_eq!(fs::read(out.path().join("c")).unwrap(), b"content");
    }
}

#[test]
fn parts_of_several_roots_go_back_to_where_they_were() {
    let (tree, out) = (tree(), tempdir().unwrap());
    let mut packer = Packer::new(Vec::new()).unwrap();
    packer.add("home", tree.path(), Path::new("deep/er/file")).unwrap();
    packer.add("work", tree.path(), Path::new("./run.sh")).unwrap();
    packer.add("work", tree.path(), Path::new("deep/another name")).unwrap();
    let (archive, report) = packer.finish().unwrap();
    assert_eq!((report.files, report.bytes), (3, 100_010));
    let mut roots = roots("home", &out.path().join("h"));
    roots.insert("work".to_owned(), out.path().join("w"));
    unpack(archive.as_slice(), &roots).unwrap();
    let found: Vec<_> = described(out.path()).into_keys().map(|path| path.display().to_string()).collect();
    assert_eq!(
        found,
        ["h", "h/deep", "h/deep/er", "h/deep/er/file", "w", "w/deep", "w/deep/another name", "w/run.sh"]
    );
}

#[test]
fn a_path_of_more_than_4096_bytes_is_no_trouble() {
    let (tree, out, copy) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    let script = r#"d=$(printf 'd%.0s' $(seq 250)); for i in $(seq 40); do mkdir $d && cd -P $d || exit 1; done; echo deep > file"#;
    let status = Command::new("bash").args(["-c", script]).current_dir(tree.path()).status().unwrap();
    assert!(status.success());
    unpack(pack("work", tree.path(), &["."]).as_slice(), &roots("work", out.path())).unwrap();
    let from = File::open(out.path()).unwrap();
    let report = copy_tree(std::os::fd::AsFd::as_fd(&from), copy.path()).unwrap();
    assert_eq!((report.files, report.bytes), (1, 5));
    // The standard library removes no such path.
    for top in [tree, out, copy] {
        assert!(Command::new("rm").arg("-rf").arg(top.path()).status().unwrap().success());
        let _ = top.keep();
    }
}

#[test]
fn what_is_missing_is_named() {
    let tree = tree();
    let mut packer = Packer::new(Vec::new()).unwrap();
    for missing in ["nothing", "nothing/below", "run.sh/below"] {
        let error = packer.add("work", tree.path(), Path::new(missing)).unwrap_err();
        assert!(matches!(error, ArchiveError::Missing(path) if path.starts_with(tree.path())), "{missing}");
    }
    assert!(matches!(packer.add("work", tree.path(), Path::new("../up")), Err(ArchiveError::Refused { .. })));
}

#[test]
fn sockets_and_pipes_are_left_out_and_named() {
    let (tree, out) = (tree(), tempdir().unwrap());
    let _socket = std::os::unix::net::UnixListener::bind(tree.path().join("a socket")).unwrap();
    let mut packer = Packer::new(Vec::new()).unwrap();
    packer.add("work", tree.path(), Path::new(".")).unwrap();
    let (archive, report) = packer.finish().unwrap();
    assert_eq!(report.notes, ["work/a socket: left out: neither a file nor a directory nor a link"]);
    unpack(archive.as_slice(), &roots("work", out.path())).unwrap();
    assert!(!out.path().join("a socket").exists());
}
