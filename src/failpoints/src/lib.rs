//! Places where a test has a program fail in the middle of its work, and guards that it may take out. Without this
//! crate's features there are neither.
//!
//! A place fails where a test of the same process armed it, or where `ROUNDHOUSE_FAILPOINTS` names a directory with a file
//! of the place's name: the passage that removes the file is the one that fails. The file `clock` in it says by how many
//! milliseconds the wall's clock is off, for nobody else on the machine, and `haste` how many times shorter some waits are.

#[cfg(feature = "armed")]
mod armed;

#[cfg(feature = "armed")]
pub use armed::{arm, around, clock_is_off_by_ms, crash, hastened, hit};

/// Nothing happens here.
#[cfg(not(feature = "armed"))]
#[inline]
pub fn hit(_point: &str, _task: impl Into<Option<protocol::TaskId>>) {}

/// Nothing happens here.
#[cfg(not(feature = "armed"))]
#[inline]
pub fn crash(_point: &str) {}

/// Writes, and nothing else happens here.
#[cfg(not(feature = "armed"))]
#[inline]
pub fn around<T>(_file: &str, _what: &str, write: impl FnOnce() -> T) -> T {
    write()
}

/// A clock of a release is never moved.
#[cfg(not(feature = "armed"))]
#[inline]
pub fn clock_is_off_by_ms() -> i64 {
    0
}

/// A release waits as long as it should.
#[cfg(not(feature = "armed"))]
#[inline]
pub fn hastened(time: std::time::Duration) -> std::time::Duration {
    time
}

/// What the house relies on so much that its absence must be noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// A word by a stale lease is refused.
    Fencing,
    /// Acknowledged means on disk.
    Fsync,
    /// User code waits for an acknowledged `Begin`.
    Begin,
    /// A repeated piece of a log changes nothing.
    Offsets,
}

impl Guard {
    /// Whether this process is to do without it.
    #[inline]
    pub fn is_out(self) -> bool {
        let (compiled_in, name) = match self {
            Self::Fencing => (cfg!(feature = "mutate-fencing"), "fencing"),
            Self::Fsync => (cfg!(feature = "mutate-fsync"), "fsync"),
            Self::Begin => (cfg!(feature = "mutate-begin"), "begin"),
            Self::Offsets => (cfg!(feature = "mutate-offsets"), "offsets"),
        };
        compiled_in && std::env::var_os("ROUNDHOUSE_MUTATE").is_some_and(|named| named == name)
    }
}
