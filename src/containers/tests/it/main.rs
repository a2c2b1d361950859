//! Containers for real, in an engine of the tests' own; and at the wire what cannot be had for real.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

mod endings;
mod podman;
mod resident;
mod services;
mod start;
mod task;
mod wire;
