//! What a job is told of its former runs: how long its tests took, and which failed where it runs those alone again.
//!
//! The first of its tasks that asks has it looked up among the runs that were over when the job was made; all others are
//! told the same, whatever ends or is forgotten meanwhile.

use super::{Plane, live::Live};
use crate::refusal::Refusal;
use protocol::{
    JobId,
    former::{FailedTest, Former, Timings},
    http::Lease,
};
use store::{Cases, Named, ProjectId, StoreError, Write};

/// So many runs on one branch are looked at: a test that the newest leaves out may be in another.
const RUNS: u32 = 5;
/// The most bytes of results that are read of one run.
const MOST: u64 = 64 * 1024 * 1024;
/// What the branch is called that others come from, where nobody has said it.
const USUAL: [&str; 2] = ["main", "master"];

/// A job whose former runs are looked for.
struct Asked {
    job: JobId,
    project: ProjectId,
    name: String,
    /// Where its runs are, the nearest first; without a branch: an empty name.
    branches: Vec<String>,
}

impl Asked {
    fn of(live: &Live, job: usize) -> Self {
        let git = &live.pipeline.git;
        let default = match &git.default_branch {
            Some(default) => vec![default.clone()],
            None => USUAL.map(str::to_owned).to_vec(),
        };
        let mut branches = vec![git.branch.clone().unwrap_or_default()];
        for branch in default {
            if !branches.contains(&branch) {
                branches.push(branch);
            }
        }
        let job = &live.jobs[job];
        let (project, name) = (live.pipeline.project, job.definition.name.clone());
        Self { job: job.id, project, name, branches }
    }
}

impl Plane {
    /// What the job of a task is told, as JSON.
    pub(crate) async fn former(&self, lease: Lease) -> Result<String, Refusal> {
        let asked = self.held(lease, |(live, job), _| Asked::of(live, job))?;
        if let Some(told) = self.store.former(asked.job).await? {
            return Ok(told);
        }
        // One looks back, however many tasks ask at once.
        let _one = self.looking_back.lock().await;
        if let Some(told) = self.store.former(asked.job).await? {
            return Ok(told);
        }
        let former = self.look_back(&asked).await?;
        let told = serde_json::to_string(&former).expect("it has only string keys");
        self.write_held(lease, vec![Write::Former(asked.job, told.clone())]).await?;
        Ok(told)
    }

    async fn look_back(&self, asked: &Asked) -> Result<Former, Refusal> {
        let mut timings = Timings::default();
        for branch in &asked.branches {
            let named = Named { project: asked.project, name: &asked.name, branch };
            for job in self.store.tested_before(named, asked.job, RUNS).await? {
                let run = self.store.cases_of_job(job, MOST).await?;
                timings.add_older(read(run).await?);
            }
        }
        timings.bound();
        let failed = self.store.failed_again(asked.job).await?.map(FailedTest::named);
        Ok(Former { timings, failed })
    }
}

/// Off the server's own threads: many results take their time.
async fn read(run: Vec<Cases>) -> Result<Timings, StoreError> {
    let sum = move || {
        let requests: Result<Vec<_>, _> = run.iter().map(Cases::read).collect();
        Ok(Timings::of(requests?.into_iter().flatten()))
    };
    match tokio::task::spawn_blocking(sum).await {
        Ok(timings) => timings,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
