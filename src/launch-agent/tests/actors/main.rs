//! The launch-agent's actors against a control plane and task-agents that speak the real wire.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic, with its place")]

mod actor_failures;
mod health;
mod lifecycle;
mod rig;
mod status;
mod troubles;
