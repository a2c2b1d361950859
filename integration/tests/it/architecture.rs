//! The rules of the house that no compiler holds: who may use whom, how long things may be, what they may be called.

mod edges;
mod source;

use edges::{Workspace, programs_tree};
use source::{File, Function, files, words};
use std::collections::{BTreeMap, BTreeSet};

/// Who may use whom, from the bottom up. Binaries and the tests' crates may use what they like, and nobody uses them.
const ROOMS: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("yaml", &[]),
    ("masking", &[]),
    ("junit", &["protocol"]),
    ("archive", &[]),
    ("failpoints", &["protocol"]),
    ("supervise", &[]),
    ("sandbox", &[]),
    ("containers", &["protocol", "sandbox"]),
    ("snapshot", &["archive"]),
    ("compiler", &["protocol", "yaml"]),
    ("orbs", &["compiler", "yaml"]),
    ("policies", &["protocol", "yaml"]),
    ("client", &["protocol"]),
    ("store", &["protocol", "failpoints"]),
    ("blobs", &["protocol", "failpoints"]),
    ("task-agent", &["protocol", "masking", "junit", "archive", "sandbox", "failpoints"]),
    (
        "launch-agent",
        &["protocol", "yaml", "client", "supervise", "sandbox", "containers", "archive", "failpoints"],
    ),
    ("control-plane", &["protocol", "masking", "compiler", "policies", "store", "blobs", "failpoints"]),
    ("fakes", &["protocol", "sandbox"]),
];

/// What only some rooms may speak.
const LANGUAGES: &[(&str, &[&str])] = &[
    ("sqlx", &["store"]),
    ("awc", &["client"]),
    ("bollard", &["containers"]),
    ("actix-web", &["control-plane", "fakes"]),
    ("actix", &["supervise", "launch-agent"]),
    ("nix", &["sandbox"]),
    ("granit-parser", &["yaml"]),
    ("regorus", &["policies"]),
    ("clap", &["roundhouse"]),
    ("indicatif", &["roundhouse"]),
];

/// What must never come into the small static program that runs beside every job. It answers one call by TLS, so that
/// library is in it; the authorities by which a client trusts others are not.
const NOT_IN_THE_TASK_AGENT: &[&str] = &[
    "tokio",
    "actix",
    "actix-rt",
    "actix-web",
    "awc",
    "rustls-native-certs",
    "webpki-roots",
    "sqlx",
    "slog",
    "bollard",
];
/// How a program reaches for another over a network.
const REACHING_OUT: &[&str] = &["TcpStream::connect", "UdpSocket", "ClientConnection", "ClientConfig"];

#[test]
fn every_room_uses_only_what_it_may() {
    let workspace = Workspace::read();
    for (room, uses) in workspace.edges() {
        let Some((_, may)) = ROOMS.iter().find(|(name, _)| *name == room) else { continue };
        let wrong: Vec<_> = uses.iter().filter(|used| !may.contains(&used.as_str())).collect();
        assert!(wrong.is_empty(), "{room} may use {may:?}, but uses {wrong:?}");
    }
}

#[test]
fn every_room_has_its_place_in_the_house() {
    let known: BTreeSet<_> = ROOMS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let programs = ["roundhouse", "integration", "chaos"].map(str::to_owned).into();
    let there: BTreeSet<_> = Workspace::read().edges().into_keys().collect();
    assert_eq!(there, &known | &programs, "a new crate needs its line in ROOMS");
}

#[test]
fn nothing_depends_on_a_program_and_only_tests_on_the_fakes() {
    for (room, uses) in Workspace::read().edges() {
        for program in ["roundhouse", "task-agent", "integration", "chaos", "fakes"] {
            assert!(!uses.contains(program), "{room} uses {program}");
        }
    }
}

#[test]
fn only_the_room_that_speaks_a_language_has_its_library() {
    for (room, libraries) in Workspace::read().libraries() {
        for (library, speakers) in LANGUAGES {
            let may = speakers.contains(&room.as_str());
            assert!(
                may || !libraries.contains(*library),
                "{room} uses {library}, which belongs to {speakers:?}"
            );
        }
    }
}

#[test]
fn the_task_agent_has_no_network_client_and_no_actors() {
    let tree = programs_tree("task-agent");
    let wrong: Vec<_> = NOT_IN_THE_TASK_AGENT.iter().filter(|library| tree.contains(**library)).collect();
    assert!(wrong.is_empty(), "the task-agent has {wrong:?} in it");
    let sources = files().into_iter().filter(|file| file.path.starts_with("src/task-agent/src/"));
    let reaching = sources.flat_map(|file| {
        let lines = file.code().filter(|(_, code)| REACHING_OUT.iter().any(|word| code.contains(word)));
        lines.map(|(line, code)| format!("{}:{line}: {code}", file.path)).collect::<Vec<_>>()
    });
    none("what crosses the network for a job is the launch-agent's to carry", reaching);
}

#[track_caller]
fn none(rule: &str, broken: impl Iterator<Item = String>) {
    let broken: Vec<_> = broken.collect();
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

#[test]
fn no_file_is_500_lines_long() {
    let long = files().into_iter().filter(|file| file.lines().count() >= 500);
    none("split them", long.map(|file| format!("{}: {} lines", file.path, file.lines().count())));
}

#[test]
fn every_file_opens_with_a_sentence() {
    let silent = files().into_iter().filter(|file| !file.text.starts_with("//! "));
    none("what are they about?", silent.map(|file| file.path));
}

fn functions() -> Vec<(File, Function)> {
    let files = files().into_iter();
    files
        .flat_map(|file| file.functions().into_iter().map(move |function| (file.clone(), function)))
        .collect()
}

#[test]
fn no_function_is_over_50_lines_and_half_have_8_at_most() {
    let functions = functions();
    let long = functions.iter().filter(|(_, function)| function.lines > 50);
    none(
        "split them",
        long.map(|(file, f)| format!("{}:{} {}: {} lines", file.path, f.line, f.name, f.lines)),
    );
    let mut lengths: Vec<_> = functions.iter().map(|(_, function)| function.lines).collect();
    lengths.sort_unstable();
    assert!(lengths[lengths.len() / 2] <= 8, "the median is {}", lengths[lengths.len() / 2]);
}

#[test]
fn unsafe_is_said_in_the_sandbox_alone() {
    let elsewhere = files().into_iter().filter(|file| !file.path.starts_with("src/sandbox/"));
    let said = elsewhere.flat_map(|file| {
        let lines = file.code().filter(|(_, code)| {
            code.split(|c: char| !c.is_alphanumeric() && c != '_')
                .any(|word| ["unsafe", "unsafe_code"].contains(&word))
        });
        lines.map(|(line, code)| format!("{}:{line}: {code}", file.path)).collect::<Vec<_>>()
    });
    none("move it into `sandbox`", said);
}

#[test]
fn every_message_to_every_actor_is_a_place_where_a_test_has_it_fail() {
    let actors = files().into_iter().filter(|file| file.path.starts_with("src/launch-agent/src/"));
    let deaf = actors.flat_map(|file| {
        let handlers = file.text.split("\nimpl Handler<").skip(1);
        let without = handlers
            .filter(|handler| !handler.lines().take(6).any(|line| line.contains("failpoints::hit(\"")));
        without
            .map(|handler| format!("{}: {}", file.path, handler.lines().next().unwrap_or_default()))
            .collect::<Vec<_>>()
    });
    none("begin with `failpoints::hit(\"<actor>:<message>\", task)`", deaf);
    let struck = source::read("integration/chaos/src/fault.rs");
    let places = files().into_iter().filter(|file| file.path.starts_with("src/launch-agent/src/"));
    let unknown = places.flat_map(|file| {
        let hits: Vec<_> = file.text.split("failpoints::hit(").skip(1).map(str::to_owned).collect();
        hits.into_iter().filter_map(|hit| Some(format!("\"{}\"", hit.split('"').nth(1)?)))
    });
    none("the chaos suite strikes there", unknown.filter(|place| !struck.contains(place)));
}

/// Names that say nothing.
const EMPTY_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "common", "manager", "misc"];

#[test]
fn nothing_is_called_by_an_empty_name() {
    let files = files();
    let called = files.iter().filter(|file| says_nothing(file.stem()));
    none("rename the file", called.map(|file| file.path.clone()));
    let declared = files.iter().flat_map(|file| {
        let names = file.declared().into_iter().filter(|(_, name)| says_nothing(name));
        names.map(|(line, name)| format!("{}:{line}: {name}", file.path))
    });
    none("rename what is declared", declared);
}

fn says_nothing(name: &str) -> bool {
    words(name).iter().any(|word| EMPTY_NAMES.contains(&word.as_str()))
}

#[test]
fn no_lint_is_silenced_without_a_reason_and_nothing_is_left_for_later() {
    let marks = ["#[allow(", "#![allow(", "todo!(", "unimplemented!(", "dbg!("];
    let left = files().into_iter().filter(|file| !file.path.ends_with("architecture.rs")).flat_map(|file| {
        let lines = file.code().filter(|(_, code)| marks.iter().any(|mark| code.contains(mark)));
        let code: Vec<_> = lines.map(|(line, code)| format!("{}:{line}: {code}", file.path)).collect();
        code.into_iter().chain(file.postponed())
    });
    none("do it, or refuse it by name", left);
}

#[test]
fn the_map_of_the_house_is_its_crates() {
    let map = source::read("src/README.md");
    let missing: BTreeMap<_, _> = Workspace::read()
        .edges()
        .into_iter()
        .filter(|(room, _)| room != "integration" && !map.contains(&format!("`{room}`")))
        .collect();
    assert!(missing.is_empty(), "src/README.md does not know {:?}", missing.keys());
}
