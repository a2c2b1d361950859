//! Carries what a job stores and restores, both ways: artifacts, test results, caches, workspace layers, the source.
//!
//! All uploaders of a host share one limit of transfers. What fails because the control plane is away is tried until
//! it is back; what can never succeed is answered with a sentence.

mod carry;
mod parts;
mod received;

use actix::prelude::*;
pub(crate) use carry::Carrier;
use carry::Failure;
use protocol::frame::{Answer, Wanted};
pub(crate) use received::Request;
use std::{collections::VecDeque, fs::File, rc::Rc, time::Duration};
use supervise::{Above, say_state, take_counted};

/// From the task: carry this. A repeat of a number is the same request.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Carry(pub(crate) Request);

/// What the task hears from its uploader.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum UploadNews {
    /// A request is done.
    Answered(Answered),
    /// So many bytes of a large content are with the control plane. A hint.
    Sent {
        /// The request that it is for.
        request: u64,
        /// Of the whole.
        bytes: u64,
    },
    /// The lease is over.
    LeaseLost(String),
}

/// The answer to one request.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) request: u64,
    pub(crate) answer: Answer,
    /// Beside the answer, open for reading at its start.
    pub(crate) file: Option<File>,
}

/// The uploader of one task.
pub(crate) struct ArtifactUploader {
    carrier: Rc<Carrier>,
    task: Above<UploadNews>,
    /// While something is carried the lease is renewed so often.
    renewal: Duration,
    waiting: VecDeque<Request>,
    busy: usize,
}

/// So many requests of one task are under way at once.
const AT_ONCE: usize = 4;
/// So many artifacts are told of in one call.
const BATCH: usize = 64;

impl ArtifactUploader {
    pub(crate) fn new(carrier: Carrier, renewal: Duration, task: Above<UploadNews>) -> Self {
        Self { carrier: Rc::new(carrier), task, renewal, waiting: VecDeque::new(), busy: 0 }
    }

    fn go_on(&mut self, ctx: &mut Context<Self>) {
        while self.busy < AT_ONCE && !self.waiting.is_empty() {
            self.busy += 1;
            let (carrier, batch) = (self.carrier.clone(), self.next_batch());
            let carried = async move { carrier.carry(batch).await };
            ctx.spawn(carried.into_actor(self).map(|carried, uploader, ctx| {
                uploader.busy -= 1;
                uploader.tell(carried);
                uploader.go_on(ctx);
            }));
        }
        say_state(if self.busy == 0 { "Idle" } else { "Carrying" });
    }

    /// A transfer may take longer than a lease, the logs may be sent, and the token of the heartbeats may be refused by
    /// now: asking with the task's own token renews it. What comes of it is heard by the transfer's next call.
    fn renew(&self, ctx: &mut Context<Self>) {
        if self.busy > 0 {
            let client = self.carrier.client.clone();
            ctx.spawn(async move { drop(client.acknowledged().await) }.into_actor(self));
        }
    }

    /// The next request; of artifacts, as many as wait.
    fn next_batch(&mut self) -> Vec<Request> {
        let is_artifact = |request: &Request| matches!(request.wanted(), Wanted::StoreArtifact { .. });
        let artifacts = self.waiting.iter().take(BATCH).take_while(|request| is_artifact(request)).count();
        self.waiting.drain(..artifacts.max(1)).collect()
    }

    fn tell(&self, carried: Result<Vec<Answered>, Failure>) {
        match carried {
            Ok(answers) => {
                answers.into_iter().for_each(|answered| self.task.tell(UploadNews::Answered(answered)))
            }
            Err(Failure::LeaseLost(why)) => self.task.tell(UploadNews::LeaseLost(why)),
        }
    }
}

impl Actor for ArtifactUploader {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.run_interval(self.renewal, |uploader, ctx| uploader.renew(ctx));
    }
}

take_counted!(ArtifactUploader: Carry);

impl Handler<Carry> for ArtifactUploader {
    type Result = ();

    fn handle(&mut self, Carry(request): Carry, ctx: &mut Context<Self>) {
        failpoints::hit("artifact_uploader:carry", self.carrier.lease.task_id);
        self.waiting.push_back(request);
        self.go_on(ctx);
    }
}
