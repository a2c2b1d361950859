//! `roundhouse run`: a control plane and a launch-agent in this process, for one pipeline of one folder.
//!
//! ```text
//! command line ─▶ Request ─▶ Place (locked) ─▶ snapshot ─▶ Plane (own thread) ─▶ pipeline
//!                                                            ▲                      │
//!                                launch-agent (own thread) ──┘         Show ◀─feed──┘
//! ```
//!
//! The three meet over loopback HTTP only, as separate processes would.

mod agent;
mod containers;
pub(crate) mod door;
mod place;
mod plane;
mod toolchain;
mod unset;

use crate::{
    arguments,
    artifacts::Places,
    connect::{self, Access, failed},
    failure::{Failure, OrFail},
    follow::{Approvals, Followed, Interrupts, Model, words},
    logging::{self, Log},
    program,
    request::Request,
    say,
    show::Show,
};
use agent::Agent;
use client::Operator;
use door::{Door, Sign};
use launch_agent::config::ContainerSettings;
use place::Place;
use plane::Plane;
use protocol::{
    api::{Created, NewPipeline},
    pipeline::Pipeline,
    task::Source,
};
use std::{
    fs::OpenOptions,
    io::IsTerminal,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Instant,
};

/// Runs a folder's pipeline; the exit status.
pub(crate) fn run(options: &arguments::Run) -> Result<u8, Failure> {
    let began = Instant::now();
    let mut request = Request::read(options.path.as_deref(), &options.selection, None)?;
    let pipeline = request.check(None)?;
    if request.native {
        say::note(containers::differences(&pipeline));
    }
    let refuse = |why| request.check(Some(why)).map(drop);
    let containers = connect::block_on(containers::settings(&pipeline, request.native, refuse))?;
    let program = program::task_agent(options.task_agent.as_deref())?;
    let state = state_dir(options.state_dir.as_deref())?;
    let reader = agent::reader(options, &state)?;
    let place = Place::take(&state, &request.folder)?;
    let toolchain = toolchain::variables(reader, |name| std::env::var(name).ok());
    request.environment.splice(0..0, toolchain);
    let log = log(options, &place)?;
    let run = Run { options, request, pipeline, containers, program, place, log, began };
    let outcome = connect::block_on(run.go());
    run.place.leave();
    outcome
}

/// The state directory: the one that was named, else the usual one.
pub(crate) fn state_dir(named: Option<&Path>) -> Result<PathBuf, Failure> {
    let default = || launch_agent::config::default_state_directory(|name| std::env::var(name).ok());
    let found = named.map(Path::to_owned).or_else(default);
    let found =
        found.ok_or_else(|| Failure::usage("there is no HOME to keep state in: give --state-dir DIR"))?;
    std::path::absolute(&found).or_usage(format!("--state-dir {}", found.display()))
}

fn log(options: &arguments::Run, place: &Place) -> Result<Log, Failure> {
    if options.verbose {
        return Ok(logging::to_stderr(logging::Format::Color, slog::Level::Debug));
    }
    let path = place.log();
    let _ = std::fs::remove_file(&path);
    // It tells of the run's jobs, and jobs of other accounts could open it.
    let private = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    private.or_machinery(path.display())?;
    logging::to_file(&path, logging::Format::Text, slog::Level::Info).or_machinery(path.display())
}

/// One run, from its lock to its end.
struct Run<'a> {
    options: &'a arguments::Run,
    request: Request,
    pipeline: Pipeline,
    containers: ContainerSettings,
    program: PathBuf,
    place: Place,
    log: Log,
    began: Instant,
}

impl Run<'_> {
    async fn go(&self) -> Result<u8, Failure> {
        let pipeline = self.snapshot()?;
        let mut interrupts = Interrupts::listen().or_machinery("cannot listen to signals")?;
        let (token, approver) = (plane::random_token()?, plane::random_token()?);
        let mut settings = plane::settings(&self.place, &self.program, (&token, &approver))?;
        // A continued configuration finds its orbs where all others were found.
        settings.orbs = Some(self.request.orbs());
        let plane = Plane::start(settings, self.log.clone())?;
        let _door = Door::open(&self.place.door(), &Sign { url: plane.url(), token: approver })?;
        let operator = Access::local(&plane.url(), &token)?.operator();
        let class_token = agent::register(&operator).await?;
        let created = operator.create_pipeline(&pipeline).await.map_err(failed)?;
        let show = self.show(format!("{}/pipelines/{}?token={token}", plane.url(), created.id));
        let followed =
            self.with_agent(&plane, &class_token, &operator, &created, &mut interrupts, &show).await?;
        show.conclude(&operator, &followed, &self.places(created.number)?, &mut interrupts).await
    }

    /// Takes the tree as it is now, and makes the pipeline of it.
    fn snapshot(&self) -> Result<NewPipeline, Failure> {
        let what =
            if self.options.committed { snapshot::What::Committed } else { snapshot::What::WorkingTree };
        let (tree, folder) = (self.place.tree(), &self.request.folder);
        let taken = snapshot::take(folder, &tree, what, &self.not_of_the_tree());
        let taken = taken.or_machinery(format!("cannot take a snapshot of {}", folder.display()))?;
        for note in &taken.notes {
            say::note(format_args!("roundhouse: {note}"));
        }
        let source = Source::Tree { path: tree.display().to_string() };
        let pipeline = self.request.pipeline(self.place.project(), source, taken.git, Some(agent::class()));
        if let Some(sentence) = unset::sentence(&self.pipeline, &pipeline.git) {
            say::note(format_args!("roundhouse: {sentence}"));
        }
        Ok(pipeline)
    }

    /// What may lie in the tree without belonging to it: our own state, and copies of artifacts.
    fn not_of_the_tree(&self) -> Vec<PathBuf> {
        let copies = self.options.artifacts.as_ref().and_then(|folder| folder.canonicalize().ok());
        std::iter::once(self.place.root().to_owned()).chain(copies).collect()
    }

    /// Follows the pipeline while a launch-agent works on it. However that ends, the launch-agent is gone after it,
    /// and with it every process of every job.
    async fn with_agent(
        &self,
        plane: &Plane,
        class_token: &str,
        operator: &Operator,
        created: &Created,
        interrupts: &mut Interrupts,
        show: &Show,
    ) -> Result<Followed, Failure> {
        let settings = launch_agent::config::Settings {
            containers: self.containers.clone(),
            ..agent::settings(self.options, &self.place, &plane.url(), class_token)
        };
        let agent = Agent::start(settings, self.log.clone())?;
        let followed = agent.until_gone(show.follow(operator, created, interrupts, &agent)).await;
        agent.end(followed.is_ok(), interrupts).await;
        match followed? {
            Some(followed) => Ok(followed),
            None => {
                let view = operator.pipeline(created.id).await.map_err(failed)?;
                Ok(Followed { view: Model::new(view).outcome(), interrupted: true })
            }
        }
    }

    /// The page's address lets in whoever has it, so it is told on a terminal only, and in no file.
    fn show(&self, page: String) -> Show {
        Show {
            only: None,
            output: self.options.selection.output,
            verbose: self.options.verbose,
            began: self.began,
            page: self.is_on_terminal().then_some(page),
            page_afterwards: Some(self.page_afterwards()),
            approvals: Approvals { reach: self.reach(), ahead: self.options.approve.clone() },
        }
    }

    /// What leads `roundhouse approve` and `roundhouse release` in another terminal to this run.
    fn reach(&self) -> String {
        let folder = self.options.state_dir.iter();
        folder.map(|one| format!(" --state-dir {}", words::in_shell(&one.display().to_string()))).collect()
    }

    /// Whether the stream that shows the run is a terminal.
    fn is_on_terminal(&self) -> bool {
        match self.options.selection.output {
            arguments::Output::Text => std::io::stdout().is_terminal(),
            arguments::Output::Json => std::io::stderr().is_terminal(),
        }
    }

    /// The embedded control plane ends with the run; its records stay.
    fn page_afterwards(&self) -> String {
        format!("roundhouse server --data-dir {}", self.place.server().display())
    }

    fn places(&self, number: u64) -> Result<Places, Failure> {
        let folder = match &self.options.artifacts {
            Some(folder) => absolute(folder)?,
            None => self.place.artifacts(number),
        };
        Ok(Places::below(folder))
    }
}

fn absolute(folder: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(folder).or_usage(format!("--artifacts {}", folder.display()))
}
