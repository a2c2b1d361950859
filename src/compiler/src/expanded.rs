//! The configuration as it is once all is filled in: one document of version 2 that refers to nothing, and the outline
//! of its workflows.

use crate::{graph::Graph, invocation::Invocation, workflow::Plan};
use protocol::pipeline::Kind;
use std::collections::HashMap;
use yaml::{Entry, Node, Span};

/// A configuration in which every reference is filled in, every command expanded and every condition decided.
#[derive(Clone, Debug)]
pub struct Expanded {
    root: Node,
    comments: Comments,
    /// Its workflows, in order.
    pub workflows: Vec<Outline>,
}

/// What stands around a processed configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Comments {
    /// A line for each orb that went into it.
    pub(crate) resolutions: Vec<String>,
    /// The text that it was made of.
    pub(crate) original: String,
}

/// The graph of one workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// Its name.
    pub name: String,
    /// In the order of the configuration.
    pub jobs: Vec<OutlinedJob>,
}

/// One job of a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlinedJob {
    /// Unique in its workflow.
    pub name: String,
    /// `build`, `approval` and the like.
    pub kind: String,
    /// The jobs that it requires, by name, each with how it is to have ended where that is not success.
    pub requires: Vec<(String, Vec<String>)>,
}

impl Expanded {
    /// The document as YAML.
    pub fn text(&self) -> String {
        let Comments { resolutions, original } = &self.comments;
        let resolutions: String = resolutions.iter().map(|line| format!("{line}\n")).collect();
        format!("{resolutions}{}\n{}", yaml::write(&self.root), commented(original))
    }
}

/// What a processed configuration ends with.
const ORIGINAL: &str = "# Original config.yml file:";

/// The text that was processed, as comments; of one that was processed already, those that it has.
fn commented(text: &str) -> String {
    let is_head = |at: &usize| *at == 0 || text[..*at].ends_with('\n');
    let head = text.match_indices(&format!("{ORIGINAL}\n")).map(|(at, _)| at).find(is_head);
    if let Some(at) = head {
        return text[at..].to_owned();
    }
    // A line ends where YAML lets it end, or the rest of it would be no comment.
    let lines = text.trim_end().replace("\r\n", "\n");
    let lines = lines.split(['\n', '\r']).map(|line| format!("# {line}").trim_end().to_owned() + "\n");
    [format!("{ORIGINAL}\n")].into_iter().chain(lines).collect()
}

/// Collects a configuration's jobs and workflows as they are expanded.
#[derive(Debug, Default)]
pub(crate) struct Collection {
    jobs: Vec<Entry>,
    /// Where each job's text stands among them.
    places: HashMap<String, usize>,
    /// Of names that several jobs have: the name that each content got.
    contents: HashMap<String, HashMap<String, String>>,
    workflows: Vec<Entry>,
    outlines: Vec<Outline>,
}

/// The options of a job that processed configurations have, in their order.
const OPTIONS: [&str; 5] = ["type", "context", "filters", "serial-group", "max_auto_reruns"];

impl Collection {
    /// Adds a workflow: each of its jobs by its place, with its text where it has one.
    pub(crate) fn add(&mut self, plan: &Plan<'_>, graph: &Graph, texts: Vec<Option<Node>>) {
        let mut outline = Outline { name: plan.name.clone(), jobs: Vec::new() };
        let mut jobs = Vec::new();
        for (place, (job, text)) in plan.jobs.iter().zip(texts).enumerate() {
            let name = &graph.names[place];
            let kind = kind(job, text.as_ref());
            let key = match text {
                Some(text) => self.define(name, text),
                None => name.clone(),
            };
            jobs.push(invoked(job, &key, name, requirements(job, graph, place)));
            let requires = outlined(job, graph, place);
            outline.jobs.push(OutlinedJob { name: name.clone(), kind, requires });
        }
        let named = |name: &str, node| (Node::string(plan.span, name), node);
        let written = plan.written.iter().cloned().chain([named("jobs", Node::seq(plan.span, jobs))]);
        self.workflows.push(named(&plan.name, Node::map(plan.span, written.collect())));
        self.outlines.push(outline);
    }

    /// Defines a job, by another name if there is another of this one; the name it got.
    fn define(&mut self, name: &str, text: Node) -> String {
        let Some(first) = self.places.get(name) else { return self.insert(name.to_owned(), text) };
        let first = || HashMap::from([(yaml::write(&self.jobs[*first].1), name.to_owned())]);
        let known = self.contents.entry(name.to_owned()).or_insert_with(first);
        let content = yaml::write(&text);
        if let Some(key) = known.get(&content) {
            return key.clone();
        }
        let free = |count: &usize| !self.places.contains_key(&format!("{name}-{count}"));
        let count = (known.len() + 1..).find(free).expect("there are more numbers than jobs");
        let key = format!("{name}-{count}");
        known.insert(content, key.clone());
        self.insert(key, text)
    }

    fn insert(&mut self, key: String, text: Node) -> String {
        self.places.insert(key.clone(), self.jobs.len());
        self.jobs.push((Node::string(text.span, key.as_str()), text));
        key
    }

    /// The whole document.
    pub(crate) fn finish(self, is_setup: bool, comments: Comments) -> Expanded {
        let span = Span::default();
        let named = |name: &str, node| (Node::string(span, name), node);
        let version = || named("version", Node::int(span, 2));
        let workflows = self.workflows.into_iter().chain([version()]).collect();
        let setup = is_setup.then(|| named("setup", Node::bool(span, true)));
        let sections =
            [named("jobs", Node::map(span, self.jobs)), named("workflows", Node::map(span, workflows))];
        let root = Node::map(span, [version()].into_iter().chain(setup).chain(sections).collect());
        Expanded { root, comments, workflows: self.outlines }
    }
}

fn kind(job: &Invocation<'_>, text: Option<&Node>) -> String {
    let written = job.options.get("type").or_else(|| text?.get("type"));
    written.and_then(Node::text).unwrap_or("build").to_owned()
}

/// The jobs that a job requires, each once, with the statuses as written.
fn requirements(job: &Invocation<'_>, graph: &Graph, place: usize) -> Vec<Node> {
    let edges = graph.requires[place].iter().zip(&graph.reasons[place]);
    let required = edges.map(|(to, reason)| {
        let requirement = &job.requires[*reason];
        let name = Node::string(requirement.span, graph.names[*to].as_str());
        match &requirement.statuses {
            Some(statuses) => Node::map(requirement.span, vec![(name, statuses.clone())]),
            None => name,
        }
    });
    required.collect()
}

fn outlined(job: &Invocation<'_>, graph: &Graph, place: usize) -> Vec<(String, Vec<String>)> {
    let edges = graph.requires[place].iter().zip(&graph.reasons[place]);
    let required = edges.map(|(to, reason)| {
        let statuses = job.requires[*reason].statuses.iter();
        let statuses = statuses.flat_map(|node| node.as_seq().unwrap_or(std::slice::from_ref(node)));
        let statuses: Vec<String> = statuses.filter_map(|node| node.text().map(str::to_owned)).collect();
        (graph.names[*to].clone(), if statuses == ["success"] { Vec::new() } else { statuses })
    });
    required.collect()
}

/// A job as a processed workflow names it.
fn invoked(job: &Invocation<'_>, key: &str, name: &str, requires: Vec<Node>) -> Node {
    let span = job.span;
    let mut options: Vec<Entry> = Vec::new();
    if key != name {
        options.push((Node::string(span, "name"), Node::string(span, name)));
    }
    if !requires.is_empty() {
        options.push((Node::string(span, "requires"), Node::seq(span, requires)));
    }
    let own = match job.kind {
        Some(Kind::Lock | Kind::Unlock) => &["key"][..],
        Some(Kind::Release) => &["plan_name"],
        _ => &[],
    };
    let kept = OPTIONS.iter().chain(own).filter_map(|option| job.options.get_entry(option));
    options.extend(kept.filter(|(_, value)| !value.is_null()).map(|entry| job.decided(entry)));
    let key = Node::string(span, key);
    if options.is_empty() { key } else { Node::map(span, vec![(key, Node::map(span, options))]) }
}
