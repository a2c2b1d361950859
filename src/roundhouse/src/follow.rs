//! Following a pipeline to its end: news and logs in, a view for people out.
//!
//! ```text
//! control plane ──feed──▶ Follower ──news──▶ Model (pure)
//!               ──logs──▶    │
//!                            ▼
//!                          View: Live (terminal) · Plain (lines)
//! ```

mod escapes;
mod interrupts;
mod model;
mod plain;
#[cfg(test)]
pub(crate) mod scripted;
mod terminal;
pub(crate) mod words;

pub(crate) use interrupts::Interrupts;
pub(crate) use model::Model;
pub(crate) use plain::Plain;
pub(crate) use terminal::{Live, Stream};

use client::{ClientError, Operator};
use protocol::{PipelineId, StepNumber, TaskId, api::PipelineView, feed::News};
use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

/// How long a request for news is held open.
const HELD_MS: u64 = 20_000;
/// The most bytes of a log read at once.
const PART: u64 = 1 << 20;
/// Of a failed step's log at most this much is shown; all of it is stored.
const SHOWN: u64 = 1 << 20;
const TICK: Duration = Duration::from_millis(100);

/// Which logs a view shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All, as they grow.
    All,
    /// Those of failed steps, once they failed.
    Failed,
    /// None.
    None,
}

/// How a pipeline is shown while it runs.
pub(crate) trait View {
    /// Which logs it shows.
    fn wants(&self) -> Wanted;
    /// The pipeline is there; `page` is the address of its page.
    fn began(&mut self, model: &Model, page: Option<&str>);
    /// Something changed; the model has it already.
    fn told(&mut self, model: &Model, news: &News);
    /// More of a step's log.
    fn log(&mut self, model: &Model, task: TaskId, step: StepNumber, bytes: &[u8]);
    /// A step's log gets no more.
    fn log_ended(&mut self, model: &Model, task: TaskId, step: StepNumber);
    /// A sentence about the run itself.
    fn note(&mut self, text: &str);
    /// A moment passed.
    fn tick(&mut self, model: &Model);
    /// Nothing more comes; what is live goes away.
    fn close(&mut self);
}

/// Whoever works on the pipeline beside the control plane, as far as following it goes.
pub(crate) trait Company {
    /// A second interrupt came; whether to go on following.
    fn hurry(&self) -> bool;
    /// Why no task is started now, if that is known.
    fn trouble(&self) -> Option<String> {
        None
    }
}

/// How following ended.
#[derive(Debug)]
pub(crate) struct Followed {
    /// The last view.
    pub(crate) view: PipelineView,
    /// Whether somebody interrupted.
    pub(crate) interrupted: bool,
}

/// Follows one pipeline.
pub(crate) struct Follower<'v> {
    operator: Operator,
    pipeline: PipelineId,
    model: Model,
    view: &'v mut dyn View,
    read: HashMap<(TaskId, StepNumber), u64>,
    behind: BTreeSet<(TaskId, StepNumber)>,
    life: Option<u64>,
    next: u64,
    trouble: Option<String>,
}

impl<'v> Follower<'v> {
    /// Begins with the pipeline as it stands.
    pub(crate) async fn begin(
        operator: Operator,
        pipeline: PipelineId,
        page: Option<&str>,
        view: &'v mut dyn View,
    ) -> Result<Self, ClientError> {
        let model = Model::new(operator.pipeline(pipeline).await?);
        view.began(&model, page);
        let (read, behind) = (HashMap::new(), BTreeSet::new());
        Ok(Self { operator, pipeline, model, view, read, behind, life: None, next: 0, trouble: None })
    }

    /// Follows it to its end, or until its company has enough.
    pub(crate) async fn follow(
        mut self,
        interrupts: &mut Interrupts,
        company: &dyn Company,
    ) -> Result<Followed, ClientError> {
        let mut stays = true;
        while stays && !self.model.is_over() {
            stays = self.round(interrupts, company).await?;
        }
        self.model.replace(self.operator.pipeline(self.pipeline).await?);
        if stays {
            self.read_the_rest().await?;
        }
        self.end_logs();
        self.view.close();
        Ok(Followed { view: self.model.view().clone(), interrupted: interrupts.seen() > 0 })
    }

    /// One request for news; false once nobody wants to wait any longer.
    async fn round(
        &mut self,
        interrupts: &mut Interrupts,
        company: &dyn Company,
    ) -> Result<bool, ClientError> {
        let operator = self.operator.clone();
        let held = if self.behind.is_empty() { HELD_MS } else { 0 };
        let mut feed = std::pin::pin!(operator.feed(self.pipeline, self.next, held));
        let mut ticks = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                feed = &mut feed => {
                    self.take(feed?).await?;
                    return Ok(true);
                }
                times = interrupts.next() => if !self.interrupted(times, company).await? {
                    return Ok(false);
                },
                _ = ticks.tick() => self.tick(company),
            }
        }
    }

    fn tick(&mut self, company: &dyn Company) {
        let trouble = company.trouble();
        if self.trouble != trouble {
            self.view.note(trouble.as_deref().unwrap_or("tasks are started again"));
            self.trouble = trouble;
        }
        self.view.tick(&self.model);
    }

    async fn interrupted(&mut self, times: u32, company: &dyn Company) -> Result<bool, ClientError> {
        if times > 1 {
            return Ok(company.hurry());
        }
        self.view.note("canceling; interrupt again to kill");
        self.operator.cancel(self.pipeline).await?;
        Ok(true)
    }

    async fn take(&mut self, feed: protocol::feed::Feed) -> Result<(), ClientError> {
        if self.life.is_some_and(|life| life != feed.life) {
            self.model.replace(self.operator.pipeline(self.pipeline).await?);
            (self.life, self.next) = (Some(feed.life), 0);
            return Ok(());
        }
        (self.life, self.next) = (Some(feed.life), feed.next);
        for news in &feed.news {
            if self.model.apply(news) {
                self.tell(news).await?;
            }
        }
        self.read_behind().await
    }

    async fn tell(&mut self, news: &News) -> Result<(), ClientError> {
        match (news, self.view.wants()) {
            (News::LogGrew { task, step, .. }, Wanted::All) => {
                self.behind.insert((*task, *step));
            }
            (News::StepEnded { task, step, .. }, Wanted::All) => {
                self.read_all(*task, *step).await?;
                self.view.told(&self.model, news);
                return Ok(());
            }
            (News::StepEnded { task, step, .. }, Wanted::Failed) => {
                self.view.told(&self.model, news);
                return self.show_failure(*task, *step).await;
            }
            _ => {}
        }
        self.view.told(&self.model, news);
        Ok(())
    }

    async fn show_failure(&mut self, task: TaskId, step: StepNumber) -> Result<(), ClientError> {
        if !self.model.step(task, step).is_some_and(terminal::is_failure) {
            return Ok(());
        }
        let length = self.model.step(task, step).map_or(0, |view| view.log_bytes);
        let from = length.saturating_sub(SHOWN);
        if from > 0 {
            self.view.note(&format!("({} before this are on the page)", words::size(from)));
        }
        self.read.insert((task, step), from);
        self.read_all(task, step).await
    }

    /// One part of each log that has more, so that no log keeps another waiting.
    async fn read_behind(&mut self) -> Result<(), ClientError> {
        for (task, step) in std::mem::take(&mut self.behind) {
            let read = self.read_part(task, step).await?;
            let known = self.model.step(task, step).map_or(0, |view| view.log_bytes);
            if read < known {
                self.behind.insert((task, step));
            }
        }
        Ok(())
    }

    async fn read_all(&mut self, task: TaskId, step: StepNumber) -> Result<(), ClientError> {
        let mut before = None;
        loop {
            let read = self.read_part(task, step).await?;
            if before == Some(read) {
                break;
            }
            before = Some(read);
        }
        self.behind.remove(&(task, step));
        self.view.log_ended(&self.model, task, step);
        Ok(())
    }

    /// How far the log is read now.
    async fn read_part(&mut self, task: TaskId, step: StepNumber) -> Result<u64, ClientError> {
        let offset = self.read.entry((task, step)).or_default();
        let part = self.operator.log((task, step), *offset, PART, 0).await?;
        *offset += part.bytes.len() as u64;
        let read = *offset;
        if !part.bytes.is_empty() {
            self.view.log(&self.model, task, step, &part.bytes);
        }
        Ok(read)
    }

    /// The last line of a step that nobody saw end is told as well.
    fn end_logs(&mut self) {
        if self.view.wants() == Wanted::All {
            let logs: BTreeSet<_> = self.read.keys().copied().collect();
            logs.into_iter().for_each(|(task, step)| self.view.log_ended(&self.model, task, step));
        }
    }

    /// What the logs got after their steps ended, and the launch-agent's own.
    async fn read_the_rest(&mut self) -> Result<(), ClientError> {
        if self.view.wants() != Wanted::All {
            return Ok(());
        }
        let jobs = self.model.jobs();
        let logs = jobs.flat_map(|(_, job)| {
            job.tasks
                .iter()
                .flat_map(|task| task.steps.iter().map(|step| (task.id, step.number, step.log_bytes)))
        });
        let open: Vec<_> = logs
            .filter(|(task, step, length)| self.read.get(&(*task, *step)).copied().unwrap_or(0) < *length)
            .collect();
        for (task, step, _) in open {
            self.read_all(task, step).await?;
        }
        Ok(())
    }
}
