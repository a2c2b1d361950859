//! The second stage: a configuration and all orbs that it brings, inline ones and published ones, each a document of
//! its own. A name is looked up in the document that it is written in.

use crate::{
    Context, diagnostics,
    document::{Definition, Document},
    findings::Findings,
    orb::{Missing, Orb, Orbs, Reference},
    resolve::resolve,
    scope::Scope,
};
use std::collections::HashMap;
use yaml::{Node, Sources, Span};

/// The most orbs that a configuration may bring, those of its orbs included.
const MAX_ORBS: usize = 200;

/// How often a definition may be but another name for the next.
const MAX_ALIASES: usize = 10;

/// The kinds of what orbs have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Command,
    Executor,
    Job,
}

impl Sort {
    /// As messages call it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Executor => "executor",
            Self::Job => "job",
        }
    }
}

/// What a document calls an orb.
#[derive(Clone, Debug)]
pub(crate) enum Import {
    /// The document of that number.
    Document(usize),
    /// It is not there, which was said.
    Missing { reference: String, help: String },
}

/// The names of orbs in one document.
pub(crate) type Imports = HashMap<String, Import>;

/// An orb that was found, before its sections are read.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) root: Node,
    /// What is written here is the orb's.
    pub(crate) region: Span,
}

/// All orbs, and who calls which by what name: the configuration itself is number 0 and no tree.
#[derive(Debug, Default)]
pub(crate) struct Forest {
    pub(crate) trees: Vec<Tree>,
    pub(crate) imports: Vec<Imports>,
    /// References with the exact version that was taken for each, in order.
    pub(crate) resolutions: Vec<(String, String)>,
}

impl Forest {
    /// Finds all orbs of a configuration and theirs; their texts are added to the sources.
    pub(crate) fn plant(context: Context<'_>, root: &Node, sources: &mut Sources) -> Self {
        let mut planting = Planting {
            context,
            sources,
            forest: Self::default(),
            published: HashMap::new(),
            inline: HashMap::new(),
        };
        planting.imports_of(root);
        let mut next = 0;
        while let Some(tree) = planting.forest.trees.get(next) {
            let root = tree.root.clone();
            planting.imports_of(&root);
            next += 1;
        }
        planting.forest
    }
}

struct Planting<'a, 's> {
    context: Context<'a>,
    sources: &'s mut Sources,
    forest: Forest,
    /// By name and exact version.
    published: HashMap<String, Import>,
    inline: HashMap<Span, usize>,
}

impl Planting<'_, '_> {
    fn imports_of(&mut self, root: &Node) {
        let mut imports = Imports::new();
        if let Some((key, orbs)) = root.get_entry("orbs").filter(|(_, orbs)| !orbs.is_null()) {
            let context = self.context;
            if orbs.as_map().is_none() {
                context.findings.say(diagnostics::wrong_type(key.span, "orbs", "a map", orbs.type_name()));
            }
            for (name, written) in orbs.entries() {
                let alias = name.text().unwrap_or_default().to_owned();
                imports.extend(self.import(written).map(|import| (alias, import)));
            }
        }
        self.forest.imports.push(imports);
    }

    fn import(&mut self, written: &Node) -> Option<Import> {
        if self.forest.trees.len() >= MAX_ORBS {
            self.context.findings.say_last(diagnostics::too_many_orbs(written.span, MAX_ORBS));
            return None;
        }
        if written.as_map().is_some() {
            let number = self.inline.get(&written.span).copied();
            let number = number.unwrap_or_else(|| self.plant(written.clone(), written.span));
            self.inline.insert(written.span, number);
            return Some(Import::Document(number));
        }
        let resolved = resolve(self.context, Scope::pipeline(self.context), written);
        let text = resolved.text().unwrap_or_default();
        if text.starts_with("https://") {
            return Some(self.named(text, written.span, |orbs| orbs.at(text)));
        }
        match text.parse::<Reference>() {
            Ok(reference) => {
                Some(self.named(&reference.to_string(), written.span, |orbs| orbs.find(&reference)))
            }
            Err(error) => {
                let shown = if text.is_empty() { resolved.type_name() } else { text };
                let help = format!("{error}, or an https:// address");
                self.context.findings.say(diagnostics::no_orb(written.span, shown, &help));
                Some(Import::Missing { reference: shown.to_owned(), help })
            }
        }
    }

    fn plant(&mut self, root: Node, region: Span) -> usize {
        self.forest.trees.push(Tree { root, region });
        self.forest.trees.len()
    }

    /// What is known of an orb that is written so; it is looked for once.
    fn named(
        &mut self,
        written: &str,
        span: Span,
        find: impl FnOnce(&dyn Orbs) -> Result<Orb, Missing>,
    ) -> Import {
        if let Some(import) = self.published.get(written) {
            return import.clone();
        }
        let no_store = || Missing {
            reason: "no orb store was given".to_owned(),
            help: format!("import it with `roundhouse orb import {written}`"),
        };
        let found = self.context.inputs.orbs.as_deref().ok_or_else(no_store).and_then(find);
        let import = match found {
            Ok(orb) => self.found(written, span, &orb),
            Err(missing) => self.missing(written.to_owned(), span, &missing.reason, missing.help),
        };
        self.published.insert(written.to_owned(), import.clone());
        import
    }

    fn found(&mut self, written: &str, span: Span, found: &Orb) -> Import {
        // An address has no versions: what lies there is the version.
        let exact = match written.rsplit_once('@') {
            Some((name, _)) if !written.starts_with("https://") => format!("{name}@{}", found.version),
            _ => written.to_owned(),
        };
        self.forest.resolutions.push((written.to_owned(), exact.clone()));
        if let Some(import) = self.published.get(&exact) {
            return import.clone();
        }
        let start = self.sources.add(&exact, &found.source);
        let (root, said) = yaml::parse_at(&found.source, start);
        said.into_iter().for_each(|diagnostic| self.context.findings.say(diagnostic));
        let region = Span::new(start, start + found.source.len());
        let root = root.filter(|root| root.as_map().is_some()).unwrap_or_else(|| {
            self.context.findings.say(diagnostics::no_orb_source(span, &exact));
            Node::map(region, Vec::new())
        });
        let import = Import::Document(self.plant(root, region));
        self.published.insert(exact, import.clone());
        import
    }

    fn missing(&self, reference: String, span: Span, reason: &str, help: String) -> Import {
        self.context.findings.miss(diagnostics::missing_orb(span, &reference, reason, &help));
        Import::Missing { reference, help }
    }
}

/// All documents; number 0 is the configuration.
#[derive(Debug)]
pub(crate) struct Library<'t> {
    pub(crate) documents: Vec<Document<'t>>,
}

impl<'t> Library<'t> {
    /// The configuration alone.
    pub(crate) fn new(document: Document<'t>) -> Self {
        Self { documents: vec![document] }
    }

    /// The same with its orbs.
    pub(crate) fn with(self, forest: &'t Forest, findings: &Findings) -> Self {
        let mut documents = self.documents;
        for (number, tree) in forest.trees.iter().enumerate() {
            documents.push(Document::of_orb(tree, number + 1, findings));
        }
        for (document, imports) in documents.iter_mut().zip(&forest.imports) {
            document.imports = imports.clone();
        }
        Self { documents }
    }

    /// The document in which something is written: the innermost there.
    pub(crate) fn home(&self, span: Span) -> &Document<'t> {
        let orbs = self.documents.iter().skip(1);
        let around = orbs.filter(|orb| orb.region.start <= span.start && span.start < orb.region.end);
        around.min_by_key(|orb| orb.region.end - orb.region.start).unwrap_or(&self.documents[0])
    }

    /// Whether two places are of one document.
    pub(crate) fn is_one_document(&self, one: Span, other: Span) -> bool {
        self.documents.len() == 1 || std::ptr::eq(self.home(one), self.home(other))
    }

    fn find(&self, document: &Document<'t>, sort: Sort, name: &str, aliases: usize) -> Lookup<'t> {
        if let Some(definition) = document.section(sort).get(name) {
            return match definition.body.as_str().filter(|body| body.contains('/')) {
                Some(_) if aliases >= MAX_ALIASES => Lookup::Unknown,
                Some(body) => self.find(document, sort, body, aliases + 1),
                None => Lookup::Found(definition),
            };
        }
        let Some((alias, rest)) = name.split_once('/') else { return Lookup::Unknown };
        match document.imports.get(alias) {
            Some(Import::Document(number)) => {
                match self.find(&self.documents[*number], sort, rest, aliases + 1) {
                    Lookup::Unknown => Lookup::NotInOrb(*number),
                    found => found,
                }
            }
            Some(Import::Missing { reference, help }) => Lookup::Missing(reference.clone(), help.clone()),
            None => Lookup::Unknown,
        }
    }
}

#[derive(Debug)]
enum Lookup<'t> {
    Found(Definition<'t>),
    Missing(String, String),
    /// The orb is there, but has no such thing.
    NotInOrb(usize),
    Unknown,
}

/// What a name stands for.
#[derive(Debug)]
pub(crate) enum Found<'t> {
    Definition(Definition<'t>),
    /// Something of an orb that cannot be had, which was said.
    Nothing,
    /// No name that is known here.
    Unknown,
}

impl<'a> Context<'a> {
    /// The same within a definition: what is written there is looked up in its document.
    pub(crate) fn within(self, definition: Definition<'a>) -> Self {
        Context { document: &self.library.documents[definition.home], ..self }
    }

    /// The configuration and its inline orbs: what one text has in it.
    pub(crate) fn own_documents(self) -> impl Iterator<Item = &'a Document<'a>> {
        let end = self.sources.first().len();
        self.library.documents.iter().filter(move |document| document.region.start < end)
    }

    /// What a name at `span` stands for: in the document that it is written in, else in the one that uses it.
    pub(crate) fn find(self, sort: Sort, name: &str, span: Span) -> Found<'a> {
        self.find_for(self.findings, sort, name, span)
    }

    /// The definition of a name, if there is one; nothing is said otherwise.
    pub(crate) fn find_silently(self, sort: Sort, name: &str, span: Span) -> Option<Definition<'a>> {
        match self.library.find(self.library.home(span), sort, name, 0) {
            Lookup::Found(definition) => Some(definition),
            _ => None,
        }
    }

    /// The same with what is wrong said elsewhere.
    pub(crate) fn find_for(self, findings: &Findings, sort: Sort, name: &str, span: Span) -> Found<'a> {
        let mut found = self.library.find(self.library.home(span), sort, name, 0);
        if matches!(found, Lookup::Unknown) {
            found = self.library.find(self.document, sort, name, 0);
        }
        match found {
            Lookup::Found(definition) => Found::Definition(definition),
            Lookup::Missing(reference, help) => {
                let said = diagnostics::of_a_missing_orb(span, sort.word(), name, &reference, &help);
                findings.refuse(said);
                Found::Nothing
            }
            Lookup::NotInOrb(number) => {
                let (orb, rest) = name.split_once('/').unwrap_or_default();
                let names = self.library.documents[number].section(sort).names();
                let near = findings.near(rest, names).map(|near| format!("{orb}/{near}"));
                let of = format!("{} of the orb `{orb}` named", sort.word());
                findings.say(diagnostics::unknown_name(span, &of, rest, near.as_deref()));
                Found::Nothing
            }
            Lookup::Unknown => self.undeclared(findings, name, span),
        }
    }

    fn undeclared(self, findings: &Findings, name: &str, span: Span) -> Found<'a> {
        let Some((orb, _)) = name.split_once('/') else { return Found::Unknown };
        let mut declared: Vec<&str> = self.library.home(span).imports.keys().map(String::as_str).collect();
        declared.sort_unstable();
        let near = findings.near(orb, declared);
        findings.say(diagnostics::undeclared_orb(span, orb, name, near));
        Found::Nothing
    }
}
