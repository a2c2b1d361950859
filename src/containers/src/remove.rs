//! Nothing is left: the containers of one lease killed and removed, and what leases that nobody holds left behind.

use crate::{
    engine::{Again, Engine, EngineError},
    order::{HOST, LEASE, SERVICE, TASK},
};
use bollard::{
    models::ContainerSummary,
    query_parameters::{KillContainerOptions, ListContainersOptions, RemoveContainerOptions},
};
use futures_util::future::join_all;
use std::{collections::HashMap, fmt, time::Duration};
use tokio::time::{Instant, sleep};

/// Between two looks whether something is left.
const PAUSE: Duration = Duration::from_millis(100);

/// Containers that are there, or may be.
#[derive(Debug, thiserror::Error)]
pub enum KillError {
    /// The engine would not remove them.
    #[error("{} of the task would not go within {} s: {}; remove with `docker rm -f` or `podman rm -f`", count(.left), waited.as_secs(), ids(.left))]
    Survivors {
        /// Which, and why not.
        left: Vec<(Left, String)>,
        /// For how long it was tried.
        waited: Duration,
    },
    /// It does not say what is there.
    #[error("whether containers of the task are left is unknown: {0}")]
    Unknown(#[from] EngineError),
}

fn count(left: &[(Left, String)]) -> String {
    format!("{} container{}", left.len(), if left.len() == 1 { "" } else { "s" })
}

fn ids(left: &[(Left, String)]) -> String {
    left.iter().map(|(left, why)| format!("{left}: {why}")).collect::<Vec<_>>().join(", ")
}

/// A container by its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// The container's.
    pub id: String,
    /// Of which task.
    pub task: String,
    /// Of which of its leases.
    pub lease: String,
    /// The service's name; empty: it is the primary.
    pub service: String,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id.get(..12).unwrap_or(&self.id);
        match self.service.as_str() {
            "" => write!(f, "primary container {id} of task {}", self.task),
            service => write!(f, "container {id} of service {service} of task {}", self.task),
        }
    }
}

/// What a sweep came to.
#[derive(Debug, Default)]
pub struct Swept {
    /// Gone now.
    pub removed: Vec<Left>,
    /// Still there, and why.
    pub left: Vec<(Left, String)>,
}

pub(crate) fn lease_filter(lease: &str) -> String {
    format!("{LEASE}={lease}")
}

impl Engine {
    /// Kills every container of the lease and removes it with its volumes. Returns when none is left: then none of their
    /// processes is. Asks again for as long as it may take, also over a restart of the engine.
    pub async fn kill(&self, lease: &str, within: Duration) -> Result<Vec<Left>, KillError> {
        let (begun, mut removed) = (Instant::now(), Vec::new());
        loop {
            let waited = begun.elapsed();
            let impatient = self.patient_for(within.saturating_sub(waited));
            let there = impatient.list(&lease_filter(lease)).await?;
            if there.is_empty() {
                return Ok(removed);
            }
            let left = impatient.strike(&there).await;
            removed.extend(there.into_iter().filter(|one| !left.iter().any(|(other, _)| other == one)));
            if begun.elapsed() >= within && !left.is_empty() {
                return Err(KillError::Survivors { left, waited });
            }
            if !left.is_empty() {
                sleep(PAUSE).await;
            }
        }
    }

    /// Removes the containers of this host's leases but those that are held. For after a restart.
    pub async fn sweep(&self, host: &str, keep: &[String]) -> Result<Swept, EngineError> {
        let there = self.list(&format!("{HOST}={host}")).await?;
        let stray: Vec<_> = there.into_iter().filter(|one| !keep.contains(&one.lease)).collect();
        let left = self.strike(&stray).await;
        let removed = stray.into_iter().filter(|one| !left.iter().any(|(other, _)| other == one)).collect();
        Ok(Swept { removed, left })
    }

    /// Kills all, then removes services before primaries, whose network they are in. Returns what would not go.
    async fn strike(&self, there: &[Left]) -> Vec<(Left, String)> {
        join_all(there.iter().map(|one| self.kill_one(&one.id))).await;
        let (primaries, services): (Vec<_>, Vec<_>) = there.iter().partition(|one| one.service.is_empty());
        let mut left = Vec::new();
        for round in [services, primaries] {
            let removed = join_all(round.iter().map(|one| self.remove(&one.id))).await;
            let failed = round
                .into_iter()
                .zip(removed)
                .filter_map(|(one, removed)| Some((one.clone(), removed.err()?.to_string())));
            left.extend(failed);
        }
        left
    }

    /// One that does not run, or is gone, says so with an error; whether all are gone is looked at afterwards.
    async fn kill_one(&self, id: &str) {
        let kill = KillContainerOptions { signal: "SIGKILL".to_owned() };
        let kill = || self.docker.kill_container(id, Some(kill.clone()));
        let _ = self.call(format_args!("kill container {id}"), Again::Always, kill).await;
    }

    async fn remove(&self, id: &str) -> Result<(), EngineError> {
        let options = RemoveContainerOptions { v: true, force: true, link: false };
        let remove = || self.docker.remove_container(id, Some(options.clone()));
        match self.call(format_args!("remove container {id}"), Again::Always, remove).await {
            Err(error) if error.is_missing() => Ok(()),
            answer => answer,
        }
    }

    /// The containers that have this label, whether they run or not.
    pub(crate) async fn list(&self, label: &str) -> Result<Vec<Left>, EngineError> {
        let filters = [("label".to_owned(), vec![label.to_owned()])].into();
        let options =
            ListContainersOptions { all: true, filters: Some(filters), ..ListContainersOptions::default() };
        let list = || self.docker.list_containers(Some(options.clone()));
        let there = self.call("list containers", Again::Always, list).await?;
        Ok(there.into_iter().filter_map(left).collect())
    }
}

fn left(container: ContainerSummary) -> Option<Left> {
    let mut labels: HashMap<_, _> = container.labels.unwrap_or_default();
    let mut label = |name: &str| labels.remove(name).unwrap_or_default();
    Some(Left { id: container.id?, task: label(TASK), lease: label(LEASE), service: label(SERVICE) })
}
