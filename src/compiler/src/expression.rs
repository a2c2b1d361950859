//! Expressions of workflows and filters: `pipeline.git.branch == "main" and not pipeline.parameters.skip`.

use crate::{
    Context,
    condition::is_truthy,
    diagnostics,
    expression_words::{Located, Place, Word, words},
    scope::Scope,
};
use yaml::{Diagnostic, Node, Span, Value};

/// How deep parentheses and negations may stand in one another.
const MAX_DEPTH: usize = 50;

/// Whether an expression holds. A wrong one is said and does not.
pub(crate) fn holds(context: Context<'_>, node: &Node) -> bool {
    let text = node.as_str().unwrap_or_default();
    let result = match words(text) {
        Ok(words) => Evaluation { context, node, words: &words, next: 0, depth: 0, counts: true }.whole(),
        Err(at) => Err(diagnostics::no_expression_word(place(context, node, at))),
    };
    result.unwrap_or_else(|diagnostic| {
        context.findings.say(diagnostic);
        false
    })
}

/// Whether a text is the name of a pipeline value, and nothing else.
pub(crate) fn is_value(text: &str) -> bool {
    let part =
        |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    text.strip_prefix("pipeline.").is_some_and(|rest| rest.split('.').all(part))
}

/// Whether a condition's text is an expression, and not a text that is merely true: it asks something of the pipeline.
pub(crate) fn is_meant(node: &Node) -> bool {
    let Some(text) = node.as_str().filter(|text| text.contains("pipeline.")) else { return false };
    let asks = |words: Vec<Located<'_>>| {
        words.len() > 1 && words.iter().any(|(word, _)| matches!(word, Word::Name(name) if is_value(name)))
    };
    words(text).is_ok_and(asks)
}

/// Where a part of the expression stands: exactly, where the source has the text as it is.
fn place(context: Context<'_>, node: &Node, (start, end): Place) -> Span {
    let source = context.sources.text(node.span).unwrap_or_default();
    let text = node.as_str().unwrap_or_default();
    match source.find(text).filter(|_| !text.is_empty()) {
        Some(offset) => Span::new(node.span.start + offset + start, node.span.start + offset + end),
        None => node.span,
    }
}

/// Reads and evaluates at once, left to right.
struct Evaluation<'a> {
    context: Context<'a>,
    node: &'a Node,
    words: &'a [Located<'a>],
    next: usize,
    depth: usize,
    /// Whether what is read decides anything: not so behind a false `and` or a true `or`.
    counts: bool,
}

impl<'a> Evaluation<'a> {
    fn whole(mut self) -> Result<bool, Diagnostic> {
        let value = self.any()?;
        match self.words.get(self.next) {
            None => Ok(is_truthy(&value)),
            Some(_) => Err(self.unexpected()),
        }
    }

    /// Operands of `or`.
    fn any(&mut self) -> Result<Node, Diagnostic> {
        self.joined("or", true, Self::all)
    }

    /// Operands of `and`.
    fn all(&mut self) -> Result<Node, Diagnostic> {
        self.joined("and", false, Self::compared)
    }

    fn joined(
        &mut self,
        operator: &str,
        decisive: bool,
        operand: fn(&mut Self) -> Result<Node, Diagnostic>,
    ) -> Result<Node, Diagnostic> {
        let mut value = operand(self)?;
        while self.take(operator) {
            let counted = self.counts;
            let decided = is_truthy(&value) == decisive;
            self.counts = counted && !decided;
            let right = operand(self)?;
            self.counts = counted;
            let holds = if decided { decisive } else { is_truthy(&right) };
            value = Node::bool(self.node.span, holds);
        }
        Ok(value)
    }

    fn compared(&mut self) -> Result<Node, Diagnostic> {
        const OPERATORS: [&str; 9] = ["==", "!=", "<=", ">=", "<", ">", "starts-with", "contains", "matches"];
        let left = self.negated()?;
        let Some(operator) = OPERATORS.into_iter().find(|operator| self.take(operator)) else {
            return Ok(left);
        };
        let at = self.words[self.next - 1].1;
        let holds = if operator == "matches" {
            self.matches(&left)?
        } else {
            compare(operator, &left, &self.negated()?)
        };
        match holds {
            Some(holds) => Ok(Node::bool(self.node.span, holds)),
            None if !self.counts => Ok(Node::bool(self.node.span, false)),
            None => Err(diagnostics::wrong_operands(place(self.context, self.node, at), operator)),
        }
    }

    fn matches(&mut self, left: &Node) -> Result<Option<bool>, Diagnostic> {
        let Some((Word::Pattern(pattern), at)) = self.words.get(self.next) else {
            return Err(self.unexpected());
        };
        self.next += 1;
        let span = place(self.context, self.node, *at);
        let pattern = self.context.patterns.get(pattern);
        let pattern = pattern.map_err(|reason| diagnostics::bad_pattern(span, &reason))?;
        let matched = left.as_str().map(|text| pattern.matches(text)).transpose();
        matched.map_err(|reason| diagnostics::bad_pattern(span, &reason))
    }

    fn negated(&mut self) -> Result<Node, Diagnostic> {
        if !self.take("not") && !self.take("!") {
            return self.single();
        }
        self.deeper(|this| Ok(Node::bool(this.node.span, !is_truthy(&this.negated()?))))
    }

    fn deeper(&mut self, read: fn(&mut Self) -> Result<Node, Diagnostic>) -> Result<Node, Diagnostic> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(diagnostics::too_deep(self.node.span, MAX_DEPTH));
        }
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn single(&mut self) -> Result<Node, Diagnostic> {
        let Some((word, at)) = self.words.get(self.next) else { return Err(self.unexpected()) };
        let span = place(self.context, self.node, *at);
        let value = match word {
            Word::Text(text) => Node::string(span, text.as_str()),
            Word::Number(number) => Node::int(span, *number),
            Word::Name("true") => Node::bool(span, true),
            Word::Name("false") => Node::bool(span, false),
            Word::Name(name) => self.named(name, span)?,
            Word::Sign("(") => {
                self.next += 1;
                let value = self.deeper(Self::any)?;
                return if self.take(")") { Ok(value) } else { Err(self.unexpected()) };
            }
            Word::Sign(_) | Word::Pattern(_) => return Err(self.unexpected()),
        };
        self.next += 1;
        Ok(value)
    }

    /// The value of a name; one with a `?` may be unknown.
    fn named(&self, name: &str, span: Span) -> Result<Node, Diagnostic> {
        let scope = Scope::pipeline(self.context);
        let certain = name.trim_end_matches('?');
        match scope.value(certain) {
            Some(value) => Ok(value.clone()),
            None if certain != name => Ok(Node::string(span, "")),
            None => Err(scope.explain(certain, span, self.context.findings)),
        }
    }

    fn take(&mut self, wanted: &str) -> bool {
        let found = match self.words.get(self.next) {
            Some((Word::Sign(word) | Word::Name(word), _)) => *word == wanted,
            _ => false,
        };
        self.next += usize::from(found);
        found
    }

    fn unexpected(&self) -> Diagnostic {
        let end = self.node.as_str().unwrap_or_default().len();
        let at = self.words.get(self.next).map_or((end, end), |(_, at)| *at);
        diagnostics::no_expression(place(self.context, self.node, at))
    }
}

/// The outcome of a comparison; none if its operands are not of types that it compares.
fn compare(operator: &str, left: &Node, right: &Node) -> Option<bool> {
    let texts = || left.as_str().zip(right.as_str());
    match operator {
        "==" => Some(same(left, right)),
        "!=" => Some(!same(left, right)),
        "starts-with" => texts().map(|(left, right)| left.starts_with(right)),
        "contains" => texts().map(|(left, right)| left.contains(right)),
        _ => {
            let (left, right) = left.as_int().zip(right.as_int())?;
            Some(match operator {
                "<" => left < right,
                "<=" => left <= right,
                ">" => left > right,
                _ => left >= right,
            })
        }
    }
}

/// Values of two types are never the same.
fn same(left: &Node, right: &Node) -> bool {
    match (left.value(), right.value()) {
        (Some(Value::String), Some(Value::String)) => left.text() == right.text(),
        (left, right) => left == right,
    }
}
