//! The rules of tasks and workflows: pure state machines, `(state, event) → (state, effects)`, without I/O and clock.
//!
//! A [`task::Task`] knows who holds it under which lease; a [`workflow::Workflow`] knows which job may run. Neither
//! knows of the other: who drives them tells the workflow what became of its tasks.

pub(crate) mod task;
pub(crate) mod workflow;

#[cfg(test)]
mod tests;
