//! A task's stream: log chunks and journal records, stored once each and in order, however often they are sent.

use super::{
    Plane,
    live::Live,
    progress::{self, Writer},
};
use crate::{logs::Item, refusal::Refusal};
use bytes::Bytes;
use protocol::{
    PipelineId, StepNumber, TaskId,
    feed::News,
    http::Lease,
    journal::{Record, TaskEvent},
    pipeline::Job,
    stream::Acknowledged,
};
use std::{collections::BTreeMap, sync::Arc};
use store::{ChunkRow, Command, StoreError, Write};
use tokio::sync::oneshot;

/// What became of a stream write.
#[derive(Debug)]
pub(crate) enum Streamed {
    /// All of it is stored.
    Stored(Acknowledged),
    /// It does not fit what is stored.
    Rewind(Acknowledged),
}

/// How far a stream is with a body, of the logs that the body goes on with alone: a task may have many.
#[derive(Clone)]
struct Grown {
    next_record: u64,
    logs: BTreeMap<StepNumber, u64>,
}

impl Grown {
    fn add_to(self, stored: &mut Acknowledged) {
        stored.next_record = self.next_record;
        stored.logs.extend(self.logs);
    }
}

/// What a body comes to beside what is stored.
struct Cut {
    grown: Grown,
    /// How far followers know each log of the body.
    told: BTreeMap<StepNumber, u64>,
    writes: Vec<Write>,
    news: Vec<News>,
    /// Whether all of the body fitted.
    whole: bool,
}

impl Plane {
    /// Stores what fits of a stream's body and is not stored yet.
    pub(crate) async fn stream(self: &Arc<Self>, lease: Lease, body: Bytes) -> Result<Streamed, Refusal> {
        let progress = self.held(lease, |_, task| task.progress.clone())?;
        let (writer, mut stored) = progress.writer(&self.store, lease.task_id).await?;
        let items = self.logs.place(lease.task_id, body).await?;
        // Under the lock, so that nothing is queued behind what ends the lease.
        let (whole, grown, told) = self.held(lease, |(live, job), _| {
            let cut = cut(lease.task_id, &stored, items, &live.jobs[job].definition);
            let (whole, grown, is_new) = (cut.whole, cut.grown.clone(), !cut.writes.is_empty());
            (whole, grown, is_new.then(|| self.store_cut(lease.task_id, live.pipeline.id, cut, writer)))
        })?;
        if let Some(told) = told {
            told.await.unwrap_or(Err(StoreError::Stopped))?;
        }
        grown.add_to(&mut stored);
        Ok(if whole { Streamed::Stored(stored) } else { Streamed::Rewind(stored) })
    }

    fn store_cut(
        self: &Arc<Self>,
        task: TaskId,
        pipeline: PipelineId,
        cut: Cut,
        mut writer: Writer,
    ) -> oneshot::Receiver<Result<(), StoreError>> {
        let (tell, told) = oneshot::channel();
        let Cut { grown, writes, news, .. } = cut;
        let plane = self.clone();
        let done = Box::new(move |result: Result<Vec<u64>, StoreError>| {
            match writer.as_mut().filter(|_| result.is_ok()) {
                Some(stored) => grown.add_to(stored),
                // What a failed write leaves is best known by the rows.
                None => *writer = None,
            }
            drop(writer);
            if result.is_ok() {
                plane.logs.changed(task);
                plane.feeds.publish(pipeline, news);
            }
            // Who asked may have gone; what is stored is stored.
            let _ = tell.send(result.map(drop));
        });
        self.store.submit(Command { guard: None, writes, done });
        told
    }

    /// How far a task's stream is stored.
    pub(crate) async fn acknowledged(&self, lease: Lease) -> Result<Acknowledged, Refusal> {
        match self.held(lease, |_, task| task.progress.clone()) {
            Ok(progress) => Ok(progress.writer(&self.store, lease.task_id).await?.1),
            // Over, but by this very lease: whoever asks learns that all it sent is there.
            Err(refusal) => match self.store.task(lease.task_id).await? {
                Some(row) if row.epoch == lease.epoch && row.outcome.is_some() => {
                    Ok(progress::read(&self.store, lease.task_id).await?)
                }
                _ => Err(refusal),
            },
        }
    }

    /// Looks at a task that its caller holds.
    pub(crate) fn held<T>(
        &self,
        lease: Lease,
        look: impl FnOnce((&Live, usize), &super::live::LiveTask) -> T,
    ) -> Result<T, Refusal> {
        let core = self.core();
        match core.task(lease.task_id) {
            Some((live, task, place)) if task.machine.is_held_under(lease.epoch) => {
                Ok(look((live, place.job), task))
            }
            None if core.place(lease.task_id).is_some() => Err(Refusal::being_read()),
            _ => Err(Refusal::fenced()),
        }
    }
}

/// What of the items is new, up to the first that does not fit.
fn cut(task: TaskId, stored: &Acknowledged, items: Vec<Item>, job: &Job) -> Cut {
    let grown = Grown { next_record: stored.next_record, logs: BTreeMap::new() };
    let mut cut = Cut { grown, told: BTreeMap::new(), writes: Vec::new(), news: Vec::new(), whole: true };
    for item in items {
        let fits = match item {
            Item::Chunk(chunk) => cut.chunk(stored, chunk),
            Item::Record(record) => cut.record(task, record, job),
        };
        if !fits {
            cut.whole = false;
            break;
        }
    }
    if cut.grown.next_record != stored.next_record {
        cut.writes.push(Write::NextRecord(task, cut.grown.next_record));
    }
    for (step, length) in cut.grown.logs.clone() {
        cut.writes.push(Write::LogLength(task, step, length));
        cut.tell_growth(task, step);
    }
    cut
}

impl Cut {
    fn chunk(&mut self, stored: &Acknowledged, mut chunk: ChunkRow) -> bool {
        let end = self.grown.logs.get(&chunk.step).or_else(|| stored.logs.get(&chunk.step));
        let end = end.copied().unwrap_or_default();
        if failpoints::Guard::Offsets.is_out() {
            chunk.start = end;
        }
        let chunk_end = chunk.start + u64::from(chunk.length);
        if chunk_end <= end {
            return true;
        }
        let fits = chunk.start == end;
        if fits {
            self.grown.logs.insert(chunk.step, chunk_end);
            self.writes.push(Write::Chunk(chunk));
        }
        fits
    }

    /// Tells how long a log is now, unless that was told.
    fn tell_growth(&mut self, task: TaskId, step: StepNumber) {
        let Some(length) = self.grown.logs.get(&step).copied() else { return };
        if self.told.insert(step, length) != Some(length) {
            self.news.push(News::LogGrew { task, step, length });
        }
    }

    fn record(&mut self, task: TaskId, record: Record, job: &Job) -> bool {
        let next = self.grown.next_record;
        let fits = record.seq <= next;
        if record.seq == next {
            self.grown.next_record += 1;
            self.event(task, record, job);
        }
        fits
    }

    fn event(&mut self, task: TaskId, record: Record, job: &Job) {
        match record.event {
            TaskEvent::StepStarted { step } => {
                self.writes.push(Write::StepStarted { task, step, at_ms: record.at_ms });
                self.news.push(News::StepStarted { task, step, name: step_name(job, step) });
            }
            TaskEvent::StepEnded { step, status, exit_code, duration_ms, .. } => {
                // First, so that whoever hears of a step's end knows how long its log is.
                self.tell_growth(task, step);
                self.writes.push(Write::StepEnded { task, step, status, exit_code, duration_ms });
                self.news.push(News::StepEnded { task, step, status, exit_code, duration_ms });
            }
            // The outcome is told by `end`, once everything else is stored.
            TaskEvent::Ended { .. } => {}
        }
    }
}

/// A step's name as its job gives it.
pub(crate) fn step_name(job: &Job, step: StepNumber) -> String {
    if step == StepNumber::HOST {
        return super::live::HOST_STEP.to_owned();
    }
    let place = (step.0 as usize).checked_sub(1);
    let name = place.and_then(|place| job.steps.get(place)).map(|step| step.name.clone());
    name.unwrap_or_else(|| format!("Step {}", step.0))
}
