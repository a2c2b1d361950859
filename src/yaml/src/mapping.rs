//! The entries of a map as they count: merge keys resolved, doubled keys said.

use crate::{Diagnostic, Entry, Kind, Node, position};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// The most warnings that are given of doubled keys.
const MOST: usize = 200;

/// The entries that count. What a map has itself wins over what it merges, an earlier merge over a later one, and
/// of a key written twice the last.
pub(crate) fn resolve(
    entries: Vec<Entry>,
    text: (&str, usize),
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Entry> {
    let (merges, own): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(|(key, _)| is_merge(key));
    let own = without_doubles(own, text, diagnostics);
    if merges.is_empty() {
        return own;
    }
    let mut taken: HashSet<Arc<str>> = own.iter().filter_map(|(key, _)| name(key)).collect();
    let mut all = Vec::new();
    for (_, value) in &merges {
        merge(value, &mut taken, &mut all, diagnostics);
    }
    all.extend(own);
    all
}

fn is_merge(key: &Node) -> bool {
    key.as_scalar().is_some_and(|scalar| scalar.plain && &*scalar.text == "<<")
}

fn name(key: &Node) -> Option<Arc<str>> {
    key.as_scalar().map(|scalar| scalar.text.clone())
}

fn merge(
    value: &Node,
    taken: &mut HashSet<Arc<str>>,
    all: &mut Vec<Entry>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    match &value.kind {
        Kind::Map(entries) => {
            let fresh = |(key, _): &&Entry| name(key).is_some_and(|name| taken.insert(name));
            all.extend(entries.iter().filter(fresh).cloned());
        }
        Kind::Seq(maps) if maps.iter().all(|map| map.as_map().is_some()) => {
            maps.iter().for_each(|map| merge(map, taken, all, diagnostics));
        }
        _ => diagnostics.push(
            Diagnostic::error(
                value.span,
                format!("`<<` merges a map or a list of maps, not {}", value.type_name()),
            )
            .with_help("write `<<: *anchor`"),
        ),
    }
}

fn without_doubles(
    entries: Vec<Entry>,
    text: (&str, usize),
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Entry> {
    let mut places: HashMap<Arc<str>, usize> = HashMap::new();
    let mut unique: Vec<Entry> = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let Some(name) = name(&key).filter(|_| !key.is_null()) else {
            diagnostics
                .push(Diagnostic::error(key.span, format!("a key must be a word, not {}", key.type_name())));
            continue;
        };
        match places.get(&name) {
            Some(&place) => {
                // Each looks for its line; more than these nobody reads.
                if diagnostics.len() < MOST {
                    diagnostics.push(doubled(&key, &unique[place].0, text));
                }
                unique[place] = (key, value);
            }
            None => {
                places.insert(name, unique.len());
                unique.push((key, value));
            }
        }
    }
    unique
}

fn doubled(key: &Node, first: &Node, (text, base): (&str, usize)) -> Diagnostic {
    let line = position(text, first.span.start - base).line;
    let name = key.text().unwrap_or_default();
    Diagnostic::warning(key.span, format!("the key `{name}` is in this map already, in line {line}"))
        .with_help("the last one counts; remove the other")
}
