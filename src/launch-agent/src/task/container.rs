//! A task in containers: images made ready, the primary started in the place of a process, services beside it, and what
//! the engine says of their end.

use super::{
    Birth, TaskActor,
    journal::Entry,
    process,
    state::{TaskEvent, TaskState},
};
use crate::host::Host;
use actix::prelude::*;
use containers::{
    Engine, EngineError, Heard, KillError, Limits, Login, Marks, Order, Primary, PullError, Running, Service,
    Side, StartError, State, Wanted,
};
use futures_util::StreamExt;
use protocol::{
    frame::ToTaskAgent,
    image::{Containers, Image},
};
use sandbox::{
    Containment,
    contain::{COOKIE, Means},
};
use std::{
    collections::VecDeque,
    fs::Permissions,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};
use tokio::task::spawn_blocking;

/// How far the containers of a task are.
#[derive(Debug, Default)]
pub(super) struct Vessel {
    /// Images that are being made ready: nothing is lost if that is let go.
    preparing: Option<SpawnHandle>,
    /// What they are started with, until the services are.
    order: Option<Order>,
    primary: Option<Running>,
    services: Services,
    /// Since when they do not go.
    struck: Option<Instant>,
}

impl Vessel {
    /// They do not go, and did not for long: their engine is not coming back.
    pub(super) fn is_given_up(&mut self) -> bool {
        self.struck.get_or_insert_with(Instant::now).elapsed() >= GIVE_UP
    }
}

/// The services of a task: they run what the configuration says, so leave to begin comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Services {
    #[default]
    Unknown,
    Starting,
    Started,
}

/// A task that could not be put into containers.
#[derive(Debug, thiserror::Error)]
enum Failed {
    /// Here: another host may have better luck.
    #[error("{0}")]
    Here(String),
    /// Anywhere: it asks for what cannot be.
    #[error("{0}")]
    Anywhere(String),
}

/// For how long containers are struck before somebody hears that they do not go.
const STRIKE: Duration = Duration::from_secs(30);
/// After this long nobody waits any more for an engine that does not remove a task's containers.
const GIVE_UP: Duration = Duration::from_secs(600);
/// How long the engine is waited for where a task's end is looked into.
const EXAMINE: Duration = Duration::from_secs(10);
/// So many of a service's last lines are told where it ends before the task.
const LAST_LINES: usize = 20;
/// Variables of the host that mean nothing in an image.
const OF_THE_HOST: [&str; 4] = ["PATH", "LANG", "LC_*", "SSL_CERT_FILE"];

impl TaskActor {
    /// Whether it runs in containers.
    pub(super) fn is_in_containers(&self) -> bool {
        self.parts.record.claimed.in_containers
    }

    /// The spec is here: sees to the images, then starts the primary.
    pub(super) fn prepare_containers(
        &mut self,
        containers: Option<Containers>,
        directory: String,
        ctx: &mut Context<Self>,
    ) {
        // Another actor of the task has started it, or nobody does any more.
        if !self.is_in_containers() || self.parts.birth != Birth::Claimed || self.state != TaskState::Starting
        {
            return;
        }
        let Some(containers) = containers.filter(|containers| !containers.images.is_empty()) else {
            return self
                .not_launched("the task was claimed as one in containers, and names none".to_owned(), ctx);
        };
        containers.notes.iter().for_each(|note| self.notebook.say(note));
        let (host, client, agent) =
            (self.parts.host.clone(), self.client.clone(), self.parts.record.claimed.agent.clone());
        let teller = self.notebook.teller();
        let wanted: Vec<_> = containers.images.iter().map(wanted).collect();
        let prepared = async move {
            let engine = host.engine.get().map_err(Failed::Here)?;
            let program = host.programs.obtain(&client, &agent.url, &agent.content).await;
            let program =
                program.map_err(|error| Failed::Here(format!("the task-agent cannot be had: {error}")))?;
            engine.prepare(&wanted, host.settings.containers.pull, teller).await.map_err(Failed::of_pull)?;
            Ok((engine, program.path))
        };
        let preparing = ctx.spawn(prepared.into_actor(self).map(move |prepared, task, ctx| {
            task.vessel.preparing = None;
            match prepared {
                Ok((engine, program)) if task.may_be_launched() => {
                    let order = task.order(&containers, program, &directory);
                    task.start_primary(engine, order, ctx);
                }
                Ok(_) => task.apply(TaskEvent::NotLaunched, ctx),
                Err(failed) => task.not_contained(failed, ctx),
            }
        }));
        self.vessel.preparing = Some(preparing);
    }

    fn may_be_launched(&self) -> bool {
        self.state == TaskState::Starting && !self.doomed
    }

    /// It is to be ended before a container is made, while its images come perhaps: that is let go.
    pub(super) fn let_images_go(&mut self, ctx: &mut Context<Self>) {
        let is_waiting = matches!(self.state, TaskState::Starting | TaskState::Stopping { .. });
        let is_to_end = self.doomed || self.state != TaskState::Starting;
        if self.is_in_containers() && self.past.containment.is_none() && is_waiting && is_to_end {
            if let Some(preparing) = self.vessel.preparing.take() {
                ctx.cancel_future(preparing);
            }
            self.apply(TaskEvent::NotLaunched, ctx);
        }
    }

    fn not_contained(&mut self, failed: Failed, ctx: &mut Context<Self>) {
        self.because(failed.to_string());
        let event = match failed {
            Failed::Here(_) => TaskEvent::NotLaunched,
            Failed::Anywhere(_) => TaskEvent::Unlaunchable,
        };
        self.apply(event, ctx);
    }

    fn order(&mut self, containers: &Containers, program: std::path::PathBuf, directory: &str) -> Order {
        let host = self.parts.host.clone();
        let lease = self.parts.record.claimed.allocation.clone();
        let limits = self.limits(containers.resource_class.as_deref());
        let first = &containers.images[0];
        let mut environment = process::environment(&host, &self.parts.record.claimed);
        environment.retain(|(name, _)| !OF_THE_HOST.iter().any(|pattern| process::covers(pattern, name)));
        environment.extend(first.environment.iter().cloned());
        environment.push((COOKIE.to_owned(), lease.clone()));
        Order {
            marks: Marks { host: host.house.clone(), task: self.task, lease },
            primary: Primary {
                image: first.image.clone(),
                user: first.user.clone(),
                working_directory: directory.to_owned(),
                entrypoint: first.entrypoint.clone(),
                command: first.command.clone(),
                environment,
            },
            services: containers.images.iter().enumerate().skip(1).map(side).collect(),
            limits,
            network: host.settings.containers.network.clone(),
            program,
            door: self.dir.door(),
            lent_engine: self.lent_engine(),
            invitation: process::invitation_in_container(&host, &self.parts.record),
        }
    }

    fn limits(&mut self, class: Option<&str>) -> Limits {
        let Some(class) = class else { return Limits::default() };
        let settings = &self.parts.host.settings.containers;
        let found = settings.limits(class);
        let line = match found {
            Some(limits) => format!("Resource class {class}: {}.", describe(limits)),
            None => {
                format!("Resource class {class}: no limits (containers.resource_classes has none for it).")
            }
        };
        self.notebook.say(&line);
        found.unwrap_or_default()
    }

    fn start_primary(&mut self, engine: Engine, order: Order, ctx: &mut Context<Self>) {
        let lease = &self.parts.record.claimed.allocation;
        let containment = held(lease);
        for note in notes(&self.parts.host, &engine) {
            self.notebook.say(&note);
        }
        self.notebook.write(&Entry::Launching(containment.clone()));
        self.past.containment = Some(containment.clone());
        let started = async move {
            let program = order.program.clone();
            let executable = spawn_blocking(move || executable_by_all(&program)).await;
            let executable = executable.map_err(std::io::Error::other).and_then(|made| made);
            executable
                .map_err(|error| Failed::Here(format!("cannot open the task-agent's program: {error}")))?;
            let running = engine.start(&order).await.map_err(Failed::of_start)?;
            Ok((order, running))
        };
        ctx.spawn(started.into_actor(self).map(move |started, task, ctx| match started {
            Ok((order, running)) => task.primary_started(order, running, containment, ctx),
            Err(failed) => task.not_contained(failed, ctx),
        }));
    }

    fn primary_started(
        &mut self,
        order: Order,
        running: Running,
        mut containment: Containment,
        ctx: &mut Context<Self>,
    ) {
        let (id, services) = (running.id.clone(), order.services.len());
        self.notebook.write(&Entry::Container { id: id.clone(), services });
        containment.rooted_in(running.first);
        match running.first.pidfd() {
            Ok(Some(pidfd)) => {
                let started = sandbox::launch::Started { identity: running.first, pidfd };
                self.vessel.order = Some(order);
                self.past.container = Some((id, services));
                self.vessel.primary = Some(running);
                self.process_started(started, containment, ctx);
            }
            _ => self.not_contained(Failed::Anywhere("the primary container ended at once".to_owned()), ctx),
        }
    }

    /// Leave to begin was granted: the services are started, then the task-agent hears that it may begin.
    pub(super) fn begin_agent(&mut self, ctx: &mut Context<Self>) {
        if !self.is_in_containers() || self.vessel.services == Services::Started {
            return self.say(&ToTaskAgent::Begin, Vec::new(), ctx);
        }
        if self.vessel.services == Services::Starting {
            return;
        }
        let (Some(order), Some(running)) = (self.vessel.order.take(), self.vessel.primary.clone()) else {
            if self.past.container.as_ref().is_some_and(|(_, services)| *services == 0) {
                return self.say(&ToTaskAgent::Begin, Vec::new(), ctx);
            }
            // Whoever started them died meanwhile: how far they are is not known.
            self.because("the launch-agent failed while it started the task's services");
            return self.strike(ctx);
        };
        self.vessel.services = Services::Starting;
        let host = self.parts.host.clone();
        let served = async move {
            if order.services.is_empty() {
                return Ok(Vec::new());
            }
            let engine = host.engine.get().map_err(Failed::Here)?;
            let services = engine.serve(&order, &running).await.map_err(Failed::of_start)?;
            Ok(services.into_iter().map(|service| (engine.clone(), service)).collect())
        };
        ctx.spawn(served.into_actor(self).map(|served, task, ctx| task.served(served, ctx)));
    }

    fn served(&mut self, served: Result<Vec<(Engine, Service)>, Failed>, ctx: &mut Context<Self>) {
        match served {
            Ok(services) => {
                self.vessel.services = Services::Started;
                for (engine, service) in services {
                    self.notebook.say(&format!("Service {} runs.", service.name));
                    self.attend(engine, service, ctx);
                }
                self.send_begin(ctx);
            }
            Err(failed) => {
                self.because(failed.to_string());
                self.strike(ctx);
            }
        }
    }

    /// Hears when a service ends before its task does, and says what it printed last.
    fn attend(&mut self, engine: Engine, service: Service, ctx: &mut Context<Self>) {
        let heard = async move {
            let mut last = VecDeque::with_capacity(LAST_LINES);
            let mut heard = std::pin::pin!(engine.attend(&service.id, 0));
            while let Some(heard) = heard.next().await {
                match heard {
                    Heard::Line(line) => {
                        last.truncate(LAST_LINES - 1);
                        last.push_front(line);
                    }
                    Heard::Ended(state) => return Some((service.name, state, last)),
                    Heard::Lost(_) => return None,
                }
            }
            None
        };
        ctx.spawn(heard.into_actor(self).map(|heard, task, _| {
            if let (Some((name, state, last)), TaskState::Running) = (heard, task.state) {
                task.notebook.say(&format!("Service {name} {state}. It said last:"));
                last.iter().rev().for_each(|line| task.notebook.say(&format!("  {line}")));
            }
        }));
    }

    /// The primary's first process is gone: what the engine says about that.
    pub(super) fn examine(&self) -> impl Future<Output = Option<Examined>> + use<> {
        let (host, container) = (self.parts.host.clone(), self.past.container.clone());
        async move {
            let (id, _) = container?;
            let examined = match host.engine.latest() {
                Ok(engine) => Examined::by(&engine.patient_for(EXAMINE), &id).await,
                Err(why) => Err(why),
            };
            let unknown = |why| Examined {
                words: format!("; how its container ended is not known: {why}"),
                out_of_memory: false,
            };
            Some(examined.unwrap_or_else(unknown))
        }
    }
}

/// What the engine says of a container that ended.
#[derive(Debug, Default)]
pub(super) struct Examined {
    /// For the end of a sentence.
    pub(super) words: String,
    pub(super) out_of_memory: bool,
}

impl Examined {
    async fn by(engine: &Engine, id: &str) -> Result<Self, String> {
        let state = engine.inspect(id).await.map_err(|error| error.to_string())?;
        let words = engine.last_words(id).await.unwrap_or_default();
        let words = if words.is_empty() { words } else { format!("; it said: {words}") };
        let out_of_memory = matches!(state, State::Ended { out_of_memory: true, .. });
        Ok(Self { words: format!(": its container {state}{words}"), out_of_memory })
    }
}

/// What holds the processes of a container besides its engine: without its first one the kernel lets none live.
pub(super) fn held(lease: &str) -> Containment {
    Containment::only(Means::Descendants, lease, None).expect("every host has this means")
}

/// All containers of a lease gone, and all their processes.
pub(crate) async fn kill(host: &Host, lease: &str) -> Result<(), String> {
    let engine = host.engine.latest()?;
    match engine.kill(lease, STRIKE).await {
        Ok(_) => Ok(()),
        Err(error @ (KillError::Survivors { .. } | KillError::Unknown(_))) => Err(error.to_string()),
    }
}

impl Failed {
    fn of_pull(error: PullError) -> Self {
        match error {
            PullError::Engine(error) => Self::of_engine("", &error),
            error => Self::Anywhere(error.to_string()),
        }
    }

    fn of_start(error: StartError) -> Self {
        match error {
            StartError::Engine { what, source } => Self::of_engine(&format!("{what}: "), &source),
            StartError::Elsewhere { .. } => Self::Here(error.to_string()),
            error => Self::Anywhere(error.to_string()),
        }
    }

    /// One that does not answer may be another host's luck; one that refuses does so everywhere.
    fn of_engine(what: &str, error: &EngineError) -> Self {
        match error {
            EngineError::Unknown { .. } => Self::Here(format!("{what}{error}")),
            EngineError::Refused { .. } => Self::Anywhere(format!("{what}{error}")),
        }
    }
}

fn wanted(image: &Image) -> Wanted {
    let login = image.auth.as_ref();
    let login = login.map(|auth| Login { username: auth.username.clone(), password: auth.password.clone() });
    Wanted { image: image.image.clone(), login }
}

fn side((place, image): (usize, &Image)) -> Side {
    Side {
        name: image.name.clone().unwrap_or_else(|| format!("{place} ({})", image.image)),
        is_named: image.name.is_some(),
        image: image.image.clone(),
        user: image.user.clone(),
        entrypoint: image.entrypoint.clone(),
        command: image.command.clone(),
        environment: image.environment.clone(),
    }
}

fn describe(limits: Limits) -> String {
    let cpus = limits.millicpus.map(|millicpus| format!("{} processors", f64::from(millicpus) / 1000.0));
    let memory = limits.memory.map(|bytes| format!("{} MiB of memory", bytes >> 20));
    let all: Vec<_> = cpus.into_iter().chain(memory).collect();
    if all.is_empty() { "no limits".to_owned() } else { all.join(", ") }
}

fn notes(host: &Host, engine: &Engine) -> Vec<String> {
    vec![
        format!("Launch-agent {} on {}.", crate::host::VERSION, host.settings.name),
        format!("Runs in a container of {}.", engine.about()),
    ]
}

/// The image's users are other accounts than this one.
fn executable_by_all(program: &std::path::Path) -> std::io::Result<()> {
    let mode = std::fs::metadata(program)?.permissions().mode();
    if mode & 0o011 == 0o011 {
        Ok(())
    } else {
        std::fs::set_permissions(program, Permissions::from_mode(mode | 0o011))
    }
}
