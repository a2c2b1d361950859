//! The real programs together: a place to run them in, shared by the tests and the bench.

pub mod fleet;
pub mod git;
pub mod http;
pub mod local;
pub mod machine;
pub mod node;
pub mod partition;
pub mod pipelines;
pub mod proc;
pub mod pushes;
pub mod python;
pub mod recorder;
pub mod rig;
pub mod wait;
