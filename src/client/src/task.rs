//! Calls with a task token: begin, stream, transfers, end.

use crate::{
    bearer::Bearer,
    call::{Call, ClientError},
    file,
    transport::Link,
};
use awc::http::{Method, StatusCode};
use bytes::Bytes;
use protocol::{
    http::{
        Artifacts, Begin, Destinations, End, Fail, FindCache, Granted, Layers, Mint, Minted, PersistLayer,
        PutBundle, SaveCache, Store, Tests, Unclaim,
    },
    ids::Epoch,
    stream::Acknowledged,
    task::TaskSpec,
    transfer::{Content, Destination, Found},
};
use serde::Serialize;
use std::fs::File;

/// A task's spec may wait for a token of its own, which another party gives.
const GIVEN_WITHIN_MS: u64 = 20_000;

/// One lease of one task as the control plane sees it. Clones share their connections.
#[derive(Clone, Debug)]
pub struct TaskClient {
    link: Link,
    token: Bearer,
}

/// What became of a stream write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamAnswer {
    /// All of it is stored, up to here.
    Stored(Acknowledged),
    /// It does not fit what is stored: cut anew from here.
    Rewind(Acknowledged),
}

/// What became of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// It is the key's first.
    New,
    /// The key was saved before; that one stays.
    Before,
}

impl TaskClient {
    pub(crate) fn new(link: Link, token: &str) -> Self {
        Self { link, token: Bearer::new(token) }
    }

    /// What to run.
    pub async fn config(&self) -> Result<TaskSpec, ClientError> {
        self.get_json("/api/v2/task/config").held(GIVEN_WITHIN_MS).send(&self.link).await?.fenced()?.read()
    }

    /// Asks leave to run user code.
    pub async fn begin(&self, epoch: Epoch) -> Result<Granted, ClientError> {
        self.under_lease("/api/v3/task/begin", &Begin { epoch }).await?.read()
    }

    /// Gives the task back; [`ClientError::Conflict`] where it began or was given back too often.
    pub async fn unclaim(&self, unclaim: &Unclaim) -> Result<(), ClientError> {
        self.post("/api/v3/runner/unclaim", unclaim).send(&self.link).await?.done()
    }

    /// How far the control plane has the task's stream.
    pub async fn acknowledged(&self) -> Result<Acknowledged, ClientError> {
        self.get_json("/api/v3/task/stream").send(&self.link).await?.fenced()?.read()
    }

    /// Sends items of [`protocol::stream`].
    pub async fn stream(&self, epoch: Epoch, body: Bytes) -> Result<StreamAnswer, ClientError> {
        let path = format!("/api/v3/task/stream?epoch={}", epoch.0);
        let answer = Call::new(Method::POST, path, &self.token).body(body).send(&self.link).await?;
        if answer.status == StatusCode::CONFLICT {
            let rewind = serde_json::from_slice(&answer.body).ok().map(StreamAnswer::Rewind);
            return rewind.map_or_else(|| answer.fenced()?.read().map(StreamAnswer::Rewind), Ok);
        }
        answer.read().map(StreamAnswer::Stored)
    }

    /// Where to put contents, in the order asked.
    pub async fn store(&self, store: &Store) -> Result<Vec<Destination>, ClientError> {
        let answer = self.under_lease("/api/v3/task/blobs", store).await?;
        let what = answer.what.clone();
        let destinations = answer.read::<Destinations>()?.destinations;
        let asked = store.contents.iter().map(|content| &content.digest);
        if destinations.iter().map(|destination| &destination.digest).eq(asked) {
            return Ok(destinations);
        }
        Err(ClientError::Unexpected { what, why: "its destinations are not those asked for".to_owned() })
    }

    /// Sends a file's content, from its start, to a [`Destination`]'s URL.
    pub async fn put(&self, url: &str, content: &Content, from: &File) -> Result<(), ClientError> {
        file::put(&self.link, file::Target { path: url, token: None }, content, from).await
    }

    /// Sends some bytes of a file as one part of a content that goes in parts ([`protocol::transfer::Parts`]).
    pub async fn put_part(
        &self,
        url: &str,
        number: u32,
        part: &Content,
        (from, offset): (&File, u64),
    ) -> Result<(), ClientError> {
        let url = format!("{url}&part={number}&sha256={}", part.digest);
        file::put_from(&self.link, file::Target { path: &url, token: None }, part, (from, offset)).await
    }

    /// All parts of a content were sent; [`ClientError::Rejected`] with 409 where some of them are not there. Its size says
    /// how long that may take.
    pub async fn join_parts(&self, url: &str, content: &Content) -> Result<(), ClientError> {
        let url = format!("{url}&join=true");
        file::join(&self.link, file::Target { path: &url, token: None }, content).await
    }

    /// Fetches a content from a signed URL into a file, from its start, and checks size and digest.
    pub async fn get(&self, url: &str, content: &Content, into: &File) -> Result<(), ClientError> {
        file::get(&self.link, file::Target { path: url, token: None }, content, into).await
    }

    /// Tells of artifacts whose contents are stored.
    pub async fn artifacts(&self, artifacts: &Artifacts) -> Result<(), ClientError> {
        self.under_lease("/api/v3/task/artifacts", artifacts).await?.done()
    }

    /// Tells of a bundle of artifacts whose content is stored.
    pub async fn bundle(&self, bundle: &PutBundle) -> Result<(), ClientError> {
        self.under_lease("/api/v3/task/bundles", bundle).await?.done()
    }

    /// Tells of test results.
    pub async fn tests(&self, tests: &Tests) -> Result<(), ClientError> {
        self.under_lease("/api/v3/task/tests", tests).await?.done()
    }

    /// What former runs of the job tell: a [`protocol::former::Former`] as JSON, which is the job's to read.
    pub async fn former_tests(&self) -> Result<Bytes, ClientError> {
        let answer = self.get_json("/api/v3/task/tests").send(&self.link).await?.fenced()?;
        let body = answer.body.clone();
        answer.done().map(|()| body)
    }

    /// Looks for a cache.
    pub async fn find_cache(&self, find: &FindCache) -> Result<Option<Found>, ClientError> {
        let answer = self.under_lease("/api/v3/task/cache/find", find).await?;
        if answer.status == StatusCode::NO_CONTENT { Ok(None) } else { answer.read().map(Some) }
    }

    /// Saves a cache whose content is stored.
    pub async fn save_cache(&self, save: &SaveCache) -> Result<Saved, ClientError> {
        let answer = self.under_lease("/api/v3/task/cache", save).await?;
        let saved = if answer.status == StatusCode::CREATED { Saved::New } else { Saved::Before };
        answer.done().map(|()| saved)
    }

    /// Adds a workspace layer whose content is stored.
    pub async fn persist_layer(&self, layer: &PersistLayer) -> Result<(), ClientError> {
        self.under_lease("/api/v3/task/layers", layer).await?.done()
    }

    /// The workspace's layers, in the order they apply.
    pub async fn layers(&self) -> Result<Layers, ClientError> {
        let answer = self.get_json("/api/v3/task/layers").send(&self.link).await?.fenced()?;
        answer.read()
    }

    /// The archive of the source.
    pub async fn source(&self) -> Result<Found, ClientError> {
        self.get_json("/api/v3/task/source").send(&self.link).await?.fenced()?.read()
    }

    /// A token by which the task's job proves to others which job it is.
    pub async fn token(&self, mint: &Mint) -> Result<String, ClientError> {
        Ok(self.under_lease("/api/v3/task/token", mint).await?.read::<Minted>()?.token)
    }

    /// Sends a call of the job that continues its pipeline; whatever the control plane answers, as status and JSON. The
    /// call's own key is all that counts.
    pub async fn continue_pipeline(&self, call: Bytes) -> Result<(u16, Bytes), ClientError> {
        let call = Call::open(Method::POST, "/api/v2/pipeline/continue").body(call);
        let answer = call.send(&self.link).await?;
        Ok((answer.status.as_u16(), answer.body))
    }

    /// The task is over.
    pub async fn end(&self, end: &End) -> Result<(), ClientError> {
        self.under_lease("/api/v3/task/end", end).await?.done()
    }

    /// The infrastructure failed the task (public shape).
    pub async fn fail(&self, fail: &Fail) -> Result<(), ClientError> {
        self.under_lease("/api/v2/task/event/fail", fail).await?.done()
    }

    async fn under_lease(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<crate::call::Answer, ClientError> {
        self.post(path, body).send(&self.link).await?.fenced()
    }

    fn post(&self, path: &str, body: &impl Serialize) -> Call {
        Call::new(Method::POST, path, &self.token).json(body)
    }

    fn get_json(&self, path: &str) -> Call {
        Call::new(Method::GET, path, &self.token)
    }
}
