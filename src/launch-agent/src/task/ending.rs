//! From the wish that a task ends, or its task-agent's own end, to a free slot.

use super::{
    Birth, TaskActor, TaskNews,
    carrying::Part,
    container,
    process::STRIKE,
    state::{Ending, TaskEvent, TaskState},
    traces,
};
use crate::log_streamer::DrainLogs;
use actix::prelude::*;
use client::{ClientError, TaskClient};
use futures_util::future::join;
use protocol::{
    frame::CancelReason,
    http::{End, Unclaim},
};
use sandbox::Containment;
use slog::{Logger, info, warn};
use std::time::{Duration, SystemTime};
use tokio::task::spawn_blocking;

/// The task-agent keeps the grace itself; the host strikes so much later.
const AFTER_GRACE: Duration = Duration::from_millis(300);
/// A task-agent has connected again by then, after its launch-agent was started anew.
const REUNION: Duration = Duration::from_millis(500);
/// How long a launch-agent that ends waits, after the grace, for the control plane to take a task's last bytes.
const PARTING: Duration = Duration::from_secs(5);
/// Between tries after the client's own patience is over.
const PAUSE: Duration = Duration::from_secs(2);
/// So many answers that are none are borne before the task's end is given up: ten minutes of them.
const MAX_ODD: u32 = 300;

impl TaskActor {
    /// TERM now, KILL after the grace: by the task-agent where it listens, and by the host in any case.
    pub(super) fn stop_agent(&mut self, why: CancelReason, ctx: &mut Context<Self>) {
        let patience = self.parts.host.settings.grace + AFTER_GRACE;
        if self.conversation.is_connected() {
            self.say_cancel(why, ctx);
            ctx.run_later(patience, Self::strike);
        } else {
            // It hears of it as it connects. A job that is terminated behind its back would be a failed one to it.
            ctx.run_later(REUNION, Self::terminate_unheard);
            ctx.run_later(REUNION + patience, Self::strike);
        }
    }

    fn terminate_unheard(&mut self, _: &mut Context<Self>) {
        let is_unheard =
            matches!(self.state, TaskState::Stopping { .. }) && !self.conversation.is_connected();
        if let (true, Some(containment)) = (is_unheard, self.past.containment.clone()) {
            drop(spawn_blocking(move || containment.terminate()));
        }
    }

    /// The launch-agent is to end. A task that is being stopped already has its grace cut short; one whose end cannot be
    /// told to a control plane that is away is left to the next launch-agent.
    pub(super) fn shut_down(&mut self, ctx: &mut Context<Self>) {
        let again = std::mem::replace(&mut self.is_awaited, true);
        match self.state {
            TaskState::Stopping { .. } => self.strike(ctx),
            TaskState::Draining { .. } | TaskState::Reporting(_) if again => self.part(ctx),
            state if state.may_have_agent() => self.because("the launch-agent was told to end at once"),
            _ => {}
        }
        ctx.run_later(self.parts.host.settings.grace + PARTING, Self::part);
    }

    /// Leaves what is on disk as it is: no process is left, and the next launch-agent tells the rest.
    fn part(&mut self, ctx: &mut Context<Self>) {
        let ending = match self.state {
            TaskState::Draining { ending, .. } | TaskState::Reporting(ending) => ending,
            TaskState::Done(_) => return,
            _ => {
                ctx.run_later(PAUSE, Self::part);
                return;
            }
        };
        warn!(self.log, "the control plane is away: the next launch-agent tells it how the task ended");
        (self.streamer, self.uploader) = (None, None);
        self.leave(ending, ctx);
    }

    /// Kills everything of the task at once, whoever listens. The end of its process is then heard as any other.
    pub(super) fn strike(&mut self, ctx: &mut Context<Self>) {
        self.doomed = true;
        if let (Some(containment), true) = (self.past.containment.clone(), self.state.may_have_agent()) {
            let killed = self.killing(containment);
            ctx.spawn(killed.into_actor(self).map(|killed, task, ctx| {
                if let Err(why) = killed {
                    warn!(task.log, "processes of the task do not go"; "why" => why);
                    ctx.run_later(PAUSE, Self::strike);
                }
            }));
        }
    }

    /// Kills what the task-agent left. The slot is not free before.
    pub(super) fn sweep(&mut self, ctx: &mut Context<Self>) {
        if self.own_engine.is_starting() {
            // Swept once it is known what there is.
            return;
        }
        // The journal of an actor that came later may have lost how an earlier one held its processes.
        if self.past.containment.is_none() && self.parts.birth != Birth::Claimed {
            let (house, lease) = (&self.parts.host.house, &self.parts.record.claimed.allocation);
            self.past.containment = Some(match self.is_in_containers() {
                true => container::held(lease),
                false => Containment::strongest(house, lease, None),
            });
        }
        let Some(containment) = self.past.containment.clone() else {
            return self.apply(TaskEvent::Swept, ctx);
        };
        let swept = self.killing(containment);
        ctx.spawn(swept.into_actor(self).map(|swept, task, ctx| match swept {
            Ok(()) => task.apply(TaskEvent::Swept, ctx),
            Err(why) if task.vessel.is_given_up() => {
                task.because(format!(
                    "{why}; what is left is removed when this launch-agent is started again"
                ));
                task.apply(TaskEvent::Swept, ctx);
            }
            Err(why) => {
                warn!(task.log, "processes of the task do not go"; "why" => &why);
                task.notebook.say(&format!("{why}; they are struck again."));
                ctx.run_later(PAUSE, Self::sweep);
            }
        }));
    }

    /// Has logs and uploads finished. A task whose actors failed beyond measure sends no more.
    pub(super) fn drain(&mut self, ctx: &mut Context<Self>) {
        if self.is_abandoned() {
            self.apply(TaskEvent::LogsDrained, ctx);
            return self.apply(TaskEvent::UploadsDrained, ctx);
        }
        // Nobody waits for what was to come to a task-agent that is gone.
        self.requests.retain(|_, request| request.is_upload());
        match &self.streamer {
            Some(streamer) => streamer.tell(DrainLogs),
            // It is told as it starts again.
            None if self.resting.contains(&Part::Logs) => {}
            None => self.stream_logs(ctx),
        }
        self.apply_if_drained(ctx);
    }

    /// Whatever holds its processes: all of them gone.
    fn killing(&mut self, containment: Containment) -> impl Future<Output = Result<(), String>> + use<> {
        let lease = self.is_in_containers().then(|| self.parts.record.claimed.allocation.clone());
        let (host, again, engine) = (self.parts.host.clone(), containment.clone(), self.past.engine.clone());
        async move {
            if let Some(engine) = engine {
                kill(engine).await?;
            }
            let Some(lease) = lease else { return kill(containment).await };
            let (held, contained) = join(kill(containment), container::kill(&host, &lease)).await;
            contained?;
            // Where only the engine has the right to kill them, they are gone now.
            if held.is_ok() { Ok(()) } else { kill(again).await }
        }
    }

    pub(super) fn report(&mut self, ending: Ending, ctx: &mut Context<Self>) {
        let (client, claimed, message) =
            (self.client.clone(), self.parts.record.claimed.clone(), self.past.because.clone());
        let told = async move {
            match ending {
                Ending::Outcome(outcome) => {
                    let end = End { epoch: claimed.epoch, outcome, message };
                    end_task(&client, &end).await
                }
                Ending::GivenBack => {
                    let (task_id, task_token) = (claimed.task_id, claimed.task_token);
                    give_back(&client, &Unclaim { task_id, task_token, reason: message }).await
                }
                Ending::Fenced => Ok(TaskEvent::Told),
            }
        };
        ctx.spawn(told.into_actor(self).map(|told, task, ctx| {
            let event = told.unwrap_or_else(|error| {
                warn!(task.log, "the control plane does not take the task's end"; "error" => %error);
                TaskEvent::Told
            });
            task.apply(event, ctx);
        }));
    }

    /// Removes what is on disk and leaves. What cannot be removed is told, and costs no slot.
    pub(super) fn finish(&mut self, ending: Ending, ctx: &mut Context<Self>) {
        let (host, task) = (self.parts.host.clone(), self.task);
        (self.streamer, self.uploader) = (None, None);
        // One that is not another's by now.
        let held = [&self.past.containment, &self.past.engine];
        let account = held.into_iter().flatten().find_map(Containment::account);
        let (dir, log) = (self.dir.clone(), self.log.clone());
        let removed = spawn_blocking(move || {
            if let (Some(account), Ok(since)) = (account, dir.since()) {
                remove_traces(account, since, &log);
            }
            host.remove_task(task)
        });
        ctx.spawn(removed.into_actor(self).map(move |removed, task, ctx| {
            if let Ok(Err(error)) = removed {
                warn!(task.log, "what is left of the task cannot be removed"; "error" => %error);
            }
            task.leave(ending, ctx);
        }));
    }

    fn leave(&mut self, ending: Ending, ctx: &mut Context<Self>) {
        let because = self.past.because.take();
        info!(self.log, "the task is over"; "ending" => ?ending, "because" => because.as_deref().unwrap_or("-"));
        self.tell(TaskNews::Finished { task: self.task, ending, because });
        ctx.stop();
    }
}

fn remove_traces(account: u32, since: SystemTime, log: &Logger) {
    for (path, error) in traces::remove(account, since) {
        warn!(log, "what the job left cannot be removed"; "path" => %path.display(), "error" => %error);
    }
}

/// Both on one thread: what is begun after the kill may not come to pass, for the task's threads end with it.
async fn kill(containment: Containment) -> Result<(), String> {
    let kill_and_remove = move || containment.kill(STRIKE).map(|_| containment.remove());
    let killed = spawn_blocking(kill_and_remove).await;
    killed.map_err(|error| error.to_string())?.map_err(|survivors| survivors.to_string())
}

async fn end_task(client: &TaskClient, end: &End) -> Result<TaskEvent, ClientError> {
    let mut odd = 0;
    loop {
        match client.end(end).await {
            Ok(()) => return Ok(TaskEvent::Told),
            Err(ClientError::Fenced(_) | ClientError::Refused { .. }) => {
                return Ok(TaskEvent::End(CancelReason::Fenced));
            }
            Err(error) => pause_after(error, &mut odd).await?,
        }
    }
}

async fn give_back(client: &TaskClient, unclaim: &Unclaim) -> Result<TaskEvent, ClientError> {
    let mut odd = 0;
    loop {
        match client.unclaim(unclaim).await {
            Ok(()) => return Ok(TaskEvent::Told),
            Err(ClientError::Conflict(_)) => return Ok(TaskEvent::NotTakenBack),
            Err(ClientError::Fenced(_) | ClientError::Refused { .. }) => {
                return Ok(TaskEvent::End(CancelReason::Fenced));
            }
            Err(error) => pause_after(error, &mut odd).await?,
        }
    }
}

/// What is no answer of a control plane may be a proxy's while that is away: it counts as the last word only in the end.
async fn pause_after(error: ClientError, odd: &mut u32) -> Result<(), ClientError> {
    *odd += u32::from(!error.is_transient());
    if *odd > MAX_ODD {
        return Err(error);
    }
    tokio::time::sleep(PAUSE).await;
    Ok(())
}
