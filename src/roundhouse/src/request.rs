//! What a user asks to run: a folder, its configuration, and the values to run it with.

use crate::{
    arguments::Selection,
    connect::Access,
    failure::Failure,
    orb::{self, Lent},
    ssh_keys, validate,
    values::{self, ConfigFile},
};
use compiler::{Inputs, orb::Orbs};
use protocol::{
    Actor, ResourceClass,
    api::{self, CommitValues, GitValues, NewPipeline, NewSshKey},
    pipeline::Pipeline,
    task::{Source, Variable},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What a user asks to run, complete and readable.
#[derive(Debug)]
pub(crate) struct Request {
    /// Whose pipeline it is; absolute.
    pub(crate) folder: PathBuf,
    /// Variables of every job.
    pub(crate) environment: Vec<Variable>,
    config: ConfigFile,
    parameters: BTreeMap<String, String>,
    selection: api::Selection,
    contexts: BTreeMap<String, Vec<Variable>>,
    pub(crate) native: bool,
    ssh_keys: Vec<NewSshKey>,
    orbs: Arc<Lent>,
}

impl Request {
    /// Reads everything the command line names; nothing is begun yet.
    pub(crate) fn read(
        path: Option<&Path>,
        given: &Selection,
        server: Option<Access>,
    ) -> Result<Self, Failure> {
        let folder = values::folder(path)?;
        Ok(Self {
            config: ConfigFile::read(given.config.as_deref(), &folder)?,
            environment: values::environment(given)?,
            parameters: values::parameters(&given.parameters)?,
            selection: values::selection(given),
            contexts: values::contexts(&given.contexts)?,
            native: given.native,
            ssh_keys: ssh_keys::given(&given.ssh_keys)?,
            orbs: Arc::new(orb::at_hand(&given.orbs, server)?),
            folder,
        })
    }

    /// Compiles the configuration, so that a wrong one leaves no trace. The control plane has the last word: it
    /// compiles again, with the commit's values. `no_engine`: why no job can run in a container here.
    pub(crate) fn check(&self, no_engine: Option<String>) -> Result<Pipeline, Failure> {
        let inputs = Inputs {
            parameters: self.parameters.clone(),
            selection: self.selection.clone(),
            native: self.native,
            no_engine,
            orbs: Some(self.orbs.clone()),
            ..Inputs::default()
        };
        validate::check(&self.config, &inputs).map(|(pipeline, _)| pipeline)
    }

    /// Where published orbs come from.
    pub(crate) fn orbs(&self) -> Arc<dyn Orbs> {
        self.orbs.clone()
    }

    /// The pipeline to make of it.
    pub(crate) fn pipeline(
        &self,
        project: String,
        source: Source,
        git: Option<snapshot::Git>,
        default_class: Option<ResourceClass>,
    ) -> NewPipeline {
        NewPipeline {
            project,
            config: self.config.text.clone(),
            config_path: self.config.shown.clone(),
            parameters: self.parameters.clone(),
            selection: self.selection.clone(),
            source,
            git: git.map(git_values).unwrap_or_default(),
            environment: self.environment.clone(),
            contexts: self.contexts.clone(),
            default_class,
            native: self.native,
            orbs: self.orbs.given(),
            ssh_keys: self.ssh_keys.clone(),
            actor: Actor::Unknown,
        }
    }
}

/// A branch that is checked out counts before a tag that names the same commit.
fn git_values(git: snapshot::Git) -> GitValues {
    let snapshot::Git { revision, branch, default_branch, tag, url, commit } = git;
    let tag = tag.filter(|_| branch.is_none());
    let snapshot::Commit { subject, body, author_name, author_email } = commit;
    let commit = CommitValues { subject, body, author_name, author_email };
    GitValues { revision, branch, tag, default_branch, url, commit, trigger: None, is_claimed: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipeline_is_of_a_branch_or_of_a_tag() {
        let git = |branch: Option<&str>| snapshot::Git {
            revision: None,
            branch: branch.map(str::to_owned),
            default_branch: None,
            tag: Some("v1".to_owned()),
            url: None,
            commit: snapshot::Commit::default(),
        };
        assert_eq!(git_values(git(Some("main"))).tag, None);
        assert_eq!(git_values(git(None)).tag.as_deref(), Some("v1"));
    }
}
