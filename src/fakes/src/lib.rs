//! A control plane and a task-agent for tests, on the real wire: real HTTP, real frames, and troubles on demand.
//!
//! [`ControlPlane`] keeps everything in memory, records all it is told, and holds it against [`protocol::invariants`].
//! The program `fake-task-agent` runs a task whose commands are words of its own (see [`agent`]) instead of shell
//! scripts, so that actors can be tested without any real job.

pub mod agent;
pub mod control_plane;

pub use control_plane::{ControlPlane, State, Task, Trouble};
