//! Calls with a resource class token: claims and heartbeats.

use crate::{
    bearer::Bearer,
    call::{Call, ClientError, Tries},
    task::TaskClient,
    transport::Link,
};
use awc::http::{Method, StatusCode};
use protocol::http::{Claim, Claimed, ClaimedMany, Heartbeat, HeartbeatAnswer};

/// A launch-agent as the control plane sees it: one token, one resource class.
#[derive(Clone, Debug)]
pub struct Runner {
    link: Link,
    token: Bearer,
}

impl Runner {
    pub(crate) fn new(link: Link, token: &str) -> Self {
        Self { link, token: Bearer::new(token) }
    }

    /// Asks for tasks, held open for `wait_ms`; none came where the list is empty. Tried once: ask again.
    pub async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>, ClientError> {
        let wait = claim.wait_ms.unwrap_or_default();
        let call = self.post("/api/v3/runner/claim").json(claim).held(wait).tries(Tries::Once);
        let answer = call.send(&self.link).await?;
        if answer.status == StatusCode::NO_CONTENT {
            return Ok(Vec::new());
        }
        match claim.max_tasks {
            Some(_) => Ok(answer.read::<ClaimedMany>()?.tasks),
            None => Ok(vec![answer.read()?]),
        }
    }

    /// Renews leases and waits for news of them, at most `wait_ms`. Tried once: ask again.
    pub async fn heartbeat(&self, heartbeat: &Heartbeat) -> Result<HeartbeatAnswer, ClientError> {
        let call = self.post("/api/v3/runner/heartbeat").json(heartbeat);
        call.held(heartbeat.wait_ms).tries(Tries::Once).send(&self.link).await?.read()
    }

    /// Speaks with the token of a claimed task, over the same connections.
    pub fn task(&self, token: &str) -> TaskClient {
        TaskClient::new(self.link.clone(), token)
    }

    fn post(&self, path: &str) -> Call {
        Call::new(Method::POST, path, &self.token)
    }
}
