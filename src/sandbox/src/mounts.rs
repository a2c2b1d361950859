//! File systems that a job mounted below a directory: found, and let go.

use nix::mount::{MntFlags, umount2};
use std::{
    ffi::OsString,
    io,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

/// The mount points below a directory, or at it, the innermost and latest first.
pub fn below(directory: &Path) -> Vec<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let Ok(directory) = directory.canonicalize() else { return Vec::new() };
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4)).map(unescaped);
    let mut below: Vec<_> = points.filter(|point| point.starts_with(&directory)).collect();
    below.reverse();
    below
}

/// Takes a file system away from its mount point, whoever still has something of it open. Needs root's rights.
pub fn detach(point: &Path) -> io::Result<()> {
    Ok(umount2(point, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)?)
}

/// The kernel writes what would end a field as three octal digits after a backslash.
fn unescaped(field: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..3).filter(|_| *first == b'\\').and_then(|three| str::from_utf8(three).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are() {
        assert_eq!(unescaped(r"/a\040b\134c\0"), Path::new(r"/a b\c\0"));
    }

    #[test]
    fn what_is_mounted_below_is_found_from_the_inside_out_and_let_go() {
        let top = tempfile::tempdir().unwrap();
        let (outer, inner) = (top.path().join("out er"), top.path().join("out er/inner"));
        let mount = |point: &Path| {
            std::fs::create_dir(point).unwrap();
            nix::mount::mount(
                Some("test"),
                point,
                Some("tmpfs"),
                nix::mount::MsFlags::empty(),
                Some("size=64k"),
            )
        };
        if mount(&outer).is_err() {
            return eprintln!("skipped: this user cannot mount");
        }
        mount(&inner).unwrap();
        assert_eq!(below(top.path()), [inner.clone(), outer.clone()]);
        below(top.path()).iter().for_each(|point| detach(point).unwrap());
        assert_eq!(below(top.path()), Vec::<PathBuf>::new());
    }
}
