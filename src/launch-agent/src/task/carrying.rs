//! A task's own two children: what they report, and how they are started again.

use super::{TaskActor, state::TaskEvent};
use crate::{
    artifact_uploader::{Answered, ArtifactUploader, Carrier, Carry, Request, UploadNews},
    log_streamer::{self, DrainLogs, LogStreamer, StreamNews},
    task::state::TaskState,
};
use actix::prelude::*;
use protocol::{frame::ToTaskAgent, http::Lease};
use std::time::Duration;
use supervise::{Above, Child, ChildExited, Seat, Verdict, start_beside};

/// A child of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Logs,
    Uploads,
}

impl TaskActor {
    fn lease(&self) -> Lease {
        Lease { task_id: self.task, epoch: self.parts.record.claimed.epoch }
    }

    /// How often the lease is renewed with the task's own token while nothing else is said to the control plane.
    fn renewal(&self) -> Duration {
        log_streamer::renewal(Duration::from_millis(self.parts.record.claimed.lease_ms))
    }

    pub(super) fn stream_logs(&mut self, ctx: &mut Context<Self>) {
        let parts = log_streamer::Parts {
            dir: self.dir.clone(),
            lease: self.lease(),
            client: self.client.clone(),
            log: self.log.clone(),
            board: self.parts.host.board.clone(),
            task: Above::of(ctx),
            fresh: self.parts.birth == super::Birth::Claimed
                && !std::mem::replace(&mut self.has_streamed, true),
            renewal: self.renewal(),
        };
        let streamer = start_beside(ctx, &self.streamer_seat, Part::Logs, move |_| LogStreamer::new(parts));
        if matches!(self.state, TaskState::Draining { logs: false, .. }) {
            streamer.tell(DrainLogs);
        }
        self.streamer = Some(streamer);
    }

    /// The uploader, started when it is first needed: most tasks carry nothing.
    fn uploader(&mut self, ctx: &mut Context<Self>) -> &Child<ArtifactUploader> {
        let (host, lease, client) = (self.parts.host.clone(), self.lease(), self.client.clone());
        let renewal = self.renewal();
        let mirror = self.spec.as_ref().and_then(|spec| spec.mirror.clone());
        let seat =
            self.uploader_seat.get_or_insert_with(|| Seat::new::<ArtifactUploader>("", super::TOLERANCE));
        self.uploader.get_or_insert_with(|| {
            let task: Above<UploadNews> = Above::of(ctx);
            let carrier = Carrier { host, lease, client, mirror, task: task.clone() };
            let make = move |_: &mut _| ArtifactUploader::new(carrier, renewal, task);
            start_beside(ctx, seat, Part::Uploads, make)
        })
    }

    /// Keeps the request until it is answered, for an uploader that has to begin again.
    pub(super) fn carry(&mut self, request: Request, ctx: &mut Context<Self>) {
        self.requests.insert(request.number(), request.clone());
        if !self.resting.contains(&Part::Uploads) {
            self.uploader(ctx).tell(Carry(request));
        }
    }

    fn start_again(&mut self, part: Part, ctx: &mut Context<Self>) {
        self.resting.remove(&part);
        let is_sent = matches!(
            self.state,
            TaskState::Draining { logs: true, .. } | TaskState::Reporting(_) | TaskState::Done(_)
        );
        match part {
            Part::Logs if is_sent => {}
            Part::Logs => self.stream_logs(ctx),
            Part::Uploads => self.carry_again(ctx),
        }
    }

    fn carry_again(&mut self, ctx: &mut Context<Self>) {
        let waiting: Vec<_> = self.requests.values().cloned().collect();
        if !waiting.is_empty() {
            let uploader = self.uploader(ctx);
            waiting.into_iter().for_each(|request| uploader.tell(Carry(request)));
        }
    }

    fn answered(&mut self, answered: Answered, ctx: &mut Context<Self>) {
        self.answer(answered, ctx);
        if self.requests.is_empty() {
            self.apply_if_drained(ctx);
        }
    }

    /// Once no process is left nobody waits for an answer: uploads are over when the last of them is.
    pub(super) fn apply_if_drained(&mut self, ctx: &mut Context<Self>) {
        if self.requests.is_empty() && matches!(self.state, TaskState::Draining { uploads: false, .. }) {
            self.apply(TaskEvent::UploadsDrained, ctx);
        }
    }
}

impl Handler<StreamNews> for TaskActor {
    type Result = ();

    fn handle(&mut self, news: StreamNews, ctx: &mut Context<Self>) {
        failpoints::hit("task:stream_news", self.task);
        match news {
            StreamNews::LogsAcknowledged(logs) => {
                for (step, offset) in logs {
                    self.acknowledged.insert(step, offset);
                    self.say(&ToTaskAgent::Acknowledged { step, offset }, Vec::new(), ctx);
                }
            }
            StreamNews::LogsDrained { lost } => {
                if let Some(lost) = lost {
                    self.because(format!("part of the logs is lost: {lost}"));
                }
                self.apply(TaskEvent::LogsDrained, ctx);
            }
            StreamNews::LeaseLost(why) => self.lost_lease(why, ctx),
        }
    }
}

impl Handler<UploadNews> for TaskActor {
    type Result = ();

    fn handle(&mut self, news: UploadNews, ctx: &mut Context<Self>) {
        failpoints::hit("task:upload_news", self.task);
        match news {
            UploadNews::Answered(answered) => self.answered(answered, ctx),
            UploadNews::Sent { request, bytes } => {
                self.say(&ToTaskAgent::Sent { request, bytes }, Vec::new(), ctx);
            }
            UploadNews::LeaseLost(why) => self.lost_lease(why, ctx),
        }
    }
}

impl Handler<ChildExited<Part>> for TaskActor {
    type Result = ();

    fn handle(&mut self, exited: ChildExited<Part>, ctx: &mut Context<Self>) {
        failpoints::hit("task:child_exited", self.task);
        let seat = match exited.child {
            Part::Logs => {
                self.streamer = None;
                Some(&mut self.streamer_seat)
            }
            Part::Uploads => {
                self.uploader = None;
                self.uploader_seat.as_mut()
            }
        };
        let (Some(seat), Some(cause)) = (seat, exited.exit.failure()) else { return };
        let pause = match seat.failed(&cause) {
            Verdict::RestartAfter(pause) => pause,
            Verdict::Escalate => panic!("the {:?} of the task keep failing: {cause}", exited.child),
        };
        self.notebook.say(&format!(
            "The launch-agent's actor of the task's {:?} failed and is started again: {cause}",
            exited.child
        ));
        // Not earlier, whatever is wanted of it meanwhile.
        self.resting.insert(exited.child);
        ctx.run_later(pause, move |task, ctx| task.start_again(exited.child, ctx));
    }
}
