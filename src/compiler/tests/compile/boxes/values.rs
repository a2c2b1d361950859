//! Pipeline values: every documented name is known, and has the value that there is.

use super::{says, steps};
use crate::shown::inputs;
use compiler::{Inputs, examine};

/// All names of the documentation but those that only one of the triggering systems gives.
const NAMES: &str = "
    id number name integration_source trigger_source definition.id
    project.git_url project.type project.slug
    trigger.id trigger.type trigger.received_at schedule.id schedule.name
    git.tag git.branch git.branch.is_default git.revision git.base_revision
    git.repo_url git.repo_owner git.repo_name git.repo_id
    git.commit.url git.commit.subject git.commit.body
    git.commit.author_login git.commit.author_name git.commit.author_email git.commit.author_avatar_url
    config.file_path config.ref config.sha config.repository.name config.repository.url
    deploy.component_name deploy.environment_name deploy.namespace
    deploy.current_version deploy.target_version deploy.reason
    event.name event.action event.context.github.pr_url event.context.github.sha
    event.github.ref event.github.after event.github.head_commit.url event.github.comment.body event.github.label.name
    event.github.pull_request.base.ref event.github.pull_request.base.sha
    event.github.pull_request.head.ref event.github.pull_request.head.sha
    event.github.pull_request.draft event.github.pull_request.merged
    event.github.pull_request.number event.github.pull_request.title event.github.pull_request.url
    event.github.repository.name event.github.repository.owner.login event.github.repository.url
    event.github.sender.login event.github.sender.type event.github.sender.avatar_url
    trigger_parameters.circleci.trigger_type trigger_parameters.circleci.event_type
    trigger_parameters.circleci.event_time trigger_parameters.webhook.body
    trigger_parameters.github_app.anything trigger_parameters.gitlab.anything trigger_parameters.bitbucket_dc.anything";

#[test]
fn every_pipeline_value_is_known() {
    for name in NAMES.split_whitespace() {
        let text = steps(&format!("run: 'x<< pipeline.{name} >>'"));
        let compilation = examine("config.yml", &text, &inputs());
        assert!(compilation.pipeline.is_some(), "{name}: {:?}", compilation.said);
    }
    says(
        &steps("run: << pipeline.git.brnch >>"),
        &["`pipeline.git.brnch` is no pipeline value", "did you mean `pipeline.git.branch`?"],
    );
}

/// What a value is, where as much as can be is known.
fn value(name: &str) -> String {
    let mut inputs = Inputs { project: "gh/acme/shop".to_owned(), number: 7, ..inputs() };
    inputs.received_at = Some("2026-11-24T03:25:00Z".to_owned());
    inputs.git.url = Some("git@example.org:acme/shop.git".to_owned());
    inputs.git.commit.subject = "Mend it".to_owned();
    inputs.git.commit.body = "All of it.".to_owned();
    inputs.git.commit.author_name = "Ann".to_owned();
    inputs.git.commit.author_email = "ann@acme.example".to_owned();
    let text = steps(&format!("run: '=<< pipeline.{name} >>'"));
    let pipeline = examine(".circleci/config.yml", &text, &inputs).pipeline.expect("it is right");
    pipeline.workflows[0].jobs[0].steps[0].name.trim_start_matches('=').to_owned()
}

#[test]
fn pipeline_values_are_what_is_known_of_the_pipeline() {
    for (name, expect) in [
        ("number", "7"),
        ("project.slug", "gh/acme/shop"),
        ("project.type", "github"),
        ("project.git_url", "git@example.org:acme/shop.git"),
        ("trigger_source", "api"),
        ("event.name", "api"),
        ("trigger.received_at", "2026-11-24T03:25:00Z"),
        ("git.branch", "main"),
        ("git.tag", ""),
        ("git.revision", "0123456789abcdef"),
        ("git.repo_owner", "acme"),
        ("git.repo_name", "shop"),
        ("git.commit.subject", "Mend it"),
        ("git.commit.body", "All of it."),
        ("git.commit.author_name", "Ann"),
        ("git.commit.author_email", "ann@acme.example"),
        ("config.file_path", ".circleci/config.yml"),
        ("schedule.name", ""),
        ("event.github.pull_request.number", ""),
    ] {
        assert_eq!(value(name), expect, "{name}");
    }
}

#[test]
fn values_that_are_not_there_are_false() {
    let text = steps("unless: {condition: << pipeline.event.github.pull_request.draft >>, steps: [run: x]}");
    says(&text, &["run \"x\""]);
}
