//! Actors whose parents hear how they end: by stopping, by a panic with its message, or by losing their thread.
//!
//! ```text
//! parent ── Child { addr, lifeline } ─────▶ dropping it ends the child and silences it
//!    ▲                                          │ (the watch aborts it)
//!    └── ChildExited { child, exit } ◀── watch ◀┘  Stopped | Panicked(message) | Lost
//! ```
//!
//! A [`Seat`] is a child's place below its parent, over all its lives: it says whether one more failure is noise or a
//! fault, and a [`Tree`] of them shows every actor's state, restarts, last failure and the length of its mailbox, to any
//! thread. [`start`] starts a child in its seat, [`Child::tell`] and [`Above::tell`] send down and up the tree, [`Home`]
//! gives a task a thread of its own and takes it back, [`Homes`] keeps a few, [`run`] runs the root, and
//! [`install_panic_hook`] has panics told by actor.
//! actix's own `Supervisor` does not restart on a panic; this crate is the one place that spawns.

mod counted;
mod home;
mod monitor;
mod panics;
mod restarts;
mod seat;

pub use counted::{Above, Counted};
pub use home::{Home, Homes};
pub use monitor::{Child, ChildExited, Exit, run, start, start_beside};
pub use panics::{Report, install_panic_hook};
pub use restarts::{Tolerance, Verdict};
pub use seat::{Seat, Standing, Tree, say_state};
