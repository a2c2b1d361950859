//! Whether a launch-agent lives, and whether it takes tasks: two words for whoever watches it.

use super::Status;

impl Status {
    /// Why it does not live: whoever may should start it again. Jobs do not notice that.
    pub fn is_dead_of(&self) -> Option<String> {
        let silent = self.silent_ms / 1000;
        self.hung.then(|| format!("the Supervisor hangs: no sign of life for {silent} s"))
    }

    /// Why no task comes here, whatever waits. One that has all its slots taken is as ready as can be.
    pub fn is_unready_for(&self) -> Option<String> {
        let host = (self.host != "Serving").then(|| format!("the host is {}", self.host));
        self.is_dead_of().or(host).or_else(|| self.paused.clone()).or_else(|| self.no_token_claims())
    }

    fn no_token_claims(&self) -> Option<String> {
        let reasons: Option<Vec<_>> = self.pollers.iter().map(|poller| poller.reason.clone()).collect();
        reasons.filter(|reasons| !reasons.is_empty()).map(|reasons| reasons.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use crate::status::{Board, Heartbeats, PollerStatus, Standing};
    use std::time::Duration;
    use supervise::Tree;

    fn poller(reason: Option<&str>) -> PollerStatus {
        let reason = reason.map(str::to_owned);
        PollerStatus { class: None, lent: 0, reason, restarts: 0, heartbeats: Heartbeats::default() }
    }

    fn standing(host: &str, paused: Option<&str>, reasons: &[Option<&str>]) -> Standing {
        let pollers = reasons.iter().map(|reason| poller(*reason)).collect();
        Standing {
            host: host.to_owned(),
            slots: 1,
            taken: 1,
            paused: paused.map(str::to_owned),
            pollers,
            ..Standing::default()
        }
    }

    fn check(standing: Standing, unready: Option<&str>) {
        let board = Board::new(Tree::of::<u8>(), "name", "http://plane");
        board.publish(standing);
        let status = board.status();
        assert_eq!(status.is_unready_for().as_deref(), unready);
        assert_eq!(status.is_dead_of(), None);
    }

    #[test]
    fn it_is_ready_as_long_as_one_token_may_claim() {
        check(standing("Serving", None, &[None]), None);
        check(standing("Serving", None, &[Some("refused"), None]), None);
        check(standing("Serving", None, &[]), None);
        check(standing("Serving", None, &[Some("refused"), Some("no route")]), Some("refused; no route"));
        check(standing("Serving", Some("the disk is full"), &[None]), Some("the disk is full"));
        check(standing("Draining", Some("the disk is full"), &[None]), Some("the host is Draining"));
    }

    #[test]
    fn one_whose_supervisor_hangs_is_neither_alive_nor_ready() {
        let board = Board::new(Tree::of::<u8>(), "name", "http://plane");
        board.publish(standing("Serving", None, &[None]));
        board.was_heard_before(Duration::from_secs(60));
        let status = board.status();
        let dead = status.is_dead_of().unwrap();
        assert!(dead.contains("the Supervisor hangs"), "{dead}");
        assert_eq!(status.is_unready_for(), Some(dead));
    }
}
