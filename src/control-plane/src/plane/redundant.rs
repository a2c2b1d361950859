//! What still runs of a branch's earlier pipelines when a newer one begins, where the project does not want it to.

use super::{Plane, core::Core};
use protocol::{
    PipelineId,
    api::{GitValues, NewPipeline},
    task::Source,
};
use slog::{info, warn};
use std::{collections::BTreeSet, sync::Arc};
use store::ProjectId;

/// The default branch, where nobody says which it is.
const USUAL: [&str; 2] = ["main", "master"];

impl Plane {
    /// Cancels what runs of earlier pipelines of the branch. What people or the clock started of other commits goes too;
    /// a schedule's own pipeline makes nothing redundant.
    pub(crate) async fn cancel_redundant(
        self: &Arc<Self>,
        (project, number): (ProjectId, u64),
        branch: Option<String>,
    ) {
        let Some(branch) = branch.filter(|_| self.queue_rules.now().of(project).cancel_redundant) else {
            return;
        };
        let earlier = self.core().earlier(project, number, &branch);
        for pipeline in earlier {
            info!(self.log, "a newer pipeline of its branch has begun: this one is canceled";
                "pipeline" => %pipeline, "branch" => &branch);
            // The new one is there all the same.
            if let Err(refusal) = self.cancel(pipeline).await {
                warn!(self.log, "it could not be canceled"; "pipeline" => %pipeline, "error" => %refusal);
            }
        }
    }
}

impl Core {
    fn earlier(&self, project: ProjectId, number: u64, branch: &str) -> BTreeSet<PipelineId> {
        let is_earlier = |git: &GitValues| git.branch.as_deref() == Some(branch);
        let all = self.running_workflows().map(|(_, live)| &live.pipeline);
        let all = all.filter(|one| one.project == project && one.number < number && is_earlier(&one.git));
        all.map(|one| one.id).collect()
    }
}

/// The branch of which a new pipeline makes earlier ones redundant, if it does of any.
pub(crate) fn replaced(new: &NewPipeline) -> Option<String> {
    let git = &new.git;
    let is_scheduled = git.trigger.as_ref().is_some_and(|trigger| trigger.schedule.is_some());
    let branch = git.branch.clone()?;
    let is_default = match &git.default_branch {
        Some(default) => *default == branch,
        None => USUAL.contains(&branch.as_str()),
    };
    (matches!(new.source, Source::Git { .. }) && !is_scheduled && !is_default).then_some(branch)
}
