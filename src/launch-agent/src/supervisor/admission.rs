//! Whether the host takes more tasks: what its HealthKeeper finds, and what follows from it.

use super::{Member, Supervisor, TOLERANCE, rest_after};
use crate::{
    config::Settings,
    health::{
        HealthKeeper, HealthNews,
        verdict::{Bounds, Health, Reading},
    },
};
use actix::prelude::*;
use slog::{info, warn};
use std::time::{Duration, Instant};
use supervise::{Above, Child, Home, Seat, start};

/// The host's health, and who looks at it.
pub(super) struct Admission {
    health: Health,
    keeper: Option<Child<HealthKeeper>>,
    /// Held as long as the actor is; dropped after it.
    home: Option<Home>,
    seat: Seat,
    /// When the last word came.
    heard: Instant,
}

/// So long without a word is a reason to claim nothing.
const SILENCE: Duration = Duration::from_secs(30);

impl Admission {
    pub(super) fn new(settings: &Settings) -> Self {
        let bounds = Bounds {
            min_free: settings.min_free,
            min_memory: settings.min_memory,
            max_zombies: settings.max_zombies as u64,
        };
        Self {
            health: Health::unknown(bounds, !settings.health_check.is_empty()),
            keeper: None,
            home: None,
            seat: Seat::new::<HealthKeeper>("", TOLERANCE),
            heard: Instant::now(),
        }
    }

    /// Whether tasks may be claimed.
    pub(super) fn is_open(&self) -> bool {
        self.health.is_good()
    }

    /// Why none are, where the host is the reason.
    pub(super) fn why_closed(&self) -> Option<String> {
        self.health.why()
    }
}

impl Supervisor {
    pub(super) fn start_health_keeper(&mut self, ctx: &mut Context<Self>) {
        let home = match Home::new() {
            Ok(home) => home,
            Err(error) => return self.health_keeper_failed(&error.to_string(), ctx),
        };
        let (host, above) = (self.host.clone(), Above::of(ctx));
        let make = move |_: &mut _| HealthKeeper::new(host, above);
        self.admission.keeper =
            Some(start(ctx, &self.admission.seat, home.arbiter(), Member::HealthKeeper, make));
        self.admission.home = Some(home);
    }

    pub(super) fn health_keeper_failed(&mut self, cause: &str, ctx: &mut Context<Self>) {
        warn!(self.host.log, "the HealthKeeper failed"; "cause" => cause);
        let (pause, is_parked) = rest_after(&mut self.admission.seat, cause);
        (self.admission.keeper, self.admission.home) = (None, None);
        if is_parked {
            self.weigh(Reading::Silence(self.admission.heard.elapsed()));
        }
        ctx.run_later(pause, Self::start_health_keeper);
    }

    /// A HealthKeeper that looks at a disk that does not answer says nothing.
    pub(super) fn notice_silence(&mut self) {
        let silence = self.admission.heard.elapsed();
        if silence >= SILENCE {
            self.weigh(Reading::Silence(silence));
        }
    }

    /// Told when a reason comes and when the last is gone, not at each look: the numbers change all the time. No claim is
    /// held open from a reason on.
    fn weigh(&mut self, reading: Reading) {
        let change = self.admission.health.take(reading);
        if !change.began.is_empty() {
            self.withdraw_claims();
        }
        for reason in change.began {
            warn!(self.host.log, "claiming nothing"; "because" => reason);
        }
        if change.is_over {
            info!(self.host.log, "claiming again");
        }
    }
}

impl Handler<HealthNews> for Supervisor {
    type Result = ();

    fn handle(&mut self, HealthNews { readings, engine_changed }: HealthNews, _: &mut Context<Self>) {
        failpoints::hit("supervisor:health_news", None);
        self.admission.heard = Instant::now();
        readings.into_iter().for_each(|reading| self.weigh(reading));
        if engine_changed {
            info!(self.host.log, "jobs in containers"; "engine" => ?self.host.engine.get());
            // They are asked for, or not, with the next claim.
            self.withdraw_claims();
        }
        self.lend();
    }
}
