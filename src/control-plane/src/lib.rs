//! The control plane: pipelines, claims, leases, logs, secrets and the page, behind one HTTP address.
//!
//! ```text
//! api ──▶ pipelines ──▶ compiler          decode, authorize, call, encode
//!  │          │
//!  │          ▼
//!  ├────▶  plane ──events──▶ engine       pure: (state, event) → (state, effects)
//!  │          │ effects as writes, in order
//!  │          ▼
//!  └────▶  store, blobs                   answered once they are on disk
//! ```
//!
//! [`start()`] opens the data directory and serves; [`Running`] is what it came to.

mod api;
mod audit;
mod backup;
mod blob_routes;
mod bodies;
mod bundle;
mod check;
mod contexts;
mod data_dir;
mod engine;
mod finish;
#[cfg(fuzzing)]
pub mod fuzzed;
mod github_app;
#[cfg(test)]
mod heard;
mod insights;
mod logins;
mod logs;
mod oidc;
mod outbound;
mod outbox;
mod outgoing;
mod people;
mod pipelines;
mod plane;
mod policies;
mod ranges;
mod rates;
mod refusal;
mod registry;
mod rotation;
mod schedules;
mod secrets;
mod settings;
mod sign_in;
mod ssh_keys;
mod start;
mod statuses;
mod tallies;
mod tls;
mod triggers;
mod web;

pub use ::policies::Judge;
pub use backup::{BackedUp, BackupError, backup};
pub use check::{CheckError, Checked, check};
pub use outbound::{Answering, Ask, Outbound, Post, Reply};
pub use plane::clock::{SystemWall, Wall};
pub use settings::{IdentityProvider, KeySource, Retention, Settings};
pub use start::{Running, StartError, start};
pub use tls::{Tls, TlsError};
