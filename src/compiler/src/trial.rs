//! An orb on trial: a configuration that uses all it has, with an argument for every parameter that needs one.

use yaml::{Entry, Node, Span};

/// What is made up stands at no place of the orb's text.
const NOWHERE: Span = Span::new(usize::MAX - 1, usize::MAX);

/// What the configuration calls the orb.
const ALIAS: &str = "orb";

/// The configuration around an orb's tree.
pub(crate) fn configuration(orb: &Node) -> Node {
    let mut jobs: Vec<Entry> = Vec::new();
    let mut invoked: Vec<Node> = Vec::new();
    for (name, body) in section(orb, "commands") {
        let step = map(vec![entry(&used(name), arguments(body))]);
        let job = map(vec![machine(), entry("steps", list(vec![step]))]);
        invoked.push(word(&format!("command {name}")));
        jobs.push(entry(&format!("command {name}"), job));
    }
    for (name, body) in section(orb, "executors") {
        let given = arguments(body);
        let executor = [entry("name", word(&used(name)))].into_iter().chain(given.entries().iter().cloned());
        let steps = list(vec![word("checkout")]);
        let job = map(vec![entry("executor", map(executor.collect())), entry("steps", steps)]);
        invoked.push(word(&format!("executor {name}")));
        jobs.push(entry(&format!("executor {name}"), job));
    }
    for (name, body) in section(orb, "jobs") {
        invoked.push(map(vec![entry(&used(name), arguments(body))]));
    }
    let workflow = map(vec![entry("jobs", list(invoked.clone()))]);
    let workflows = if invoked.is_empty() { map(Vec::new()) } else { map(vec![entry("all", workflow)]) };
    let executors = map(vec![entry("default", map(vec![machine()]))]);
    map(vec![
        entry("version", word("2.1")),
        entry("orbs", map(vec![entry(ALIAS, orb.clone())])),
        entry("executors", executors),
        entry("jobs", map(jobs)),
        entry("workflows", workflows),
    ])
}

fn section<'o>(orb: &'o Node, key: &str) -> impl Iterator<Item = (&'o str, &'o Node)> {
    let entries = orb.get(key).map(Node::entries).unwrap_or_default();
    entries.iter().filter_map(|(key, body)| Some((key.text()?, body)))
}

/// An argument for every parameter that has no default.
fn arguments(body: &Node) -> Node {
    let needed = section(body, "parameters").filter(|(_, declaration)| declaration.get("default").is_none());
    let given = needed.filter_map(|(name, declaration)| Some(entry(name, argument(declaration)?)));
    map(given.collect())
}

/// A value of the parameter's type; none if there is no such type.
fn argument(declaration: &Node) -> Option<Node> {
    match declaration.get("type")?.text()? {
        // What is also a duration fits most places.
        "string" => Some(word("1m")),
        "boolean" => Some(Node::bool(NOWHERE, true)),
        "integer" => Some(Node::int(NOWHERE, 1)),
        "enum" => declaration.get("enum")?.items().first().cloned(),
        "executor" => Some(word("default")),
        "steps" => Some(list(Vec::new())),
        "env_var_name" => Some(word("NAME")),
        _ => None,
    }
}

fn used(name: &str) -> String {
    format!("{ALIAS}/{name}")
}

fn machine() -> Entry {
    entry("machine", Node::bool(NOWHERE, true))
}

fn word(text: &str) -> Node {
    Node::string(NOWHERE, text)
}

fn list(items: Vec<Node>) -> Node {
    Node::seq(NOWHERE, items)
}

fn map(entries: Vec<Entry>) -> Node {
    Node::map(NOWHERE, entries)
}

fn entry(key: &str, value: Node) -> Entry {
    (word(key), value)
}
