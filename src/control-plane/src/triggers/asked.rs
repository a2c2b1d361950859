//! Pipelines that somebody asks for by a call: of a branch or tag of the project's repository, as it is now.

use super::{Event, PATH, no_repository, pipeline};
use crate::{
    plane::{
        Plane,
        people::{Right, Who},
    },
    refusal::Refusal,
};
use protocol::{api::CommitValues, webhook::Made};
use std::{collections::BTreeMap, sync::Arc};
use store::{PipelineRow, RepositoryRow};

/// What a pipeline is wanted of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Where its configuration is read.
    pub(crate) config: At,
    /// What its jobs check out.
    pub(crate) checkout: At,
    /// As typed.
    pub(crate) parameters: BTreeMap<String, String>,
}

/// A branch or a tag; with neither, the branch that others come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) branch: Option<String>,
    pub(crate) tag: Option<String>,
}

impl Plane {
    /// Makes a pipeline, or one in error where its configuration is not valid.
    pub(crate) async fn trigger(
        self: &Arc<Self>,
        project: &str,
        asked: Asked,
        by: &Who,
    ) -> Result<PipelineRow, Refusal> {
        let row = self.store.repository(project).await?.ok_or_else(|| no_repository(project))?;
        let checkout = self.located(&row, &asked.checkout).await?;
        let config = match asked.config == asked.checkout {
            true => checkout.clone(),
            false => self.located(&row, &asked.config).await?,
        };
        let repository = (row.url.as_str(), row.class.clone());
        let mut new = pipeline(project, repository, &checkout, None);
        (new.parameters, new.actor) = (asked.parameters, by.actor());
        // A configuration that lies elsewhere is not what whoever may write there has agreed to.
        let is_admin = by.in_project(project) >= Some(Right::Administer);
        new.git.is_claimed = config.revision != checkout.revision && !is_admin;
        let made: Made = match self.fetches.fetch(self, &row, &config).await {
            Ok(fetched) => {
                let is_same = config.revision == checkout.revision;
                new.git.commit = if is_same { fetched.commit } else { CommitValues::default() };
                new.config = fetched.config;
                self.made(new, super::Occasion::Other).await?
            }
            Err(error) if error.is_ours() => return Err(Refusal::Unavailable(error.to_string())),
            Err(error) => self.in_error(new, vec![format!("{PATH}: error: {error}\n")]).await?,
        };
        let found = self.store.pipeline_row(made.id).await?;
        found.map(|(_, row)| row).ok_or_else(|| Refusal::Missing("the pipeline was just removed".to_owned()))
    }

    /// The commit that it is at now.
    async fn located(&self, row: &RepositoryRow, at: &At) -> Result<Event, Refusal> {
        let event = Event { branch: at.branch.clone(), tag: at.tag.clone(), ..Event::default() };
        let reference = event.reference().unwrap_or_else(|| "HEAD".to_owned());
        let found = match self.fetches.newest(self, row, &reference).await {
            Ok(found) => found,
            Err(error) if error.is_ours() => return Err(Refusal::Unavailable(error.to_string())),
            Err(error) => return Err(Refusal::Bad(error.to_string())),
        };
        let missing = || Refusal::Bad(format!("the repository has no `{reference}`"));
        let found = found.ok_or_else(missing)?;
        let (revision, default_branch) = (found.revision, found.default_branch);
        let is_named = event.branch.is_some() || event.tag.is_some();
        if !is_named && default_branch.is_none() {
            let why = "the repository does not say what its default branch is: name a `branch` or a `tag`";
            return Err(Refusal::Bad(why.to_owned()));
        }
        let branch = if is_named { event.branch } else { default_branch.clone() };
        Ok(Event { revision, branch, default_branch, tag: event.tag, ..Event::default() })
    }
}
