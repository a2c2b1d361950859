//! Claims tasks, launches task-agents, and carries what they make.

pub mod config;
