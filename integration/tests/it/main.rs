//! The real programs together, as their users run them: one program of tests, since each would be linked by itself.

mod agent_program;
mod approvals;
mod architecture;
mod artifacts;
mod checkout;
mod clients;
mod containers;
mod contexts;
mod continuation;
mod crashes;
mod dependencies;
mod durable;
mod faithful;
mod fleet;
mod interrupted;
mod kept;
mod killed;
mod law6;
mod laws;
mod log_times;
mod logins;
mod mirrors;
mod orbs;
mod orphans;
mod outgoing;
mod own_config;
mod people;
mod policies;
mod refusals;
mod reload;
mod remote_docker;
mod reruns;
mod restarts;
mod schedules;
mod serial;
mod service;
mod sign_in;
mod splitting;
mod statuses;
mod stopped;
mod systemd;
mod tls;
mod told;
mod tour;
mod triggers;
mod watched;

#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#[path = "../../../src/containers/tests/it/podman.rs"]
mod podman;
