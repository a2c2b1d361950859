//! Bytes that only descriptors reach: memory files that nobody can change any more.

use rustix::fs::{MemfdFlags, SealFlags};
use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    os::fd::OwnedFd,
};

/// A memory file with these bytes, read from its start, sealed against every change.
pub fn sealed(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(rustix::fs::memfd_create(name, flags)?);
    file.write_all(bytes)?;
    file.seek(SeekFrom::Start(0))?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    Ok(file.into())
}

/// Whether nobody can change this memory file any more.
pub fn is_sealed(file: impl std::os::fd::AsFd) -> bool {
    let wanted = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK;
    rustix::fs::fcntl_get_seals(file).is_ok_and(|seals| seals.contains(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_sealed_memory_file_is_read_and_never_written() {
        let mut file = File::from(sealed("spec", b"secret").unwrap());
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "secret");
        assert!(is_sealed(&file));
        assert!(file.write_all(b"x").is_err());
        assert!(file.set_len(0).is_err());
    }
}
