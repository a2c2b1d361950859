//! The first stage: the sections of a configuration, by name, before anything in them is expanded.

use crate::{
    Context,
    declaration::Declaration,
    diagnostics,
    findings::Findings,
    library::{Imports, Sort, Tree},
};
use std::collections::HashMap;
use yaml::{Node, Span};

/// The version of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// `2` and `2.0`: no references, commands, executors or parameters.
    Two,
    /// `2.1`
    TwoOne,
}

/// Something with a name in a section.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Definition<'t> {
    pub(crate) name: &'t str,
    pub(crate) span: Span,
    pub(crate) body: &'t Node,
    /// The number of its document.
    pub(crate) home: usize,
}

impl Definition<'_> {
    /// Its parameters; `context` is the one within it.
    pub(crate) fn declarations(&self, context: Context<'_>) -> Vec<Declaration> {
        Declaration::all(context, self.body.get("parameters"))
    }
}

/// One section of definitions.
#[derive(Debug, Default)]
pub(crate) struct Section<'t> {
    definitions: HashMap<&'t str, Definition<'t>>,
}

impl<'t> Section<'t> {
    fn read(root: &'t Node, key: &str, home: usize, findings: &Findings) -> Self {
        let Some(node) = root.get(key).filter(|node| !node.is_null()) else { return Self::default() };
        if node.as_map().is_none() {
            findings.say(diagnostics::wrong_type(node.span, key, "a map", node.type_name()));
        }
        let definition = |(key, body): &'t (Node, Node)| {
            let name = key.text()?;
            Some((name, Definition { name, span: key.span, body, home }))
        };
        Self { definitions: node.entries().iter().filter_map(definition).collect() }
    }

    /// The definition of a name.
    pub(crate) fn get(&self, name: &str) -> Option<Definition<'t>> {
        self.definitions.get(name).copied()
    }

    /// All definitions, in the order of the source.
    pub(crate) fn definitions(&self) -> impl Iterator<Item = Definition<'t>> {
        let mut all: Vec<Definition<'t>> = self.definitions.values().copied().collect();
        all.sort_unstable_by_key(|definition| definition.span.start);
        all.into_iter()
    }

    /// All names, in the order of the alphabet so that messages do not change from run to run.
    pub(crate) fn names(&self) -> Vec<&'t str> {
        let mut names: Vec<&str> = self.definitions.keys().copied().collect();
        names.sort_unstable();
        names
    }
}

/// The sections of a configuration or an orb.
#[derive(Debug)]
pub(crate) struct Document<'t> {
    version: Version,
    root: &'t Node,
    /// Its number in the library; the configuration is 0.
    number: usize,
    /// What is written here is its own, where no inline orb of it is.
    pub(crate) region: Span,
    /// The orbs that it has names for.
    pub(crate) imports: Imports,
    pub(crate) commands: Section<'t>,
    pub(crate) executors: Section<'t>,
    pub(crate) jobs: Section<'t>,
    pub(crate) job_groups: Section<'t>,
}

const KEYS: [&str; 13] = [
    "version",
    "setup",
    "orbs",
    "commands",
    "parameters",
    "executors",
    "jobs",
    "job-groups",
    "workflows",
    "experimental",
    "description",
    "display",
    "examples",
];

impl<'t> Document<'t> {
    /// Reads the sections; none if the text is no configuration at all.
    pub(crate) fn read(root: &'t Node, findings: &Findings) -> Option<Self> {
        if root.as_map().is_none_or(<[_]>::is_empty) {
            findings.say(diagnostics::no_configuration(root.span, root.type_name()));
            return None;
        }
        let version = read_version(root, findings)?;
        check_setup(root, findings);
        suspicious_keys(root, findings);
        let modern = |key| match version {
            Version::TwoOne => Section::read(root, key, 0, findings),
            Version::Two => ignored(root, key, findings),
        };
        if version == Version::Two {
            ignored(root, "orbs", findings);
        }
        Some(Self {
            version,
            root,
            number: 0,
            region: Span::new(0, usize::MAX),
            imports: Imports::new(),
            commands: modern("commands"),
            executors: modern("executors"),
            job_groups: modern("job-groups"),
            jobs: Section::read(root, "jobs", 0, findings),
        })
    }

    /// The sections of an orb.
    pub(crate) fn of_orb(tree: &'t Tree, number: usize, findings: &Findings) -> Self {
        let section = |key| Section::read(&tree.root, key, number, findings);
        Self {
            version: Version::TwoOne,
            root: &tree.root,
            number,
            region: tree.region,
            imports: Imports::new(),
            commands: section("commands"),
            executors: section("executors"),
            job_groups: Section::default(),
            jobs: section("jobs"),
        }
    }

    /// Whether it is an orb's: it cannot see the pipeline's parameters.
    pub(crate) fn is_of_an_orb(&self) -> bool {
        self.number > 0
    }

    /// The definitions of a kind.
    pub(crate) fn section(&self, sort: Sort) -> &Section<'t> {
        match sort {
            Sort::Command => &self.commands,
            Sort::Executor => &self.executors,
            Sort::Job => &self.jobs,
        }
    }

    /// Where it says that it is a setup configuration: one that another one continues.
    pub(crate) fn setup(&self) -> Option<Span> {
        self.root.get_entry("setup").filter(|(_, value)| is_meant(value)).map(|(key, _)| key.span)
    }

    /// Whether it is a setup configuration.
    pub(crate) fn is_setup(&self) -> bool {
        self.setup().is_some()
    }

    /// Whether `<< … >>` means anything in this version.
    pub(crate) fn interpolates(&self) -> bool {
        self.version == Version::TwoOne
    }

    /// The declarations of the pipeline's parameters.
    pub(crate) fn parameters(&self) -> Option<&'t (Node, Node)> {
        self.root.get_entry("parameters").filter(|_| self.interpolates())
    }

    /// The workflows, if the configuration has any.
    pub(crate) fn workflows(&self) -> Option<&'t (Node, Node)> {
        self.root.get_entry("workflows").filter(|(_, value)| !value.is_null())
    }

    /// Where messages about the whole file point: its first key.
    pub(crate) fn span(&self) -> Span {
        self.root.entries().first().map_or(self.root.span, |(key, _)| key.span)
    }
}

fn is_meant(setup: &Node) -> bool {
    setup.text() == Some("true")
}

fn check_setup(root: &Node, findings: &Findings) {
    let wrong = |setup: &&Node| !setup.is_null() && !matches!(setup.text(), Some("true" | "false"));
    if let Some(setup) = root.get("setup").filter(wrong) {
        findings.say(diagnostics::wrong_type(setup.span, "`setup`", "a boolean", setup.type_name()));
    }
}

fn read_version(root: &Node, findings: &Findings) -> Option<Version> {
    let Some((key, value)) = root.get_entry("version") else {
        let span = root.entries().first().map_or(root.span, |(key, _)| key.span);
        findings.say(diagnostics::no_version(span));
        return Some(Version::TwoOne);
    };
    match value.text() {
        Some("2" | "2.0") => Some(Version::Two),
        Some("2.1") => Some(Version::TwoOne),
        _ => {
            let span = if value.text().is_some() { value.span } else { key.span };
            findings.say(diagnostics::unknown_version(span, value.text().unwrap_or_default()));
            None
        }
    }
}

/// Sections of the newer language in an older file.
fn ignored<'t>(root: &Node, key: &str, findings: &Findings) -> Section<'t> {
    if let Some((key_node, _)) = root.get_entry(key) {
        findings.say(diagnostics::needs_newer_version(key_node.span, key));
    }
    Section::default()
}

/// Unknown keys at the top are where people keep their anchors; one that is nearly a section is likely a slip.
fn suspicious_keys(root: &Node, findings: &Findings) {
    for (key, _) in root.entries() {
        let name = key.text().unwrap_or_default();
        let is_holder = KEYS.contains(&name) || name.starts_with(['_', '.']) || name.starts_with("x-");
        let near = findings.near(name, KEYS).filter(|near| !is_holder && root.get(near).is_none());
        if let Some(near) = near {
            findings.say(diagnostics::unknown_key(key.span, "the configuration", name, Some(near)));
        }
    }
}
