//! The settings of jobs in containers: their engine, their images, and the limits of each resource class.

use crate::config::{
    merged::{Merged, text_of},
    quantity,
};
use containers::{Limits, Pull};
use std::{collections::BTreeMap, path::PathBuf};

/// How jobs in containers are run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerSettings {
    /// Which engine.
    pub engine: EngineChoice,
    /// When images are asked of their registries.
    pub pull: Pull,
    /// The engine's network that they are in; none: the engine's default.
    pub network: Option<String>,
    /// Which engine a job gets that asks for one.
    pub remote_docker: RemoteDocker,
    /// By resource class.
    pub classes: BTreeMap<String, Limits>,
}

/// Which container engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineChoice {
    /// One that listens where engines usually do.
    Auto,
    /// None: no job in a container is claimed.
    Off,
    /// The one that listens here.
    At(PathBuf),
}

/// Which engine a job gets for its own use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RemoteDocker {
    /// One of its own, gone with it.
    #[default]
    Private,
    /// The host's.
    Host,
    /// None.
    Off,
}

/// CircleCI's own classes: their names, processors and GiB of memory.
const CLASSES: [(&str, u32, u64); 7] = [
    ("small", 1, 2),
    ("medium", 2, 4),
    ("medium+", 3, 6),
    ("large", 4, 8),
    ("xlarge", 8, 16),
    ("2xlarge", 16, 32),
    ("2xlarge+", 20, 40),
];
/// What a class's limits are called.
pub(crate) const LIMIT_KEYS: [&str; 2] = ["cpus", "memory"];
const CLASSES_KEY: &str = "containers.resource_classes";

impl Default for ContainerSettings {
    fn default() -> Self {
        let class = |(name, cpus, gib): (&str, u32, u64)| {
            let limits = Limits { millicpus: Some(cpus * 1000), memory: Some(gib << 30), processes: None };
            (name.to_owned(), limits)
        };
        let classes = CLASSES.map(class).into();
        Self {
            engine: EngineChoice::Auto,
            pull: Pull::Missing,
            network: None,
            remote_docker: RemoteDocker::default(),
            classes,
        }
    }
}

impl ContainerSettings {
    /// The limits of a class. No more processors than this host has: engines refuse that.
    pub(crate) fn limits(&self, class: &str) -> Option<Limits> {
        let limits = *self.classes.get(class)?;
        let most = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let most = u32::try_from(most).unwrap_or(u32::MAX).saturating_mul(1000);
        Some(Limits { millicpus: limits.millicpus.map(|millicpus| millicpus.min(most)), ..limits })
    }
}

/// The settings as configured.
pub(crate) fn read(merged: &mut Merged) -> ContainerSettings {
    let mut settings = ContainerSettings::default();
    if let Some(engine) = merged.text("containers.engine") {
        settings.engine = engine_of(merged, &engine);
    }
    let pulls = [("missing", Pull::Missing), ("always", Pull::Always), ("never", Pull::Never)];
    settings.pull = merged.choice("containers.pull", &pulls).unwrap_or_default();
    settings.network = merged.text("containers.network").filter(|network| !network.is_empty());
    let engines =
        [("private", RemoteDocker::Private), ("host", RemoteDocker::Host), ("off", RemoteDocker::Off)];
    settings.remote_docker = merged.choice("containers.remote_docker", &engines).unwrap_or_default();
    for (name, held) in merged.maps(CLASSES_KEY) {
        let path = format!("{CLASSES_KEY}.{name}");
        let held = |key: &str| held.get(key).map(|value| text_of(value).unwrap_or_default());
        let cpus =
            held("cpus").map(|text| (millicpus(&text), format!("{path}.cpus"), "a number of processors"));
        let memory = held("memory").map(|text| (quantity::bytes(&text), format!("{path}.memory"), "a size"));
        let mut limits = Limits::default();
        if let Some((read, path, wanted)) = cpus {
            limits.millicpus = wanted_of(merged, read, &path, wanted);
        }
        if let Some((read, path, wanted)) = memory {
            limits.memory = wanted_of(merged, read, &path, wanted);
        }
        settings.classes.insert(name, limits);
    }
    settings
}

fn wanted_of<T>(merged: &mut Merged, read: Option<T>, path: &str, wanted: &str) -> Option<T> {
    if read.is_none() {
        merged.error(path, format!("`{path}`: {wanted} is wanted"));
    }
    read
}

fn engine_of(merged: &mut Merged, written: &str) -> EngineChoice {
    match written {
        "auto" => EngineChoice::Auto,
        "none" => EngineChoice::Off,
        socket => {
            let path = PathBuf::from(socket.strip_prefix("unix://").unwrap_or(socket));
            if !path.is_absolute() {
                let wanted = "`auto`, `none` or the path of a unix socket is wanted: an engine on another host cannot run jobs";
                merged.error("containers.engine", format!("`containers.engine`: {wanted}"));
            }
            EngineChoice::At(path)
        }
    }
}

/// `2`, `0.5`.
fn millicpus(text: &str) -> Option<u32> {
    let cpus = text.parse::<f64>().ok().filter(|cpus| (0.01..=10_000.0).contains(cpus))?;
    Some((cpus * 1000.0).round() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_takes_no_more_processors_than_the_host_has() {
        let settings = ContainerSettings::default();
        let limits = settings.limits("2xlarge+").unwrap();
        let most = std::thread::available_parallelism().unwrap().get() * 1000;
        assert_eq!(limits.millicpus, u32::try_from(most.min(20_000)).ok());
        assert_eq!(limits.memory, Some(40 << 30));
        assert_eq!(settings.limits("acme/linux"), None);
    }

    #[test]
    fn processors_may_be_parts() {
        assert_eq!(["2", "0.5", "0.0125"].map(millicpus), [Some(2000), Some(500), Some(13)]);
        assert_eq!(["", "0", "-1", "many", "1e9"].map(millicpus), [None; 5]);
    }
}
