//! The launch-agent of a local run: how it is set up, waited for and ended.

use super::{
    place::{self, Place},
    toolchain::Reader,
};
use crate::{
    arguments,
    connect::failed,
    failure::{Failure, OrFail},
    follow::{Company, Followed, Interrupts},
};
use client::{ClientError, Operator};
use launch_agent::{
    Handle,
    config::{ClassSettings, Secret, Settings, hostname},
};
use protocol::{
    ResourceClass,
    api::{Resource, Token},
};
use slog::Logger;
use std::{
    cell::{Cell, RefCell},
    path::Path,
    time::{Duration, Instant},
};

/// A task-agent whose run was killed ends its task after this long.
const OUTLIVE: Duration = Duration::from_secs(5);
/// How long following may go on once the launch-agent is gone.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// How long nothing may run for a reason that only the user can mend.
const STUCK: Duration = Duration::from_secs(30);
const NICKNAME: &str = "roundhouse run";

/// The one class of a local run.
pub(crate) fn class() -> ResourceClass {
    "local/host".parse().expect("it is a namespace and a name")
}

/// Makes the class if it is new, and its token for this run; those of earlier runs end.
pub(crate) async fn register(operator: &Operator) -> Result<String, Failure> {
    let class = class();
    let wanted = Resource {
        id: None,
        resource_class: class.clone(),
        description: "this machine".to_owned(),
        max_tasks: None,
    };
    match operator.create_resource(&wanted).await {
        Ok(_) | Err(ClientError::Conflict(_) | ClientError::Rejected { status: 409, .. }) => {}
        Err(error) => return Err(failed(error)),
    }
    for old in operator.tokens(&class).await.map_err(failed)? {
        if let Some(id) = old.id {
            operator.delete_token(&id).await.map_err(failed)?;
        }
    }
    let new = Token {
        id: None,
        resource_class: class,
        nickname: NICKNAME.to_owned(),
        token: None,
        created_at: None,
    };
    let made = operator.create_token(&new).await.map_err(failed)?;
    made.token.ok_or_else(|| Failure::machinery("the control plane made a token and did not tell it"))
}

/// What the launch-agent of a run is told.
pub(crate) fn settings(options: &arguments::Run, place: &Place, url: &str, token: &str) -> Settings {
    let class = ClassSettings { class: Some(class()), token: Secret::new(token), concurrency: None };
    let mut settings = Settings::new(hostname(), url, place.agent(), vec![class]);
    settings.work_dir = place.work();
    if let Some(most) = options.concurrency {
        settings.concurrency = usize::try_from(most).unwrap_or(usize::MAX);
    }
    settings.user.clone_from(&options.user);
    settings.outlive = Some(OUTLIVE);
    settings.local_sources = true;
    settings.terminal = !options.no_terminal;
    settings
}

/// Who runs the jobs; refused where that account could not enter its own working directory.
pub(crate) fn reader(options: &arguments::Run, state: &Path) -> Result<Reader, Failure> {
    match (&options.user, rustix::process::geteuid().is_root()) {
        (Some(name), true) if name == "root" => Ok(Reader::Same),
        (_, false) => Ok(Reader::Same),
        _ => match place::closed_to_others(state) {
            None => Ok(Reader::Anybody),
            Some(folder) => Err(Failure::machinery(format!(
                "jobs run as accounts of their own, which cannot enter {}: choose another --state-dir, or --user root",
                folder.display()
            ))),
        },
    }
}

/// A launch-agent in this process.
#[derive(Debug)]
pub(crate) struct Agent {
    handle: Handle,
    hurried: Cell<bool>,
    trouble: RefCell<Option<String>>,
}

impl Agent {
    /// Starts it.
    pub(crate) fn start(settings: Settings, log: Logger) -> Result<Self, Failure> {
        let handle = launch_agent::start(settings, log).or_machinery("cannot start the launch-agent")?;
        Ok(Self { handle, hurried: Cell::new(false), trouble: RefCell::default() })
    }

    /// What following came to; none if the launch-agent was told to end at once and did, or nobody wanted to see the
    /// rest.
    pub(crate) async fn until_gone(
        &self,
        following: impl Future<Output = Result<Option<Followed>, Failure>>,
    ) -> Result<Option<Followed>, Failure> {
        let mut following = std::pin::pin!(following);
        tokio::select! {
            followed = &mut following => return followed,
            stuck = self.stuck() => return Err(stuck),
            _ = self.handle.finished() => {}
        }
        match tokio::time::timeout(LAST_WORDS, following).await {
            Ok(followed) => followed,
            Err(_) if self.hurried.get() => Ok(None),
            Err(_) => {
                Err(Failure::machinery("the launch-agent ended before the pipeline did: its log says more"))
            }
        }
    }

    /// Watches how it stands; returns once nothing has run for too long.
    async fn stuck(&self) -> Failure {
        let mut watched = tokio::time::interval(Duration::from_secs(1));
        let mut since = None;
        loop {
            watched.tick().await;
            let Some(status) = self.handle.status().await else { std::future::pending().await };
            let since = match (&status.paused, status.taken) {
                (Some(_), 0) => *since.get_or_insert_with(Instant::now),
                _ => *since.insert(Instant::now()),
            };
            match &status.paused {
                Some(why) if since.elapsed() > STUCK => {
                    return Failure::machinery(format!("no job can start: {why}"));
                }
                _ => self.trouble.replace(status.paused),
            };
        }
    }

    /// Ends it: when its tasks are over where all went well and nobody interrupts, else at once.
    pub(crate) async fn end(&self, well: bool, interrupts: &mut Interrupts) {
        if well {
            self.handle.drain()
        } else {
            self.handle.stop_now()
        }
        let mut gone = std::pin::pin!(self.handle.finished());
        loop {
            tokio::select! {
                _ = &mut gone => return,
                _ = interrupts.next() => self.handle.stop_now(),
            }
        }
    }
}

impl Company for Agent {
    fn hurry(&self) -> bool {
        self.hurried.set(true);
        self.handle.stop_now();
        true
    }

    fn what_hurrying_does(&self) -> &'static str {
        "kill"
    }

    fn trouble(&self) -> Option<String> {
        self.trouble.borrow().clone()
    }
}
