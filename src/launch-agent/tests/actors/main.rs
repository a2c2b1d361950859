//! The launch-agent's actors against a control plane and task-agents that speak the real wire.

mod actor_failures;
mod lifecycle;
mod rig;
mod troubles;
