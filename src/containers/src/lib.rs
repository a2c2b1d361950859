//! Jobs in images: containers over the API of an engine on this host, Docker or Podman, root or rootless.
//!
//! ```text
//! find ──▶ Engine ── prepare ──▶ images pulled, as the policy says
//!                 ── start ────▶ the primary: the task-agent is its first process, its invitation on standard input
//!                 ── serve ────▶ services, in the primary's network: on localhost, and by name
//!                 ── attend ───▶ what a container prints, and how it ends
//!                 ── adopt ────▶ the containers of a lease again, after a restart of whoever started them
//!                 ── kill ─────▶ all containers of a lease gone, with their volumes
//!                 ── sweep ────▶ what no lease that is held has left behind
//! private ── launch ───────────▶ an engine that is one job's own, for `setup_remote_docker`
//! ```
//!
//! Whose a container is stands in its labels ([`Marks`]), so that nothing need be remembered. A task-agent's descriptors
//! cross the socket of its task, which is mounted into the container: so an engine must be on this very kernel, and one
//! that is not is refused. Nothing else of the house speaks to an engine.

mod attend;
mod begin;
mod engine;
mod find;
mod here;
mod image;
mod order;
pub mod private;
mod pull;
mod remove;
mod state;

pub use attend::Heard;
pub use begin::{Running, Service, StartError};
pub use engine::{About, Engine, EngineError};
pub use find::{NoEngine, Wish};
pub use here::holds;
pub use order::{Limits, Marks, Order, Primary, Side};
pub use pull::{Login, Pull, PullError, Wanted};
pub use remove::{KillError, Left, Swept};
pub use state::State;
