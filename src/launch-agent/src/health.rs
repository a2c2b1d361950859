//! Looks at the host again and again: its disks, its memory, its zombies, and what the operator's own check says.
//!
//! It has a thread of its own, and looks on threads that may block: a disk that does not answer holds nobody up, and its
//! silence is a reason too.

mod check;
pub(crate) mod verdict;

use crate::host::Host;
use actix::prelude::*;
use rustix::fs::statvfs;
use std::{path::PathBuf, sync::Arc, time::Duration};
use supervise::{Above, say_state};
use tokio::task::spawn_blocking;
use verdict::Reading;

/// What the Supervisor hears: what was found just now.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct HealthNews {
    pub(crate) readings: Vec<Reading>,
    /// Whether the host has an engine for containers now and had none, or the other way around.
    pub(crate) engine_changed: bool,
}

/// Who looks.
pub(crate) struct HealthKeeper {
    host: Arc<Host>,
    supervisor: Above<HealthNews>,
    looks: u64,
}

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// Between two looks for the container engine.
const ENGINE_PAUSE: Duration = Duration::from_secs(30);
/// Zombies are counted at every so many of them: that reads about every process of the host.
const COUNT_EVERY: u64 = 10;

impl HealthKeeper {
    /// Runs on its own thread.
    pub(crate) fn new(host: Arc<Host>, supervisor: Above<HealthNews>) -> Self {
        Self { host, supervisor, looks: 0 }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        failpoints::hit("health_keeper:look", None);
        let settings = &self.host.settings;
        let places = vec![settings.state_dir.clone(), settings.work_dir.clone()];
        let counts = self.looks.is_multiple_of(COUNT_EVERY);
        self.looks += 1;
        let looked = spawn_blocking(move || look_at(places, counts));
        ctx.spawn(looked.into_actor(self).map(|readings, keeper, ctx| {
            keeper.tell(readings.expect("looking at the host does not panic"));
            ctx.run_later(PAUSE, Self::look);
        }));
    }

    fn check(&mut self, ctx: &mut Context<Self>) {
        let settings = &self.host.settings;
        if settings.health_check.is_empty() {
            return;
        }
        let (host, command) = (self.host.clone(), settings.health_check.clone());
        let (most, interval) = (settings.health_timeout, settings.health_interval);
        let checked =
            spawn_blocking(move || check::run(&host.house, &command, &host.settings.state_dir, most));
        ctx.spawn(checked.into_actor(self).map(move |said, keeper, ctx| {
            keeper.tell(vec![Reading::Check(said.expect("a check that fails is a value"))]);
            ctx.run_later(interval, Self::check);
        }));
    }

    fn tell(&self, readings: Vec<Reading>) {
        self.supervisor.tell(HealthNews { readings, engine_changed: false });
    }

    /// An engine may be installed, started and stopped while we live.
    fn look_for_engine(&mut self, ctx: &mut Context<Self>) {
        let host = self.host.clone();
        let looked = async move { host.engine.look().await };
        ctx.spawn(looked.into_actor(self).map(|engine_changed, keeper, ctx| {
            if engine_changed {
                keeper.supervisor.tell(HealthNews { readings: Vec::new(), engine_changed });
            }
            ctx.run_later(ENGINE_PAUSE, Self::look_for_engine);
        }));
    }
}

impl Actor for HealthKeeper {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        say_state("Looking");
        self.look(ctx);
        self.check(ctx);
        ctx.run_later(ENGINE_PAUSE, Self::look_for_engine);
    }
}

fn look_at(places: Vec<PathBuf>, counts: bool) -> Vec<Reading> {
    let free = |path: PathBuf| {
        let disk = statvfs(&path).ok()?;
        Some((path, disk.f_bavail.saturating_mul(disk.f_frsize)))
    };
    let mut readings = vec![Reading::Disk(places.into_iter().filter_map(free).collect())];
    readings.extend(sandbox::room::memory().map(Reading::Memory));
    readings.extend(counts.then(|| Reading::Zombies(sandbox::room::zombies() as u64)));
    readings
}
