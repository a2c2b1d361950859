//! Jobs whose every output byte, artifact, cache, test result and exit code is known before they run.

mod config;
mod piece;

pub(crate) use config::numbers;
pub use config::{CLASS, config};
pub use piece::Piece;

use crate::random::Random;
use serde_json::{Value, json};

/// One pipeline of one workflow.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// Unique in a run.
    pub name: String,
    /// Each requires only earlier ones.
    pub jobs: Vec<Job>,
}

/// One job.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Unique in its pipeline.
    pub name: String,
    /// Places of earlier jobs.
    pub requires: Vec<usize>,
    /// How many tasks it is.
    pub parallelism: u32,
    /// In order, behind the one that counts executions.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Prints.
    Print(Vec<Piece>),
    /// Prints, then stays until the job is over.
    Background(Vec<Piece>),
    /// Prints, then fails.
    Fail(Vec<Piece>, u8),
    /// Writes files and stores them.
    Artifacts(Vec<(String, Vec<Piece>)>),
    /// Stores so many results of passed, failed and skipped tests.
    Tests(u64, u64, u64),
    /// Writes a file and saves it under the job's own key.
    SaveCache(Vec<Piece>),
    /// Restores what the job at this place saved, and prints it.
    RestoreCache(usize, Vec<Piece>),
    /// Writes a file of the job's own, one for each task, and adds it to the workspace.
    Persist(Vec<Piece>),
    /// Attaches the workspace and prints the files of these jobs.
    Attach(Vec<usize>),
}

impl Pipeline {
    /// The pipeline with this number of a seed's run.
    pub fn generate(seed: u64, number: u64) -> Self {
        let mut random = Random::part(seed, number + 1);
        let mut pipeline = Self { name: format!("p{number}"), jobs: Vec::new() };
        for place in 0..usize::try_from(random.within(1, 6)).unwrap_or(1) {
            let job = pipeline.job(place, &mut random);
            pipeline.jobs.push(job);
        }
        pipeline
    }

    fn job(&self, place: usize, random: &mut Random) -> Job {
        let mut requires: Vec<_> = (0..place).filter(|_| random.chance(40)).collect();
        requires.truncate(2);
        let parallelism = if random.chance(20) { 2 } else { 1 };
        let upstream = self.upstream(&requires);
        let mut steps = Vec::new();
        if random.chance(20) {
            steps.push(Step::Background(Piece::some(random, false)));
        }
        steps.extend(self.restored(&upstream, random));
        let persisted = self.that(&upstream, |step| matches!(step, Step::Persist(_)));
        if !persisted.is_empty() {
            steps.push(Step::Attach(persisted));
        }
        for _ in 0..random.within(1, 4) {
            steps.push(Step::Print(Piece::some(random, true)));
        }
        steps.extend(stores(parallelism, random));
        if random.chance(8) {
            let exit = u8::try_from(random.within(1, 100)).unwrap_or(1);
            steps.push(Step::Fail(Piece::some(random, false), exit));
        }
        Job { name: format!("j{place}"), requires, parallelism, steps }
    }

    fn restored(&self, upstream: &[usize], random: &mut Random) -> Option<Step> {
        let saved = self.that(upstream, |step| matches!(step, Step::SaveCache(_)));
        let place = *saved.first().filter(|_| random.chance(70))?;
        let content = self.jobs[place].steps.iter().find_map(|step| match step {
            Step::SaveCache(content) => Some(content.clone()),
            _ => None,
        });
        Some(Step::RestoreCache(place, content?))
    }

    fn that(&self, places: &[usize], has: impl Fn(&Step) -> bool) -> Vec<usize> {
        places.iter().copied().filter(|place| self.jobs[*place].steps.iter().any(&has)).collect()
    }

    /// All jobs that must succeed before, in order.
    pub fn upstream(&self, requires: &[usize]) -> Vec<usize> {
        let mut all = requires.to_vec();
        let mut at = 0;
        while let Some(place) = all.get(at).copied() {
            all.extend(self.jobs[place].requires.iter().copied());
            at += 1;
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    /// What a step prints, if that is known byte for byte.
    pub fn printed(&self, step: &Step, index: u32) -> Option<Vec<u8>> {
        match step {
            Step::Print(pieces) | Step::Background(pieces) | Step::Fail(pieces, _) => {
                Some(Piece::bytes_of(pieces, index))
            }
            Step::RestoreCache(_, content) => Some(Piece::bytes_of(content, 0)),
            Step::Attach(places) => Some(self.workspace(places)),
            _ => None,
        }
    }

    fn workspace(&self, places: &[usize]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for job in places.iter().map(|place| &self.jobs[*place]) {
            for (step, index) in
                job.steps.iter().flat_map(|step| (0..job.parallelism).map(move |i| (step, i)))
            {
                if let Step::Persist(content) = step {
                    bytes.extend(Piece::bytes_of(content, index));
                }
            }
        }
        bytes
    }

    /// The body of the call that makes it; `tag` names this attempt, `runs` is where executions are counted.
    pub fn body(&self, tag: &str, runs: &std::path::Path) -> Value {
        json!({
            "project": format!("chaos/{tag}"),
            "config": config(self, tag, runs),
            "config_path": ".circleci/config.yml",
            "source": "none",
        })
    }
}

impl Job {
    /// The exit code of the step that fails, if one does.
    pub fn fails_with(&self) -> Option<u8> {
        self.steps.iter().find_map(|step| match step {
            Step::Fail(_, exit) => Some(*exit),
            _ => None,
        })
    }

    /// Artifacts of each task: path and content.
    pub fn artifacts(&self, index: u32) -> Vec<(String, Vec<u8>)> {
        let files = self.steps.iter().filter_map(|step| match step {
            Step::Artifacts(files) => Some(files),
            _ => None,
        });
        files
            .flatten()
            .map(|(path, content)| (format!("out/{path}"), Piece::bytes_of(content, index)))
            .collect()
    }

    /// Test results of each task: passed, failed, skipped.
    pub fn tests(&self) -> (u64, u64, u64) {
        let tests = self.steps.iter().find_map(|step| match step {
            Step::Tests(passed, failed, skipped) => Some((*passed, *failed, *skipped)),
            _ => None,
        });
        tests.unwrap_or_default()
    }
}

/// What a job leaves: caches only where it is one task, for a key is saved once.
fn stores(parallelism: u32, random: &mut Random) -> Vec<Step> {
    let mut steps = Vec::new();
    if random.chance(50) {
        let files = (0..random.within(1, 4)).map(|file| (format!("f{file}.txt"), Piece::some(random, false)));
        steps.push(Step::Artifacts(files.collect()));
    }
    if random.chance(30) {
        steps.push(Step::Tests(random.within(1, 9), random.within(0, 3), random.within(0, 3)));
    }
    if random.chance(40) {
        steps.push(Step::Persist(Piece::some(random, false)));
    }
    if parallelism == 1 && random.chance(40) {
        steps.push(Step::SaveCache(vec![Piece::large(random)]));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_pipeline_is_the_same_each_time_and_jobs_require_earlier_ones(seed: u64, number in 0u64..1000) {
            let pipeline = Pipeline::generate(seed, number);
            proptest::prop_assert_eq!(&pipeline, &Pipeline::generate(seed, number));
            for (place, job) in pipeline.jobs.iter().enumerate() {
                proptest::prop_assert!(job.requires.iter().all(|required| *required < place));
                proptest::prop_assert!(job.parallelism >= 1);
            }
        }

        #[test]
        fn what_is_restored_was_saved_upstream(seed: u64, number in 0u64..1000) {
            let pipeline = Pipeline::generate(seed, number);
            for job in &pipeline.jobs {
                for step in &job.steps {
                    let Step::RestoreCache(place, content) = step else { continue };
                    proptest::prop_assert!(pipeline.upstream(&job.requires).contains(place));
                    proptest::prop_assert!(pipeline.jobs[*place].steps.contains(&Step::SaveCache(content.clone())));
                }
            }
        }
    }
}
