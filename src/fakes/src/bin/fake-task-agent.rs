//! Stands in for the real task-agent in tests.
fn main() {}
