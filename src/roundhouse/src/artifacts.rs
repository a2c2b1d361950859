//! Artifacts on this machine: where each one's copy lies, and the copying.

use crate::failure::{Failure, OrFail};
use client::Operator;
use protocol::{
    api::{JobView, PipelineView, WorkflowView},
    transfer::Artifact,
};
use std::{
    fs::{self, File},
    path::{Component, Path, PathBuf},
};

/// Where copies of artifacts lie.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    folder: Option<PathBuf>,
}

impl Places {
    /// As `WORKFLOW/JOB/INDEX/PATH` below a folder.
    pub(crate) fn below(folder: PathBuf) -> Self {
        Self { folder: Some(folder) }
    }

    /// Nowhere: they stay where the control plane keeps them.
    pub(crate) fn nowhere() -> Self {
        Self { folder: None }
    }

    /// The folder of all copies.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Where a copy lies, for the JSON document; empty where there is none.
    pub(crate) fn shown(&self, workflow: &WorkflowView, job: &JobView, index: u32, path: &str) -> String {
        self.file(workflow, job, index, path).map_or(String::new(), |file| file.display().to_string())
    }

    fn file(&self, workflow: &WorkflowView, job: &JobView, index: u32, path: &str) -> Option<PathBuf> {
        let stays = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        let folder = self.folder.as_ref().filter(|_| stays)?;
        Some(folder.join(word(&workflow.name)).join(word(&job.name)).join(index.to_string()).join(path))
    }

    /// Copies every artifact of a pipeline; a copy that fails is named and ends it.
    pub(crate) async fn fill(&self, operator: &Operator, view: &PipelineView) -> Result<(), Failure> {
        for workflow in &view.workflows {
            for (job, index, artifact) in artifacts(workflow) {
                if let Some(file) = self.file(workflow, job, index, &artifact.path) {
                    copy(operator, job, index, artifact, &file).await?;
                }
            }
        }
        Ok(())
    }
}

fn artifacts(workflow: &WorkflowView) -> impl Iterator<Item = (&JobView, u32, &Artifact)> {
    let tasks = workflow.jobs.iter().flat_map(|job| job.tasks.iter().map(move |task| (job, task)));
    tasks.flat_map(|(job, task)| task.artifacts.iter().map(move |artifact| (job, task.index, artifact)))
}

/// A name as one part of a path.
fn word(name: &str) -> String {
    let flat = name.replace('/', "-");
    if flat.is_empty() || flat.chars().all(|c| c == '.') { "_".to_owned() + &flat } else { flat }
}

async fn copy(
    operator: &Operator,
    job: &JobView,
    index: u32,
    artifact: &Artifact,
    into: &Path,
) -> Result<(), Failure> {
    let what = || format!("cannot copy the artifact {} to {}", artifact.path, into.display());
    let folder = into.parent().unwrap_or(into);
    fs::create_dir_all(folder).or_machinery(what())?;
    // A new file beside, renamed when whole: a link or a half that lies there is never written through.
    let part = Part::new(folder.join(format!(".{}.part", std::process::id())));
    let file = File::create_new(&part.0).or_machinery(what())?;
    operator.artifact((job.id, index), &artifact.path, &artifact.content, &file).await.or_machinery(what())?;
    fs::rename(&part.0, into).or_machinery(what())
}

/// A copy that is not whole: gone with whoever was making it, unless it got its name.
struct Part(PathBuf);

impl Part {
    /// At this path, where nothing is left of another.
    fn new(path: PathBuf) -> Self {
        let _ = fs::remove_file(&path);
        Self(path)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::follow::scripted::finished;

    #[test]
    fn an_artifact_lies_below_its_workflow_job_and_index() {
        let view = finished();
        let (workflow, places) = (&view.workflows[0], Places::below("/out".into()));
        let shown = |path| places.shown(workflow, &workflow.jobs[0], 2, path);
        assert_eq!(shown("a/b.txt"), "/out/main/build/2/a/b.txt");
        assert_eq!(shown("../../etc/passwd"), "");
        assert_eq!(shown("/etc/passwd"), "");
    }

    #[test]
    fn a_name_is_one_part_of_a_path() {
        let words: Vec<String> = ["a/b", "..", "", "x y"].map(word).into();
        assert_eq!(words, ["a-b", "_..", "_", "x y"]);
    }

    #[test]
    fn half_a_copy_goes_with_whoever_was_making_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".1.part");
        fs::write(&path, "of a run that was killed").unwrap();
        let part = Part::new(path.clone());
        assert!(!path.exists());
        fs::write(&part.0, "half").unwrap();
        drop(part);
        assert!(!path.exists());
    }
}
