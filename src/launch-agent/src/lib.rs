//! The launch-agent: claims tasks, launches their task-agents, and carries what they make to the control plane.
//!
//! ```text
//! Supervisor ─┬─ Poller            one per token: the held-open claim
//!             ├─ LeaseKeeper       one per token, on a thread of its own: heartbeats, fences, cancels
//!             ├─ HealthKeeper      on a thread of its own: disk, memory, zombies, the operator's check
//!             └─ TaskActor         one per task, on a thread of its own: state machine, journal, socket, process
//!                  ├─ LogStreamer       the task's journal and logs, one ordered stream
//!                  └─ ArtifactUploader  transfers both ways, under one limit of the host; started when first needed
//! ```
//!
//! Messages follow the edges of this tree and nothing else; a message is a hint, the truth is on disk. How all of them
//! stand is seen from outside ([`status`]), without a message, so that it is seen of one that hangs too.
//!
//! | from | to | message | when lost |
//! |---|---|---|---|
//! | [`Handle`] | Supervisor | `End`, `HandOver`, `Standings`, `Pulse` | asked again |
//! | Supervisor | Poller | `Room { slots }` | lent again at the next change, each second |
//! | Poller | Supervisor | `Claimed`, `Failed`, `Refused`, `Ready` | the lease runs out, the control plane queues again |
//! | Supervisor | LeaseKeeper | `Running`, `Turning` | told at each change; asked again |
//! | LeaseKeeper | Supervisor | `LeaseNews { canceled, fenced }` | in the answer of the next heartbeat |
//! | HealthKeeper | Supervisor | `HealthNews { readings }` | looked again each second; 30 s of silence are a reason |
//! | Supervisor | TaskActor | `CancelTask { why }` | told to each new actor of the task |
//! | Supervisor | TaskActor | `Ping` | four in a row: it hangs |
//! | TaskActor | Supervisor | `Pong`, `Finished` | the journal is found at adoption |
//! | task-agent (socket) | TaskActor | hello, progress, requests | sent again until answered |
//! | TaskActor | LogStreamer | `LogAppended`, `DrainLogs` | the streamer looks each second; told to each new one |
//! | LogStreamer | TaskActor | `LogsAcknowledged`, `LogsDrained`, `LeaseLost` | asked again by `DrainLogs` |
//! | TaskActor | ArtifactUploader | `Carry(request)` | kept by the task until answered, told to each new uploader |
//! | ArtifactUploader | TaskActor | `Answered`, `LeaseLost` | carried again: all of it is idempotent |
//! | any child | its parent | `ChildExited` | cannot be |
//!
//! | child | parent | restarted on | tolerance | beyond it |
//! |---|---|---|---|---|
//! | Supervisor | `main` | – | – | the process ends; the next one adopts its tasks |
//! | Poller | Supervisor | panic, lost | 5 in 60 s, 1 s doubling | parked with its reason, tried each minute |
//! | LeaseKeeper | Supervisor | panic, lost | 5 in 60 s, 1 s doubling | the host drains, status says why |
//! | HealthKeeper | Supervisor | panic, lost | 5 in 60 s, 1 s doubling | nothing is claimed, tried each minute |
//! | TaskActor | Supervisor | panic, lost, hang | 3 in 60 s | the task is ended as failed by the infrastructure |
//! | LogStreamer, ArtifactUploader | TaskActor | panic | 5 in 60 s | the TaskActor panics |

mod artifact_uploader;
pub mod config;
mod engine;
mod handle;
mod health;
mod host;
mod lease_keeper;
mod log_streamer;
mod mirrors;
mod orphans;
mod poller;
mod pulse;
mod reload;
mod shelf;
pub mod status;
mod supervisor;
mod task;

pub use engine::find_engine;
pub use handle::{Finished, Handle, log_panics, raise_descriptor_limit, start, sweep, unfinished};
pub use host::{StartError, life::EndOrder};
pub use pulse::Pulse;
pub use reload::{Program, ReloadError, assurance, take_orders};
pub use sandbox::own::be_spared;
pub use status::{Orphans, Status};
