//! Pipeline values: what `<< pipeline.… >>` may name, and its values as far as they are known.

use crate::{
    Inputs, declaration::Declaration, diagnostics, findings::Findings, pipeline::MAX_VALUE, scope::Arguments,
};
use yaml::{Diagnostic, Node, Span};

/// Names that a pipeline of ours has no value for: they are empty, as they are for a pipeline of another trigger.
const EMPTY: [&str; 58] = [
    "pipeline.config.file_path",
    "pipeline.config.ref",
    "pipeline.config.repository.name",
    "pipeline.config.repository.url",
    "pipeline.config.sha",
    "pipeline.definition.id",
    "pipeline.deploy.component_name",
    "pipeline.deploy.current_version",
    "pipeline.deploy.environment_name",
    "pipeline.deploy.namespace",
    "pipeline.deploy.reason",
    "pipeline.deploy.target_version",
    "pipeline.event.action",
    "pipeline.event.context.github.pr_url",
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
    "pipeline.event.name",
    "pipeline.git.base_revision",
    "pipeline.git.branch.is_default",
    "pipeline.git.commit.author_avatar_url",
    "pipeline.git.commit.author_email",
    "pipeline.git.commit.author_login",
    "pipeline.git.commit.author_name",
    "pipeline.git.commit.body",
    "pipeline.git.commit.subject",
    "pipeline.git.commit.url",
    "pipeline.git.repo_id",
    "pipeline.git.repo_name",
    "pipeline.git.repo_owner",
    "pipeline.project.type",
    "pipeline.schedule.id",
    "pipeline.schedule.name",
    "pipeline.trigger.id",
    "pipeline.trigger.received_at",
    "pipeline.trigger.type",
    "pipeline.trigger_parameters.circleci.event_time",
    "pipeline.trigger_parameters.circleci.event_type",
    "pipeline.trigger_parameters.circleci.trigger_type",
    "pipeline.trigger_parameters.webhook.body",
    "pipeline.name",
];

/// Below these every name is taken as known and empty: they are the triggering system's own.
const OPEN: [&str; 3] = [
    "pipeline.trigger_parameters.github_app.",
    "pipeline.trigger_parameters.gitlab.",
    "pipeline.event.github.",
];

fn given_value(declaration: &Declaration, text: &str) -> Result<Node, Diagnostic> {
    if text.chars().count() > MAX_VALUE {
        return Err(diagnostics::value_too_long(declaration.span, &declaration.name, MAX_VALUE));
    }
    declaration.read(text)
}

const PARAMETERS: &str = "pipeline.parameters.";

/// The pipeline's values by their full names.
#[derive(Clone, Debug)]
pub(crate) struct Values {
    known: Arguments,
    empty: Node,
}

impl Values {
    /// The values that do not depend on the configuration.
    pub(crate) fn new(inputs: &Inputs) -> Self {
        let span = Span::default();
        let git = &inputs.git;
        let text = |value: &Option<String>| Node::string(span, value.as_deref().unwrap_or_default());
        let id = inputs.id.map(|id| id.to_string());
        let known = [
            ("pipeline.id", text(&id)),
            ("pipeline.number", Node::int(span, i64::try_from(inputs.number).unwrap_or(i64::MAX))),
            ("pipeline.project.git_url", text(&git.url)),
            ("pipeline.project.slug", Node::string(span, inputs.project.as_str())),
            ("pipeline.trigger_source", Node::string(span, "api")),
            ("pipeline.integration_source", Node::string(span, "api")),
            ("pipeline.git.branch", text(&git.branch)),
            ("pipeline.git.tag", text(&git.tag)),
            ("pipeline.git.revision", text(&git.revision)),
            ("pipeline.git.repo_url", text(&git.url)),
        ];
        let known = known.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { known, empty: Node::string(span, "") }
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
            let value = match given.parameters.get(&declaration.name) {
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
        let is_empty = EMPTY.contains(&name) || OPEN.iter().any(|open| name.starts_with(open));
        self.known.get(name).or(is_empty.then_some(&self.empty))
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
