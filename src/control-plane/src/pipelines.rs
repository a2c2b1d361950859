//! Pipelines: made from a configuration, given to task-agents as specs, shown as views.

mod create;
pub(crate) mod orbs;
mod spec;
pub(crate) mod view;
