//! `roundhouse status`: how a launch-agent of this machine stands, drawn once or live.

mod live;
mod tree;

use crate::{
    arguments,
    connect::block_on,
    failure::{Failure, OrFail},
    follow::words::Paint,
    say,
};
use launch_agent::{
    config::{self, ConfigErrors},
    status::{Status, ask},
};
use protocol::exit;
use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    thread,
    time::Duration,
};

/// How often it is looked at anew.
const AGAIN: Duration = Duration::from_secs(1);

/// Shows how the launch-agent of this state directory stands; where none runs, that is the failure.
pub(crate) fn status(options: &arguments::Status) -> Result<u8, Failure> {
    let state = state_dir(options)?;
    if options.watch && io::stdout().is_terminal() && !options.json {
        return block_on(live::watch(state));
    }
    loop {
        let status = ask(&state).or_machinery("there is no status")?;
        say::print(text(options, &status)?)?;
        if !options.watch {
            return Ok(exit::SUCCESS);
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
