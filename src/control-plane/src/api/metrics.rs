//! How the control plane stands, as Prometheus reads it.
//!
//! Every label has a bounded set of values: resource classes are made by operators, routes, methods and outcomes by us.

use crate::{
    plane::{Plane, clock::wall_ms},
    tallies::{BOUNDS_MS, Calls, Route},
};
use protocol::{
    ResourceClass,
    exposition::{Family, seconds},
};
use std::collections::BTreeMap;
use store::Outbox;

/// A launch-agent with room claims at least this often.
const LATELY_MS: i64 = 5 * 60 * 1000;

/// All metrics.
pub(super) fn exposition(plane: &Plane) -> String {
    let mut text = String::new();
    itself(&mut text, plane);
    work(&mut text, plane);
    agents(&mut text, plane);
    told(&mut text, plane);
    calls(&mut text, plane);
    text
}

fn itself(text: &mut String, plane: &Plane) {
    let mut build = Family::gauge(text, "roundhouse_build", "Always 1; the version of the control plane.");
    build.with("version", env!("CARGO_PKG_VERSION"), 1);
    let up = plane.clock.moment().now;
    Family::gauge(text, "roundhouse_uptime_seconds", "Since the control plane's start.").is(seconds(up));
}

fn work(text: &mut String, plane: &Plane) {
    let (running, on_hold, tasks) = {
        let core = plane.core();
        let tasks = core.counts().into_iter().map(|(class, counts)| (class.clone(), counts));
        (core.running(), core.on_hold().count(), tasks.collect::<BTreeMap<_, _>>())
    };
    Family::gauge(text, "roundhouse_workflows_running", "Workflows that are not over.").is(running);
    Family::gauge(text, "roundhouse_jobs_on_hold", "Jobs that wait for an approval or a release.")
        .is(on_hold);
    let of = |class: &ResourceClass| tasks.get(class).copied().unwrap_or_default();
    let classes = plane.access.classes();
    let mut queued =
        Family::gauge(text, "roundhouse_tasks_queued", "Tasks that wait for a launch-agent, by class.");
    for row in &classes {
        queued.with("class", row.class.as_str(), of(&row.class).0);
    }
    let mut held =
        Family::gauge(text, "roundhouse_tasks_running", "Tasks that a launch-agent holds, by class.");
    for row in &classes {
        held.with("class", row.class.as_str(), of(&row.class).1);
    }
    let help = "Tasks that are over, by how.";
    let mut ended = Family::counter(text, "roundhouse_tasks_total", help);
    plane.tallies.ends().iter().for_each(|(outcome, count)| ended.with("outcome", outcome, count));
}

fn agents(text: &mut String, plane: &Plane) {
    let mut lately: BTreeMap<ResourceClass, u64> =
        plane.access.classes().into_iter().map(|row| (row.class, 0)).collect();
    let since = wall_ms() - LATELY_MS;
    for (class, row) in plane.instances.all() {
        let counted = lately.get_mut(&class).filter(|_| row.last_connected_ms >= since);
        counted.into_iter().for_each(|count| *count += 1);
    }
    let help =
        "Launch-agents that asked for tasks within the last five minutes, by class; full ones do not ask.";
    let mut agents = Family::gauge(text, "roundhouse_agents", help);
    lately.iter().for_each(|(class, count)| agents.with("class", class.as_str(), count));
}

fn told(text: &mut String, plane: &Plane) {
    let statuses = "Tries to tell a provider how a commit stands, by what came of them.";
    let webhooks = "Tries to tell what ended by webhooks, by what came of them.";
    for (of, name, help) in [
        (Outbox::Statuses, "roundhouse_commit_statuses_total", statuses),
        (Outbox::Events, "roundhouse_webhooks_total", webhooks),
    ] {
        let mut told = Family::counter(text, name, help);
        for outcome in ["told", "failed", "given_up"] {
            told.with("outcome", outcome, plane.tallies.how_often(of, outcome));
        }
    }
}

fn calls(text: &mut String, plane: &Plane) {
    let help = "Calls that are being answered, those held open too.";
    Family::gauge(text, "roundhouse_requests_open", help).is(*plane.calls.borrow());
    let all = plane.tallies.calls();
    let help = "Calls that were answered, by route, method and status.";
    let mut answers = Family::counter(text, "roundhouse_requests_total", help);
    for ((route, method), calls) in &all {
        for (status, count) in &calls.answers {
            let (route, status) = (plain(route), status.to_string());
            answers.sample("", &[("route", &route), ("method", method), ("status", &status)], count);
        }
    }
    let help = "How long calls took to be answered, by route and method.";
    let mut took = Family::histogram(text, "roundhouse_request_seconds", help);
    all.iter().for_each(|(route, calls)| times(&mut took, route, calls));
}

fn times(took: &mut Family<'_>, (route, method): &Route, calls: &Calls) {
    let route = plain(route);
    let mut reached = 0;
    for (bound, count) in BOUNDS_MS.iter().zip(calls.within) {
        reached += count;
        let bound = seconds(*bound);
        took.sample("_bucket", &[("route", &route), ("method", method), ("le", &bound)], reached);
    }
    let all: u64 = calls.answers.values().sum();
    took.sample("_bucket", &[("route", &route), ("method", method), ("le", "+Inf")], all);
    let sum = format!("{}.{:06}", calls.micros / 1_000_000, calls.micros % 1_000_000);
    took.sample("_sum", &[("route", &route), ("method", method)], sum);
    took.sample("_count", &[("route", &route), ("method", method)], all);
}

/// A pattern without what its parts look like: `{id:[0-9]+}` is `{id}`.
fn plain(pattern: &str) -> String {
    let (mut depth, mut is_told) = (0_u32, true);
    let mut kept = |c: char| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ':' if depth == 1 => is_told = false,
            _ => {}
        }
        is_told |= depth == 0;
        is_told
    };
    pattern.chars().filter(|c| kept(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_named_without_what_its_parts_look_like() {
        for (pattern, name) in [
            ("/api/v2/pipeline/{id}", "/api/v2/pipeline/{id}"),
            ("/api/v2/project/{slug:.+}/job/{number:[0-9]+}", "/api/v2/project/{slug}/job/{number}"),
            ("/api/v3/source/{project:.+}/{digest:[0-9a-f]{64}}", "/api/v3/source/{project}/{digest}"),
            ("none", "none"),
        ] {
            assert_eq!(plain(pattern), name);
        }
    }
}
