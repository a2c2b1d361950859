//! Following a pipeline to its end: news and logs in, a view for people out.
//!
//! ```text
//! control plane ──feed──▶ Follower ──news──▶ Model (pure)
//!               ──logs──▶    │
//!                            ▼
//!                          View: Live (terminal) · Plain (lines)
//! ```

mod approvals;
mod escapes;
mod interrupts;
mod model;
mod outlet;
mod plain;
#[cfg(test)]
pub(crate) mod scripted;
mod story;
mod terminal;
pub(crate) mod words;

pub(crate) use approvals::Approvals;
pub(crate) use interrupts::Interrupts;
pub(crate) use model::Model;
pub(crate) use outlet::Outlet;
pub(crate) use plain::Plain;
pub(crate) use terminal::{Live, Stream};

use client::{ClientError, Operator};
use model::Place;
use protocol::{
    JobStatus, PipelineId, StepNumber, TaskId, WorkflowId,
    api::{JobView, PipelineView},
    feed::News,
};
use std::{
    cell::Cell,
    collections::{BTreeSet, HashMap},
    rc::Rc,
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
    /// What that would do, for whoever interrupted once.
    fn what_hurrying_does(&self) -> &'static str;
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
    signs: Rc<Signs>,
    outlet: Option<Outlet>,
    /// Names of jobs that are approved as soon as they wait for it.
    ahead: Vec<String>,
}

/// What a follower and whoever listens to interrupts meanwhile tell each other.
#[derive(Debug, Default)]
struct Signs {
    /// An interrupt was heard, and is not yet said.
    is_canceling: Cell<bool>,
    /// Nothing is left to cancel.
    is_over: Cell<bool>,
}

impl<'v> Follower<'v> {
    /// Begins with the pipeline as it stands; of one workflow alone, where one is named.
    pub(crate) async fn begin(
        operator: Operator,
        (pipeline, only): (PipelineId, Option<WorkflowId>),
        page: Option<&str>,
        view: &'v mut dyn View,
    ) -> Result<Self, ClientError> {
        let model = Model::of(operator.pipeline(pipeline).await?, only);
        view.began(&model, page);
        Ok(Self {
            operator,
            pipeline,
            model,
            view,
            read: HashMap::new(),
            behind: BTreeSet::new(),
            life: None,
            next: 0,
            trouble: None,
            signs: Rc::default(),
            outlet: None,
            ahead: Vec::new(),
        })
    }

    /// Fetches no more of a log than goes out here.
    pub(crate) fn through(self, outlet: Option<Outlet>) -> Self {
        Self { outlet, ..self }
    }

    /// Approves jobs of these names, or all, as soon as they wait for it.
    pub(crate) fn approving(self, ahead: &[String]) -> Self {
        Self { ahead: ahead.to_vec(), ..self }
    }

    /// Follows it to its end; none if its company had enough of waiting, or nobody wanted to see the rest.
    pub(crate) async fn follow(
        mut self,
        interrupts: &mut Interrupts,
        company: &dyn Company,
    ) -> Result<Option<Followed>, ClientError> {
        let (operator, pipeline, signs) = (self.operator.clone(), self.pipeline, self.signs.clone());
        let followed = tokio::select! {
            followed = self.see_the_end(company) => followed.map(|()| true),
            left = listen(&operator, pipeline, interrupts, company, &signs) => left.map(|()| false),
        };
        self.end_logs();
        self.view.close();
        let view = || self.model.outcome();
        Ok(followed?.then(|| Followed { view: view(), interrupted: interrupts.seen() > 0 }))
    }

    /// What waited for its turn before anybody followed is not told by news.
    fn tell_waiting(&mut self) {
        let told = |(at, job): (Place, &JobView)| News::Job {
            workflow: at.workflow,
            job: at.job,
            status: job.status,
            reason: job.reason.clone(),
        };
        let waits = |(_, job): &(Place, &JobView)| job.status == JobStatus::Queued && job.reason.is_some();
        let waiting: Vec<News> = self.model.jobs().filter(waits).map(told).collect();
        waiting.iter().for_each(|news| self.view.told(&self.model, news));
    }

    async fn see_the_end(&mut self, company: &dyn Company) -> Result<(), ClientError> {
        self.tell_waiting();
        self.begin_approving().await?;
        loop {
            while !self.model.is_over() {
                let feed = self.news(company).await?;
                self.take(feed).await?;
            }
            // Others may have joined before the last of those that were known ended.
            self.catch_up().await?;
            if self.model.is_over() {
                break;
            }
        }
        self.signs.is_over.set(true);
        self.read_the_rest().await?;
        self.end_logs();
        self.view.close();
        if let Some(outlet) = &self.outlet {
            outlet.is_empty().await;
        }
        Ok(())
    }

    /// One request for news.
    async fn news(&mut self, company: &dyn Company) -> Result<protocol::feed::Feed, ClientError> {
        let operator = self.operator.clone();
        let held = if self.behind.is_empty() { HELD_MS } else { 0 };
        let mut feed = std::pin::pin!(operator.feed(self.pipeline, self.next, held));
        let mut ticks = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                feed = &mut feed => return feed,
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
        if self.signs.is_canceling.take() {
            self.view.note(&format!("canceling; interrupt again to {}", company.what_hurrying_does()));
        }
        self.view.tick(&self.model);
    }

    async fn take(&mut self, feed: protocol::feed::Feed) -> Result<(), ClientError> {
        if self.life.is_some_and(|life| life != feed.life) {
            (self.life, self.next) = (Some(feed.life), 0);
            return self.catch_up().await;
        }
        (self.life, self.next) = (Some(feed.life), feed.next);
        for news in &feed.news {
            self.hear(news).await?;
        }
        self.read_behind().await
    }

    /// Goes on from a fresh view: what it knows better is told as if news of it had come.
    async fn catch_up(&mut self) -> Result<(), ClientError> {
        let view = self.operator.pipeline(self.pipeline).await?;
        for place in self.model.extend(&view) {
            let workflow = &view.workflows[place];
            workflow.reruns.of.iter().for_each(|_| self.view.note(&words::rerun(workflow)));
        }
        for news in story::of(&view) {
            self.hear(&news).await?;
        }
        self.model.replace(view);
        Ok(())
    }

    async fn hear(&mut self, news: &News) -> Result<(), ClientError> {
        if self.model.apply(news) { self.tell(news).await } else { Ok(()) }
    }

    async fn tell(&mut self, news: &News) -> Result<(), ClientError> {
        match (news, self.view.wants()) {
            (News::Job { workflow, job, status: JobStatus::OnHold, .. }, _) => {
                return self.answer(Place { workflow: *workflow, job: *job }).await;
            }
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
        if let Some(outlet) = &self.outlet {
            outlet.has_room().await;
        }
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
            let logs: BTreeSet<_> = self.read.drain().map(|(log, _)| log).collect();
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

/// Hears interrupts while a pipeline is followed, whatever its follower waits for: the first cancels it, a further one
/// is its company's. Comes back once nobody wants to wait any longer.
async fn listen(
    operator: &Operator,
    pipeline: PipelineId,
    interrupts: &mut Interrupts,
    company: &dyn Company,
    signs: &Signs,
) -> Result<(), ClientError> {
    interrupts.next().await;
    if signs.is_over.get() {
        return Ok(());
    }
    signs.is_canceling.set(true);
    let (mut cancel, mut is_canceled) = (std::pin::pin!(operator.cancel(pipeline)), false);
    loop {
        tokio::select! {
            canceled = &mut cancel, if !is_canceled => {
                canceled?;
                is_canceled = true;
            }
            _ = interrupts.next() => if signs.is_over.get() || !company.hurry() {
                return Ok(());
            },
        }
    }
}
