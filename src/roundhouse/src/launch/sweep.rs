//! `roundhouse launch-agent --sweep`: ends and clears away what a launch-agent left that is not coming back.

use super::{ended, log};
use crate::{
    connect::block_on,
    failure::{Failure, OrFail},
    say,
};
use launch_agent::config::Settings;

/// Ends every task of the state directory: TERM, the grace, KILL. What they printed and how they ended is told as far as the
/// control plane hears it.
pub(super) fn sweep(settings: Settings) -> Result<(), Failure> {
    if let Some(why) = is_spared(|name| std::env::var(name).ok()) {
        say::note(format_args!("roundhouse: nothing is swept: {why}"));
        return Ok(());
    }
    block_on(async move {
        let log = log(&settings.logging)?;
        launch_agent::log_panics(&log);
        let handle = launch_agent::sweep(settings, log.clone()).or_machinery("cannot sweep")?;
        ended(handle.finished().await)
    })
}

/// systemd runs this after every end of the service and says how that was. Only where the main process did not stop in time
/// and was killed for it are its tasks nobody's: after any other end the next launch-agent adopts what is left.
fn is_spared(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let result = variable("SERVICE_RESULT")?;
    let is_killed_while_stopping = result == "timeout" && variable("EXIT_STATUS").as_deref() == Some("KILL");
    let why = || format!("the service ended with `{result}`; the next launch-agent adopts what is left");
    (!is_killed_while_stopping).then(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_killed_while_it_was_stopped_is_swept() {
        let spared = |result: Option<&str>, status: &str| {
            is_spared(|name| match name {
                "SERVICE_RESULT" => result.map(str::to_owned),
                _ => Some(status.to_owned()),
            })
        };
        assert_eq!(spared(None, "0"), None, "by hand");
        assert_eq!(spared(Some("timeout"), "KILL"), None);
        for (result, status) in [
            ("success", "0"),
            ("signal", "KILL"),
            ("oom-kill", "KILL"),
            ("watchdog", "ABRT"),
            ("timeout", "ABRT"),
        ] {
            assert!(spared(Some(result), status).unwrap().contains(result));
        }
    }
}
