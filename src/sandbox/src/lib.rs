//! Processes with fewer rights, descriptors across sockets, and the certain kill. All `unsafe` of the project lives here.
//!
//! ```text
//! launch ── starts ──▶ a task-agent, in its own session, account and containment
//! job ───── starts ──▶ a command of a step, below the task-agent
//! contain ─ kills ───▶ cgroup v2 → v1 freezer → the task's own account → descendants (best effort)
//! packet ── carries ─▶ bytes and descriptors between the two agents
//! ```

#![expect(
    unsafe_code,
    reason = "fork, exec and the calls between them have no safe form; every block says why it is sound"
)]

pub mod account;
mod birth;
pub mod contain;
pub mod identity;
mod image;
pub mod job;
pub mod launch;
pub mod memory;
pub mod mounts;
pub mod own;
pub mod packet;
mod prepare;
pub mod room;
pub mod settled;
pub mod terminal;

pub use account::Account;
pub use contain::Containment;
pub use identity::Identity;
