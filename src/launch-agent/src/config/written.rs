//! The configuration as written: the file through our spanned tree, the environment through its table of names.

use crate::config::{
    containers::LIMIT_KEYS,
    keys::{self, CLASS_KEYS, KEYS, Key, Kind},
    problem::{Place, Problem},
};
use config::{ConfigError, FileStoredFormat, Format, Map, Source, Value, ValueKind};
use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Arc, Mutex, MutexGuard},
};
use yaml::{Kind as Shape, Node, Span};

/// What reading the file told besides its values.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) spans: BTreeMap<String, Span>,
    pub(crate) problems: Vec<Problem>,
    /// There is no map of keys to speak of.
    pub(crate) unreadable: bool,
}

/// YAML as a format of the `config` crate, with a table from key path to place.
#[derive(Clone, Debug, Default)]
pub(crate) struct YamlFile {
    findings: Arc<Mutex<Findings>>,
}

impl YamlFile {
    pub(crate) fn findings(&self) -> MutexGuard<'_, Findings> {
        self.findings.lock().expect("nothing panics while it notes what it finds")
    }
}

impl FileStoredFormat for YamlFile {
    fn file_extensions(&self) -> &'static [&'static str] {
        &["yaml", "yml"]
    }
}

impl Format for YamlFile {
    fn parse(
        &self,
        _: Option<&String>,
        text: &str,
    ) -> Result<Map<String, Value>, Box<dyn Error + Send + Sync>> {
        let (root, diagnostics) = yaml::parse(text);
        let mut findings = self.findings();
        findings.problems.extend(diagnostics.into_iter().map(Problem::from));
        let Some(root) = root.filter(|root| !root.is_null()) else {
            findings.unreadable = !findings.problems.is_empty();
            return Ok(Map::new());
        };
        findings.unreadable = root.as_map().is_none();
        Ok(section(&root, "", &mut findings))
    }
}

/// A map of keys and sections; everything in it that is neither is told.
fn section(node: &Node, path: &str, findings: &mut Findings) -> Map<String, Value> {
    if node.as_map().is_none() {
        let name = if path.is_empty() { "the configuration" } else { path };
        let message = format!("{name} is {}, where a map of keys is wanted", node.type_name());
        findings.problems.push(Problem::error(Place::In(node.span), message));
    }
    let mut values = Map::new();
    for (key, value) in node.entries() {
        let name = key.text().unwrap_or_default();
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        if let Some(value) = entry(key, value, &path, findings) {
            values.insert(name.to_owned(), value);
        }
    }
    values
}

fn entry(key: &Node, value: &Node, path: &str, findings: &mut Findings) -> Option<Value> {
    let known = keys::find(path);
    if known.is_none() && keys::is_section(path) {
        return (!value.is_null()).then(|| Value::new(None, section(value, path, findings)));
    }
    let Some(known) = known else {
        findings.problems.push(unknown(key.span, path));
        return None;
    };
    let span = if value.is_null() { key.span } else { value.span };
    findings.spans.insert(path.to_owned(), span);
    match known.kind {
        Kind::Classes => note_classes(value, path, &CLASS_KEYS, findings),
        Kind::Limits => note_classes(value, path, &LIMIT_KEYS, findings),
        _ => {}
    }
    Some(Value::new(None, plain(value)))
}

fn unknown(span: Span, path: &str) -> Problem {
    let problem = Problem::error(Place::In(span), format!("unknown key `{path}`"));
    match keys::nearest(path) {
        Some(known) => problem.with_help(format!("did you mean `{known}`?")),
        None => problem.with_help("docs/configuration.md lists the keys"),
    }
}

/// The places of the classes and what each of them holds.
fn note_classes(classes: &Node, path: &str, keys: &[&str; 2], findings: &mut Findings) {
    for (name, class) in classes.entries() {
        let path = format!("{path}.{}", name.text().unwrap_or_default());
        findings.spans.insert(path.clone(), name.span);
        for (key, value) in class.entries() {
            let name = key.text().unwrap_or_default();
            findings.spans.insert(format!("{path}.{name}"), value.span);
            if !keys.contains(&name) {
                let problem =
                    Problem::error(Place::In(key.span), format!("unknown key `{name}` of a resource class"));
                findings
                    .problems
                    .push(problem.with_help(format!("its keys are `{}` and `{}`", keys[0], keys[1])));
            }
        }
    }
}

/// A node without its places. Scalars keep their text: what they are is said by their key.
fn plain(node: &Node) -> ValueKind {
    match &node.kind {
        Shape::Scalar(_) => node.text().map_or(ValueKind::Nil, |text| ValueKind::String(text.to_owned())),
        Shape::Seq(items) => {
            ValueKind::Array(items.iter().map(|item| Value::new(None, plain(item))).collect())
        }
        Shape::Map(entries) => {
            let named = |(key, value): &(Node, Node)| {
                (key.text().unwrap_or_default().to_owned(), Value::new(None, plain(value)))
            };
            ValueKind::Table(entries.iter().map(named).collect())
        }
    }
}

/// The variables of the environment that stand for keys. Each value remembers the variable it came from.
#[derive(Clone, Debug)]
pub(crate) struct Variables {
    values: Map<String, Value>,
}

impl Variables {
    pub(crate) fn read(variables: &BTreeMap<String, String>) -> Self {
        let values = KEYS.iter().filter_map(|key| value_of(key, variables)).collect();
        Self { values }
    }
}

impl Source for Variables {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.values.clone())
    }
}

fn value_of(key: &Key, variables: &BTreeMap<String, String>) -> Option<(String, Value)> {
    let set = |name: &&&str| variables.get(**name).is_some_and(|value| !value.is_empty());
    let name = key.environment.iter().find(set)?;
    let text = &variables[*name];
    let kind = if key.kind == Kind::Words { words(text) } else { ValueKind::String(text.clone()) };
    Some((key.path.to_owned(), Value::new(Some(&(*name).to_owned()), kind)))
}

/// A list in YAML, or words with spaces between.
fn words(text: &str) -> ValueKind {
    if text.trim_start().starts_with('[') {
        let (list, problems) = yaml::parse(text);
        return match list {
            Some(list) if problems.is_empty() => plain(&list),
            _ => ValueKind::String(text.to_owned()),
        };
    }
    ValueKind::Array(text.split_whitespace().map(|word| Value::new(None, word)).collect())
}

/// Variables that look like ours and are none, and pairs that contradict each other.
pub(crate) fn doubts(variables: &BTreeMap<String, String>) -> Vec<String> {
    let ours =
        |name: &&String| ["LAUNCH_AGENT_", "CIRCLECI_RUNNER_"].iter().any(|prefix| name.starts_with(prefix));
    let known = |name: &str| KEYS.iter().any(|key| key.environment.contains(&name));
    let strange = variables.keys().filter(ours).filter(|name| !known(name));
    let strange = strange
        .map(|name| format!("environment variable {name}: warning: it stands for no key{}", hint(name)));
    strange.chain(KEYS.iter().filter_map(|key| contradiction(key, variables))).collect()
}

fn hint(name: &str) -> String {
    let names = KEYS.iter().flat_map(|key| key.environment.iter());
    let nearest =
        names.map(|known| (keys::distance(name, known), known)).min_by_key(|(distance, _)| *distance);
    nearest
        .filter(|(distance, _)| *distance <= 4)
        .map(|(_, known)| format!(": did you mean {known}?"))
        .unwrap_or_default()
}

fn contradiction(key: &Key, variables: &BTreeMap<String, String>) -> Option<String> {
    let mut set =
        key.environment.iter().filter(|name| variables.get(**name).is_some_and(|value| !value.is_empty()));
    let first = set.next()?;
    let other = set.find(|name| variables[**name] != variables[*first])?;
    Some(format!("environment variable {other}: warning: {first} is set too, to another value, and wins"))
}
