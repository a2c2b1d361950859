//! Pipeline values: what `<< pipeline.… >>` may name, and its values as far as they are known.

use crate::{
    Inputs, declaration::Declaration, diagnostics, findings::Findings, pipeline::MAX_VALUE, scope::Arguments,
};
use protocol::api::ScheduledBy;
use std::collections::BTreeMap;
use yaml::{Diagnostic, Node, Span};

/// Names that a pipeline of ours has no value for: they are empty, as they are for a pipeline of another trigger.
const EMPTY: [&str; 55] = [
    "pipeline.config.ref",
    "pipeline.config.repository.name",
    "pipeline.config.repository.url",
    "pipeline.config.sha",
    "pipeline.config_source",
    "pipeline.definition.id",
    "pipeline.deploy.component_name",
    "pipeline.deploy.current_version",
    "pipeline.deploy.environment_name",
    "pipeline.deploy.namespace",
    "pipeline.deploy.reason",
    "pipeline.deploy.target_version",
    "pipeline.event.circleci_actor_id",
    "pipeline.event.context.github.pr_url",
    "pipeline.event.context.github.sha",
    "pipeline.event.github.after",
    "pipeline.event.github.comment.body",
    "pipeline.event.github.head_commit.url",
    "pipeline.event.github.label.name",
    "pipeline.event.github.pull_request.base.ref",
    "pipeline.event.github.pull_request.base.sha",
    "pipeline.event.github.pull_request.draft",
    "pipeline.event.github.pull_request.head.ref",
    "pipeline.event.github.pull_request.head.sha",
    "pipeline.event.github.pull_request.merged",
    "pipeline.event.github.pull_request.number",
    "pipeline.event.github.pull_request.title",
    "pipeline.event.github.pull_request.url",
    "pipeline.event.github.ref",
    "pipeline.event.github.repository.name",
    "pipeline.event.github.repository.owner.login",
    "pipeline.event.github.repository.url",
    "pipeline.event.github.sender.avatar_url",
    "pipeline.event.github.sender.login",
    "pipeline.event.github.sender.type",
    "pipeline.event.provider_actor_id",
    "pipeline.event.provider_login",
    "pipeline.git.base_revision",
    "pipeline.git.branch.is_default",
    "pipeline.git.commit.author_avatar_url",
    "pipeline.git.commit.author_login",
    "pipeline.git.commit.url",
    "pipeline.git.repo_id",
    "pipeline.git.ssh_checkout_url",
    "pipeline.name",
    "pipeline.project.url",
    "pipeline.schedule.id",
    "pipeline.schedule.name",
    "pipeline.trigger.id",
    "pipeline.trigger.name",
    "pipeline.trigger.type",
    "pipeline.trigger_parameters.circleci.event_time",
    "pipeline.trigger_parameters.circleci.event_type",
    "pipeline.trigger_parameters.circleci.trigger_type",
    "pipeline.trigger_parameters.webhook.body",
];

/// What says of a pipeline that a call had it made.
const ABOUT_CALLS: [&str; 4] = [
    "pipeline.trigger_source",
    "pipeline.integration_source",
    "pipeline.event.name",
    "pipeline.event.action",
];

/// Below these every name is taken as known and empty: they are the triggering system's own.
const OPEN: [&str; 2] = ["pipeline.trigger_parameters.", "pipeline.event.github."];

fn given_value(declaration: &Declaration, text: &str) -> Result<Node, Diagnostic> {
    if text.chars().count() > MAX_VALUE {
        return Err(diagnostics::value_too_long(declaration.span, &declaration.name, MAX_VALUE));
    }
    declaration.read(text)
}

const PARAMETERS: &str = "pipeline.parameters.";

/// Owner and name of a repository: the last two parts of its address.
fn repository(url: &str) -> Option<(&str, &str)> {
    let path = url.trim_end_matches('/').trim_end_matches(".git");
    let path = path.split_once("://").map_or(path, |(_, rest)| rest);
    let (rest, name) = path.rsplit_once('/')?;
    let owner = rest.rsplit(['/', ':']).next()?;
    Some((owner, name))
}

/// What keeps the project, as its slug says: `gh/acme/shop`.
fn system(project: &str) -> &str {
    match project.split('/').next().unwrap_or_default() {
        "gh" => "github",
        "bb" => "bitbucket",
        other => other,
    }
}

/// Whether a configuration was a file, and not a text from elsewhere.
fn is_file(name: &str) -> bool {
    [".yml", ".yaml"].iter().any(|extension| name.ends_with(extension))
}

/// What a schedule says of the pipeline: one that people made, or a workflow's own.
fn scheduled(schedule: &ScheduledBy, received_at: String, is_default: bool) -> Vec<(&'static str, String)> {
    let source = if schedule.id.is_some() { "scheduled_pipeline" } else { "schedule" };
    let word = || "schedule".to_owned();
    vec![
        ("pipeline.trigger_source", source.to_owned()),
        ("pipeline.integration_source", word()),
        ("pipeline.event.name", word()),
        ("pipeline.event.action", word()),
        ("pipeline.git.branch.is_default", is_default.to_string()),
        ("pipeline.schedule.id", schedule.id.map(|id| id.to_string()).unwrap_or_default()),
        ("pipeline.schedule.name", schedule.name.clone()),
        ("pipeline.trigger.type", word()),
        ("pipeline.trigger.name", schedule.name.clone()),
        ("pipeline.trigger_parameters.circleci.event_type", word()),
        ("pipeline.trigger_parameters.circleci.trigger_type", word()),
        ("pipeline.trigger_parameters.circleci.event_time", received_at),
    ]
}

/// What had the pipeline made: a webhook, a schedule, else a call.
fn triggered(inputs: &Inputs) -> Vec<(&'static str, String)> {
    let Some(trigger) = &inputs.git.trigger else {
        return ABOUT_CALLS.map(|name| (name, "api".to_owned())).to_vec();
    };
    let received_at = inputs.received_at.clone().unwrap_or_default();
    let is_default = inputs.git.branch.is_some() && inputs.git.branch == inputs.git.default_branch;
    if let Some(schedule) = &trigger.schedule {
        return scheduled(schedule, received_at, is_default);
    }
    let address = trigger.pull_request.clone().unwrap_or_default();
    vec![
        ("pipeline.trigger_source", "webhook".to_owned()),
        ("pipeline.integration_source", trigger.provider.clone()),
        ("pipeline.event.name", trigger.event.clone()),
        ("pipeline.event.action", trigger.action.clone()),
        ("pipeline.event.context.github.pr_url", address.clone()),
        ("pipeline.event.github.pull_request.url", address),
        ("pipeline.git.branch.is_default", is_default.to_string()),
        ("pipeline.trigger.type", trigger.provider.clone()),
        ("pipeline.trigger_parameters.circleci.event_type", trigger.event.clone()),
        ("pipeline.trigger_parameters.circleci.trigger_type", trigger.provider.clone()),
        ("pipeline.trigger_parameters.circleci.event_time", received_at),
    ]
}

/// The pipeline's values by their full names.
#[derive(Clone, Debug)]
pub(crate) struct Values {
    known: Arguments,
    empty: Node,
}

impl Values {
    /// The values that do not depend on the configuration, of which `name` is the file.
    pub(crate) fn new(inputs: &Inputs, name: &str) -> Self {
        let span = Span::default();
        let git = &inputs.git;
        let number = Node::int(span, i64::try_from(inputs.number).unwrap_or(i64::MAX));
        let id = inputs.id.map(|id| id.to_string());
        let (owner, repository) = git.url.as_deref().and_then(repository).unwrap_or_default();
        let given = |value: &Option<String>| value.clone().unwrap_or_default();
        let texts = [
            ("pipeline.id", id.unwrap_or_default()),
            ("pipeline.config.file_path", if is_file(name) { name.to_owned() } else { String::new() }),
            ("pipeline.project.git_url", given(&git.url)),
            ("pipeline.project.slug", inputs.project.clone()),
            ("pipeline.project.type", system(&inputs.project).to_owned()),
            ("pipeline.trigger.received_at", given(&inputs.received_at)),
            ("pipeline.git.branch", given(&git.branch)),
            ("pipeline.git.tag", given(&git.tag)),
            ("pipeline.git.revision", given(&git.revision)),
            ("pipeline.git.repo_url", given(&git.url)),
            ("pipeline.git.repo_owner", owner.to_owned()),
            ("pipeline.git.repo_name", repository.to_owned()),
            ("pipeline.git.commit.subject", git.commit.subject.clone()),
            ("pipeline.git.commit.body", git.commit.body.clone()),
            ("pipeline.git.commit.author_name", git.commit.author_name.clone()),
            ("pipeline.git.commit.author_email", git.commit.author_email.clone()),
        ];
        let texts = texts.into_iter().chain(triggered(inputs));
        let texts = texts.map(|(name, text)| (name.to_owned(), Node::string(span, text)));
        let known = texts.chain([("pipeline.number".to_owned(), number)]).collect();
        Self { known, empty: Node::string(span, "") }
    }

    /// All that are not empty.
    pub(crate) fn into_texts(self) -> BTreeMap<String, String> {
        let text = |node: &Node| node.text().filter(|text| !text.is_empty()).map(str::to_owned);
        self.known.into_iter().filter_map(|(name, node)| Some((name, text(&node)?))).collect()
    }

    /// Adds the pipeline's parameters: what was given for them, else their defaults.
    pub(crate) fn add_parameters(
        &mut self,
        declarations: &[Declaration],
        given: &Inputs,
        section: Span,
        findings: &Findings,
    ) {
        for declaration in declarations {
            let name = &declaration.name;
            let value = match given.parameters.get(name).or_else(|| given.inherited.get(name)) {
                Some(text) => given_value(declaration, text).unwrap_or_else(|diagnostic| {
                    findings.say(diagnostic);
                    Node::null(section)
                }),
                None => declaration.default.clone().unwrap_or_else(|| {
                    findings.say(diagnostics::pipeline_parameter_without_default(
                        declaration.span,
                        &declaration.name,
                    ));
                    Node::null(section)
                }),
            };
            self.known.insert(format!("{PARAMETERS}{}", declaration.name), value);
        }
        let names = || declarations.iter().map(|declaration| declaration.name.as_str());
        for name in given.parameters.keys().filter(|name| !names().any(|declared| declared == *name)) {
            findings.say(diagnostics::unknown_pipeline_parameter(
                section,
                name,
                findings.near(name, names()),
            ));
        }
    }

    /// The value of a full name.
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        let is_empty = || EMPTY.contains(&name) || OPEN.iter().any(|open| name.starts_with(open));
        self.known.get(name).or_else(|| is_empty().then_some(&self.empty))
    }

    /// What is wrong with a name that has no value.
    pub(crate) fn explain(&self, name: &str, span: Span, findings: &Findings) -> Diagnostic {
        let known = self.known.keys().map(String::as_str);
        if name.starts_with(PARAMETERS) {
            let near = findings.near(name, known.filter(|known| known.starts_with(PARAMETERS)));
            return diagnostics::undeclared_reference(span, name, near);
        }
        diagnostics::unknown_pipeline_value(span, name, findings.near(name, known.chain(EMPTY)))
    }
}
