//! Job groups: a named set of jobs that a workflow uses like one, between a job that begins it and one that ends it.

use crate::{
    Context, diagnostics,
    document::Definition,
    fields::Fields,
    filters,
    invocation::{self, Invocation, Requirement},
    resolve::resolve,
    scope::Scope,
};
use protocol::pipeline::{Ending, Kind};
use std::collections::HashSet;
use yaml::{Entry, Node, Span};

/// What a workflow may say of a group.
const OPTIONS: [&str; 4] = ["name", "requires", "filters", "serial-group"];

/// The jobs of a group as a workflow's entry uses it.
pub(crate) fn read<'t>(
    context: Context<'t>,
    group: Definition<'t>,
    span: Span,
    options: Option<&Node>,
) -> Vec<Invocation<'t>> {
    let what = format!("the job group `{}`", group.name);
    let empty = Node::map(span, Vec::new());
    let options = options.filter(|options| !options.is_null()).unwrap_or(&empty);
    let options = resolve(context, Scope::pipeline(context), options);
    let Some(fields) = Fields::new(context, &what, span, &options) else { return Vec::new() };
    for (key, _) in options.entries() {
        let name = key.text().unwrap_or_default();
        if !OPTIONS.contains(&name) {
            context.findings.say(diagnostics::not_for_groups(key.span, group.name, name, &OPTIONS));
        }
    }
    let Some(jobs) = group.body.get("jobs").filter(|jobs| !jobs.items().is_empty()) else {
        context.findings.say(diagnostics::missing_key(group.span, &what, "jobs"));
        return Vec::new();
    };
    let title = fields.text("name").unwrap_or_else(|| group.name.to_owned());
    let members = jobs.items().iter().flat_map(|entry| invocation::read(context, entry)).collect();
    let serial_group = invocation::serial_group(fields);
    Framing { fields, title, serial_group }.framed(members)
}

struct Framing<'a> {
    fields: Fields<'a>,
    title: String,
    /// The name of which one group or job at a time runs.
    serial_group: Option<String>,
}

impl Framing<'_> {
    /// The members between their begin and their end.
    fn framed<'t>(&self, members: Vec<Invocation<'t>>) -> Vec<Invocation<'t>> {
        let required =
            |job: &Invocation<'_>| job.requires.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
        let inner: HashSet<String> = members.iter().flat_map(required).collect();
        let is_last = |job: &&Invocation<'_>| {
            !inner.contains(&job.name) && job.group.as_ref().is_none_or(|group| !inner.contains(group))
        };
        let last = members.iter().filter(is_last).map(|job| self.requirement(&job.name)).collect();
        let kinds =
            if self.serial_group.is_some() { [Kind::Lock, Kind::Unlock] } else { [Kind::NoOp, Kind::NoOp] };
        let begin = self.edge("start", kinds[0], invocation::requires(self.fields), None);
        let end = self.edge("end", kinds[1], last, Some(self.title.clone()));
        let members = members.into_iter().map(|job| self.member(job));
        [begin].into_iter().chain(members).chain([end]).collect()
    }

    fn named(&self, name: &str) -> String {
        format!("{}/{name}", self.title)
    }

    fn requirement(&self, name: &str) -> Requirement {
        let endings = vec![Ending::Success];
        Requirement { name: self.named(name), span: self.fields.span, statuses: None, endings }
    }

    /// A job that waits for the begin, or for others of the group.
    fn member<'t>(&self, job: Invocation<'t>) -> Invocation<'t> {
        let own = |one: Requirement| Requirement { name: self.named(&one.name), ..one };
        let requires = match job.requires.is_empty() {
            true => vec![self.requirement("start")],
            false => job.requires.into_iter().map(own).collect(),
        };
        let group = job.group.map(|group| self.named(&group));
        Invocation { name: self.named(&job.name), group, requires, ..job }
    }

    /// A job that does nothing but begin or end the group, and its turn.
    fn edge<'t>(
        &self,
        name: &str,
        kind: Kind,
        requires: Vec<Requirement>,
        group: Option<String>,
    ) -> Invocation<'t> {
        let Fields { context, span, node, .. } = self.fields;
        let findings = context.findings.beside();
        let entry = |key: &str, value: Node| (Node::string(span, key), value);
        let kept = ["filters", "serial-group"].iter().filter_map(|key| node.get_entry(key).cloned());
        let options: Vec<Entry> =
            [entry("type", Node::string(span, invocation::written(kind)))].into_iter().chain(kept).collect();
        let own = Context { findings: &findings, ..context };
        let passes = filters::pass(own, span, self.fields.value("filters"));
        Invocation {
            name: self.named(name),
            base: self.named(name),
            group,
            span,
            kind: Some(kind),
            serial_group: self.serial_group.clone(),
            plan: None,
            definition: None,
            requires,
            options: Node::map(span, options),
            contexts: Vec::new(),
            arguments: Vec::new(),
            before: None,
            after: None,
            passes,
            findings,
        }
    }
}
