//! On what a job runs: its executor's platform, class, shell, directory and environment, overlaid by its own.

use crate::{
    Context,
    declaration::bind,
    diagnostics,
    environment::{self, Environment},
    fields::Fields,
    library::{Found, Sort},
    resolve::resolve,
    scope::Scope,
    words,
};
use protocol::{
    image::{Auth, Image},
    pipeline::Executor,
};
use yaml::{Entry, Kind, Node, Span};

/// What a job or an executor says of where it runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Platform {
    /// And where that was said.
    pub(crate) executor: Option<(Executor, Span)>,
    pub(crate) resource_class: Option<String>,
    pub(crate) shell: Option<String>,
    pub(crate) working_directory: Option<String>,
    pub(crate) environment: Environment,
    /// The keys that say so, as written, but for the environment.
    pub(crate) written: Vec<Entry>,
    /// The environment that is no image's.
    pub(crate) variables: Environment,
    /// Whether its executor could not be read, which was said then.
    pub(crate) is_broken: bool,
}

impl Platform {
    /// The platform of a resolved job: what its executor says, overlaid by what it says itself.
    pub(crate) fn of_job(fields: Fields<'_>) -> Self {
        let own = Self::read(fields);
        let Some(reference) = fields.value("executor") else { return own };
        let base =
            referenced(fields.context, reference).unwrap_or(Self { is_broken: true, ..Self::default() });
        Self {
            executor: own.executor.or(base.executor),
            resource_class: own.resource_class.or(base.resource_class),
            shell: own.shell.or(base.shell),
            working_directory: own.working_directory.or(base.working_directory),
            environment: environment::overlay(base.environment, own.environment),
            written: overlaid(base.written, own.written),
            variables: environment::overlay(base.variables, own.variables),
            is_broken: base.is_broken,
        }
    }

    fn read(fields: Fields<'_>) -> Self {
        let machine = fields.value("machine").filter(|node| node.as_map().is_some());
        let machine = machine.map(|node| Fields { node, what: "`machine`", ..fields });
        let of_machine = |key: &str| machine.and_then(|machine| machine.text(key));
        let mut images = Environment::new();
        let executor = executor(fields, &mut images);
        let variables = environment::read(fields.context, fields.node.get("environment"));
        let is_written =
            |(key, value): &&Entry| key.text().is_some_and(|key| WRITTEN.contains(&key)) && !value.is_null();
        Self {
            executor,
            resource_class: fields.text("resource_class").or_else(|| of_machine("resource_class")),
            shell: fields.text("shell").or_else(|| of_machine("shell")),
            working_directory: fields.text("working_directory"),
            environment: environment::overlay(images, variables.clone()),
            written: fields.node.entries().iter().filter(is_written).cloned().collect(),
            variables,
            is_broken: false,
        }
    }
}

/// What of an executor is seen in a job's processed form.
pub(crate) const WRITTEN: [&str; 6] =
    ["docker", "machine", "macos", "resource_class", "working_directory", "shell"];

/// The keys of an executor, overlaid by those of its job; of the platforms one is enough.
fn overlaid(base: Vec<Entry>, own: Vec<Entry>) -> Vec<Entry> {
    let has = |name: Option<&str>| own.iter().any(|(key, _)| key.text() == name);
    let is_platform = |name: Option<&str>| name.is_some_and(|name| WRITTEN[..3].contains(&name));
    let own_platform = own.iter().any(|(key, _)| is_platform(key.text()));
    let covered = |(key, _): &Entry| has(key.text()) || own_platform && is_platform(key.text());
    base.into_iter().filter(|entry| !covered(entry)).chain(own.iter().cloned()).collect()
}

/// The executor that a job names, its arguments given.
fn referenced(context: Context<'_>, reference: &Node) -> Option<Platform> {
    let (name, span, arguments) = match &reference.kind {
        Kind::Map(entries) => {
            let Some(name) = reference.get("name").filter(|name| name.text().is_some()) else {
                context.findings.say(diagnostics::missing_key(reference.span, "`executor`", "name"));
                return None;
            };
            let arguments = entries.iter().filter(|(key, _)| key.text() != Some("name")).cloned().collect();
            (name.text()?, name.span, arguments)
        }
        _ => (reference.text().or_else(|| wrong_reference(context, reference))?, reference.span, Vec::new()),
    };
    let definition = match context.find(Sort::Executor, name, span) {
        Found::Definition(definition) => definition,
        Found::Nothing => return None,
        Found::Unknown => {
            unknown(context, name, span);
            return None;
        }
    };
    let what = format!("executor `{name}`");
    let within = context.within(definition);
    let arguments = bind(context, &definition.declarations(within), &arguments, &what, span)?;
    let scope = Scope { parameters: Some(&arguments), ..Scope::pipeline(within) };
    within.findings.enter(&what, span);
    let body = resolve(within, scope, &without_parameters(definition.body));
    let fields = Fields::new(within, &what, definition.span, &body);
    let platform = fields.map(|fields| {
        fields.check_keys(&KEYS);
        Platform::read(fields)
    });
    within.findings.leave();
    platform
}

const KEYS: [&str; 9] = [
    "docker",
    "machine",
    "macos",
    "resource_class",
    "shell",
    "working_directory",
    "environment",
    "parameters",
    "description",
];

fn wrong_reference(context: Context<'_>, reference: &Node) -> Option<&'static str> {
    let wanted = "the name of an executor, or a map with `name`";
    context.findings.say(diagnostics::wrong_type(reference.span, "executor", wanted, reference.type_name()));
    None
}

fn unknown(context: Context<'_>, name: &str, span: Span) {
    let names = context.library.home(span).executors.names();
    context.findings.say(diagnostics::unknown_name(
        span,
        "executor",
        name,
        context.findings.near(name, names.iter().copied()),
    ));
}

/// Keys of a definition in which nothing is filled in: declarations, whose defaults are no place for its own
/// references, and prose, which may well speak of references.
pub(crate) const UNRESOLVED: [&str; 2] = ["parameters", "description"];

/// A definition's body without what is not filled in.
pub(crate) fn without_parameters(body: &Node) -> Node {
    if UNRESOLVED.iter().all(|key| body.get(key).is_none()) {
        return body.clone();
    }
    let is_kept = |(key, _): &&Entry| key.text().is_none_or(|key| !UNRESOLVED.contains(&key));
    Node::map(body.span, body.entries().iter().filter(is_kept).cloned().collect())
}

fn executor(fields: Fields<'_>, images_environment: &mut Environment) -> Option<(Executor, Span)> {
    let key_span = |key: &str| fields.node.get_entry(key).map_or(fields.span, |(key, _)| key.span);
    check_one(fields);
    if let Some(node) = fields.value("docker") {
        let images = images(fields, node, images_environment);
        return Some((Executor::Docker { images }, key_span("docker")));
    }
    if let Some(node) = fields.value("machine").filter(|node| machine_is_wanted(fields, node)) {
        refuse_windows(fields, node);
        return Some((Executor::Machine, key_span("machine")));
    }
    fields.node.get("macos").map(|_| (Executor::Macos, key_span("macos")))
}

/// What says where it runs says it once.
fn check_one(fields: Fields<'_>) {
    let is_meant = |key: &&str| match (*key, fields.node.get(key)) {
        ("machine", machine) => machine.is_some_and(|node| !node.is_null() && is_enabled(node)),
        (_, platform) => platform.is_some_and(|node| !node.is_null()),
    };
    let meant: Vec<&str> = WRITTEN[..3].iter().copied().filter(is_meant).collect();
    if let Some((key, _)) = meant.get(1).and_then(|second| fields.node.get_entry(second)) {
        fields.context.findings.say(diagnostics::several_platforms(key.span, fields.what, &meant));
    }
}

/// Whether a machine is not said to be none.
fn is_enabled(machine: &Node) -> bool {
    machine.get("enabled").unwrap_or(machine).as_bool() != Some(false)
}

/// `machine: true`, an image's name, or a map that does not say `enabled: false`.
fn machine_is_wanted(fields: Fields<'_>, node: &Node) -> bool {
    match &node.kind {
        Kind::Map(_) | Kind::Scalar(_) => is_enabled(node),
        Kind::Seq(_) => {
            let wanted = "`true` or a map";
            fields.context.findings.say(diagnostics::wrong_type(
                node.span,
                "machine",
                wanted,
                node.type_name(),
            ));
            true
        }
    }
}

fn refuse_windows(fields: Fields<'_>, machine: &Node) {
    let image = machine.get("image").or_else(|| fields.value("machine")).and_then(Node::text);
    if image.is_some_and(|image| image.starts_with("windows")) {
        fields.context.findings.refuse(diagnostics::no_such_host(machine.span, "windows"));
    }
}

fn images(fields: Fields<'_>, node: &Node, environment: &mut Environment) -> Vec<Image> {
    let context = fields.context;
    if node.as_seq().is_some_and(<[_]>::is_empty) {
        context.findings.say(diagnostics::missing_key(fields.span, "`docker`", "image"));
    } else if node.as_seq().is_none() {
        context.findings.say(diagnostics::wrong_type(
            node.span,
            "docker",
            "a list of images",
            node.type_name(),
        ));
    }
    let mut images = Vec::new();
    for (place, item) in node.items().iter().enumerate() {
        let Some(container) = Fields::new(context, "an image of `docker`", item.span, item) else { continue };
        container.check_keys(&IMAGE_KEYS);
        let Some(image) = image(container) else { continue };
        if place == 0 {
            environment.clone_from(&image.environment);
        } else if context.inputs.native {
            context.findings.say(diagnostics::service_left_out(item.span, &image.image));
        }
        images.push(image);
    }
    images
}

fn image(container: Fields<'_>) -> Option<Image> {
    let words = |key: &str| match container.value(key)?.text() {
        Some(text) => Some(words::split(text)),
        None => container.texts(key),
    };
    if !container.context.inputs.native {
        for (key, _) in ["aws_auth", "gcp_auth"].iter().filter_map(|key| container.node.get_entry(key)) {
            let name = format!("`{}` of an image", key.text().unwrap_or_default());
            container.context.findings.refuse(diagnostics::unsupported(key.span, &name));
        }
    }
    Some(Image {
        image: container.required("image")?,
        name: container.text("name"),
        entrypoint: words("entrypoint"),
        command: words("command"),
        user: container.text("user"),
        environment: environment::read(container.context, container.node.get("environment")),
        auth: container.value("auth").and_then(|node| auth(container, node)),
    })
}

fn auth(container: Fields<'_>, node: &Node) -> Option<Auth> {
    let fields = Fields::new(container.context, "`auth`", node.span, node)?;
    fields.check_keys(&["username", "password"]);
    let (username, password) = (fields.required("username"), fields.required("password"));
    Some(Auth { username: username?, password: password? })
}

const IMAGE_KEYS: [&str; 9] =
    ["image", "name", "entrypoint", "command", "user", "environment", "auth", "aws_auth", "gcp_auth"];
