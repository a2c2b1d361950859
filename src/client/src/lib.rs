//! The control plane's HTTP API, typed: for launch-agents, their tasks, and operators.
//!
//! ```text
//! Transport (Send, Clone: roots, proxies, address)
//!    ├── runner(token)   ── Runner      claim, heartbeat
//!    ├── task(token)     ── TaskClient  begin, stream, store, put, get, end …
//!    ├── operator(token) ── Operator    pipelines, feed, logs, tokens …
//!    └── registry()      ── Registry    public orbs
//! Messenger (Send, Clone: proxies)      any address, once; where told so, whatever certificate is shown there
//!          each holds connections of its own, on the thread that made it
//! ```
//!
//! Every call is tried again after transport errors and answers of the 5xx kind, with growing pauses, until its patience
//! is over; held-open calls are not, for whoever makes them asks again anyway. What is not idempotent is tried again
//! only where no connection came about.

mod backoff;
mod bearer;
mod call;
mod contexts;
mod file;
mod messenger;
mod operator;
mod people;
mod policies;
mod proxy;
mod registry;
mod runner;
mod task;
mod transport;
mod trust;
mod tunnel;
mod webhooks;

pub use backoff::Backoff;
pub use call::ClientError;
pub use messenger::{Messenger, Reply};
pub use operator::{LogPart, Operator};
pub use people::Whose;
pub use proxy::{Proxies, ProxyError};
pub use registry::{PublicOrb, Registry};
pub use runner::Runner;
pub use task::{Saved, StreamAnswer, TaskClient};
pub use transport::{Settings, Transport, TransportError};

#[cfg(test)]
mod tests;
