//! What an organization's policies say of a pipeline that is about to be: it runs, it runs and something is said, or it does
//! not. A decision is kept either way, and where the policies cannot say, nothing runs.

use super::hidden;
use crate::{
    plane::{Plane, clock::wall_ms, people::canonical, projects::stable_id},
    policies::{sha256, texts},
    refusal::Refusal,
};
use masking::Masker;
use policies::{Compiled, Source};
use protocol::{
    api::{GitValues, NewPipeline, Refused},
    people::organization,
    policies::{Decision, Violation},
};
use serde_json::{Value, json};
use std::time::Instant;
use store::{DecisionRow, PolicyChange, Write};
use uuid::Uuid;

/// A configuration that is to become a pipeline's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case<'c> {
    pub(super) new: &'c NewPipeline,
    /// The pipeline's.
    pub(super) number: u64,
    /// With everything filled in; empty where an orb is missing that what runs does without.
    pub(super) compiled: &'c str,
    /// Of what only jobs are to know.
    pub(super) masker: &'c Masker,
}

/// One that may.
#[derive(Debug, Default)]
pub(super) struct Passed {
    /// The decision, to be kept with the pipeline.
    pub(super) along: Option<Write>,
    /// What it says all the same, each as people read it.
    pub(super) warnings: Vec<String>,
}

impl Plane {
    /// Asks the policies of the project's organization, where they decide.
    pub(super) async fn police(&self, case: Case<'_>) -> Result<Passed, Refusal> {
        let organization = canonical(organization(&case.new.project));
        if self.rules.judge.is_none() || !self.store.has_policies_enabled(&organization).await? {
            return Ok(Passed::default());
        }
        let began = Instant::now();
        let rules = self.store.policy_rules(&organization).await?;
        let metadata = metadata(case);
        let decision = match case.compiled {
            "" => {
                Decision::error("the configuration cannot be filled in whole: an orb of it is missing here")
            }
            compiled => {
                let compiled = Compiled::Is(compiled.to_owned());
                let source = Source { written: case.new.config.clone(), compiled };
                self.asked((&organization, texts(&rules.policies)), source, metadata.clone()).await?
            }
        };
        let decision = without_secrets(decision, case.masker);
        let row = DecisionRow {
            id: Uuid::now_v7(),
            organization,
            at_ms: wall_ms(),
            bundle: rules.bundle,
            branch: case.new.git.branch.clone(),
            project: stable_id(&case.new.project).to_string(),
            decision: decision.clone(),
            metadata,
            input: sha256(&case.new.config),
            took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        let kept = Write::Policy(PolicyChange::Decision(row.into()));
        if decision.status.is_refusal() {
            self.write(vec![kept]).await?;
            return Err(Refusal::Diagnosed(refused(&case.new.config_path, &decision)));
        }
        let warnings = said(&case.new.config_path, "warning", &decision.soft_failures);
        Ok(Passed { along: Some(kept), warnings })
    }
}

/// What policies have as `data.meta`.
fn metadata(case: Case<'_>) -> Value {
    let git = &case.new.git;
    json!({
        "project_id": stable_id(&case.new.project),
        "build_number": case.number,
        "ssh_rerun": false,
        "vcs": {
            "branch": git.branch.clone().unwrap_or_default(),
            "release_tag": git.tag.clone().unwrap_or_default(),
            "origin_repository_url": origin(git),
            "target_repository_url": git.url.clone().unwrap_or_default(),
            "is_claimed": git.is_claimed,
        },
    })
}

/// Where the commit was made: that of a fork's pull request on the same host.
fn origin(git: &GitValues) -> String {
    let url = git.url.clone().unwrap_or_default();
    let Some(fork) = git.fork() else { return url };
    let host = url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.split('/').next()?)));
    match host {
        Some((scheme, host)) if !fork.path.is_empty() => format!("{scheme}://{host}/{}", fork.path),
        _ => format!("{}:{}", fork.trust_class(), fork.path),
    }
}

fn without_secrets(decision: Decision, masker: &Masker) -> Decision {
    let hide = |failures: Vec<Violation>| {
        let hidden = |one: Violation| Violation { reason: hidden::hide(one.reason, masker), ..one };
        failures.into_iter().map(hidden).collect()
    };
    Decision {
        reason: decision.reason.map(|reason| hidden::hide(reason, masker)),
        hard_failures: hide(decision.hard_failures),
        soft_failures: hide(decision.soft_failures),
        ..decision
    }
}

fn refused(path: &str, decision: &Decision) -> Refused {
    let message = match &decision.reason {
        Some(_) => "the organization's policies cannot decide, so nothing runs".to_owned(),
        None => format!("the organization's policies refuse {path}"),
    };
    let cannot = |reason: &String| format!("{path}: error: the policies of the organization: {reason}\n");
    let mut diagnostics: Vec<_> = decision.reason.iter().map(cannot).collect();
    diagnostics.extend(said(path, "error", &decision.hard_failures));
    diagnostics.extend(said(path, "warning", &decision.soft_failures));
    Refused { message, diagnostics }
}

fn said(path: &str, word: &str, failures: &[Violation]) -> Vec<String> {
    let say =
        |Violation { rule, reason }: &Violation| format!("{path}: {word}: policy rule `{rule}`: {reason}\n");
    failures.iter().map(say).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::api::{Fork, Trigger};

    #[test]
    fn a_fork_is_another_repository_of_the_same_host() {
        let fork = |path: &str| Fork { number: 7, path: path.to_owned(), needs_approval: false };
        let trigger = |fork| Trigger {
            provider: "github".to_owned(),
            event: "pull_request".to_owned(),
            action: "opened".to_owned(),
            pull_request: None,
            fork,
            schedule: None,
        };
        let url = Some("https://git.example/acme/app".to_owned());
        let of = |fork| GitValues { url: url.clone(), trigger: Some(trigger(fork)), ..GitValues::default() };
        assert_eq!(origin(&of(None)), "https://git.example/acme/app");
        assert_eq!(origin(&of(Some(fork("eve/app")))), "https://git.example/eve/app");
        // One that is gone is no repository of the organization's either.
        assert_eq!(origin(&of(Some(fork("")))), "pull request 7:");
        assert_eq!(origin(&GitValues::default()), "");
    }
}
