//! What the parts of Roundhouse say to each other: names, tasks, messages, records, and the rules they keep.
//!
//! ```text
//! compiler ──pipeline──▶ control plane ◀──http──▶ launch-agent ◀──frame──▶ task-agent
//!                             ▲                        │                       │
//!                             └───────stream───────────┴── spool, journal ◀────┘
//! ```
//!
//! Pure: no I/O, no clock. Whatever crosses a process is here, and nothing else is.

pub mod actor;
pub mod api;
pub mod bundle;
pub mod container;
pub mod contexts;
pub mod exit;
pub mod exposition;
pub mod feed;
pub mod former;
pub mod frame;
pub mod http;
pub mod ids;
pub mod image;
pub mod invariants;
pub mod job;
pub mod journal;
pub mod marks;
pub mod outgoing;
pub mod people;
pub mod pipeline;
pub mod policies;
pub mod queue;
pub mod repository;
pub mod run;
pub mod schedule;
pub mod status;
pub mod stream;
pub mod task;
pub mod times;
pub mod transfer;
pub mod webhook;

pub use actor::Actor;
pub use ids::{Digest, Epoch, JobId, PipelineId, ResourceClass, StepNumber, TaskId, WorkflowId};
pub use status::{JobStatus, Outcome, PipelineState, StepStatus, WorkflowStatus};

/// The version of the frames and records here; both sides of a wire name theirs in the first message.
pub const VERSION: u32 = 1;
