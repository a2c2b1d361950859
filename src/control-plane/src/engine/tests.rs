//! The state machines: their printed tables, and what holds on every path.

mod serial;
mod tasks;
mod together;
mod workflows;
