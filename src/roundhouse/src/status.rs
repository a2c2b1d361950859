//! `roundhouse status`: how a launch-agent of this machine stands, drawn once or live.

mod tree;

use crate::{
    arguments,
    failure::{Failure, OrFail},
    follow::words::Paint,
    say,
};
use console::{Term, truncate_str};
use launch_agent::{
    config::{self, ConfigErrors},
    status::{Status, ask},
};
use std::{io, path::PathBuf, thread, time::Duration};

/// How often it is looked at anew.
const AGAIN: Duration = Duration::from_secs(1);

/// Shows how the launch-agent of this state directory stands; where none runs, that is the failure.
pub(crate) fn status(options: &arguments::Status) -> Result<(), Failure> {
    let state = state_dir(options)?;
    let term = Term::stdout();
    let is_live = options.watch && term.is_term() && !options.json;
    if is_live {
        say::print("\u{1b}[2J")?;
    }
    loop {
        let status = ask(&state).or_machinery("there is no status")?;
        let text = text(options, &status)?;
        say::print(if is_live { frame(&term, &text) } else { text })?;
        if !options.watch {
            return Ok(());
        }
        thread::sleep(AGAIN);
    }
}

fn text(options: &arguments::Status, status: &Status) -> Result<String, Failure> {
    if !options.json {
        return Ok(tree::drawn(status, Paint::of(&io::stdout())));
    }
    let json =
        if options.watch { serde_json::to_string(status) } else { serde_json::to_string_pretty(status) };
    Ok(json.or_machinery("cannot write the document")? + "\n")
}

/// Over what was there, without a moment of nothing; what the window has no room for is cut.
fn frame(term: &Term, text: &str) -> String {
    let (rows, columns) = term.size();
    let room = usize::from(rows).saturating_sub(1).max(1);
    let lines: Vec<_> = text.lines().collect();
    let mut frame = String::from("\u{1b}[H");
    for line in lines.iter().take(room) {
        frame += &format!("{}\u{1b}[K\n", truncate_str(line, usize::from(columns), "…"));
    }
    if lines.len() > room {
        frame += &format!("… {} lines more\u{1b}[K", lines.len() - room);
    }
    frame + "\u{1b}[J"
}

/// As named, or as the configuration says that was named, or where a launch-agent keeps it by itself.
fn state_dir(options: &arguments::Status) -> Result<PathBuf, Failure> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(named) = &options.state_dir {
        return Ok(named.clone());
    }
    let file =
        options.config.clone().or_else(|| variable("ROUNDHOUSE_LAUNCH_AGENT_CONFIG").map(PathBuf::from));
    if let Some(file) = file {
        let loaded = config::load(Some(&file), &config::environment()).map_err(|ConfigErrors(errors)| {
            Failure::configuration("the launch-agent's configuration is wrong", errors)
        })?;
        return Ok(loaded.settings.state_dir);
    }
    let named = variable("ROUNDHOUSE_RUNNER_STATE_DIRECTORY").map(PathBuf::from);
    named.or_else(|| config::default_state_directory(variable)).ok_or_else(|| {
        Failure::usage("there is no HOME to look for a launch-agent in: give --state-dir DIR or -c CONFIG")
    })
}
