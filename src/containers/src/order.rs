//! What a task's containers are to be, and the labels by which they are found again.

use protocol::TaskId;
use std::{collections::HashMap, path::PathBuf};

/// Whose a container is. Every container has them as labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    /// `roundhouse.host`: whoever starts containers and sweeps them after a restart. Unique on this host.
    pub host: String,
    /// `roundhouse.task`.
    pub task: TaskId,
    /// `roundhouse.lease`: kills go by it, because the same task's next lease may be on this host too.
    pub lease: String,
}

pub(crate) const HOST: &str = "roundhouse.host";
pub(crate) const TASK: &str = "roundhouse.task";
pub(crate) const LEASE: &str = "roundhouse.lease";
/// Of a service's container alone: its name. The primary has it empty.
pub(crate) const SERVICE: &str = "roundhouse.service";

/// The containers of one task.
#[derive(Clone, Debug)]
pub struct Order {
    /// Whose they are.
    pub marks: Marks,
    /// Where the steps run.
    pub primary: Primary,
    /// Beside it.
    pub services: Vec<Side>,
    /// What each of them may use at most.
    pub limits: Limits,
    /// The network of the engine that the primary is in, and its services with it; none: the engine's default.
    pub network: Option<String>,
    /// The task-agent's file on this host, executable by anybody. It is mounted at [`protocol::container::PROGRAM`].
    pub program: PathBuf,
    /// A directory of this host with the task's socket and nothing else in it. It is mounted at
    /// [`protocol::container::DOOR`]. The job's user, who may be anybody, has to get to the socket: `0711` and `0666`.
    pub door: PathBuf,
    /// The socket of an engine that is lent to the job, mounted at [`protocol::container::LENT_ENGINE`].
    pub lent_engine: Option<PathBuf>,
    /// What the task-agent reads from its standard input. Its paths are those within the container; its root is
    /// replaced there by the home of the container's user.
    pub invitation: Vec<u8>,
}

/// The container that the steps run in. The task-agent is its first process.
#[derive(Clone, Debug, Default)]
pub struct Primary {
    /// The image's name. It has to be there: [`crate::Engine::prepare`] sees to that.
    pub image: String,
    /// Whose rights the steps get, as `name`, `uid`, `name:group` or `uid:gid`; none: as the image says.
    pub user: Option<String>,
    /// The job's, as the configuration has it (`~/project`). It is made for the job's user if it is not there.
    pub working_directory: String,
    /// Run beside the steps, in place of the image's own entrypoint.
    pub entrypoint: Option<Vec<String>>,
    /// Its arguments.
    pub command: Option<Vec<String>>,
    /// Over the image's own variables.
    pub environment: Vec<(String, String)>,
}

/// A service: a container in the network of the primary.
#[derive(Clone, Debug, Default)]
pub struct Side {
    /// In logs, and by which it is reached where [`Side::is_named`].
    pub name: String,
    /// Whether the name is the configuration's own, by which others find the service.
    pub is_named: bool,
    /// The image's name. It has to be there.
    pub image: String,
    /// In place of the image's.
    pub user: Option<String>,
    /// In place of the image's; its command is dropped then, as engines do.
    pub entrypoint: Option<Vec<String>>,
    /// In place of the image's.
    pub command: Option<Vec<String>>,
    /// Over the image's own variables.
    pub environment: Vec<(String, String)>,
}

/// What one container may use. An engine without the rights to limit something may ignore it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Thousandths of a processor.
    pub millicpus: Option<u32>,
    /// Bytes of memory, without any swap on top.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u32>,
}

impl Marks {
    pub(crate) fn labels(&self, service: &str) -> HashMap<String, String> {
        let labels = [
            (HOST, self.host.clone()),
            (TASK, self.task.to_string()),
            (LEASE, self.lease.clone()),
            (SERVICE, service.to_owned()),
        ];
        labels.into_iter().map(|(label, value)| (label.to_owned(), value)).collect()
    }

    /// A name that no other lease's container has, so that a container is not made twice.
    pub(crate) fn container(&self, place: usize) -> String {
        let lease = self.lease.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
        format!("roundhouse-{}-{place}", lease.collect::<String>())
    }
}
