//! Callers that write to a control plane and note what it acknowledged; a call that fails ends its caller for now.

use super::{
    CLASS,
    known::{Held, Known, STEP, content_of, log},
};
use client::{ClientError, Operator, Settings, StreamAnswer, TaskClient, Transport};
use futures_util::future::join_all;
use integration::rig::{Server, pipeline};
use protocol::{
    api::Token,
    http::{Artifacts, Claim, End, Store},
    journal::{Record, TaskEvent},
    marks::Marks,
    status::Outcome,
    stream::{Chunk, Item, encode},
    transfer::Artifact,
};
use std::{
    cell::{Cell, RefCell},
    fs::File,
    io::Write,
    rc::Rc,
    time::Duration,
};

/// How many write at once.
const CALLERS: usize = 4;
/// Bodies of one task: the sizes of their chunks in turn, some for the store and some for a file.
const SIZES: [u64; 5] = [100, 20_000, 1, 40_000, 700];

const CONFIG: &str = "
version: 2.1
jobs:
  only: {machine: true, resource_class: rig/linux, steps: [run: make]}
workflows: {all: {jobs: [only]}}
";

/// Callers over the lives of a control plane.
pub(crate) struct Callers {
    runner: String,
    operator: String,
    known: Rc<RefCell<Known>>,
}

/// One of them, in one life.
struct Caller<'c> {
    transport: Transport,
    runner: String,
    operator: Operator,
    known: Rc<RefCell<Known>>,
    /// Told of each acknowledgement; whether to go on.
    goes_on: &'c dyn Fn() -> bool,
}

impl Callers {
    pub(crate) fn new(server: &Server, runner: String) -> Self {
        Self { runner, operator: server.token.clone(), known: Rc::default() }
    }

    /// What was acknowledged so far.
    pub(crate) fn known(&self) -> Known {
        self.known.borrow().clone()
    }

    /// Lets them write as long as `goes_on` says so, which is told how many acknowledgements there were.
    pub(crate) async fn call(&self, url: &str, goes_on: impl FnMut(u64) -> bool) {
        let (goes_on, count, over) = (RefCell::new(goes_on), Cell::new(0), Cell::new(false));
        let heard = || {
            count.set(count.get() + 1);
            let goes_on = !over.get() && (goes_on.borrow_mut())(count.get());
            over.set(!goes_on);
            goes_on
        };
        let one = || self.caller(url, &heard).write();
        join_all([(); CALLERS].map(|()| one())).await;
    }

    /// Ends every task that was claimed.
    pub(crate) async fn finish(&self, url: &str) {
        let caller = self.caller(url, &|| true);
        let open: Vec<_> = self
            .known()
            .tasks
            .iter()
            .filter(|(_, task)| task.outcome.is_none())
            .map(|(id, _)| id.clone())
            .collect();
        for id in open {
            caller.run(&id).await.unwrap_or_else(|error| panic!("{id}: {error}"));
        }
    }

    fn caller<'c>(&self, url: &str, goes_on: &'c dyn Fn() -> bool) -> Caller<'c> {
        let mut settings = Settings::new(url);
        settings.patience = Duration::from_millis(100);
        let transport = Transport::new(settings).expect("its address is sound");
        let operator = transport.operator(&self.operator);
        Caller { transport, runner: self.runner.clone(), operator, known: self.known.clone(), goes_on }
    }
}

/// Why a caller stopped: a call that came to nothing, or its time.
type Stopped = String;

fn failed(error: impl std::fmt::Display) -> Stopped {
    error.to_string()
}

impl Caller<'_> {
    async fn write(self) {
        // Whatever stops it is the end of this life of the control plane, or of the test's wish.
        while self.one_more().await.is_ok() {}
    }

    /// Notes an acknowledgement.
    fn note(&self, note: impl FnOnce(&mut Known)) -> Result<(), Stopped> {
        note(&mut self.known.borrow_mut());
        if (self.goes_on)() { Ok(()) } else { Err("told to stop".to_owned()) }
    }

    async fn one_more(&self) -> Result<(), Stopped> {
        self.known.borrow_mut().asked += 1;
        let created = self.operator.create_pipeline(&pipeline(CONFIG, CLASS)).await.map_err(failed)?;
        self.note(|known| known.pipelines.extend([(created.id, created.number)]))?;
        if created.number % 3 == 0 {
            self.make_token().await?;
        }
        let id = self.claim().await?;
        self.run(&id).await
    }

    async fn make_token(&self) -> Result<(), Stopped> {
        let class = CLASS.parse().expect("a resource class");
        let token =
            Token { id: None, resource_class: class, nickname: String::new(), token: None, created_at: None };
        let made = self.operator.create_token(&token).await.map_err(failed)?;
        self.note(|known| known.tokens.extend(made.token))
    }

    async fn claim(&self) -> Result<String, Stopped> {
        let claim = Claim {
            name: "caller".to_owned(),
            hostname: "host".to_owned(),
            ip: String::new(),
            version: "1".to_owned(),
            platform: None,
            max_tasks: Some(1),
            wait_ms: Some(2000),
            containers: false,
        };
        let claimed = self.transport.runner(&self.runner).claim(&claim).await.map_err(failed)?;
        let claimed = claimed.into_iter().next().ok_or("nothing waits")?;
        let (id, token) = (claimed.task_id.to_string(), claimed.task_token.clone());
        let held = Held { claimed, token, logged: 0, artifacts: Vec::new(), outcome: None };
        self.note(|known| {
            let before = known.tasks.insert(id.clone(), held);
            assert!(before.is_none(), "{id} was given out twice");
        })?;
        Ok(id)
    }

    /// Goes on with a task from what is stored of it, to its end.
    pub(crate) async fn run(&self, id: &str) -> Result<(), Stopped> {
        let held = self.known.borrow().tasks[id].clone();
        let task = self.transport.task(&held.token);
        let epoch = held.claimed.epoch;
        match task.begin(epoch).await {
            // Its end was stored, but nobody heard of that: a repeat of it changes nothing.
            Err(ClientError::Fenced(_)) => return self.end(id, &task).await,
            begun => drop(begun.map_err(failed)?),
        }
        let stored = task.acknowledged().await.map_err(failed)?;
        let mut length = stored.logs.get(&STEP).copied().unwrap_or_default();
        let mut start = 0;
        for size in SIZES {
            let end = start + size;
            if length < end {
                self.stream(id, &task, (length, end)).await?;
                length = end;
            }
            start = end;
        }
        if held.artifacts.is_empty() {
            self.store(id, &task).await?;
        }
        self.end(id, &task).await
    }

    async fn end(&self, id: &str, task: &TaskClient) -> Result<(), Stopped> {
        let (epoch, outcome) = (self.known.borrow().tasks[id].claimed.epoch, Outcome::Success);
        task.end(&End { epoch, outcome, message: None }).await.map_err(failed)?;
        self.note(|known| known.tasks.get_mut(id).expect("it was claimed").outcome = Some(outcome))
    }

    /// Sends a piece of a log, and the same once more, which changes nothing.
    async fn stream(&self, id: &str, task: &TaskClient, (from, to): (u64, u64)) -> Result<(), Stopped> {
        let epoch = self.known.borrow().tasks[id].claimed.epoch;
        let chunk = Chunk { step: STEP, offset: from, length: (to - from).try_into().expect("small") };
        let started = Record { seq: 0, at_ms: 1, event: TaskEvent::StepStarted { step: STEP } };
        let mut body = Vec::new();
        encode(&Item::Record(started), &mut body);
        encode(
            &Item::Log { chunk, marks: Marks::default(), frame: frame(&log(id, from, to - from)) },
            &mut body,
        );
        for _ in 0..2 {
            let answer = task.stream(epoch, body.clone().into()).await.map_err(failed)?;
            assert!(matches!(answer, StreamAnswer::Stored(_)), "{id}: {answer:?}");
            self.note(|known| known.tasks.get_mut(id).expect("it was claimed").logged = to)?;
        }
        Ok(())
    }

    async fn store(&self, id: &str, task: &TaskClient) -> Result<(), Stopped> {
        let epoch = self.known.borrow().tasks[id].claimed.epoch;
        let bytes = log(id, 1 << 32, 5000);
        let content = content_of(&bytes);
        let mut file = tempfile::tempfile().and_then(|mut file| file.write_all(&bytes).map(|()| file));
        let file: &mut File = file.as_mut().expect("a temporary file");
        let asked = Store { epoch, contents: vec![content.clone()] };
        for destination in task.store(&asked).await.map_err(failed)? {
            if let Some(url) = destination.url {
                task.put(&url, &content, file).await.map_err(failed)?;
            }
        }
        let path = content.digest.as_str().to_owned();
        let artifacts = vec![Artifact { path, content: content.clone() }];
        task.artifacts(&Artifacts { epoch, artifacts }).await.map_err(failed)?;
        self.note(|known| known.tasks.get_mut(id).expect("it was claimed").artifacts.push(content))
    }
}

/// A zstd frame of one block that is not compressed.
fn frame(raw: &[u8]) -> Vec<u8> {
    let length = u32::try_from(raw.len()).expect("a small log");
    // Magic; one segment with its length in four bytes; the last block, raw.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xa0];
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&(length << 3 | 1).to_le_bytes()[..3]);
    frame.extend_from_slice(raw);
    frame
}
