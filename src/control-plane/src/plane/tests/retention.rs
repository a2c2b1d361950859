//! What is forgotten and swept, against a model of what must stay.

use super::*;
use crate::settings::Retention;
use blobs::Scope;
use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use protocol::{
    Digest,
    http::{Artifacts, FindCache, SaveCache},
    transfer::{Artifact, Content},
};
use std::collections::{BTreeMap, BTreeSet};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const PROJECT: &str = "local/x";

/// What may happen; contents and keys go by small numbers.
#[derive(Clone, Copy, Debug)]
enum Step {
    Create,
    Finish,
    Upload(u8),
    AddArtifact(u8),
    SaveCache(u8, u8),
    FindCache(u8),
    Day,
    Round,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Create),
        2 => Just(Step::Finish),
        4 => (0..6_u8).prop_map(Step::Upload),
        4 => (0..6_u8).prop_map(Step::AddArtifact),
        2 => (0..3_u8, 0..6_u8).prop_map(|(key, content)| Step::SaveCache(key, content)),
        2 => (0..3_u8).prop_map(Step::FindCache),
        2 => Just(Step::Day),
        4 => Just(Step::Round),
    ]
}

/// The control plane, and what must be true of it.
struct Model {
    plane: Arc<Plane>,
    now_ms: i64,
    /// In their order, with the contents that their tasks named.
    running: Vec<(PipelineId, Lease, BTreeSet<u8>)>,
    over: Vec<(PipelineId, BTreeSet<u8>)>,
    caches: BTreeMap<u8, u8>,
    /// Contents that are there and were asked for since the last round.
    fresh: BTreeSet<u8>,
}

fn bytes(number: u8) -> Vec<u8> {
    vec![number; 10 + usize::from(number)]
}

fn content(number: u8) -> Content {
    let bytes = bytes(number);
    let hash = ring::digest::digest(&ring::digest::SHA256, &bytes);
    let digest = Digest::of_bytes(hash.as_ref().try_into().unwrap());
    Content { digest, size: bytes.len() as u64 }
}

impl Model {
    async fn is_there(&self, number: u8) -> bool {
        let Content { digest, size } = content(number);
        self.plane.blobs.size(&Scope::project(PROJECT), &digest).await.unwrap() == Some(size)
    }

    fn newest(&self) -> Option<Lease> {
        self.running.last().map(|(_, lease, _)| *lease)
    }

    async fn apply(&mut self, step: Step) {
        match step {
            Step::Create => self.create().await,
            Step::Finish => self.finish().await,
            Step::Upload(number) => self.upload(number).await,
            Step::AddArtifact(number) => self.add_artifact(number).await,
            Step::SaveCache(key, number) => self.save_cache(key, number).await,
            Step::FindCache(key) => self.find_cache(key).await,
            Step::Day => self.now_ms += DAY_MS,
            Step::Round => self.round().await,
        }
    }

    async fn create(&mut self) {
        let id = pipeline(&self.plane).await;
        let claimed = claim(&self.plane).await.unwrap().remove(0);
        let lease = Lease { task_id: claimed.task_id, epoch: claimed.epoch };
        self.plane.begin(lease).await.unwrap();
        self.running.push((id, lease, BTreeSet::new()));
    }

    async fn finish(&mut self) {
        if self.running.is_empty() {
            return;
        }
        let (id, lease, named) = self.running.remove(0);
        self.plane.end(lease, Ending { outcome: Outcome::Success, message: None }).await.unwrap();
        self.over.push((id, named));
    }

    async fn upload(&mut self, number: u8) {
        let digest = content(number).digest;
        let mut writer = self.plane.blobs.write(&Scope::project(PROJECT), digest, None).await.unwrap();
        writer.push(Bytes::from(bytes(number))).await.unwrap();
        writer.finish().await.unwrap();
        self.fresh.insert(number);
    }

    async fn add_artifact(&mut self, number: u8) {
        let Some(lease) = self.newest() else { return };
        let was_there = self.is_there(number).await;
        let artifact = Artifact { path: number.to_string(), content: content(number) };
        let artifacts = Artifacts { epoch: lease.epoch, artifacts: vec![artifact] };
        let added = self.plane.add_artifacts(lease, artifacts).await;
        assert_eq!(added.is_ok(), was_there, "{added:?}");
        if was_there {
            self.fresh.insert(number);
            self.running.last_mut().unwrap().2.insert(number);
        }
    }

    async fn save_cache(&mut self, key: u8, number: u8) {
        let Some(lease) = self.newest() else { return };
        let was_there = self.is_there(number).await;
        let save = SaveCache { epoch: lease.epoch, key: key.to_string(), content: content(number) };
        let saved = self.plane.save_cache(lease, save).await;
        assert_eq!(saved.is_ok(), was_there, "{saved:?}");
        if was_there {
            self.fresh.insert(number);
        }
        if saved.is_ok_and(|is_new| is_new) {
            self.caches.insert(key, number);
        }
    }

    async fn find_cache(&mut self, key: u8) {
        let Some(lease) = self.newest() else { return };
        let find = FindCache { keys: vec![key.to_string()], exact: true };
        let found = self.plane.find_cache(lease, find).await.unwrap();
        assert_eq!(found.is_some(), self.caches.contains_key(&key));
        self.fresh.extend(self.caches.get(&key));
    }

    async fn round(&mut self) {
        let round = self.plane.round(self.now_ms, true).await.unwrap();
        self.fresh_is_there("by a round").await;
        self.fresh.clear();
        let mut left = Vec::new();
        for (id, named) in std::mem::take(&mut self.over) {
            if self.plane.view(id).await.unwrap().is_some() {
                left.push((id, named));
            }
        }
        assert!(self.running.len() + left.len() <= 3 + self.running.len(), "{round:?}");
        self.over = left;
        let mut caches = BTreeMap::new();
        for (key, number) in std::mem::take(&mut self.caches) {
            let project = self.plane.store.project(PROJECT).await.unwrap().unwrap().0;
            if self.plane.store.find_cache((project, ""), &key.to_string(), true).await.unwrap().is_some() {
                caches.insert(key, number);
            }
        }
        self.caches = caches;
    }

    async fn fresh_is_there(&self, how: &str) {
        for number in &self.fresh {
            assert!(self.is_there(*number).await, "{number} was only just asked for, and removed {how}");
        }
    }

    /// What must be true at any time.
    async fn holds(&self) {
        for (id, lease, named) in &self.running {
            assert!(self.plane.view(*id).await.unwrap().is_some(), "a pipeline that runs was forgotten");
            assert!(self.plane.store.task(lease.task_id).await.unwrap().is_some());
            self.are_there(named).await;
        }
        for (id, named) in &self.over {
            assert!(self.plane.view(*id).await.unwrap().is_some(), "forgotten without a round");
            self.are_there(named).await;
        }
        self.are_there(&self.caches.values().copied().collect()).await;
        self.fresh_is_there("by nobody").await;
    }

    async fn are_there(&self, named: &BTreeSet<u8>) {
        for number in named {
            assert!(self.is_there(*number).await, "{number} is named, and gone");
        }
    }

    /// Once nothing runs and nobody asks, nothing stays that is not named.
    async fn comes_to_rest(mut self) {
        while !self.running.is_empty() {
            self.finish().await;
        }
        self.now_ms += 30 * DAY_MS;
        for _ in 0..2 {
            self.round().await;
        }
        assert!(self.over.len() <= 1 && self.caches.is_empty());
        let named = self.over.iter().flat_map(|(_, named)| named).copied().collect::<BTreeSet<_>>();
        for number in 0..6 {
            assert_eq!(self.is_there(number).await, named.contains(&number), "{number}");
        }
    }
}

async fn model(folder: &TempDir) -> (Running, Model) {
    let mut settings = settings(folder);
    settings.retention = Retention {
        pipelines_for: Some(Duration::from_secs(5 * 24 * 60 * 60)),
        newest: 3,
        audit_for: Duration::from_secs(3 * 24 * 60 * 60),
        caches_for: Duration::from_secs(3 * 24 * 60 * 60),
        cache_bytes: 25,
        ..Retention::SERVER
    };
    // No round but those of the model.
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/swept"), "").unwrap();
    let running = start(settings, Logger::root(Discard, o!())).await.unwrap();
    let plane = running.plane.clone();
    plane.change_access(vec![Write::Class(class_row())]).await.unwrap();
    let now_ms = super::super::clock::wall_ms() + 2 * DAY_MS;
    let (running_ones, over, caches, fresh) = Default::default();
    (running, Model { plane, now_ms, running: running_ones, over, caches, fresh })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_is_named_asked_for_or_running_ever_goes_and_all_else_does(steps in vec(step(), 1..60)) {
        actix_web::rt::System::new().block_on(async {
            let folder = TempDir::new().unwrap();
            let (running, mut model) = model(&folder).await;
            for step in steps {
                model.apply(step).await;
                model.holds().await;
            }
            model.comes_to_rest().await;
            running.stop().await;
        });
    }
}
