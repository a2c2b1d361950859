//! What tasks store and fetch: contents, artifacts, test results, caches, workspace layers and the source.

use super::{
    Plane,
    clock::wall_ms,
    live::{Live, LiveJob, Pipeline},
};
use crate::{
    bundle::{self, Faulty},
    refusal::Refusal,
};
use blobs::Scope;
use protocol::{
    JobId,
    http::{
        Artifacts, Destinations, FindCache, Layers, Lease, PersistLayer, PutBundle, SaveCache, Tests,
        is_empty_content,
    },
    pipeline::Requirement,
    task::Source,
    transfer::{
        Content, Destination, Found, MAX_CACHE_KEY, MAX_CONTENT, MAX_WHOLE, PART, Parts, Writer, is_safe_path,
    },
};
use std::sync::Arc;
use store::{BundleRow, CacheRow, FoundCache, LayerRow, ProjectId, TestsRow, Write};

/// How long a signed URL is good.
const URL_MS: i64 = 6 * 60 * 60 * 1000;

/// How old the noted use of a cache may be.
const USE_NOTED_MS: i64 = 60 * 60 * 1000;

impl Plane {
    /// Where to put contents; those that the project has need no URL.
    pub(crate) async fn destinations(
        &self,
        lease: Lease,
        contents: Vec<Content>,
    ) -> Result<Destinations, Refusal> {
        if let Some(content) = contents.iter().find(|content| content.size > MAX_CONTENT) {
            let Content { digest, size } = content;
            return Err(Refusal::Bad(format!(
                "the content {digest} has {size} bytes, {MAX_CONTENT} are allowed: store it in pieces"
            )));
        }
        let scope = self.scope(lease)?;
        let stored = self.are_stored(&scope, contents.clone()).await?;
        let mut destinations = Vec::with_capacity(contents.len());
        for (content, is_there) in contents.into_iter().zip(stored) {
            let Content { digest, size } = &content;
            let url = (!is_there).then(|| self.signer.put_url(&scope, digest, *size, wall_ms() + URL_MS));
            let parts = match !is_there && *size > MAX_WHOLE {
                true => Some(Parts { size: PART, stored: self.blobs.parts(&scope, &content).await? }),
                false => None,
            };
            destinations.push(Destination { digest: content.digest, url, parts });
        }
        Ok(Destinations { destinations })
    }

    /// Remembers artifacts.
    pub(crate) async fn add_artifacts(&self, lease: Lease, artifacts: Artifacts) -> Result<(), Refusal> {
        let scope = self.scope(lease)?;
        for artifact in &artifacts.artifacts {
            if !is_safe_path(&artifact.path) {
                return Err(Refusal::Bad(format!("`{}` is no path for an artifact", artifact.path)));
            }
        }
        let contents = artifacts.artifacts.iter().map(|artifact| artifact.content.clone());
        self.want_stored(&scope, contents.collect()).await?;
        let task = lease.task_id;
        let rows = artifacts.artifacts.into_iter().map(|artifact| Write::Artifact(task, artifact));
        self.write_held(lease, rows.collect()).await.map(drop)
    }

    /// Remembers a bundle of artifacts, once each member was found to be what the bundle says.
    pub(crate) async fn add_bundle(&self, lease: Lease, bundle: PutBundle) -> Result<(), Refusal> {
        let PutBundle { request, content, .. } = bundle;
        let scope = self.scope(lease)?;
        self.want_stored(&scope, vec![content.clone()]).await?;
        let stored = self.blobs.read(&scope, &content.digest).await?;
        let stored =
            stored.ok_or_else(|| Refusal::Unavailable("the bundle is gone: send it again".to_owned()))?;
        let size = content.size;
        let _turn = self.bundles.acquire().await.expect("it is never closed");
        let looked = tokio::task::spawn_blocking(move || bundle::members(&stored.into_file(), size)).await;
        let members = looked.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        let row = BundleRow { task: lease.task_id, request, content, members };
        self.write_held(lease, vec![Write::Bundle(row.into())]).await.map(drop)
    }

    /// Remembers test results.
    pub(crate) async fn add_tests(&self, lease: Lease, tests: Tests) -> Result<(), Refusal> {
        let row = TestsRow { task: lease.task_id, request: tests.request, cases: tests.cases };
        self.write_held(lease, vec![Write::Tests(row.into())]).await.map(drop)
    }

    /// Finds a cache of the task's project and trust class.
    pub(crate) async fn find_cache(&self, lease: Lease, find: FindCache) -> Result<Option<Found>, Refusal> {
        let pipeline = self.pipeline_of(lease)?;
        let (scope, trust) = (Scope::project(&pipeline.project_name), pipeline.trust_class());
        for key in &find.keys {
            let found = self.store.find_cache((pipeline.project, &trust), key, find.exact).await?;
            let Some(cache) = found else { continue };
            // Held, so that it stays until it is fetched. One that is lost is as good as none.
            if self.are_stored(&scope, vec![cache.content.clone()]).await? == [true] {
                self.note_use((pipeline.project, trust), &cache);
                return Ok(Some(self.found(&scope, cache.key, cache.content)));
            }
        }
        Ok(None)
    }

    /// Notes that a cache was found, unless that was noted lately. Nobody waits for it: what is lost is an hour of its age.
    fn note_use(&self, (project, trust): (ProjectId, String), cache: &FoundCache) {
        let now = wall_ms();
        if now - cache.used_ms > USE_NOTED_MS {
            drop(self.store.queue(None, vec![Write::CacheUsed(project, trust, cache.key.clone(), now)]));
        }
    }

    /// Saves a cache; whether it is the first of its key.
    pub(crate) async fn save_cache(&self, lease: Lease, save: SaveCache) -> Result<bool, Refusal> {
        if save.key.is_empty() || save.key.chars().count() > MAX_CACHE_KEY {
            return Err(Refusal::Bad(format!("a cache key has 1 to {MAX_CACHE_KEY} characters")));
        }
        let pipeline = self.pipeline_of(lease)?;
        self.want_stored(&Scope::project(&pipeline.project_name), vec![save.content.clone()]).await?;
        let (project, trust, saved_ms) = (pipeline.project, pipeline.trust_class(), wall_ms());
        let row = CacheRow { project, trust, key: save.key, content: save.content, saved_ms };
        let numbers = self.write_held(lease, vec![Write::Cache(row)]).await?;
        Ok(numbers.first() == Some(&1))
    }

    /// Adds a workspace layer.
    pub(crate) async fn persist_layer(&self, lease: Lease, layer: PersistLayer) -> Result<(), Refusal> {
        self.want_stored(&self.scope(lease)?, vec![layer.content.clone()]).await?;
        let row = LayerRow { task: lease.task_id, request: layer.request, content: layer.content };
        self.write_held(lease, vec![Write::Layer(row)]).await.map(drop)
    }

    /// The layers of all jobs upstream, in the order they apply.
    pub(crate) async fn layers(&self, lease: Lease) -> Result<Layers, Refusal> {
        let (scope, jobs) = self.held(lease, |(live, job), _| (scope_of(live), upstream(live, job)))?;
        let (mut layers, mut writers) = (Vec::new(), Vec::new());
        for (job, upstream) in (0..).zip(jobs) {
            for (index, content) in self.store.layers_of_job(upstream.results).await? {
                layers.push(self.found(&scope, upstream.name.clone(), content));
                writers.push(Writer { job, index, over: upstream.over.clone() });
            }
        }
        Ok(Layers { layers, writers })
    }

    /// The archive of the pipeline's source.
    pub(crate) fn source(&self, lease: Lease) -> Result<Found, Refusal> {
        let pipeline = self.pipeline_of(lease)?;
        let Source::Archive { digest, size } = &pipeline.source else {
            return Err(Refusal::Missing("the source of this pipeline is no archive".to_owned()));
        };
        let content = Content { digest: digest.clone(), size: *size };
        Ok(self.found(&Scope::project(&pipeline.project_name), "source".to_owned(), content))
    }

    /// Queues rows of a task, unless its lease is over, and waits until they are on disk.
    pub(super) async fn write_held(&self, lease: Lease, writes: Vec<Write>) -> Result<Vec<u64>, Refusal> {
        // Under the lock, so that nothing is queued behind what ends the lease.
        let written = self.held(lease, |_, _| self.store.queue(None, writes))?;
        Ok(written.await?)
    }

    pub(crate) fn pipeline_of(&self, lease: Lease) -> Result<Arc<Pipeline>, Refusal> {
        self.held(lease, |(live, _), _| live.pipeline.clone())
    }

    fn scope(&self, lease: Lease) -> Result<Scope, Refusal> {
        self.held(lease, |(live, _), _| scope_of(live))
    }

    /// Which of these contents are there. All of them are kept until there was time to name them.
    pub(crate) async fn are_stored(
        &self,
        scope: &Scope,
        contents: Vec<Content>,
    ) -> Result<Vec<bool>, Refusal> {
        let is_nothing = |content: &Content| is_empty_content(&content.digest) && content.size == 0;
        let nothing: Vec<_> = contents.iter().map(is_nothing).collect();
        let stored = self.blobs.hold(scope, contents).await?;
        Ok(stored.into_iter().zip(nothing).map(|(is_there, is_nothing)| is_there || is_nothing).collect())
    }

    async fn want_stored(&self, scope: &Scope, contents: Vec<Content>) -> Result<(), Refusal> {
        let stored = self.are_stored(scope, contents.clone()).await?;
        let Some(missing) = stored.iter().position(|is_there| !is_there) else { return Ok(()) };
        let Content { digest, size } = &contents[missing];
        Err(Refusal::Bad(format!("the content {digest} of {size} bytes is not stored: send it first")))
    }

    fn found(&self, scope: &Scope, name: String, content: Content) -> Found {
        let url = self.signer.get_url(scope, &content.digest, wall_ms() + URL_MS);
        Found { name, content, url }
    }
}

impl From<Faulty> for Refusal {
    fn from(fault: Faulty) -> Self {
        if fault.is_senders() { Self::Bad(fault.to_string()) } else { Self::Unavailable(fault.to_string()) }
    }
}

fn scope_of(live: &Live) -> Scope {
    Scope::project(&live.pipeline.project_name)
}

/// A job that another one requires, if only through others.
struct Upstream {
    /// The job that has its results.
    results: JobId,
    name: String,
    /// The places of those that it requires itself, also through others.
    over: Vec<u32>,
}

/// All jobs that a job requires, also through others: each after those that it requires itself.
fn upstream(live: &Live, job: usize) -> Vec<Upstream> {
    let place = |one: &Requirement| live.jobs.iter().position(|job| job.definition.name == one.job);
    let required = |job: &LiveJob| job.definition.requires.iter().rev().filter_map(place).collect::<Vec<_>>();
    let (mut order, mut seen) = (Vec::<Upstream>::new(), vec![false; live.jobs.len()]);
    let mut places = vec![None; live.jobs.len()];
    let mut path: Vec<(usize, bool)> =
        required(&live.jobs[job]).into_iter().map(|job| (job, false)).collect();
    while let Some((job, done)) = path.pop() {
        if done {
            let direct: Vec<u32> =
                required(&live.jobs[job]).into_iter().filter_map(|job| places[job]).collect();
            let mut over: Vec<u32> =
                direct.iter().flat_map(|place| order[*place as usize].over.clone()).collect();
            over.extend(direct);
            over.sort_unstable();
            over.dedup();
            places[job] = u32::try_from(order.len()).ok();
            let LiveJob { results, definition, .. } = &live.jobs[job];
            order.push(Upstream { results: *results, name: definition.name.clone(), over });
        } else if !std::mem::replace(&mut seen[job], true) {
            path.push((job, true));
            path.extend(required(&live.jobs[job]).into_iter().map(|job| (job, false)));
        }
    }
    order
}
