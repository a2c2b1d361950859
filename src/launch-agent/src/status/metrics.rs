//! The status as Prometheus reads it.

use super::{ActorStatus, Status};
use protocol::exposition::{Family, seconds};
use std::collections::BTreeMap;

/// All metrics of a launch-agent.
pub(super) fn exposition(status: &Status) -> String {
    let mut text = String::new();
    host(&mut text, status);
    counts(&mut text, status);
    tokens(&mut text, status);
    actors(&mut text, &status.tree);
    text
}

fn host(text: &mut String, status: &Status) {
    let mut build = Family::gauge(text, "roundhouse_build", "Always 1; the version of the launch-agent.");
    build.with("version", &status.version, 1);
    Family::gauge(text, "roundhouse_uptime_seconds", "Since the launch-agent's start.")
        .is(seconds(status.uptime_ms));
    let mut state = Family::gauge(text, "roundhouse_host_state", "1 for the state the host is in.");
    for name in ["Serving", "Draining", "Stopping", "Done"] {
        state.with("state", name, u8::from(status.host == name));
    }
    Family::gauge(text, "roundhouse_slots", "The most tasks at once.").is(status.slots);
    Family::gauge(text, "roundhouse_slots_taken", "Slots with a task.").is(status.taken);
    let mut paused =
        Family::gauge(text, "roundhouse_paused", "1 while the host claims nothing, and for what reason.");
    paused.with("reason", status.paused.as_deref().unwrap_or_default(), u8::from(status.paused.is_some()));
    Family::gauge(text, "roundhouse_supervisor_hung", "1 while the Supervisor hangs.")
        .is(u8::from(status.hung));
    let help = "Since the Supervisor's last sign of life.";
    Family::gauge(text, "roundhouse_supervisor_silent_seconds", help).is(seconds(status.silent_ms));
    let help = "By how much the Supervisor's last tick was late: the lag of its event loop.";
    Family::gauge(text, "roundhouse_supervisor_lag_seconds", help).is(seconds(status.lag_ms));
    if let Some(bytes) = status.spool_bytes {
        Family::gauge(text, "roundhouse_spool_bytes", "On disk of the logs of tasks.").is(bytes);
    }
    if let Some(orphans) = &status.orphans {
        let help = "What earlier lives had left, removed at the start.";
        let mut removed = Family::gauge(text, "roundhouse_orphans_removed", help);
        orphans.kinds().iter().for_each(|(kind, count)| removed.with("kind", kind, count));
    }
}

fn counts(text: &mut String, status: &Status) {
    let counts = &status.counts;
    Family::counter(text, "roundhouse_claims_total", "Tasks claimed.").is(counts.claims);
    let help = "Tasks of an earlier life that were gone on with.";
    Family::counter(text, "roundhouse_adoptions_total", help).is(counts.adoptions);
    let mut tasks = Family::counter(text, "roundhouse_tasks_total", "Tasks that are over here, by how.");
    counts.tasks.iter().for_each(|(outcome, count)| tasks.with("outcome", outcome, count));
    Family::counter(text, "roundhouse_uploads_total", "Contents sent to the store.").is(counts.uploads);
    Family::counter(text, "roundhouse_upload_bytes_total", "Their bytes.").is(counts.upload_bytes);
    let help = "Bytes of logs that the control plane acknowledged.";
    Family::counter(text, "roundhouse_log_bytes_total", help).is(counts.log_bytes);
    let help = "How often actors were started again.";
    let mut restarts = Family::counter(text, "roundhouse_actor_restarts_total", help);
    counts.restarts.iter().for_each(|(actor, count)| restarts.with("actor", actor, count));
}

fn tokens(text: &mut String, status: &Status) {
    let class = |index: usize| {
        let class = status.pollers[index].class.as_ref();
        class.map_or_else(|| index.to_string(), ToString::to_string)
    };
    let each = || status.pollers.iter().enumerate();
    let help = "Heartbeats that were answered, by resource class.";
    let mut beats = Family::counter(text, "roundhouse_heartbeats_total", help);
    each().for_each(|(token, poller)| beats.with("class", &class(token), poller.heartbeats.answered));
    let help = "Heartbeats that failed, by resource class.";
    let mut failed = Family::counter(text, "roundhouse_heartbeats_failed_total", help);
    each().for_each(|(token, poller)| failed.with("class", &class(token), poller.heartbeats.failed));
    let help = "Since the last heartbeat that was answered; there is none while no task runs.";
    let mut age = Family::gauge(text, "roundhouse_heartbeat_age_seconds", help);
    for (token, poller) in each() {
        poller.heartbeats.age_ms.into_iter().for_each(|ms| age.with("class", &class(token), seconds(ms)));
    }
}

fn actors(text: &mut String, tree: &ActorStatus) {
    let mut kinds: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let mut all = vec![tree];
    while let Some(actor) = all.pop() {
        let (living, queued) = kinds.entry(&actor.actor).or_default();
        (*living, *queued) = (*living + 1, *queued + actor.queued);
        all.extend(&actor.children);
    }
    let mut living = Family::gauge(text, "roundhouse_actors", "Actors, by kind.");
    kinds.iter().for_each(|(kind, (count, _))| living.with("actor", kind, count));
    let help = "Messages that wait in the mailboxes of actors, by kind.";
    let mut queued = Family::gauge(text, "roundhouse_actor_queued_messages", help);
    kinds.iter().for_each(|(kind, (_, count))| queued.with("actor", kind, count));
}
