//! Fills in the references of whole trees. Every node of the source is resolved once, in the scope it is written in:
//! a value that takes a reference's place is not looked into again.

use crate::{Context, diagnostics, scope::Scope, template::Filling};
use yaml::{Kind, Node};

/// How deep a tree may nest once values stand in it.
const MAX_DEPTH: usize = 200;

/// The tree with its references filled in, as the scope has them. Shares with the source what has none.
pub(crate) fn resolve(context: Context<'_>, scope: Scope<'_>, node: &Node) -> Node {
    let filling = Filling {
        sources: context.sources,
        library: context.library,
        scope,
        findings: context.findings,
        budget: context.budget,
    };
    Resolver { context, filling }.node(node, 0).unwrap_or_else(|| node.clone())
}

struct Resolver<'a> {
    context: Context<'a>,
    filling: Filling<'a>,
}

impl Resolver<'_> {
    /// The resolved node; none if it is as it was.
    fn node(&self, node: &Node, depth: usize) -> Option<Node> {
        let bytes = node.as_scalar().map_or(0, |scalar| scalar.text.len());
        if !self.context.budget.spend(bytes) {
            self.context.findings.say_last(diagnostics::too_large(node.span));
            return Some(Node::null(node.span));
        }
        match &node.kind {
            Kind::Scalar(_) => self.scalar(node, depth),
            Kind::Seq(items) => {
                let items = changed(items, |item| self.node(item, depth + 1))?;
                Some(Node::seq(node.span, items))
            }
            Kind::Map(entries) => {
                let entries = changed(entries, |(key, value)| self.entry(key, value, depth + 1))?;
                Some(Node::map(node.span, entries))
            }
        }
    }

    fn entry(&self, key: &Node, value: &Node, depth: usize) -> Option<(Node, Node)> {
        let (new_key, new_value) = (self.key(key), self.node(value, depth));
        if new_key.is_none() && new_value.is_none() {
            return None;
        }
        Some((new_key.unwrap_or_else(|| key.clone()), new_value.unwrap_or_else(|| value.clone())))
    }

    /// A key stays a scalar whatever its reference is.
    fn key(&self, key: &Node) -> Option<Node> {
        if !self.context.document.interpolates() {
            return None;
        }
        let filled = self.filling.fill(key.as_str()?, key.span)?;
        match filled.text() {
            Some(_) => Some(filled),
            None => {
                self.context.findings.say(diagnostics::no_key(key.span, filled.type_name()));
                None
            }
        }
    }

    fn scalar(&self, node: &Node, depth: usize) -> Option<Node> {
        if !self.context.document.interpolates() {
            return None;
        }
        let filled = self.filling.fill(node.as_str()?, node.span)?;
        let wrong = match self.height(&filled) {
            None => diagnostics::too_large(node.span),
            Some(height) if depth + height > MAX_DEPTH => diagnostics::too_deep(node.span, MAX_DEPTH),
            Some(_) => return Some(filled),
        };
        self.context.findings.say_last(wrong);
        Some(Node::null(node.span))
    }

    /// How deep a value nests; its nodes are counted, for they stand here once more. None if there are too many.
    fn height(&self, node: &Node) -> Option<usize> {
        let bytes = node.as_scalar().map_or(0, |scalar| scalar.text.len());
        if !self.context.budget.spend(bytes) {
            return None;
        }
        let children = node.items().iter().chain(node.entries().iter().map(|(_, value)| value));
        children.map(|child| self.height(child)).try_fold(0, |height, child| Some(height.max(child? + 1)))
    }
}

/// The list with what has changed in its place; none if nothing has.
fn changed<T: Clone>(list: &[T], change: impl Fn(&T) -> Option<T>) -> Option<Vec<T>> {
    let mut new: Option<Vec<T>> = None;
    for (place, old) in list.iter().enumerate() {
        match (change(old), &mut new) {
            (Some(item), Some(new)) => new.push(item),
            (Some(item), None) => new = Some(list[..place].iter().cloned().chain([item]).collect()),
            (None, Some(new)) => new.push(old.clone()),
            (None, None) => {}
        }
    }
    new
}
