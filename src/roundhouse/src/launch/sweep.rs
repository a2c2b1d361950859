//! `roundhouse launch-agent --sweep`: ends and clears away what a launch-agent left that is not coming back.

use super::{ended, log};
use crate::{
    connect::block_on,
    failure::{Failure, OrFail},
    orders::Orders,
    say,
};
use launch_agent::{EndOrder, config::Settings};
use slog::{info, warn};

/// Ends every task of the state directory: TERM, the grace, KILL; or waits for them, in the place of a launch-agent that
/// did and died of it. What they printed and how they ended is told as far as the control plane hears it.
pub(super) fn sweep(settings: Settings) -> Result<(), Failure> {
    let order = order(|name| std::env::var(name).ok(), launch_agent::unfinished(&settings));
    let order = match order {
        Ok(order) => order,
        Err(why) => {
            say::note(format_args!("roundhouse: nothing is swept: {why}"));
            return Ok(());
        }
    };
    block_on(async move {
        let log = log(&settings.logging)?;
        launch_agent::log_panics(&log);
        let mut orders = Orders::listen().or_machinery("cannot listen to signals")?;
        let handle = launch_agent::sweep(settings, log.clone(), order).or_machinery("cannot sweep")?;
        if order == EndOrder::Drain {
            info!(log, "the launch-agent died while it waited for its tasks; waiting for them in its place");
        }
        loop {
            tokio::select! {
                end = handle.finished() => return ended(end),
                _ = orders.next(true) => {
                    warn!(log, "ending every task now");
                    handle.stop_now();
                }
            }
        }
    })
}

/// systemd runs this after every end of the service and says how that was. Where the main process did not stop in time and
/// was killed for it, its tasks are nobody's. Where it died of something else while it was stopping, no start may follow, so
/// that goes on. After any other end the next launch-agent adopts what is left.
fn order(
    variable: impl Fn(&str) -> Option<String>,
    unfinished: Option<EndOrder>,
) -> Result<EndOrder, String> {
    let Some(result) = variable("SERVICE_RESULT") else { return Ok(EndOrder::Stop) };
    if result == "timeout" && variable("EXIT_STATUS").as_deref() == Some("KILL") {
        return Ok(EndOrder::Stop);
    }
    let spared = || format!("the service ended with `{result}`; the next launch-agent adopts what is left");
    unfinished.ok_or_else(spared)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(result: Option<&str>, status: &str, unfinished: Option<EndOrder>) -> Result<EndOrder, String> {
        let variable = |name: &str| match name {
            "SERVICE_RESULT" => result.map(str::to_owned),
            _ => Some(status.to_owned()),
        };
        order(variable, unfinished)
    }

    #[test]
    fn what_was_killed_while_it_was_stopped_is_swept_and_what_the_next_one_adopts_is_not() {
        assert_eq!(of(None, "0", None), Ok(EndOrder::Stop), "by hand");
        assert_eq!(of(Some("timeout"), "KILL", Some(EndOrder::Drain)), Ok(EndOrder::Stop));
        for (result, status) in [
            ("success", "0"),
            ("signal", "KILL"),
            ("oom-kill", "KILL"),
            ("watchdog", "ABRT"),
            ("timeout", "ABRT"),
        ] {
            assert!(of(Some(result), status, None).unwrap_err().contains(result));
        }
    }

    #[test]
    fn an_end_that_was_broken_off_goes_on_as_it_was_meant() {
        for order in [EndOrder::Drain, EndOrder::Stop] {
            assert_eq!(of(Some("core-dump"), "SEGV", Some(order)), Ok(order));
        }
    }
}
