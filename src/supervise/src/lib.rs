//! Actors whose parents hear how they end: by stopping, by a panic with its message, or by losing their thread.
//!
//! ```text
//! parent ── Child { addr, lifeline } ─────▶ dropping it ends the child and silences it
//!    ▲                                          │ (the watch aborts it)
//!    └── ChildExited { child, exit } ◀── watch ◀┘  Stopped | Panicked(message) | Lost
//! ```
//!
//! [`start`] starts a child, [`Home`] gives a task a thread of its own and takes it back, [`Homes`] keeps a few, [`Restarts`] says whether one
//! more failure is noise or a fault, [`run`] runs the root, and [`install_panic_hook`] has panics told by actor.
//! actix's own `Supervisor` does not restart on a panic; this crate is the one place that spawns.

mod home;
mod monitor;
mod panics;
mod restarts;

pub use home::{Home, Homes};
pub use monitor::{Child, ChildExited, Exit, run, run_with, start, start_beside};
pub use panics::{Report, install_panic_hook};
pub use restarts::{Restarts, Tolerance, Verdict};
