//! From an order to running containers: the primary first, its services in its network.

use crate::{
    engine::{Again, Engine, EngineError},
    here::first,
    image::{reference, resident},
    order::{Limits, Order, Side},
    remove::lease_filter,
    state::State,
};
use bollard::{
    container::AttachContainerResults,
    models::{ContainerCreateBody, HostConfig, Mount, MountType, ResourcesUlimits},
    query_parameters::{AttachContainerOptions, CreateContainerOptions, LogsOptions},
};
use futures_util::{StreamExt, future::join_all, pin_mut};
use protocol::container::{DOOR, LENT_ENGINE, PROGRAM};
use rustix::process::{Resource, geteuid, getrlimit};
use sandbox::Identity;
use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    io::AsyncWriteExt,
    time::{Instant, sleep, timeout},
};

/// The primary runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// The container's.
    pub id: String,
    /// Its first process, the task-agent, as this host sees it. When it ends, the container's other processes have ended.
    pub first: Identity,
}

/// A service that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The container's.
    pub id: String,
    /// As in its order.
    pub name: String,
}

/// Containers that could not be started. What was made of them is for [`Engine::kill`].
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The engine refused, or does not answer.
    #[error("{what}: {source}")]
    Engine {
        /// The primary, or which service.
        what: String,
        /// Why.
        source: EngineError,
    },
    /// No image has such a name.
    #[error("{what}: `{image}` is no name of an image")]
    Name {
        /// The primary, or which service.
        what: String,
        /// What it is to be made of.
        image: String,
    },
    /// The program or the directory of the socket is not there. Some engines make a directory of what they do not find.
    #[error("the primary container: cannot mount {} into it: {source}", path.display())]
    Mount {
        /// What is to be mounted.
        path: PathBuf,
        /// Why it cannot be.
        source: io::Error,
    },
    /// The invitation could not be written to the task-agent.
    #[error("the primary container: its task-agent does not read its standard input: {0}")]
    Input(#[source] io::Error),
    /// It ended before it could be looked at.
    #[error("the primary container {state}{}", said(.words))]
    Ended {
        /// How.
        state: State,
        /// The end of what it printed.
        words: String,
    },
    /// Its process is none of this host's.
    #[error(
        "the primary container's process {pid} is none of this host's: the engine runs elsewhere, or its numbers of processes are not this host's; run launch-agent and engine side by side on one host"
    )]
    Elsewhere {
        /// Its number, as the engine has it.
        pid: i32,
    },
}

fn said(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!("; it said: {words}") }
}

/// How long the invitation may take to be written.
const WRITE: Duration = Duration::from_secs(10);
/// How long an engine may take to hear of a process's end, and between two looks whether it has.
const NEWS: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);
/// How long an engine may take to write down what a container printed last.
const WORDS: Duration = Duration::from_secs(1);
/// Of what a container printed last, so many bytes are told.
const LAST_WORDS: usize = 4 * 1024;
impl Engine {
    /// Starts the primary. Its task-agent has been invited when this returns. No process of the job runs before the
    /// task-agent hears that it may begin. Not to be given up half way: the engine may go on with what it was asked, behind
    /// the back of a kill.
    pub async fn start(&self, order: &Order) -> Result<Running, StartError> {
        let primary = "the primary container";
        let failed = |source| StartError::Engine { what: primary.to_owned(), source };
        let image = named(&order.primary.image, primary)?;
        let facts = self.image(&image).await.map_err(failed)?;
        for path in [&order.program, &order.door] {
            let is_there = std::fs::metadata(path);
            is_there.map_err(|source| StartError::Mount { path: path.clone(), source })?;
        }
        let arguments = resident(&order.primary, facts).arguments();
        let body = self.body_of_primary(order, image, arguments.into());
        let id = self.create(order, 0, body).await.map_err(failed)?;
        let input = self.attach(&id).await.map_err(failed)?;
        self.set_off(&id).await.map_err(failed)?;
        let invited = invite(input, &order.invitation).await;
        self.started(id, invited).await
    }

    /// The primary as this host sees it. An engine may not have heard yet that a process ended whose number is nobody's,
    /// or that read nothing.
    async fn started(&self, id: String, mut invited: io::Result<()>) -> Result<Running, StartError> {
        let failed = |source| StartError::Engine { what: "the primary container".to_owned(), source };
        let begun = Instant::now();
        loop {
            let pid = match self.inspect(&id).await.map_err(failed)? {
                State::Running { pid } => pid,
                state => return self.ended(id, state).await,
            };
            let is_late = begun.elapsed() > NEWS;
            match (first(&id, pid), invited) {
                (Some(first), Ok(())) => return Ok(Running { id, first }),
                (_, Err(error)) if is_late => return Err(StartError::Input(error)),
                (None, Ok(())) if is_late => return Err(StartError::Elsewhere { pid }),
                (_, still) => invited = still,
            }
            sleep(LOOK).await;
        }
    }

    async fn ended(&self, id: String, state: State) -> Result<Running, StartError> {
        let begun = Instant::now();
        // What it printed is written down a moment later than its end.
        loop {
            let words = self.last_words(&id).await.unwrap_or_default();
            if !words.is_empty() || begun.elapsed() > WORDS {
                return Err(StartError::Ended { state, words });
            }
            sleep(LOOK).await;
        }
    }

    /// Starts the services, all at once. They run what the configuration says: so a task has to have begun.
    pub async fn serve(&self, order: &Order, running: &Running) -> Result<Vec<Service>, StartError> {
        let sides = order.services.iter().enumerate();
        // None is given up half made because another failed.
        let started = sides.map(|(index, side)| self.serve_one(order, running, index, side));
        join_all(started).await.into_iter().collect()
    }

    async fn serve_one(
        &self,
        order: &Order,
        running: &Running,
        index: usize,
        side: &Side,
    ) -> Result<Service, StartError> {
        let what = format!("service {}", side.name);
        let image = named(&side.image, &what)?;
        let start = async {
            let id =
                self.create(order, index + 1, self.body_of_service(order, side, image, &running.id)).await?;
            self.set_off(&id).await.map(|()| id)
        };
        match start.await {
            Ok(id) => Ok(Service { id, name: side.name.clone() }),
            Err(source) => Err(StartError::Engine { what, source }),
        }
    }

    /// The containers of a lease again. None: its primary is not there, or does not run any more.
    pub async fn adopt(&self, lease: &str) -> Result<Option<(Running, Vec<Service>)>, EngineError> {
        let (mut running, mut services) = (None, Vec::new());
        for container in self.list(&lease_filter(lease)).await? {
            if !container.service.is_empty() {
                services.push(Service { id: container.id, name: container.service });
            } else if let State::Running { pid } = self.inspect(&container.id).await? {
                running = first(&container.id, pid).map(|first| Running { id: container.id, first });
            }
        }
        Ok(running.map(|running| (running, services)))
    }

    /// The end of what a container printed.
    pub async fn last_words(&self, id: &str) -> Result<String, EngineError> {
        // Of a log whose lines came in pieces Podman finds no end: all of it is read.
        let options =
            LogsOptions { stdout: true, stderr: true, tail: "all".to_owned(), ..LogsOptions::default() };
        let read = || async {
            let (printed, mut words) = (self.docker.logs(id, Some(options.clone())), Vec::new());
            pin_mut!(printed);
            while let Some(part) = printed.next().await {
                words.extend_from_slice(&part?.into_bytes());
                words.drain(..words.len().saturating_sub(LAST_WORDS));
            }
            Ok(words)
        };
        let words = self.call(format_args!("read what container {id} printed"), Again::Always, read).await?;
        Ok(String::from_utf8_lossy(&words).trim().to_owned())
    }

    /// Makes a container. One that an earlier try made, whose answer was lost, is that one.
    async fn create(
        &self,
        order: &Order,
        place: usize,
        body: ContainerCreateBody,
    ) -> Result<String, EngineError> {
        let name = order.marks.container(place);
        let options =
            CreateContainerOptions { name: Some(name.clone()), ..CreateContainerOptions::default() };
        let create = || self.docker.create_container(Some(options.clone()), body.clone());
        match self.call("make the container", Again::Always, create).await {
            Ok(made) => Ok(made.id),
            Err(error) if error.status() == Some(409) => Ok(self.look(&name).await?.id.unwrap_or(name)),
            Err(error) => Err(error),
        }
    }

    async fn attach(&self, id: &str) -> Result<AttachContainerResults, EngineError> {
        let options =
            AttachContainerOptions { stream: true, stdin: true, ..AttachContainerOptions::default() };
        let attach = || self.docker.attach_container(id, Some(options.clone()));
        self.call("attach to the container's standard input", Again::Always, attach).await
    }

    async fn set_off(&self, id: &str) -> Result<(), EngineError> {
        let start = || self.docker.start_container(id, None);
        self.call("start the container", Again::Unsent, start).await
    }
}

impl Engine {
    fn body_of_primary(&self, order: &Order, image: String, arguments: Vec<String>) -> ContainerCreateBody {
        let named = order.services.iter().filter(|side| side.is_named);
        let (program, door) = (mount(&order.program, PROGRAM, true), mount(&order.door, DOOR, false));
        let lent = order.lent_engine.as_ref().map(|socket| mount(socket, LENT_ENGINE, false));
        let host_config = HostConfig {
            mounts: Some([program, door].into_iter().chain(lent).collect()),
            network_mode: order.network.clone(),
            extra_hosts: Some(named.map(|side| format!("{}:127.0.0.1", side.name)).collect()),
            security_opt: is_labelled().then(|| vec!["label=disable".to_owned()]),
            ..self.limited(order.limits)
        };
        ContainerCreateBody {
            image: Some(image),
            entrypoint: Some(vec![PROGRAM.to_owned()]),
            cmd: Some(arguments),
            // The task-agent becomes the job's user once it has made what that one needs.
            user: Some("0".to_owned()),
            env: Some(variables(&order.primary.environment)),
            open_stdin: Some(true),
            stdin_once: Some(true),
            attach_stdin: Some(true),
            labels: Some(order.marks.labels("")),
            host_config: Some(host_config),
            ..ContainerCreateBody::default()
        }
    }

    fn body_of_service(
        &self,
        order: &Order,
        side: &Side,
        image: String,
        primary: &str,
    ) -> ContainerCreateBody {
        let host_config =
            HostConfig { network_mode: Some(format!("container:{primary}")), ..self.limited(order.limits) };
        ContainerCreateBody {
            image: Some(image),
            entrypoint: side.entrypoint.clone(),
            cmd: side.command.clone(),
            user: side.user.clone(),
            env: Some(variables(&side.environment)),
            labels: Some(order.marks.labels(&side.name)),
            host_config: Some(host_config),
            ..ContainerCreateBody::default()
        }
    }

    fn limited(&self, limits: Limits) -> HostConfig {
        let most = self.about().processors.saturating_mul(1000);
        let memory = limits.memory.and_then(|bytes| i64::try_from(bytes).ok());
        HostConfig {
            nano_cpus: limits.millicpus.map(|millicpus| i64::from(millicpus.min(most)) * 1_000_000),
            memory,
            memory_swap: memory,
            pids_limit: limits.processes.map(i64::from),
            ulimits: ulimits(),
            ..HostConfig::default()
        }
    }
}

/// Writes it and the end.
async fn invite(mut container: AttachContainerResults, invitation: &[u8]) -> io::Result<()> {
    let write = async {
        container.input.write_all(invitation).await?;
        container.input.flush().await?;
        container.input.shutdown().await
    };
    timeout(WRITE, write).await.unwrap_or_else(|late| Err(io::Error::new(io::ErrorKind::TimedOut, late)))
}

fn named(image: &str, what: &str) -> Result<String, StartError> {
    let unnamed = || StartError::Name { what: what.to_owned(), image: image.to_owned() };
    reference(image).ok_or_else(unnamed)
}

fn variables(pairs: &[(String, String)]) -> Vec<String> {
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

/// Engines raise the limits of open files and processes by themselves. Where root may not (within many containers) that
/// is refused, so what this host allows is asked for there. Podman lowers its own processes to as many as these.
fn ulimits() -> Option<Vec<ResourcesUlimits>> {
    let limits = [("nofile", Resource::Nofile, 1 << 20), ("nproc", Resource::Nproc, 32 * 1024)];
    let limit = |(name, resource, most): (&str, Resource, u64)| {
        let most = i64::try_from(getrlimit(resource).maximum.unwrap_or(most).min(most)).ok();
        ResourcesUlimits { name: Some(name.to_owned()), soft: most, hard: most }
    };
    is_root_bound().then(|| limits.map(limit).into())
}

/// Whether this is root without the right to raise limits.
fn is_root_bound() -> bool {
    const SYS_RESOURCE: u64 = 1 << 24;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let rights =
        status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("CapEff:")?.trim(), 16).ok());
    geteuid().is_root() && rights.is_some_and(|rights| rights & SYS_RESOURCE == 0)
}

fn mount(source: &Path, target: &str, read_only: bool) -> Mount {
    Mount {
        source: Some(source.to_string_lossy().into_owned()),
        target: Some(target.to_owned()),
        typ: Some(MountType::BIND),
        read_only: Some(read_only),
        ..Mount::default()
    }
}

/// Where SELinux is enforced a container gets at nothing of the host's that has not its label: neither at the program
/// nor at the socket. Labels of files that are the house's are not changed for it.
fn is_labelled() -> bool {
    std::fs::read("/sys/fs/selinux/enforce").is_ok_and(|enforce| enforce.starts_with(b"1"))
}
