//! One job with its arguments given: platform, directory, environment, steps.

use crate::{
    Context,
    builtin::Surroundings,
    declaration::bind,
    diagnostics,
    document::Definition,
    environment,
    executor::{Platform, WRITTEN, without_parameters},
    fields::Fields,
    invocation,
    resolve::resolve,
    scope::Scope,
    steps::Expansion,
};
use protocol::pipeline::{Executor, Job, Kind};
use yaml::{Node, Span};

/// The most tasks a job may be.
const MAX_PARALLELISM: i64 = 1_000;

const KEYS: [&str; 20] = [
    "key",
    "docker",
    "machine",
    "macos",
    "executor",
    "steps",
    "parameters",
    "environment",
    "resource_class",
    "working_directory",
    "parallelism",
    "shell",
    "description",
    "type",
    "branches",
    "circleci_ip_ranges",
    "retention",
    "plan_name",
    "validation",
    "serial-group",
];

/// How a workflow wants a job: what it is called there, its arguments, and steps around its own.
#[derive(Debug)]
pub(crate) struct Order<'a> {
    pub(crate) name: &'a str,
    pub(crate) span: Span,
    pub(crate) arguments: &'a [(Node, Node)],
    pub(crate) before: Option<&'a Node>,
    pub(crate) after: Option<&'a Node>,
}

/// A job in both its forms.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// As it runs; `requires` and `contexts` are the workflow's to add. None if it cannot run here, or something is
    /// wrong with it, which was said then.
    pub(crate) job: Option<Job>,
    /// As a processed configuration has it.
    pub(crate) written: Node,
}

/// The job as ordered. None if something is wrong with it, which was said then.
pub(crate) fn compile<'a>(
    context: Context<'a>,
    definition: Definition<'a>,
    order: &Order<'_>,
) -> Option<Compiled> {
    let what = format!("job `{}`", definition.name);
    let caller = context;
    let context = caller.within(definition);
    let arguments = bind(caller, &definition.declarations(context), order.arguments, &what, order.span)?;
    let scope = Scope { parameters: Some(&arguments), ..Scope::pipeline(context) };
    let body = resolve(context, scope, &without_parameters(definition.body));
    let fields = Fields::new(context, &what, definition.span, &body)?;
    fields.check_keys(&KEYS);
    if let Some(value) = fields.value("retention") {
        check_retention(fields.context, value);
    }
    let kind = invocation::kind(fields);
    let serial_group = invocation::serial_group(fields);
    if kind.is_some() || invocation::is_foreign(fields) {
        check_unrun(fields, kind);
        let plan = invocation::plan(fields);
        let job = kind.map(|kind| Job { serial_group, plan, ..Job::without_tasks(order.name, kind) });
        return Some(Compiled { job, written: written(fields, &Platform::default(), None) });
    }
    let platform = Platform::of_job(fields);
    let parallelism = parallelism(fields);
    let executor = executor(fields, &platform, order.name);
    let surroundings = Surroundings { shell: platform.shell.as_deref(), parallelism };
    let mut expansion = Expansion::new(context, surroundings);
    steps(fields, order, &mut expansion);
    let (steps, written_steps) = expansion.finish();
    let written = written(fields, &platform, Some(Node::seq(definition.span, written_steps)));
    let job = executor.map(|executor| Job {
        name: order.name.to_owned(),
        kind: Kind::Build,
        requires: Vec::new(),
        serial_group,
        plan: None,
        parallelism,
        executor,
        resource_class: platform.resource_class,
        environment: platform.environment,
        contexts: Vec::new(),
        working_directory: platform.working_directory.unwrap_or_else(|| "~/project".to_owned()),
        steps,
    });
    Some(Compiled { job, written })
}

/// The job without references: where it runs, its environment, all else that it says, its steps.
fn written(fields: Fields<'_>, platform: &Platform, steps: Option<Node>) -> Node {
    const ELSEWHERE: [&str; 6] =
        ["executor", "parameters", "environment", "steps", "description", "branches"];
    let span = fields.span;
    let rest = fields.node.entries().iter().filter(|(key, value)| {
        let name = key.text().unwrap_or_default();
        !value.is_null() && !ELSEWHERE.contains(&name) && !WRITTEN.contains(&name)
    });
    let environment = Some(&platform.variables).filter(|variables| !variables.is_empty());
    let environment = environment.map(|variables| environment::written(variables, span));
    let named = |name: &str, node: Node| (Node::string(span, name), node);
    let own = platform.written.iter().cloned();
    let own = own.chain(environment.map(|node| named("environment", node)));
    let all = own.chain(rest.cloned()).chain(steps.map(|node| named("steps", node)));
    Node::map(span, all.collect())
}

/// What a job that has no steps says for nothing, or wants of a service that is not here.
fn check_unrun(fields: Fields<'_>, kind: Option<Kind>) {
    let findings = fields.context.findings;
    if let Some((kind, steps)) = kind.zip(fields.value("steps")) {
        let kind = invocation::written(kind);
        findings.say(diagnostics::steps_of_a_job_without(steps.span, fields.what, kind));
    }
    if let Some(value) = fields.value("validation").filter(|_| kind == Some(Kind::Release)) {
        check_validation(fields, value);
    }
}

/// Whether a release asks for its end to be judged by signals of monitoring tools.
fn check_validation(fields: Fields<'_>, value: &Node) {
    const KNOWN: [&str; 6] =
        ["enabled", "evaluation_time", "auto_rollback_on_failure", "ai_provider", "webhooks", "agentic"];
    let findings = fields.context.findings;
    let Some(own) = Fields::new(fields.context, "`validation`", value.span, value) else { return };
    own.check_keys(&KNOWN);
    match own.value("enabled") {
        None => findings.say(diagnostics::missing_key(value.span, "`validation`", "enabled")),
        Some(enabled) => match enabled.as_bool() {
            Some(true) => findings.refuse(diagnostics::no_validation(value.span, fields.what)),
            Some(false) => {}
            None => findings.say(diagnostics::wrong_type(
                enabled.span,
                "`enabled` of `validation`",
                "true or false",
                enabled.type_name(),
            )),
        },
    }
}

/// For how many days what a job keeps is kept: `caches: 5d`.
fn check_retention(context: Context<'_>, value: &Node) {
    let Some(fields) = Fields::new(context, "`retention`", value.span, value) else { return };
    fields.check_keys(&["caches"]);
    let days = |text: &str| text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
    if let Some(caches) = fields.value("caches")
        && caches.text().and_then(days).is_none_or(|days| !(1..=15).contains(&days))
    {
        context.findings.say(diagnostics::no_retention(caches.span));
    }
}

fn parallelism(fields: Fields<'_>) -> u32 {
    let Some(value) = fields.value("parallelism") else { return 1 };
    // A string parameter may well hold the number.
    let number = value.as_int().or_else(|| value.text()?.parse().ok());
    match number.filter(|number| (1..=MAX_PARALLELISM).contains(number)).map(u32::try_from) {
        Some(Ok(number)) => number,
        _ => {
            let text = value.text().unwrap_or(value.type_name());
            fields.context.findings.say(diagnostics::bad_parallelism(value.span, text, MAX_PARALLELISM));
            1
        }
    }
}

fn executor(fields: Fields<'_>, platform: &Platform, name: &str) -> Option<Executor> {
    let findings = fields.context.findings;
    let Some((executor, span)) = platform.executor.clone() else {
        match fields.value("executor") {
            _ if platform.is_broken => {}
            Some(reference) => findings.say(diagnostics::empty_executor(reference.span, fields.what)),
            None => findings.say(diagnostics::no_executor(fields.span, fields.what)),
        }
        return None;
    };
    match &executor {
        Executor::Docker { .. } if !fields.context.inputs.native => {
            let missing = fields.context.inputs.no_engine.as_ref();
            missing.into_iter().for_each(|why| findings.refuse(diagnostics::no_engine(span, name, why)));
        }
        Executor::Macos => findings.refuse(diagnostics::no_such_host(span, "macos")),
        _ => {}
    }
    if platform.resource_class.as_deref().is_some_and(|class| class.starts_with("windows.")) {
        findings.refuse(diagnostics::no_such_host(span, "windows"));
    }
    Some(executor)
}

fn steps(fields: Fields<'_>, order: &Order<'_>, expansion: &mut Expansion<'_>) {
    if let Some(before) = order.before {
        expansion.list(before, "pre-steps");
    }
    match fields.value("steps") {
        Some(steps) => expansion.list(steps, "steps"),
        None => fields.context.findings.say(diagnostics::missing_key(fields.span, fields.what, "steps")),
    }
    if let Some(after) = order.after {
        expansion.list(after, "post-steps");
    }
}
