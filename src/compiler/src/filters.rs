//! Filters of a workflow's job: on which branches and tags it runs.

use crate::{Context, diagnostics, expression, fields::Fields};
use yaml::{Node, Span};

/// Whether a job with these resolved filters runs on the pipeline's branch or tag. On a tag only jobs run that have a
/// filter for tags.
pub(crate) fn pass(context: Context<'_>, span: Span, filters: Option<&Node>) -> bool {
    let git = &context.inputs.git;
    let Some(filters) = filters.filter(|filters| !filters.is_null()) else { return git.tag.is_none() };
    if filters.as_str().is_some() {
        return expression::holds(context, filters);
    }
    let Some(fields) = Fields::new(context, "`filters`", span, filters) else { return true };
    fields.check_keys(&["branches", "tags"]);
    let on_branch = side(fields, "branches", git.branch.as_deref());
    let on_tag = side(fields, "tags", git.tag.as_deref());
    match git.tag {
        Some(_) => on_tag.unwrap_or(false),
        None => on_branch.unwrap_or(true),
    }
}

/// Whether one side of the filters lets a name pass; none if there is no such side. No name passes what names some.
fn side(fields: Fields<'_>, key: &'static str, name: Option<&str>) -> Option<bool> {
    let node = fields.value(key)?;
    let what = format!("`{key}` of filters");
    let side = Fields::new(fields.context, &what, node.span, node)?;
    side.check_keys(&["only", "ignore"]);
    let (only, ignore) = (matched(side, "only", name), matched(side, "ignore", name));
    Some(only.unwrap_or(true) && !ignore.unwrap_or(false))
}

/// Whether any of the patterns under a key is the name's; none if there is no such key.
fn matched(side: Fields<'_>, key: &str, name: Option<&str>) -> Option<bool> {
    let patterns = side.texts(key)?;
    let span = side.value(key)?.span;
    let hits = patterns.iter().map(|pattern| is_match(side.context, span, pattern, name.unwrap_or_default()));
    // Each pattern is looked at, so that each wrong one is said.
    Some(hits.fold(false, |any, hit| any | hit))
}

fn is_match(context: Context<'_>, span: Span, pattern: &str, name: &str) -> bool {
    let inside = pattern.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
    match inside {
        None => pattern == name,
        Some(pattern) => context.patterns.matches(pattern, name).unwrap_or_else(|reason| {
            context.findings.say(diagnostics::bad_pattern(span, &reason));
            false
        }),
    }
}
