//! The state machines: their printed tables, and what holds on every path.

mod tasks;
mod together;
mod workflows;
