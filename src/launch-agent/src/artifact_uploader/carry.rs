//! How each kind of request is carried, by the control plane's API and the host's shelf of contents.

use super::{
    Answered, UploadNews,
    received::{Known, Request, hash, test_cases, whole},
};
use crate::{host::Host, shelf::ShelfError};
use client::{ClientError, Saved, TaskClient};
use futures_util::{StreamExt, stream};
use protocol::{
    frame::{Answer, Wanted},
    http::{Artifacts, FindCache, Layers, Lease, Mint, PersistLayer, PutBundle, SaveCache, Store, Tests},
    repository::Method,
    transfer::{Artifact, Content, Destination, Found},
};
use std::{fs::File, io, sync::Arc, time::Duration};
use supervise::Above;
use tokio::task::spawn_blocking;

/// What carrying needs.
pub(crate) struct Carrier {
    pub(crate) host: Arc<Host>,
    pub(crate) lease: Lease,
    pub(crate) client: TaskClient,
    /// The name of the copy of its repository that the task may use and make; none: neither.
    pub(crate) mirror: Option<String>,
    /// Who hears how much of a large content was sent.
    pub(crate) task: Above<UploadNews>,
}

/// Why nothing more is carried for this task.
#[derive(Debug)]
pub(super) enum Failure {
    LeaseLost(String),
}

/// Why one try came to nothing.
pub(super) enum Obstacle {
    LeaseLost(String),
    /// The control plane is away.
    Passing,
    /// The file is not what it was when it was read first.
    Changed,
    /// It can never succeed: a sentence.
    Refused(String),
}

type Attempt = Result<(Answer, Option<File>), Obstacle>;

/// Between tries after the client's own patience is over.
const PAUSE: Duration = Duration::from_secs(2);
/// The longest answer to a job's own call, in bytes: it is within a frame, where a quote takes two.
const MOST_REPLY: usize = 24 * 1024;
const LONG_REPLY: &str = r#"{"message": "the answer is too long to be shown here: see the pipeline's page"}"#;
/// Small contents of one batch go out side by side.
const SIDE_BY_SIDE: usize = 8;

impl Carrier {
    /// Carries one request, or a batch of artifacts, until it is done or can never be.
    pub(super) async fn carry(&self, requests: Vec<Request>) -> Result<Vec<Answered>, Failure> {
        loop {
            let attempt = match requests.as_slice() {
                [one] if !matches!(one.wanted(), Wanted::StoreArtifact { .. }) => self.one(one).await,
                artifacts => self.artifacts(artifacts).await,
            };
            match attempt {
                Ok(answers) => return Ok(answers),
                Err(Obstacle::LeaseLost(why)) => return Err(Failure::LeaseLost(why)),
                Err(Obstacle::Passing) => tokio::time::sleep(PAUSE).await,
                Err(Obstacle::Changed) => return Ok(requests.iter().map(changed).collect()),
                Err(Obstacle::Refused(message)) => {
                    return Ok(requests.iter().map(|request| refused(request, &message)).collect());
                }
            }
        }
    }

    async fn one(&self, request: &Request) -> Result<Vec<Answered>, Obstacle> {
        let (answer, file) = match request.wanted() {
            Wanted::StoreArtifact { .. } => return self.artifacts(std::slice::from_ref(request)).await,
            Wanted::StoreBundle => self.bundle(request).await,
            Wanted::StoreTestResults => self.tests(request).await,
            Wanted::FormerTests => self.former_tests().await,
            Wanted::LendFile => self.lend_file().await,
            Wanted::SaveCache { key } => self.save_cache(request, key).await,
            Wanted::FindCache { key } => self.find_cache(key).await,
            Wanted::RestoreCache { keys } => self.restore_cache(keys).await,
            Wanted::PersistLayer => self.persist_layer(request).await,
            Wanted::AttachLayer { index } => self.attach_layer(*index).await,
            Wanted::FetchSource => self.fetch_source().await,
            Wanted::TakeMirror { method } => self.take_mirror(*method).await,
            Wanted::KeepMirror { method } => self.keep_mirror(request, *method).await,
            Wanted::Token { audience } => self.token(audience).await,
            Wanted::ContinuePipeline => self.continue_pipeline(request).await,
            Wanted::StartEngine => Err(Obstacle::Refused("an engine is no transfer".to_owned())),
        }?;
        Ok(vec![Answered { request: request.number(), answer, file }])
    }

    /// Hashes all, asks once where they go, sends those that are not there yet, tells of them in one call.
    async fn artifacts(&self, requests: &[Request]) -> Result<Vec<Answered>, Obstacle> {
        let (mut answers, mut stored) = (Vec::new(), Vec::new());
        for request in requests {
            match self.hashed(request).await {
                Ok(known) => stored.push((request, known)),
                Err(Obstacle::Changed) => answers.push(changed(request)),
                Err(Obstacle::Refused(message)) => answers.push(refused(request, &message)),
                Err(obstacle) => return Err(obstacle),
            }
        }
        failpoints::hit("artifact_uploader:hashed", self.lease.task_id);
        if stored.is_empty() {
            return Ok(answers);
        }
        let contents = stored.iter().map(|(_, known)| known.content.clone()).collect();
        let destinations = self.client.store(&Store { epoch: self.lease.epoch, contents }).await?;
        let puts = stored.into_iter().zip(destinations).map(|((request, known), destination)| async move {
            let put = self.put(Some(&destination), request, known).await;
            (request, &known.content, put)
        });
        let puts: Vec<_> = stream::iter(puts).buffered(SIDE_BY_SIDE).collect().await;
        failpoints::hit("artifact_uploader:put", self.lease.task_id);
        let mut artifacts = Vec::new();
        for (request, content, put) in puts {
            match put {
                Ok(()) => {
                    answers.push(stored_answer(request, content));
                    artifacts.push(artifact(request, content.clone()));
                }
                Err(Obstacle::Changed) => answers.push(changed(request)),
                Err(Obstacle::Refused(message)) => answers.push(refused(request, &message)),
                Err(obstacle) => return Err(obstacle),
            }
        }
        self.client.artifacts(&Artifacts { epoch: self.lease.epoch, artifacts }).await?;
        failpoints::hit("artifact_uploader:told", self.lease.task_id);
        Ok(answers)
    }

    /// A bundle is one content: the control plane looks into it by itself.
    async fn bundle(&self, request: &Request) -> Attempt {
        let known = self.hashed(request).await?;
        failpoints::hit("artifact_uploader:hashed", self.lease.task_id);
        let content = known.content.clone();
        let contents = vec![content.clone()];
        let destinations = self.client.store(&Store { epoch: self.lease.epoch, contents }).await?;
        self.put(destinations.first(), request, known).await?;
        failpoints::hit("artifact_uploader:put", self.lease.task_id);
        let size = content.size;
        let bundle = PutBundle { epoch: self.lease.epoch, request: request.number(), content };
        self.client.bundle(&bundle).await?;
        failpoints::hit("artifact_uploader:told", self.lease.task_id);
        Ok((Answer::Stored { size }, None))
    }

    /// One transfer of the host's, from its first byte to the answer.
    async fn put(
        &self,
        destination: Option<&Destination>,
        request: &Request,
        known: &Known,
    ) -> Result<(), Obstacle> {
        // Without one the project has a content of this digest.
        let Some((url, parts)) = destination.and_then(|to| Some((to.url.as_deref()?, to.parts.as_ref())))
        else {
            return Ok(());
        };
        if let Some(parts) = parts {
            let sent = |bytes| self.task.tell(UploadNews::Sent { request: request.number(), bytes });
            self.put_parts(url, parts, known, &sent).await?;
        } else {
            let _transfer = self.transfer().await;
            let put = self.client.put(url, &known.content, &known.source).await;
            put.map_err(Obstacle::of_content)?;
        }
        self.host.board.count(|counts| {
            (counts.uploads, counts.upload_bytes) =
                (counts.uploads + 1, counts.upload_bytes + known.content.size);
        });
        Ok(())
    }

    async fn hashed<'r>(&self, request: &'r Request) -> Result<&'r Known, Obstacle> {
        if let Some(known) = request.known() {
            return Ok(known);
        }
        let _transfer = self.transfer().await;
        let (file, size) = (request.file(), request.size());
        let hashed = spawn_blocking(move || hash(&file, size)).await.map_err(io::Error::other).flatten();
        let hashed = hashed.map_err(|error| Obstacle::of_content(ClientError::File(error)))?;
        Ok(request.is_known(hashed, request.file()))
    }

    async fn tests(&self, request: &Request) -> Attempt {
        let (file, size) = (request.file(), request.size());
        let cases = spawn_blocking(move || test_cases(&file, size)).await.map_err(io::Error::other).flatten();
        let cases =
            cases.map_err(|error| Obstacle::Refused(format!("these are no test results: {error}")))?;
        self.client.tests(&Tests { epoch: self.lease.epoch, request: request.number(), cases }).await?;
        Ok((Answer::Stored { size }, None))
    }

    async fn former_tests(&self) -> Attempt {
        let former = self.client.former_tests().await?;
        let file = sandbox::memory::sealed("former-tests", &former);
        let file = file.map_err(|error| Obstacle::Refused(format!("no memory for test timings: {error}")))?;
        Ok((Answer::FormerTests { size: former.len() as u64 }, Some(file.into())))
    }

    /// Stores an archive, by way of a copy of ours where there is room for one: the copy cannot change between hash and
    /// upload, and it is the near one when somebody on this host restores it.
    async fn archive<'r>(&self, request: &'r Request) -> Result<&'r Content, Obstacle> {
        let known = self.kept(request).await?;
        failpoints::hit("artifact_uploader:hashed", self.lease.task_id);
        let contents = vec![known.content.clone()];
        let destinations = self.client.store(&Store { epoch: self.lease.epoch, contents }).await?;
        self.put(destinations.first(), request, known).await?;
        Ok(&known.content)
    }

    async fn kept<'r>(&self, request: &'r Request) -> Result<&'r Known, Obstacle> {
        if let Some(known) = request.known() {
            return Ok(known);
        }
        let _transfer = self.transfer().await;
        let kept = self.host.contents.keep(request.file(), request.size()).await;
        let (content, copy) =
            kept.map_err(|error| Obstacle::Refused(format!("the archive cannot be read: {error}")))?;
        Ok(request.is_known(content, copy.map_or_else(|| request.file(), Arc::new)))
    }

    async fn lend_file(&self) -> Attempt {
        let contents = self.host.contents.clone();
        let lent = spawn_blocking(move || contents.lend()).await.map_err(io::Error::other).flatten();
        let lent =
            lent.map_err(|error| Obstacle::Refused(format!("the host has no room for an archive: {error}")))?;
        Ok((Answer::Lent, Some(lent)))
    }

    async fn save_cache(&self, request: &Request, key: &str) -> Attempt {
        let content = self.archive(request).await?.clone();
        let size = content.size;
        let save = SaveCache { epoch: self.lease.epoch, key: key.to_owned(), content };
        Ok(match self.client.save_cache(&save).await? {
            Saved::New => (Answer::Stored { size }, None),
            Saved::Before => (Answer::AlreadySaved, None),
        })
    }

    async fn find_cache(&self, key: &str) -> Attempt {
        let find = FindCache { keys: vec![key.to_owned()], exact: true };
        let found = self.client.find_cache(&find).await?;
        Ok((found.map_or(Answer::NoCache, |_| Answer::AlreadySaved), None))
    }

    async fn restore_cache(&self, keys: &[String]) -> Attempt {
        let find = FindCache { keys: keys.to_vec(), exact: false };
        let Some(found) = self.client.find_cache(&find).await? else { return Ok((Answer::NoCache, None)) };
        let file = self.fetch(&found).await?;
        Ok((Answer::Cache { key: found.name, size: found.content.size }, Some(file)))
    }

    async fn persist_layer(&self, request: &Request) -> Attempt {
        let content = self.archive(request).await?.clone();
        let size = content.size;
        let layer = PersistLayer { epoch: self.lease.epoch, request: request.number(), content };
        self.client.persist_layer(&layer).await?;
        Ok((Answer::Stored { size }, None))
    }

    async fn attach_layer(&self, index: u32) -> Attempt {
        let Layers { layers, writers } = self.client.layers().await?;
        let place = index as usize;
        let Some(found) = layers.get(place) else { return Ok((Answer::NoLayer, None)) };
        let file = self.fetch(found).await?;
        let (job, size, writer) = (found.name.clone(), found.content.size, writers.get(place).cloned());
        Ok((Answer::Layer { job, size, writer }, Some(file)))
    }

    async fn fetch_source(&self) -> Attempt {
        let found = self.client.source().await?;
        let file = self.fetch(&found).await?;
        Ok((Answer::Source { size: found.content.size }, Some(file)))
    }

    fn mirror(&self, method: Method) -> Option<String> {
        let kind = match method {
            Method::Full => "full",
            Method::Blobless => "blobless",
            Method::Shallow { .. } => return None,
        };
        Some(format!("{}-{kind}", self.mirror.as_ref()?))
    }

    async fn take_mirror(&self, method: Method) -> Attempt {
        let Some(name) = self.mirror(method) else { return Ok((Answer::NoMirror, None)) };
        let mirrors = self.host.mirrors.clone();
        let taken = spawn_blocking(move || mirrors.take(&name)).await.ok().flatten();
        Ok(taken.map_or((Answer::NoMirror, None), |(file, size)| (Answer::Mirror { size }, Some(file))))
    }

    async fn keep_mirror(&self, request: &Request, method: Method) -> Attempt {
        let Some(name) = self.mirror(method) else { return Ok((Answer::NoMirror, None)) };
        let (mirrors, file, size) = (self.host.mirrors.clone(), request.file(), request.size());
        let keeping = spawn_blocking(move || mirrors.keep(&name, &file, size));
        let kept = keeping.await.map_err(io::Error::other).flatten();
        match kept.map_err(|error| Obstacle::Refused(format!("the copy cannot be kept: {error}")))? {
            true => Ok((Answer::Stored { size }, None)),
            false => Ok((Answer::NoMirror, None)),
        }
    }

    async fn token(&self, audience: &[String]) -> Attempt {
        let mint = Mint { epoch: self.lease.epoch, audience: audience.to_vec() };
        let token = self.client.token(&mint).await?;
        content("token", token.as_bytes())
    }

    async fn continue_pipeline(&self, request: &Request) -> Attempt {
        let (file, size) = (request.file(), request.size());
        let call = spawn_blocking(move || whole(&file, size)).await.map_err(io::Error::other).flatten();
        let call = call.map_err(|error| Obstacle::Refused(format!("the call cannot be read: {error}")))?;
        let (status, body) = self.client.continue_pipeline(call.into()).await?;
        let body = String::from_utf8_lossy(&body);
        let is_short = body.len() <= MOST_REPLY;
        let body = if is_short { body.into_owned() } else { LONG_REPLY.to_owned() };
        Ok((Answer::Reply { status, body }, None))
    }

    /// A content from the host's shelf, or from the control plane by way of it.
    async fn fetch(&self, found: &Found) -> Result<File, Obstacle> {
        let _transfer = self.transfer().await;
        let kept = self.host.contents.obtain(&self.client, &found.url, &found.content).await;
        match kept {
            Ok(kept) => Ok(kept.file),
            Err(ShelfError::Fetch { cause, .. }) => Err(cause.into()),
            Err(error) => Err(Obstacle::Refused(error.to_string())),
        }
    }

    pub(super) async fn transfer(&self) -> tokio::sync::SemaphorePermit<'_> {
        self.host.transfers.acquire().await.expect("the limit of transfers is never closed")
    }
}

/// What a control plane says that got other bytes than were announced.
const BAD: u16 = 400;

impl Obstacle {
    /// Of sending what a file has in it.
    pub(super) fn of_content(error: ClientError) -> Self {
        match error {
            ClientError::Rejected { status: BAD, .. } => Self::Changed,
            ClientError::File(error) if error.kind() == io::ErrorKind::UnexpectedEof => Self::Changed,
            ClientError::File(error) => Self::Refused(format!("the file cannot be read: {error}")),
            error => error.into(),
        }
    }
}

impl From<ClientError> for Obstacle {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Fenced(why) => Self::LeaseLost(why),
            ClientError::Refused { .. } => Self::LeaseLost("the task's token is refused".to_owned()),
            error if error.is_transient() => Self::Passing,
            ClientError::File(error) => {
                Self::Refused(format!("the file changed while it was stored, or cannot be read: {error}"))
            }
            error => Self::Refused(error.to_string()),
        }
    }
}

/// An answer that no disk sees.
fn content(name: &str, bytes: &[u8]) -> Attempt {
    let file = sandbox::memory::sealed(name, bytes)
        .map_err(|error| Obstacle::Refused(format!("there is no memory for the answer: {error}")))?;
    Ok((Answer::Content { size: bytes.len() as u64 }, Some(file.into())))
}

fn refused(request: &Request, message: &str) -> Answered {
    let answer = Answer::Refused { message: message.to_owned() };
    Answered { request: request.number(), answer, file: None }
}

/// Of an artifact it is said so that it can be handed over anew; nothing else is handed over before it is all written.
fn changed(request: &Request) -> Answered {
    match request.wanted() {
        Wanted::StoreArtifact { .. } => {
            Answered { request: request.number(), answer: Answer::Changed, file: None }
        }
        _ => refused(request, "the file changed while it was stored"),
    }
}

fn stored_answer(request: &Request, content: &Content) -> Answered {
    let answer = Answer::Stored { size: content.size };
    Answered { request: request.number(), answer, file: None }
}

fn artifact(request: &Request, content: Content) -> Artifact {
    match request.wanted() {
        Wanted::StoreArtifact { path } => Artifact { path: path.clone(), content },
        other => unreachable!("only artifacts come here, not {other:?}"),
    }
}
