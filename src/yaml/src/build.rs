//! Builds the tree from the parser's events: shares what is aliased, counts it all the same, and stops where a text
//! would grow or nest without bound.

use crate::{Diagnostic, Entry, Kind, Node, Scalar, Span, Value, mapping, scalar};
use granit_parser::{Event, Parser, ScalarStyle, StructureStyle, Tag};
use std::collections::HashMap;

/// How many nodes a text may have, every use of an anchor counted with all that it holds.
pub const MAX_NODES: usize = 500_000;

/// How deep lists and maps may nest, anchors looked into.
pub const MAX_DEPTH: usize = 100;

/// Reads one document. The tree is there unless the text is no YAML; it may be there beside errors, which are then
/// all that such a text has: unknown anchors, keys that are maps and the like. An empty text is a null node.
pub fn parse(text: &str) -> (Option<Node>, Vec<Diagnostic>) {
    parse_at(text, 0)
}

/// The same for a text that is one of several: all places count from `base`, where it begins among
/// [`Sources`](crate::Sources).
pub fn parse_at(text: &str, base: usize) -> (Option<Node>, Vec<Diagnostic>) {
    let mut builder = Builder { base, ..Builder::default() };
    let options = granit_parser::options! {
        emit_unresolved_aliases: true,
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    for event in Parser::new_from_str_with_options(text, options) {
        let step = match event {
            Ok((event, span)) => builder.take(event, bytes(span, base), text),
            Err(error) => Err(syntax_error(&error, text, base)),
        };
        if let Err(diagnostic) = step {
            builder.diagnostics.push(diagnostic);
            return (None, builder.diagnostics);
        }
    }
    let root = builder.root.map_or_else(|| Node::null(Span::default()), |root| root.node);
    (Some(root), builder.diagnostics)
}

fn bytes(span: granit_parser::Span, base: usize) -> Span {
    let range = span.byte_range().unwrap_or_default();
    Span::new(base + range.start, base + range.end.max(range.start))
}

fn syntax_error(error: &granit_parser::ScanError, text: &str, base: usize) -> Diagnostic {
    use granit_parser::ErrorKind as E;
    let start = error.marker().byte_offset().unwrap_or_default().min(text.len());
    let width = text.get(start..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
    let diagnostic = Diagnostic::error(
        Span::new(base + start, base + start + width),
        format!("this is no YAML: {}", error.info()),
    );
    match error.kind() {
        E::TabInIndentation | E::TabInBlockIndentation | E::TabNotAllowed | E::TabAtBlockScalarStart => {
            diagnostic.with_help("indent with spaces")
        }
        E::RecursionLimitExceeded => too_deep(diagnostic.span),
        _ => diagnostic,
    }
}

fn too_deep(span: Span) -> Diagnostic {
    Diagnostic::error(span, format!("nested deeper than {MAX_DEPTH} levels"))
}

/// A node with all that it holds counted.
#[derive(Clone)]
struct Measured {
    node: Node,
    nodes: usize,
    height: usize,
}

/// A list or map whose end has not come.
struct Open {
    span: Span,
    flow: bool,
    anchor: usize,
    children: Children,
    nodes: usize,
    height: usize,
}

enum Children {
    Items(Vec<Node>),
    Entries { done: Vec<Entry>, key: Option<Node> },
}

#[derive(Default)]
struct Builder {
    root: Option<Measured>,
    open: Vec<Open>,
    /// None while the anchored node is still open.
    anchors: HashMap<usize, Option<Measured>>,
    nodes: usize,
    diagnostics: Vec<Diagnostic>,
    /// Where the text begins among others.
    base: usize,
}

impl Builder {
    /// Takes one event; an error ends the reading.
    fn take(&mut self, event: Event<'_>, span: Span, text: &str) -> Result<(), Diagnostic> {
        match event {
            Event::Scalar(content, style, anchor, tag) => {
                let node = self.scalar(&content, style, tag.as_deref(), span);
                self.leaf(node, anchor)
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.start(span, style, anchor, tag.as_deref(), Children::Items(Vec::new()))
            }
            Event::MappingStart(style, anchor, tag) => {
                let children = Children::Entries { done: Vec::new(), key: None };
                self.start(span, style, anchor, tag.as_deref(), children)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span, text),
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::UnresolvedAlias(name) => {
                let message = format!("the anchor `&{name}` is not defined before this");
                self.diagnostics.push(Diagnostic::error(span, message));
                self.leaf(Node::null(span), 0)
            }
            _ => Ok(()),
        }
    }

    fn leaf(&mut self, node: Node, anchor: usize) -> Result<(), Diagnostic> {
        self.nodes += 1;
        self.finished(Measured { node, nodes: 1, height: 0 }, anchor)
    }

    fn scalar(&mut self, content: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Node {
        if content.contains('\0') {
            self.diagnostics.push(Diagnostic::error(span, "a NUL character cannot stand in a value"));
        }
        let kind = match tag.map(|tag| (tag, tag.core_suffix())) {
            None if style == ScalarStyle::Plain => scalar::plain(content),
            None => scalar::quoted(content),
            Some((_, Some("str"))) => scalar::quoted(content),
            Some((_, Some("int" | "float" | "bool" | "null"))) => scalar::plain(content),
            Some((tag, _)) => {
                self.unknown_tag(tag, span);
                scalar::quoted(content)
            }
        };
        Node { span, kind: Kind::Scalar(kind) }
    }

    fn unknown_tag(&mut self, tag: &Tag, span: Span) {
        if !matches!(tag.original().as_str(), "!" | "!!seq" | "!!map") {
            let message = format!("the tag `{}` means nothing here", tag.original());
            self.diagnostics.push(Diagnostic::warning(span, message));
        }
    }

    fn start(
        &mut self,
        span: Span,
        style: StructureStyle,
        anchor: usize,
        tag: Option<&Tag>,
        children: Children,
    ) -> Result<(), Diagnostic> {
        if let Some(tag) = tag {
            self.unknown_tag(tag, span);
        }
        if anchor != 0 {
            self.anchors.insert(anchor, None);
        }
        self.count(1, span)?;
        let flow = style == StructureStyle::Flow;
        self.open.push(Open { span, flow, anchor, children, nodes: 1, height: 0 });
        Ok(())
    }

    fn end(&mut self, end: Span, text: &str) -> Result<(), Diagnostic> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let end = if open.flow { end.end } else { open.span.end };
        let span = Span::new(open.span.start, end.max(open.span.start));
        let node = match open.children {
            Children::Items(items) => Node::seq(span, items),
            Children::Entries { done, .. } => {
                Node::map(span, mapping::resolve(done, (text, self.base), &mut self.diagnostics))
            }
        };
        self.finished(Measured { node, nodes: open.nodes, height: open.height }, open.anchor)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Diagnostic> {
        match self.anchors.get(&anchor).cloned().flatten() {
            Some(measured) => {
                self.count(measured.nodes, span)?;
                if self.open.len() + measured.height > MAX_DEPTH {
                    return Err(too_deep(span));
                }
                self.finished(measured, 0)
            }
            None => Err(Diagnostic::error(span, "this alias stands inside its own anchor")),
        }
    }

    fn count(&mut self, nodes: usize, span: Span) -> Result<(), Diagnostic> {
        self.nodes += nodes;
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        let message = format!("with its aliases the text grows beyond {MAX_NODES} nodes");
        Err(Diagnostic::error(span, message).with_help("use fewer aliases of aliases"))
    }

    /// Puts a whole node where it belongs: below what is open, or at the root.
    fn finished(&mut self, measured: Measured, anchor: usize) -> Result<(), Diagnostic> {
        if anchor != 0 {
            self.anchors.insert(anchor, Some(measured.clone()));
        }
        let Some(open) = self.open.last_mut() else { return self.document(measured) };
        open.nodes += measured.nodes;
        open.height = open.height.max(measured.height + 1);
        open.span.end = open.span.end.max(measured.node.span.end);
        match &mut open.children {
            Children::Items(items) => items.push(measured.node),
            Children::Entries { done, key } => match key.take() {
                None => *key = Some(measured.node),
                Some(key) => done.push((key, measured.node)),
            },
        }
        Ok(())
    }

    fn document(&mut self, measured: Measured) -> Result<(), Diagnostic> {
        let empty = |node: &Node| matches!(&node.kind, Kind::Scalar(Scalar { value: Value::Null, .. }));
        match &self.root {
            Some(root) if !empty(&root.node) && !empty(&measured.node) => {
                Err(Diagnostic::error(measured.node.span, "a second document stands here, where one is read"))
            }
            Some(root) if !empty(&root.node) => Ok(()),
            _ => {
                self.root = Some(measured);
                Ok(())
            }
        }
    }
}
