//! What an operator configures: the file, the environment over it, and the validated settings they come to.

mod secret;
mod settings;

pub use secret::Secret;
pub use settings::{
    ClassSettings, LogFormat, LogLevel, LogTarget, Logging, Mode, Settings, default_state_directory, hostname,
};
