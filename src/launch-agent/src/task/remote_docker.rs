//! An engine for one job: started where its task asks for one, or the host's own lent to it, as the administrator says.
//!
//! The task's own is a process beside the task-agent, held by a group of the lease and, where there is one, by an account:
//! it is killed and waited for with the task's other processes, and found again by the journal. Its socket is ours; a task
//! that was asked for it again, after a restart of ours, hears whether what listens there still answers.

use super::{
    TaskActor,
    journal::Entry,
    process::{engine_account, engine_home},
    socket::watched,
    state::TaskState,
};
use crate::{artifact_uploader::Answered, config::RemoteDocker, host::Host};
use actix::prelude::*;
use containers::private::{self, Private};
use protocol::{
    container::{DOOR, ENGINE, LENT_ENGINE},
    frame::Answer,
    task::{Action, TaskSpec},
};
use sandbox::{Account, Containment, launch::Started};
use std::{
    fs::{DirBuilder, File, Permissions},
    future::pending,
    io::{self, Read, Seek, SeekFrom},
    os::fd::AsRawFd,
    os::unix::{
        fs::{DirBuilderExt, PermissionsExt, chown},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::Interest,
    sync::oneshot::{Receiver, channel},
    task::spawn_blocking,
    time::timeout,
};

/// What is known of a task's engine.
#[derive(Debug, Default)]
pub(super) struct OwnEngine {
    /// Who asked last; none: nobody waits.
    asked: Option<u64>,
    /// Whether it is waited for.
    is_asked: bool,
    /// Whether a process of it may come to be any moment.
    is_starting: bool,
}

impl OwnEngine {
    /// What is killed now may not be all there will be.
    pub(super) fn is_starting(&self) -> bool {
        self.is_starting
    }
}

/// How long an engine has until it answers.
const ANSWER: Duration = Duration::from_secs(90);
/// Between two tries to ask it.
const LOOK: Duration = Duration::from_millis(50);
/// The end of what it said, in bytes.
const LAST_WORDS: u64 = 2_000;

/// Whether a task asks for an engine anywhere.
pub(super) fn asks_for_engine(spec: &TaskSpec) -> bool {
    spec.steps.iter().any(|step| matches!(step.action, Action::SetupRemoteDocker { .. }))
}

/// What a start needs.
struct Start {
    host: Arc<Host>,
    slot: usize,
    task: protocol::TaskId,
    lease: String,
    in_container: bool,
    socket: PathBuf,
    /// The uid of the job, as this host sees it; none: it is not known.
    job: Option<u32>,
    output: PathBuf,
}

/// An engine that can be started.
struct Prepared {
    engine: Private,
    containment: Containment,
    notes: Vec<String>,
}

impl TaskActor {
    /// The socket to be mounted where the host's engine is lent.
    pub(super) fn lent_engine(&self) -> Option<PathBuf> {
        let host = &self.parts.host;
        let is_lent = self.spec.as_ref().is_some_and(|spec| spec.asks_for_engine)
            && host.settings.containers.remote_docker == RemoteDocker::Host;
        is_lent.then(|| host.engine.get().ok().map(|engine| engine.about().socket.clone()))?
    }

    /// The task-agent asks for an engine, perhaps again.
    pub(super) fn engine_wanted(&mut self, request: u64, ctx: &mut Context<Self>) {
        self.own_engine.asked = Some(request);
        if self.own_engine.is_starting || self.own_engine.is_asked {
            return;
        }
        match self.parts.host.settings.containers.remote_docker {
            RemoteDocker::Off => {
                let why = "this host has no engine for jobs (containers.remote_docker: off)";
                self.engine_answered(Err(why.to_owned()), ctx);
            }
            RemoteDocker::Host => {
                let lent = self.lend();
                self.engine_answered(lent, ctx);
            }
            RemoteDocker::Private if self.past.engine.is_some() => self.ask_engine(None, Vec::new(), ctx),
            RemoteDocker::Private => self.start_engine(ctx),
        }
    }

    fn lend(&self) -> Result<(PathBuf, Vec<String>), String> {
        let engine = self.parts.host.engine.get()?;
        let about = engine.about();
        let socket = if self.is_in_containers() { LENT_ENGINE.into() } else { about.socket.clone() };
        let note = "what it makes there stays (containers.remote_docker: host)";
        Ok((socket, vec![format!("The host's own engine, {about}, is lent to this job: {note}.")]))
    }

    fn start_engine(&mut self, ctx: &mut Context<Self>) {
        let start = Start {
            host: self.parts.host.clone(),
            slot: self.parts.record.slot,
            task: self.task,
            lease: self.parts.record.claimed.allocation.clone(),
            in_container: self.is_in_containers(),
            socket: self.engine_socket(),
            job: self.conversation.peer_account(),
            output: self.dir.engine_output(),
        };
        self.own_engine.is_starting = true;
        let prepared = async move {
            let prepared = spawn_blocking(move || start.prepare()).await;
            prepared.map_err(|error| error.to_string())?
        };
        ctx.spawn(prepared.into_actor(self).map(|prepared, task, ctx| match prepared {
            Ok(prepared) if task.state == TaskState::Running => task.launch_engine(prepared, ctx),
            // Nobody waits for it any more.
            Ok(_) => task.engine_not_started("the task is over".to_owned(), ctx),
            Err(why) => task.engine_not_started(why, ctx),
        }));
    }

    fn launch_engine(&mut self, prepared: Prepared, ctx: &mut Context<Self>) {
        let Prepared { engine, mut containment, notes } = prepared;
        self.notebook.write(&Entry::Engine(containment.clone()));
        self.past.engine = Some(containment.clone());
        let started = async move {
            let launch =
                move || engine.launch().start(&mut containment).map(|started| (started, containment));
            let started = spawn_blocking(launch).await;
            started.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
        };
        ctx.spawn(started.into_actor(self).map(|started, task, ctx| match started {
            Ok((started, containment)) => task.engine_launched(started, containment, notes, ctx),
            Err(why) => task.engine_not_started(why, ctx),
        }));
    }

    fn engine_not_started(&mut self, why: String, ctx: &mut Context<Self>) {
        self.engine_answered(Err(why), ctx);
        self.engine_settled(ctx);
    }

    /// Who wanted to end all of the task may do so now.
    fn engine_settled(&mut self, ctx: &mut Context<Self>) {
        self.own_engine.is_starting = false;
        if matches!(self.state, TaskState::Sweeping(_)) {
            self.sweep(ctx);
        }
    }

    fn engine_launched(
        &mut self,
        started: Started,
        containment: Containment,
        notes: Vec<String>,
        ctx: &mut Context<Self>,
    ) {
        self.notebook.write(&Entry::Engine(containment.clone()));
        self.past.engine = Some(containment);
        let ended = self.watch_engine(started, ctx);
        self.engine_settled(ctx);
        if self.doomed {
            return self.strike(ctx);
        }
        self.ask_engine(Some(ended), notes, ctx);
    }

    /// Asks how it ended, which somebody has to, and says so where the job goes on without it.
    fn watch_engine(&mut self, started: Started, ctx: &mut Context<Self>) -> Receiver<String> {
        let (told, heard) = channel();
        let Started { identity, pidfd } = started;
        let ended = async move {
            let pidfd = watched(pidfd, Interest::READABLE)?;
            pidfd.readable().await.map(drop)
        };
        ctx.spawn(ended.into_actor(self).map(move |_: io::Result<()>, task, _| {
            let how =
                identity.reap().map_or_else(String::new, |exit| format!(" with exit code {}", exit.code()));
            let is_told = told.send(format!("it ended{how}")).is_ok();
            if !is_told && task.state == TaskState::Running {
                task.notebook.say(&format!("The job's own engine ended{how}."));
            }
        }));
        heard
    }

    /// Waits until it answers, or has ended.
    fn ask_engine(&mut self, ended: Option<Receiver<String>>, notes: Vec<String>, ctx: &mut Context<Self>) {
        self.own_engine.is_asked = true;
        let (host_side, job_side) = (self.engine_socket(), self.engine_of_job());
        let output = self.dir.engine_output();
        let asked = async move {
            let (_directory, short) = within_reach(&host_side).map_err(|error| error.to_string())?;
            let about = answer_or_end(&short, ended).await;
            let about = about.map_err(|why| format!("{why}{}", last_words(&output)))?;
            let note =
                format!("{about} for this job alone; it is removed at the job's end with all it holds.");
            Ok((job_side, [note].into_iter().chain(notes).collect()))
        };
        ctx.spawn(asked.into_actor(self).map(|asked, task, ctx| task.engine_answered(asked, ctx)));
    }

    fn engine_answered(&mut self, answered: Result<(PathBuf, Vec<String>), String>, ctx: &mut Context<Self>) {
        self.own_engine.is_asked = false;
        let Some(request) = self.own_engine.asked.take() else { return };
        let answer = match answered {
            Ok((socket, notes)) => Answer::Engine { socket, notes },
            Err(why) => Answer::Refused { message: format!("the job gets no engine: {why}") },
        };
        self.answer(Answered { request, answer, file: None }, ctx);
    }

    /// As this host sees it.
    fn engine_socket(&self) -> PathBuf {
        let of_host = || self.parts.host.engine_door(self.task);
        let directory = if self.is_in_containers() { self.dir.door() } else { of_host() };
        directory.join(ENGINE)
    }

    /// As the job sees it.
    fn engine_of_job(&self) -> PathBuf {
        if self.is_in_containers() { Path::new(DOOR).join(ENGINE) } else { self.engine_socket() }
    }
}

impl Start {
    /// All but the process.
    fn prepare(self) -> Result<Prepared, String> {
        let said = |error: io::Error| format!("cannot listen at {}: {error}", self.socket.display());
        let (account, is_own) = engine_account(&self.host, self.slot, self.in_container)?;
        if let Some(lacking) = private::lacks(account.as_ref()) {
            return Err(format!(
                "{lacking}; or have the host's own lent to jobs (containers.remote_docker: host)"
            ));
        }
        let home = engine_home(&self.host, self.task, account.as_ref(), self.in_container);
        let home = home.map_err(|error| error.to_string())?;
        let listener = self.listen(account.as_ref()).map_err(said)?;
        let output = File::options().create(true).append(true).read(true).open(&self.output).map_err(said)?;
        let own = account.as_ref().filter(|_| is_own);
        let containment = Containment::strongest(&self.host.house, &self.lease, own);
        let notes = private::limitations(account.as_ref());
        Ok(Prepared {
            engine: Private { account, home, listener: listener.into(), output },
            containment,
            notes,
        })
    }

    /// Only the job gets to it: by its number, or because nobody else gets to where it lies.
    fn listen(&self, account: Option<&Account>) -> io::Result<UnixListener> {
        if !self.in_container {
            // Nobody else's: one that is there is refused.
            DirBuilder::new().mode(0o711).create(self.host.engine_door(self.task))?;
        }
        let _ = std::fs::remove_file(&self.socket);
        let (_directory, short) = within_reach(&self.socket)?;
        let listener = UnixListener::bind(short)?;
        let own = rustix::process::geteuid().as_raw();
        let job = if self.in_container { self.job } else { account.map(|account| account.uid) };
        let job = job.unwrap_or(own);
        let mode = if job == own || self.host.is_root { 0o600 } else { 0o666 };
        if mode == 0o666 {
            // The job is somebody below this account, who comes by what is mounted; nobody comes by this way any more.
            let task = self.output.parent().unwrap_or(Path::new("/"));
            std::fs::set_permissions(task, Permissions::from_mode(0o700))?;
        }
        std::fs::set_permissions(&self.socket, Permissions::from_mode(mode))?;
        if self.host.is_root {
            chown(&self.socket, Some(job), None)?;
        }
        Ok(listener)
    }
}

/// What the engine says of itself, or that it ended before it said anything.
async fn answer_or_end(socket: &Path, ended: Option<Receiver<String>>) -> Result<String, String> {
    let ended = async {
        match ended {
            Some(ended) => ended.await.unwrap_or_else(|_| "nobody knows whether it lives".to_owned()),
            None => pending().await,
        }
    };
    tokio::select! {
        answered = timeout(ANSWER, answer(socket)) => {
            answered.map_err(|_| format!("it does not answer within {} s", ANSWER.as_secs()))
        }
        how = ended => Err(how),
    }
}

/// A name for it that fits the address of a socket, as long as its directory is held open.
fn within_reach(socket: &Path) -> io::Result<(File, PathBuf)> {
    let directory = File::open(socket.parent().unwrap_or(Path::new("/")))?;
    let short = format!("/proc/self/fd/{}/{ENGINE}", directory.as_raw_fd());
    Ok((directory, short.into()))
}

/// Until it answers.
async fn answer(socket: &Path) -> String {
    loop {
        match private::ask(socket).await {
            Ok(about) => return about,
            Err(_) => tokio::time::sleep(LOOK).await,
        }
    }
}

fn last_words(output: &Path) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(output)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LAST_WORDS)))?;
        let mut words = Vec::new();
        file.take(LAST_WORDS).read_to_end(&mut words)?;
        Ok(String::from_utf8_lossy(&words).trim().to_owned())
    };
    match read().unwrap_or_default().as_str() {
        "" => String::new(),
        words => format!("; it said: {words}"),
    }
}
