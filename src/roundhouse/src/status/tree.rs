//! The status as text: the host in a few lines, then its actors as a tree.

use crate::follow::words::{Paint, counted, elapsed, shown, size};
use console::measure_text_width;
use launch_agent::status::{ActorStatus, Orphans, PollerStatus, Status};

/// Everything, with its line ends.
pub(super) fn drawn(status: &Status, paint: Paint) -> String {
    let mut lines = host(status, paint);
    lines.extend(status.pollers.iter().map(|poller| token(poller, paint)));
    lines.push(String::new());
    lines.extend(table(&status.tree, paint));
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn host(status: &Status, paint: Paint) -> Vec<String> {
    let name = paint.bold(&shown(&status.name));
    let mut lines = vec![
        format!(
            "{name}: launch-agent {} (pid {}), up {}, at {}",
            status.version,
            status.pid,
            elapsed(status.uptime_ms / 1000),
            shown(&status.control_plane)
        ),
        format!(
            "{}, {} of {} taken{}",
            status.host,
            status.taken,
            counted(status.slots, "slot"),
            done(status)
        ),
    ];
    if status.hung {
        let silent = elapsed(status.silent_ms / 1000);
        lines.push(
            paint.alarm(&format!("the Supervisor has hung for {silent}: this is what was last known of it")),
        );
    }
    if let Some(why) = &status.paused {
        lines.push(paint.alarm(&format!("claims nothing: {}", shown(why))));
    }
    lines.extend(removed(status).map(|what| format!("left by earlier lives, removed at the start: {what}")));
    lines
}

/// What earlier lives had left, if anything.
fn removed(status: &Status) -> Option<String> {
    let found = status.orphans.iter().flat_map(Orphans::kinds).filter(|(_, count)| *count > 0);
    let found: Vec<_> = found.map(|(kind, count)| format!("{kind}: {count}")).collect();
    (!found.is_empty()).then(|| found.join(", "))
}

fn done(status: &Status) -> String {
    let over = status.counts.tasks.iter().map(|(outcome, count)| format!("{count} {outcome}"));
    let over: Vec<_> = over.collect();
    let spooled = status.spool_bytes.map_or(String::new(), |bytes| format!(", {} spooled", size(bytes)));
    match over.as_slice() {
        [] => spooled,
        over => format!("; over: {}{spooled}", over.join(", ")),
    }
}

fn token(poller: &PollerStatus, paint: Paint) -> String {
    let class = poller.class.as_ref().map_or_else(|| "its token's class".to_owned(), ToString::to_string);
    let beats = match (poller.heartbeats.age_ms, &poller.heartbeats.failure) {
        (None, None) => "no heartbeat yet".to_owned(),
        (None, Some(failure)) => format!("no heartbeat yet: {}", shown(&failure.message)),
        (Some(ms), _) => format!("last heartbeat {} ago", elapsed(ms / 1000)),
    };
    let line = format!("{class}: {} lent to its claim, {beats}", counted(poller.lent, "slot"));
    match &poller.reason {
        Some(why) => format!("{line}; {}", paint.alarm(&shown(why))),
        None => line,
    }
}

/// The tree with its columns. A failure stands below its actor.
fn table(tree: &ActorStatus, paint: Paint) -> Vec<String> {
    let mut rows = Vec::new();
    branch(tree, "", "", &mut rows);
    let width = |column: usize| rows.iter().map(|row| row.width(column)).max().unwrap_or(0);
    let (actor, state) = (width(0).max("ACTOR".len()), width(1).max("STATE".len()));
    let mut lines = vec![paint.dim(&format!(
        "{:actor$}  {:state$}  {:>8}  {:>8}  {:>6}",
        "ACTOR", "STATE", "FOR", "RESTARTS", "QUEUED"
    ))];
    lines.extend(rows.iter().map(|row| row.drawn(actor, state, paint)));
    lines
}

enum Row {
    Actor { name: String, state: String, since: String, restarts: u64, queued: u64 },
    Failure(String),
}

/// A long state, with a sentence in it, is cut here.
const LONGEST_STATE: usize = 48;

fn branch(actor: &ActorStatus, own: &str, below: &str, rows: &mut Vec<Row>) {
    let name = shown(&actor.name);
    rows.push(Row::Actor {
        name: format!("{own}{} {name}", actor.actor).trim_end().to_owned(),
        state: console::truncate_str(&shown(&actor.state), LONGEST_STATE, "…").into_owned(),
        since: elapsed(actor.since_ms / 1000),
        restarts: actor.restarts,
        queued: actor.queued,
    });
    if let Some(failure) = &actor.failure {
        let bar = if actor.children.is_empty() { "   " } else { "│  " };
        let ago = elapsed(failure.ago_ms / 1000);
        rows.push(Row::Failure(format!("{below}{bar}failed {ago} ago: {}", shown(&failure.message))));
    }
    for (place, child) in actor.children.iter().enumerate() {
        let is_last = place + 1 == actor.children.len();
        let (own, next) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        branch(child, &format!("{below}{own}"), &format!("{below}{next}"), rows);
    }
}

impl Row {
    fn width(&self, column: usize) -> usize {
        match (self, column) {
            (Self::Actor { name, .. }, 0) => measure_text_width(name),
            (Self::Actor { state, .. }, _) => measure_text_width(state),
            (Self::Failure(_), _) => 0,
        }
    }

    fn drawn(&self, actor: usize, wide: usize, paint: Paint) -> String {
        match self {
            Self::Failure(text) => paint.alarm(text),
            Self::Actor { name, state, since, restarts, queued } => {
                let (name, state) = (padded(name, actor), padded(state, wide));
                format!("{name}  {state}  {since:>8}  {restarts:>8}  {queued:>6}")
            }
        }
    }
}

fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(measure_text_width(text))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use launch_agent::status::{Counts, Failure, Heartbeats};

    fn actor(kind: &str, name: &str, state: &str, children: Vec<ActorStatus>) -> ActorStatus {
        ActorStatus {
            actor: kind.to_owned(),
            name: name.to_owned(),
            state: state.to_owned(),
            since_ms: 62_000,
            restarts: 0,
            queued: 0,
            handled: 7,
            failure: None,
            children,
        }
    }

    fn status() -> Status {
        let mut streamer = actor("LogStreamer", "", "Streaming", Vec::new());
        streamer.failure = Some(Failure { message: "disk\u{1b}[2J full".to_owned(), ago_ms: 3_000 });
        (streamer.restarts, streamer.queued) = (2, 11);
        let task = actor("TaskActor", "0197", "Running", vec![streamer]);
        let health = actor("HealthKeeper", "", "Looking", Vec::new());
        let tree = vec![health, actor("Poller", "acme/linux", "Asking", Vec::new()), task];
        let heartbeats = Heartbeats { answered: 3, failed: 0, age_ms: Some(4_000), failure: None };
        let poller = PollerStatus {
            class: Some("acme/linux".parse().unwrap()),
            lent: 1,
            reason: None,
            restarts: 0,
            heartbeats,
        };
        Status {
            version: "1.2.3".to_owned(),
            name: "build-1".to_owned(),
            pid: 42,
            control_plane: "http://127.0.0.1:8811".to_owned(),
            uptime_ms: 3_780_000,
            host: "Serving".to_owned(),
            hung: false,
            silent_ms: 200,
            lag_ms: 0,
            slots: 2,
            taken: 1,
            paused: None,
            pollers: vec![poller],
            tasks: Vec::new(),
            tree: actor("Supervisor", "", "Serving", tree),
            counts: Counts { tasks: [("success".to_owned(), 5)].into(), ..Counts::default() },
            spool_bytes: Some(4096),
            orphans: Some(Orphans { processes: 3, probes: 1, ..Orphans::default() }),
        }
    }

    #[test]
    fn every_actor_is_drawn_below_its_parent_with_its_last_failure() {
        insta::assert_snapshot!(drawn(&status(), Paint::PLAIN));
    }

    #[test]
    fn a_supervisor_that_hangs_and_a_host_that_pauses_are_said_first() {
        let mut status = status();
        (status.hung, status.silent_ms) = (true, 9_000);
        status.paused = Some("the disk is full".to_owned());
        status.orphans = Some(Orphans::default());
        status.pollers[0].reason = Some("the token is refused".to_owned());
        let text = drawn(&status, Paint::PLAIN);
        let lines: Vec<_> = text.lines().skip(2).take(3).collect();
        assert_eq!(
            lines,
            [
                "the Supervisor has hung for 9s: this is what was last known of it",
                "claims nothing: the disk is full",
                "acme/linux: 1 slot lent to its claim, last heartbeat 4s ago; the token is refused",
            ]
        );
    }
}
