//! An organization's policies: checked, and asked about a configuration. They are programs in Rego that somebody wrote, so
//! that happens in a process of its own that may take only so much time and memory.
//!
//! ```text
//! control plane: Judge ──Question──▶ process: judge()            setrlimit, nice; one socket, no environment
//!       deadline, kill ◀──Answer───           │
//!                                             ├─▶ bundle: named, of `org`, every function known
//!                                             ├─▶ library: data.circleci.config, data.circleci.utils
//!                                             └─▶ evaluation ──▶ verdict: rules that count, reasons, status
//! ```
//!
//! The language is what the engine `regorus` makes of it, with the syntax of Rego before 1.0 as CircleCI's; nothing in it
//! reaches out, reads a file or sees an environment.

mod bundle;
mod court;
mod evaluation;
mod functions;
mod input;
mod iteration;
mod judge;
mod verdict;

pub use court::{CourtError, judge};
pub use evaluation::{Answer, Compiled, Question, Source, answer};
pub use judge::{Judge, JudgeError};

/// The argument by which a program is told to do nothing but [`judge()`].
pub const ARGUMENT: &str = "judge-policies";
