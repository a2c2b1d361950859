//! Expands lists of steps: conditions decided, lists spliced in, commands replaced by their steps.

use crate::{
    Context,
    builtin::{self, Surroundings},
    condition,
    declaration::{bind, boolean},
    diagnostics,
    document::Definition,
    executor::without_parameters,
    fields::Fields,
    library::{Found, Sort},
    resolve::resolve,
    scope::{Arguments, Scope},
};
use protocol::task::Step;
use yaml::{Entry, Kind, Node, Span};

/// How deep commands and conditions may stand in one another.
const MAX_DEPTH: usize = 100;

/// What one step costs of the budget.
const STEP: usize = 256;

/// A built-in step as processed configurations have it.
fn written(name: &str, span: Span, value: Option<&Node>) -> Node {
    let key = Node::string(span, name);
    let Some(value) = value.filter(|value| !value.is_null()) else { return key };
    let is_short = matches!(name, "run" | "deploy") && value.text().is_some();
    let command = || Node::map(value.span, vec![(Node::string(span, "command"), value.clone())]);
    let value = if is_short { command() } else { value.clone() };
    let mut entries: Vec<Entry> =
        value.entries().iter().map(|(key, value)| (key.clone(), typed(key, value))).collect();
    entries.sort_by(|(a, _), (b, _)| a.text().cmp(&b.text()));
    let value = if value.as_map().is_some() { Node::map(value.span, entries) } else { value };
    Node::map(span, vec![(key, value)])
}

/// A switch is a boolean, however it was spelled.
fn typed(key: &Node, value: &Node) -> Node {
    let is_switch = matches!(key.text(), Some("background" | "docker_layer_caching"));
    boolean(value).filter(|_| is_switch).unwrap_or_else(|| value.clone())
}

/// The steps of one job as they come out of their lists.
#[derive(Debug)]
pub(crate) struct Expansion<'a> {
    context: Context<'a>,
    surroundings: Surroundings<'a>,
    /// The commands that are being expanded, outermost first.
    calls: Vec<Definition<'a>>,
    depth: usize,
    steps: Vec<Step>,
    /// The same steps as a processed configuration has them.
    written: Vec<Node>,
}

impl<'a> Expansion<'a> {
    /// Nothing expanded yet.
    pub(crate) fn new(context: Context<'a>, surroundings: Surroundings<'a>) -> Self {
        Self { context, surroundings, calls: Vec::new(), depth: 0, steps: Vec::new(), written: Vec::new() }
    }

    /// The steps, in order, and how they are written without commands and conditions.
    pub(crate) fn finish(self) -> (Vec<Step>, Vec<Node>) {
        (self.steps, self.written)
    }

    /// Expands a resolved list of steps.
    pub(crate) fn list(&mut self, node: &Node, what: &str) {
        let Some(items) = node.as_seq() else {
            self.context.findings.say(diagnostics::wrong_type(
                node.span,
                what,
                "a list of steps",
                node.type_name(),
            ));
            return;
        };
        if self.depth >= MAX_DEPTH {
            self.context.findings.say_last(diagnostics::too_deep(node.span, MAX_DEPTH));
            return;
        }
        self.depth += 1;
        items.iter().for_each(|item| self.step(item));
        self.depth -= 1;
    }

    fn step(&mut self, node: &Node) {
        match &node.kind {
            Kind::Scalar(scalar) if !node.is_null() => self.named(&scalar.text, node.span, None),
            Kind::Map(entries) => match &entries[..] {
                [(key, value)] => self.named(key.text().unwrap_or_default(), key.span, Some(value)),
                _ => self.context.findings.say(diagnostics::not_one_step(entries, node.span)),
            },
            // A parameter of type steps as an item: its steps take its place.
            Kind::Seq(_) => self.list(node, "steps"),
            Kind::Scalar(_) => self.context.findings.say(diagnostics::no_step(node.span, node.type_name())),
        }
    }

    fn named(&mut self, name: &str, span: Span, value: Option<&Node>) {
        match (name, value) {
            ("when", Some(value)) => self.conditional(name, span, value, true),
            ("unless", Some(value)) => self.conditional(name, span, value, false),
            ("steps", Some(value)) => self.list(value, "steps"),
            ("when" | "unless" | "steps", None) => {
                let key = if name == "steps" { name } else { "condition" };
                self.context.findings.say(diagnostics::missing_key(span, &format!("`{name}`"), key));
            }
            _ => match self.context.find(Sort::Command, name, span) {
                Found::Definition(command) if !self.shadows(command) => self.call(command, span, value),
                Found::Definition(_) | Found::Unknown => self.builtin(name, span, value),
                Found::Nothing => {}
            },
        }
    }

    /// Inside a command that bears the name of a built-in step, the name is the built-in's.
    fn shadows(&self, command: Definition<'_>) -> bool {
        builtin::is_known(&builtin::spelled(command.name)) && self.is_open(command)
    }

    /// Whether a command is being expanded.
    fn is_open(&self, command: Definition<'_>) -> bool {
        self.calls.iter().any(|call| (call.home, call.name) == (command.home, command.name))
    }

    fn conditional(&mut self, name: &str, span: Span, value: &Node, wanted: bool) {
        let what = format!("`{name}`");
        let Some(fields) = Fields::new(self.context, &what, span, value) else { return };
        fields.check_keys(&["condition", "steps"]);
        let Some(condition) = value.get("condition") else {
            self.context.findings.say(diagnostics::missing_key(span, &what, "condition"));
            return;
        };
        let Some(steps) = value.get("steps") else {
            self.context.findings.say(diagnostics::missing_key(span, &what, "steps"));
            return;
        };
        let holds = condition::holds(self.context, condition);
        let is_literal =
            condition.text().is_some_and(|text| self.context.sources.text(condition.span) == Some(text));
        match holds == wanted {
            true => self.list(steps, "steps"),
            false if is_literal && condition.as_bool().is_some() => {
                self.context.findings.say(diagnostics::never_run(condition.span));
            }
            false => {}
        }
    }

    fn call(&mut self, command: Definition<'a>, span: Span, value: Option<&Node>) {
        if self.is_open(command) {
            let calls: Vec<&str> = self.calls.iter().map(|call| call.name).collect();
            self.context.findings.say(diagnostics::command_calls_itself(span, command.name, &calls));
            return;
        }
        let what = format!("command `{}`", command.name);
        let given = match value {
            None => &[],
            Some(value) if value.is_null() => &[],
            Some(value) => match Fields::new(self.context, &what, span, value) {
                Some(fields) => fields.node.entries(),
                None => return,
            },
        };
        let within = self.context.within(command);
        let Some(arguments) = bind(self.context, &command.declarations(within), given, &what, span) else {
            return;
        };
        let caller = std::mem::replace(&mut self.context, within);
        self.calls.push(command);
        within.findings.enter(&what, span);
        self.body(command, &arguments, &what);
        within.findings.leave();
        self.calls.pop();
        self.context = caller;
    }

    /// Expands what a command is made of.
    fn body(&mut self, command: Definition<'a>, arguments: &Arguments, what: &str) {
        let context = self.context;
        let scope = Scope { parameters: Some(arguments), ..Scope::pipeline(context) };
        let body = resolve(context, scope, &without_parameters(command.body));
        let Some(fields) = Fields::new(context, what, command.span, &body) else { return };
        fields.check_keys(&["steps", "description", "parameters"]);
        match body.get("steps") {
            Some(steps) => self.list(steps, "steps"),
            None => context.findings.say(diagnostics::missing_key(command.span, what, "steps")),
        }
    }

    fn builtin(&mut self, name: &str, span: Span, value: Option<&Node>) {
        let spelled = builtin::spelled(name);
        if builtin::is_known(&spelled) {
            self.written.push(written(&spelled, span, value));
        }
        if builtin::is_known(&spelled) {
            if !self.context.budget.spend(STEP) {
                self.context.findings.say_last(diagnostics::too_large(span));
                return;
            }
            self.steps.extend(builtin::step(self.context, self.surroundings, &spelled, span, value));
        } else {
            self.unknown(name, span);
        }
    }

    fn unknown(&self, name: &str, span: Span) {
        let names = self.context.library.home(span).commands.names();
        let known = builtin::NAMES.into_iter().chain(["when", "unless"]).chain(names);
        self.context.findings.say(diagnostics::unknown_name(
            span,
            "step",
            name,
            self.context.findings.near(name, known),
        ));
    }
}
