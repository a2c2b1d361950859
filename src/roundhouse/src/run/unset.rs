//! What CircleCI tells its jobs and a run on one machine cannot: named where the configuration speaks of it.

use protocol::{api::GitValues, pipeline::Pipeline};

/// Of CircleCI's own variables, those that have no true value in any local run.
const NEVER: [&str; 10] = [
    "CIRCLE_OIDC_TOKEN",
    "CIRCLE_OIDC_TOKEN_V2",
    "CIRCLE_PREVIOUS_BUILD_NUM",
    "CIRCLE_PR_NUMBER",
    "CIRCLE_PR_REPONAME",
    "CIRCLE_PR_USERNAME",
    "CIRCLE_PULL_REQUEST",
    "CIRCLE_PULL_REQUESTS",
    "CIRCLE_USERNAME",
    "CIRCLE_COMPARE_URL",
];

/// The sentence about those that the jobs name; none where they name none.
pub(crate) fn sentence(pipeline: &Pipeline, git: &GitValues) -> Option<String> {
    let text = serde_json::to_string(pipeline).unwrap_or_default();
    let of_git = [
        ("CIRCLE_BRANCH", &git.branch),
        ("CIRCLE_TAG", &git.tag),
        ("CIRCLE_SHA1", &git.revision),
        ("CIRCLE_REPOSITORY_URL", &git.url),
    ];
    let unknown = of_git.into_iter().filter(|(_, known)| known.is_none()).map(|(name, _)| name);
    let unset: Vec<_> = NEVER.into_iter().chain(unknown).filter(|name| names(&text, name)).collect();
    (!unset.is_empty())
        .then(|| format!("left unset, for a local run has no true value for them: {}", unset.join(", ")))
}

/// Whether a text has the name in it, and not only a longer one.
fn names(text: &str, name: &str) -> bool {
    let goes_on = |c: char| c == '_' || c.is_ascii_alphanumeric();
    text.match_indices(name).any(|(at, _)| !text[at + name.len()..].starts_with(goes_on))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::pipeline::{Job, Kind, Workflow};

    #[test]
    fn what_the_jobs_name_and_nobody_knows_is_told() {
        let mut job = Job::without_tasks("build", Kind::Build);
        let pair = |value: &str| ("X".to_owned(), value.to_owned());
        job.environment = vec![pair("$CIRCLE_OIDC_TOKEN_V2"), pair("${CIRCLE_TAG:-}"), pair("$CIRCLE_SHA1")];
        let workflow = Workflow { name: "all".to_owned(), jobs: vec![job], max_auto_reruns: 0 };
        let pipeline = Pipeline { workflows: vec![workflow], is_setup: false, schedules: Vec::new() };
        let git = GitValues { revision: Some("abc".to_owned()), ..GitValues::default() };
        let said = sentence(&pipeline, &git).unwrap();
        assert!(said.ends_with("for them: CIRCLE_OIDC_TOKEN_V2, CIRCLE_TAG"), "{said}");
        assert_eq!(sentence(&Pipeline::default(), &git), None);
    }
}
