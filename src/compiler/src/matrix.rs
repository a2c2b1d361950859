//! The rows of a matrix: every combination of its parameters' values but the excluded ones.

use crate::{Context, diagnostics, fields::Fields};
use yaml::{Entry, Node, Span};

/// The most copies a matrix may make of a job.
const MAX_ROWS: usize = 1_000;

/// One copy of a job: its value of each parameter, in the order of declaration.
pub(crate) type Row = Vec<Entry>;

/// A resolved `matrix:`.
#[derive(Debug)]
pub(crate) struct Matrix {
    pub(crate) alias: Option<String>,
    pub(crate) rows: Vec<Row>,
}

impl Matrix {
    /// Reads a matrix; none if it has no usable parameters, which was said then.
    pub(crate) fn read(context: Context<'_>, span: Span, node: &Node) -> Option<Self> {
        let fields = Fields::new(context, "`matrix`", span, node)?;
        fields.check_keys(&["parameters", "exclude", "alias"]);
        let Some(parameters) = fields.value("parameters") else {
            context.findings.say(diagnostics::missing_key(span, "`matrix`", "parameters"));
            return None;
        };
        let dimensions = Fields::new(context, "`parameters` of a matrix", parameters.span, parameters)?;
        let mut rows: Vec<Row> = vec![Vec::new()];
        for (key, values) in dimensions.node.entries() {
            rows = multiplied(context, rows, key, values)?;
        }
        let excluded = fields.value("exclude").map(Node::items).unwrap_or_default();
        excluded.iter().for_each(|combination| check_exclusion(context, combination, parameters));
        rows.retain(|row| !excluded.iter().any(|combination| is_excluded(row, combination)));
        Some(Self { alias: fields.text("alias"), rows })
    }
}

fn multiplied(context: Context<'_>, rows: Vec<Row>, key: &Node, values: &Node) -> Option<Vec<Row>> {
    if values.items().is_empty() {
        let name = key.text().unwrap_or_default();
        context.findings.say(diagnostics::no_matrix_values(values.span, name, values.type_name()));
        return None;
    }
    if rows.len() * values.items().len() > MAX_ROWS {
        context.findings.say(diagnostics::matrix_too_large(key.span, MAX_ROWS));
        return None;
    }
    let with = |row: &Row, value: &Node| row.iter().cloned().chain([(key.clone(), value.clone())]).collect();
    Some(rows.iter().flat_map(|row| values.items().iter().map(move |value| with(row, value))).collect())
}

fn check_exclusion(context: Context<'_>, combination: &Node, parameters: &Node) {
    let named = combination.entries();
    let names_all =
        parameters.entries().iter().all(|(key, _)| combination.get(key.text().unwrap_or_default()).is_some());
    if named.len() != parameters.entries().len() || !names_all {
        context.findings.say(diagnostics::partial_exclusion(combination.span));
    }
}

fn is_excluded(row: &Row, combination: &Node) -> bool {
    row.iter().all(|(key, value)| {
        let named = combination.get(key.text().unwrap_or_default());
        named.is_some_and(|named| named.text().is_some() && named.text() == value.text())
    })
}

/// What a row adds to the name of its job: `-v1-v2`.
pub(crate) fn suffix(row: &Row) -> String {
    let text = |value: &Node| value.get("name").unwrap_or(value).text().unwrap_or_default().to_owned();
    row.iter().map(|(_, value)| format!("-{}", text(value))).collect()
}
