//! Pipelines: made from a configuration, given to task-agents as specs, shown as views.

mod create;
mod spec;
pub(crate) mod view;
