//! The rules of tasks and workflows: pure state machines, `(state, event) → (state, effects)`, without I/O and clock.
//!
//! A [`task::Task`] knows who holds it under which lease; a [`workflow::Workflow`] knows which job may run; the
//! [`serial::Groups`] know whose turn it is. None knows of the others: who drives them tells the workflow what became of
//! its tasks and of its turns.

pub(crate) mod hold;
pub(crate) mod serial;
pub(crate) mod task;
pub(crate) mod workflow;

#[cfg(test)]
mod tests;
