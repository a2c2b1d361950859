//! Pipelines: made from a configuration, run again, given to task-agents as specs, shown as views.

mod compiling;
pub(crate) mod continuation;
pub(crate) mod create;
pub(crate) mod credentials;
mod forks;
mod hidden;
mod identity;
pub(crate) mod occasion;
pub(crate) mod orbs;
mod policed;
pub(crate) mod processed;
pub(crate) mod rerun;
mod spec;
pub(crate) mod texts;
pub(crate) mod view;
