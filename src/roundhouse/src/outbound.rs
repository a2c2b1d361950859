//! The calls of a control plane to others, by the client that all of this program has.

use crate::failure::{Failure, OrFail};
use client::{Messenger, Proxies};
use control_plane::{Answering, Outbound, Post, Reply};

/// Calls through the proxies of the environment.
#[derive(Debug)]
pub(crate) struct Caller(Messenger);

impl Caller {
    /// Connects to nothing yet.
    pub(crate) fn of_environment() -> Result<Self, Failure> {
        let proxies = Proxies::from_environment().or_usage("the proxy of the environment")?;
        Ok(Self(Messenger::new(proxies).or_machinery("cannot set up calls to others")?))
    }
}

impl Outbound for Caller {
    fn post<'a>(&'a self, post: &'a Post) -> Answering<'a> {
        Box::pin(async move {
            let body = post.body.clone().into();
            let answered = self.0.post(&post.url, &post.headers, body, post.verify_tls).await;
            let reply = answered.map_err(|error| error.to_string())?;
            Ok(Reply { status: reply.status, pause: reply.pause, body: reply.body })
        })
    }
}
