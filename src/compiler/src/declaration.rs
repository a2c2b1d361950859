//! Declared parameters, and the values they take.

use crate::{
    Context, diagnostics,
    executor::without_parameters,
    fields::Fields,
    resolve::resolve,
    scope::{Arguments, Scope},
};
use yaml::{Diagnostic, Node, Span};

/// What values a parameter takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    String,
    Boolean,
    Integer,
    /// One of these.
    Enum(Vec<String>),
    /// The name of an executor, or a map of its name and arguments.
    Executor,
    /// A list of steps.
    Steps,
    /// The name of an environment variable.
    EnvVarName,
}

pub(crate) const TYPES: [&str; 7] =
    ["string", "boolean", "integer", "enum", "executor", "steps", "env_var_name"];

/// A parameter as it was declared.
#[derive(Clone, Debug)]
pub(crate) struct Declaration {
    pub(crate) name: String,
    pub(crate) span: Span,
    pub(crate) kind: Type,
    pub(crate) default: Option<Node>,
}

impl Declaration {
    /// The declarations of a `parameters:` map. Defaults may name pipeline values.
    pub(crate) fn all(context: Context<'_>, node: Option<&Node>) -> Vec<Self> {
        let Some(node) = node.filter(|node| !node.is_null()) else { return Vec::new() };
        if node.as_map().is_none() {
            context.findings.say(diagnostics::wrong_type(node.span, "parameters", "a map", node.type_name()));
        }
        node.entries().iter().filter_map(|(key, body)| Self::one(context, key, body)).collect()
    }

    fn one(context: Context<'_>, key: &Node, body: &Node) -> Option<Self> {
        let name = key.text()?.to_owned();
        let body = resolve(context, Scope::pipeline(context), &without_parameters(body));
        let what = format!("the parameter `{name}`");
        let fields = Fields::new(context, &what, key.span, &body)?;
        fields.check_keys(&["type", "default", "enum", "description"]);
        let kind = Self::kind(&fields, &name)?;
        let mut declaration = Self { name, span: key.span, kind, default: None };
        if let Some(default) = body.get("default") {
            let accepted = declaration.accept(default, "default");
            accepted
                .as_ref()
                .err()
                .cloned()
                .into_iter()
                .for_each(|diagnostic| context.findings.say(diagnostic));
            // A wrong default is one all the same: nobody has to be told to give an argument.
            declaration.default = Some(accepted.unwrap_or_else(|_| default.clone()));
        }
        Some(declaration)
    }

    fn kind(fields: &Fields<'_>, name: &str) -> Option<Type> {
        let (text, span) = fields.required_with_span("type")?;
        match text.as_str() {
            "string" => Some(Type::String),
            "boolean" => Some(Type::Boolean),
            "integer" => Some(Type::Integer),
            "enum" => Some(Type::Enum(fields.required_texts("enum").unwrap_or_default())),
            "executor" => Some(Type::Executor),
            "steps" => Some(Type::Steps),
            "env_var_name" => Some(Type::EnvVarName),
            other => {
                let near = fields.context.findings.near(other, TYPES);
                fields.context.findings.say(diagnostics::unknown_type(span, name, other, near, &TYPES));
                None
            }
        }
    }

    /// The value as the parameter has it, or what is wrong with it. `role` is `default` or `argument`.
    pub(crate) fn accept(&self, value: &Node, role: &str) -> Result<Node, Diagnostic> {
        let accepted = match &self.kind {
            // Real files give numbers for strings, and mean their text.
            Type::String if value.as_bool().is_none() && value.as_scalar().is_some() => {
                return Ok(Node::string(value.span, value.text().unwrap_or_default()));
            }
            Type::String => false,
            Type::Integer => value.as_int().is_some(),
            Type::Boolean => return boolean(value).ok_or_else(|| self.mismatch(value, role)),
            Type::Enum(members) => {
                value.text().is_some_and(|text| members.iter().any(|member| member == text))
            }
            Type::Executor => value.as_str().is_some() || value.get("name").is_some(),
            Type::Steps => value.as_seq().is_some(),
            Type::EnvVarName => value.as_str().is_some_and(is_variable_name),
        };
        if accepted { Ok(value.clone()) } else { Err(self.mismatch(value, role)) }
    }

    fn mismatch(&self, value: &Node, role: &str) -> Diagnostic {
        let actual = match value.text() {
            Some(text) if text.len() <= 60 => format!("{} (`{text}`)", value.type_name()),
            _ => value.type_name().to_owned(),
        };
        let text = value.text().filter(|_| self.kind == Type::String);
        let quote = text.map(|text| format!("write it in quotes: '{text}'"));
        diagnostics::wrong_value(value.span, role, &self.name, &self.kind.wanted(), &actual, quote)
    }

    /// The value of a pipeline parameter that came as text from outside.
    pub(crate) fn read(&self, text: &str) -> Result<Node, Diagnostic> {
        let typed = match self.kind {
            Type::Integer => text.parse().ok().map(|value| Node::int(self.span, value)),
            Type::Boolean => boolean_word(text).map(|value| Node::bool(self.span, value)),
            _ => Some(Node::string(self.span, text)),
        };
        let value = typed.unwrap_or_else(|| Node::string(self.span, text));
        self.accept(&value, "value given")
    }
}

impl Type {
    /// What a value has to be, for messages.
    fn wanted(&self) -> String {
        match self {
            Self::String => "a string".to_owned(),
            Self::Boolean => "a boolean".to_owned(),
            Self::Integer => "an integer".to_owned(),
            Self::Enum(members) => {
                format!("one of {}", diagnostics::listed(members.iter().map(String::as_str)))
            }
            Self::Executor => "the name of an executor, or a map with `name`".to_owned(),
            Self::Steps => "a list of steps".to_owned(),
            Self::EnvVarName => "the name of an environment variable".to_owned(),
        }
    }
}

/// A boolean, also in the spellings of YAML 1.1 that configurations have.
pub(crate) fn boolean(value: &Node) -> Option<Node> {
    if value.as_bool().is_some() {
        return Some(value.clone());
    }
    let scalar = value.as_scalar().filter(|scalar| scalar.plain)?;
    boolean_word(&scalar.text).map(|truth| Node::bool(value.span, truth))
}

fn boolean_word(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// Whether a text is a POSIX variable name.
pub(crate) fn is_variable_name(text: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    text.starts_with(first) && text.chars().all(|c| first(c) || c.is_ascii_digit())
}

/// Gives arguments to parameters: what an invocation passes, else the defaults. None if that is not possible, after
/// everything that is wrong with it was said.
pub(crate) fn bind(
    context: Context<'_>,
    declarations: &[Declaration],
    given: &[(Node, Node)],
    what: &str,
    span: Span,
) -> Option<Arguments> {
    let mut arguments = Arguments::new();
    let mut whole = true;
    let mut fail = |diagnostic: Diagnostic| {
        context.findings.say(diagnostic);
        whole = false;
    };
    for declaration in declarations {
        let passed = given.iter().rev().find(|(key, _)| key.text() == Some(&declaration.name));
        let value = match (passed, &declaration.default) {
            (Some((_, value)), _) => declaration.accept(value, "argument"),
            (None, Some(default)) => Ok(default.clone()),
            (None, None) => Err(diagnostics::missing_argument(span, what, &declaration.name)),
        };
        match value {
            Ok(value) => drop(arguments.insert(declaration.name.clone(), value)),
            Err(diagnostic) => fail(diagnostic),
        }
    }
    let names = || declarations.iter().map(|declaration| declaration.name.as_str());
    for (key, _) in given {
        let name = key.text().unwrap_or_default();
        if !names().any(|declared| declared == name) {
            fail(diagnostics::unexpected_argument(
                key.span,
                what,
                name,
                context.findings.near(name, names()),
            ));
        }
    }
    whole.then_some(arguments)
}
