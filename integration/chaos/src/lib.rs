//! The real programs under a seeded adversary, and an oracle that knows what must come of it.
//!
//! ```text
//! seed ─▶ workload   jobs whose every byte is known            ─▶ operator ─▶ control plane ◀─ proxy ◀─ launch-agents
//!      └▶ schedule   faults, each at its moment ─▶ adversary ──────strikes────────┴──────┴────────┴──▶ task-agents, disks
//!                                                     └▶ history ─▶ blame
//! what was stored, run and left ─▶ oracle ◀─ what the workload says must be, and what the history excuses
//! ```
//!
//! Nothing here uses a room of the house: the oracle shares no code with what it judges.

pub mod adversary;
pub mod blame;
pub mod disk;
pub mod fault;
pub mod history;
pub mod house;
pub mod http;
pub mod leftovers;
pub mod mutations;
pub mod operator;
pub mod oracle;
pub mod patience;
pub mod proxy;
pub mod random;
pub mod report;
pub mod run;
pub mod schedule;
pub mod seen;
pub mod workload;
