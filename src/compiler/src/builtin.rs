//! The built-in steps: each from its fields to what a task-agent does.

use crate::{Context, diagnostics, duration, environment, fields::Fields, workflow::check_reruns};
use protocol::{
    repository::Method,
    task::{Action, NO_OUTPUT_TIMEOUT_MS, Run, Step, When},
};
use yaml::{Node, Span};

/// The names of the built-in steps.
pub(crate) const NAMES: [&str; 11] = [
    "run",
    "checkout",
    "save_cache",
    "restore_cache",
    "persist_to_workspace",
    "attach_workspace",
    "store_artifacts",
    "store_test_results",
    "setup_remote_docker",
    "add_ssh_keys",
    "deploy",
];

/// What a job says that its steps take over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings<'a> {
    pub(crate) shell: Option<&'a str>,
    pub(crate) parallelism: u32,
}

/// The name with underscores: configurations have `restore-cache` as well.
pub(crate) fn spelled(name: &str) -> String {
    name.replace('-', "_")
}

/// Whether a spelled name is a built-in step's.
pub(crate) fn is_known(name: &str) -> bool {
    NAMES.contains(&name)
}

/// The step of that name; none if something is wrong with it, which was said then.
pub(crate) fn step(
    context: Context<'_>,
    surroundings: Surroundings<'_>,
    name: &str,
    span: Span,
    value: Option<&Node>,
) -> Option<Step> {
    let value = value.filter(|value| !value.is_null());
    let empty = Node::map(span, Vec::new());
    let what = format!("`{name}`");
    match (name, value) {
        ("run" | "deploy", value) => {
            refuse_parallel_deploy(context, surroundings, name, span);
            run(context, surroundings, &what, span, value)
        }
        (_, Some(value)) if value.text().is_some() => {
            context.findings.say(diagnostics::wrong_type(value.span, &what, "a map", value.type_name()));
            None
        }
        (_, value) => {
            let fields = Fields::new(context, &what, span, value.unwrap_or(&empty))?;
            other(fields, name)
        }
    }
}

fn other(fields: Fields<'_>, name: &str) -> Option<Step> {
    match name {
        "checkout" => Some(checkout(fields)),
        "save_cache" => save_cache(fields),
        "restore_cache" => restore_cache(fields),
        "persist_to_workspace" => persist_to_workspace(fields),
        "attach_workspace" => attach_workspace(fields),
        "store_artifacts" => store_artifacts(fields),
        "store_test_results" => store_test_results(fields),
        "setup_remote_docker" => Some(setup_remote_docker(fields)),
        "add_ssh_keys" => Some(add_ssh_keys(fields)),
        _ => {
            fields.context.findings.say(diagnostics::missing_key(fields.span, fields.what, "steps"));
            None
        }
    }
}

/// A step with the name and the time it says itself, or the given ones.
fn finished(fields: Fields<'_>, name: &str, usual: When, action: Action) -> Step {
    let when = when(fields).unwrap_or(usual);
    Step { name: fields.text("name").unwrap_or_else(|| name.to_owned()), when, action }
}

fn when(fields: Fields<'_>) -> Option<When> {
    const WORDS: [&str; 3] = ["on_success", "always", "on_fail"];
    let (text, span) = (fields.text("when")?, fields.value("when")?.span);
    match text.as_str() {
        "on_success" => Some(When::OnSuccess),
        "always" => Some(When::Always),
        "on_fail" => Some(When::OnFail),
        other => {
            fields.context.findings.say(diagnostics::unknown_when(
                span,
                other,
                fields.context.findings.near(other, WORDS),
            ));
            None
        }
    }
}

fn refuse_parallel_deploy(context: Context<'_>, surroundings: Surroundings<'_>, name: &str, span: Span) {
    if name == "deploy" && surroundings.parallelism > 1 {
        context.findings.refuse(diagnostics::unsupported(span, "`deploy` in a parallel job"));
    }
}

const RUN_KEYS: [&str; 9] = [
    "command",
    "name",
    "shell",
    "environment",
    "background",
    "working_directory",
    "no_output_timeout",
    "when",
    "description",
];

fn run(
    context: Context<'_>,
    surroundings: Surroundings<'_>,
    what: &str,
    span: Span,
    value: Option<&Node>,
) -> Option<Step> {
    let short = value.filter(|value| value.text().is_some());
    let map = short.map(|command| Node::map(span, vec![(Node::string(span, "command"), command.clone())]));
    let empty = Node::map(span, Vec::new());
    let fields = Fields::new(context, what, span, map.as_ref().or(value).unwrap_or(&empty))?;
    let (max_auto_reruns, auto_rerun_delay_ms) = reruns(fields);
    let known: Vec<&str> = RUN_KEYS.into_iter().chain(RERUN_KEYS).collect();
    fields.check_keys(&known);
    // An empty command is one that does nothing: a parameter that was not used, as a rule.
    let command = if fields.value("command").and_then(Node::text) == Some("") {
        String::new()
    } else {
        fields.required("command")?
    };
    let name = first_line(&command);
    let run = Run {
        shell: fields.text("shell").or_else(|| surroundings.shell.map(str::to_owned)),
        environment: environment::read_of_step(context, fields.node.get("environment")),
        background: fields.flag("background"),
        working_directory: fields.text("working_directory"),
        no_output_timeout_ms: no_output_timeout(fields),
        max_auto_reruns,
        auto_rerun_delay_ms,
        command,
    };
    Some(finished(fields, &name, When::OnSuccess, Action::Run(run)))
}

const RERUN_KEYS: [&str; 2] = ["max_auto_reruns", "auto_rerun_delay"];

/// How often a step that failed is run again, and after which pause in milliseconds.
fn reruns(fields: Fields<'_>) -> (u32, u64) {
    let [most, delay] =
        RERUN_KEYS.map(|key| fields.node.get_entry(key).filter(|(_, value)| !value.is_null()));
    let say = |diagnostic| fields.context.findings.say(diagnostic);
    match (most, delay) {
        (Some((key, _)), _) if fields.flag("background") => say(diagnostics::background_reruns(key.span)),
        (None, Some((key, _))) => say(diagnostics::delay_of_nothing(key.span)),
        _ => {}
    }
    let most = most.map_or(0, |(_, value)| {
        check_reruns(fields.context.findings, value);
        value.as_int().and_then(|most| u32::try_from(most).ok()).unwrap_or_default()
    });
    (most, delay.map_or(0, |(_, value)| rerun_delay(fields, value)))
}

/// A pause of at most ten minutes.
fn rerun_delay(fields: Fields<'_>, value: &Node) -> u64 {
    const LONGEST: u64 = 10 * 60_000;
    let pause = value.text().and_then(duration::milliseconds).filter(|pause| *pause <= LONGEST);
    pause.unwrap_or_else(|| {
        let text = value.text().unwrap_or(value.type_name());
        fields.context.findings.say(diagnostics::bad_delay(value.span, text));
        0
    })
}

/// The name of a command that has none: its first line, as far as a page has room for it.
fn first_line(command: &str) -> String {
    const ROOM: usize = 120;
    let line = command.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    match line.char_indices().nth(ROOM) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line.to_owned(),
    }
}

fn no_output_timeout(fields: Fields<'_>) -> u64 {
    let Some(value) = fields.value("no_output_timeout") else { return NO_OUTPUT_TIMEOUT_MS };
    let text = value.text().unwrap_or_default();
    duration::milliseconds(text).unwrap_or_else(|| {
        fields.context.findings.say(diagnostics::no_duration(value.span, text));
        NO_OUTPUT_TIMEOUT_MS
    })
}

fn checkout(fields: Fields<'_>) -> Step {
    fields.check_keys(&["path", "method", "depth", "name", "when"]);
    let (path, method) = (fields.text("path"), method(fields));
    finished(fields, "Checkout code", When::OnSuccess, Action::Checkout { path, method })
}

fn method(fields: Fields<'_>) -> Method {
    const WORDS: [&str; 3] = ["blobless", "full", "shallow"];
    let depth = depth(fields);
    let named = fields.text("method").unwrap_or_else(|| WORDS[0].to_owned());
    let method = match named.as_str() {
        "full" => Method::Full,
        "shallow" => return Method::Shallow { depth: depth.unwrap_or(1) },
        _ => Method::Blobless,
    };
    let say = |diagnostic| fields.context.findings.say(diagnostic);
    if let Some(value) = fields.value("method").filter(|_| !WORDS.contains(&named.as_str())) {
        say(diagnostics::unknown_method(value.span, &named, fields.context.findings.near(&named, WORDS)));
    } else if let Some((key, _)) = fields.node.get_entry("depth").filter(|_| depth.is_some()) {
        say(diagnostics::depth_of_nothing(key.span));
    }
    method
}

/// How many commits: a number from 1, which a parameter may have made a text.
fn depth(fields: Fields<'_>) -> Option<u32> {
    let value = fields.value("depth")?;
    let number = value.as_int().or_else(|| value.text()?.parse().ok());
    let depth = number.and_then(|depth| u32::try_from(depth).ok()).filter(|depth| *depth > 0);
    if depth.is_none() {
        fields.context.findings.say(diagnostics::no_depth(value.span));
    }
    depth
}

fn add_ssh_keys(fields: Fields<'_>) -> Step {
    fields.check_keys(&["fingerprints", "name", "when"]);
    let fingerprints = fields.texts("fingerprints").unwrap_or_default();
    finished(fields, "Installing additional ssh keys", When::OnSuccess, Action::AddSshKeys { fingerprints })
}

fn save_cache(fields: Fields<'_>) -> Option<Step> {
    fields.check_keys(&["key", "paths", "name", "when"]);
    let (key, paths) = (fields.required_with_span("key"), fields.required_texts("paths"));
    let key = key.map(|(key, span)| {
        if !key.contains("{{") {
            fields.context.findings.say(diagnostics::constant_cache_key(span, &key));
        }
        key
    });
    let action = Action::SaveCache { key: key?, paths: paths? };
    Some(finished(fields, "Saving Cache", When::OnSuccess, action))
}

fn restore_cache(fields: Fields<'_>) -> Option<Step> {
    fields.check_keys(&["key", "keys", "name", "when"]);
    let keys: Vec<String> = ["key", "keys"]
        .iter()
        .filter_map(|key| fields.texts(key))
        .flatten()
        .filter(|key| !key.is_empty())
        .collect();
    if keys.is_empty() {
        fields.context.findings.say(diagnostics::missing_key(fields.span, fields.what, "keys"));
        return None;
    }
    Some(finished(fields, "Restoring Cache", When::OnSuccess, Action::RestoreCache { keys }))
}

fn persist_to_workspace(fields: Fields<'_>) -> Option<Step> {
    fields.check_keys(&["root", "paths", "name", "when"]);
    let (root, paths) = (fields.required("root"), fields.required_texts("paths"));
    let action = Action::PersistToWorkspace { root: root?, paths: paths? };
    Some(finished(fields, "Persisting to Workspace", When::OnSuccess, action))
}

fn attach_workspace(fields: Fields<'_>) -> Option<Step> {
    fields.check_keys(&["at", "name", "when"]);
    let at = fields.required("at")?;
    Some(finished(fields, "Attaching Workspace", When::OnSuccess, Action::AttachWorkspace { at }))
}

fn store_artifacts(fields: Fields<'_>) -> Option<Step> {
    fields.check_keys(&["path", "destination", "name", "when"]);
    let action =
        Action::StoreArtifacts { path: fields.required("path")?, destination: fields.text("destination") };
    Some(finished(fields, "Uploading artifacts", When::Always, action))
}

fn store_test_results(fields: Fields<'_>) -> Option<Step> {
    fields.check_keys(&["path", "name", "when"]);
    let path = fields.required("path")?;
    Some(finished(fields, "Uploading test results", When::Always, Action::StoreTestResults { path }))
}

fn setup_remote_docker(fields: Fields<'_>) -> Step {
    // Old configurations ask to keep an engine, or to have one alone: each job has one alone, and none is kept.
    fields.check_keys(&["version", "docker_layer_caching", "reusable", "exclusive", "name", "when"]);
    let action = Action::SetupRemoteDocker {
        version: fields.text("version"),
        docker_layer_caching: fields.flag("docker_layer_caching"),
    };
    finished(fields, "Setup a remote Docker engine", When::OnSuccess, action)
}
