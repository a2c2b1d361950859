//! The real task-agent over its real wire, with these tests in the place of the launch-agent.

#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that cannot be")]

mod commanding;
mod continuing;
mod ending;
mod host;
mod reconnecting;
mod running;
mod spooling;
mod storing;
mod terminal;
