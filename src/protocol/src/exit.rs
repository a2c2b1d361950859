//! Exit codes of the programs: what a script may rely on.

/// Everything succeeded.
pub const SUCCESS: u8 = 0;
/// A job failed, or a validation found errors.
pub const JOB_FAILED: u8 = 1;
/// The command line or a configuration is wrong; nothing ran.
pub const USAGE: u8 = 2;
/// The machinery failed: a port, a disk, a missing program, a refused token.
pub const MACHINERY: u8 = 3;
/// Interrupted by the user (128 + SIGINT).
pub const INTERRUPTED: u8 = 130;
