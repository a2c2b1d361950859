//! The merged configuration: each key read as what it has to be, or told what is wrong and where.

use crate::config::{
    keys::{self, Kind},
    problem::{Place, Problem},
    quantity,
};
use config::{Map, Value, ValueKind};
use std::{collections::BTreeMap, path::PathBuf, time::Duration};
use yaml::Span;

/// All values, and the problems met while they are read.
pub(crate) struct Merged {
    pub(crate) values: Map<String, Value>,
    pub(crate) spans: BTreeMap<String, Span>,
    pub(crate) problems: Vec<Problem>,
}

impl Merged {
    /// The value of a key that is set to something.
    fn value(&self, path: &str) -> Option<&Value> {
        let mut parts = path.split('.');
        let first = self.values.get(parts.next()?)?;
        let value = parts.try_fold(first, |value, part| match &value.kind {
            ValueKind::Table(table) => table.get(part),
            _ => None,
        });
        value.filter(|value| value.kind != ValueKind::Nil)
    }

    pub(crate) fn is_set(&self, path: &str) -> bool {
        self.value(path).is_some()
    }

    /// Where a key's value stands.
    pub(crate) fn place(&self, path: &str) -> Place {
        let variable = self.value(path).and_then(Value::origin);
        let names = keys::find(path).map(|key| key.environment).unwrap_or_default();
        match names.iter().find(|name| variable == Some(**name)) {
            Some(name) => Place::Variable(name),
            None => self.spans.get(path).map_or(Place::Nowhere, |span| Place::In(*span)),
        }
    }

    pub(crate) fn error(&mut self, path: &str, message: impl Into<String>) {
        let problem = Problem::error(self.place(path), message);
        self.problems.push(problem);
    }

    /// A value that is not of its key's kind.
    fn unreadable(&mut self, path: &str) {
        let Some(key) = keys::find(path) else { return };
        let problem = Problem::error(self.place(path), format!("`{path}`: {}", key.kind.wanted()));
        self.problems.push(problem.with_help(format!("if it is left out: {}", key.default)));
    }

    /// A scalar that is read well, or a problem.
    fn scalar<T>(&mut self, path: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let read = match &self.value(path)?.kind {
            ValueKind::String(text) => read(text),
            _ => None,
        };
        if read.is_none() {
            self.unreadable(path);
        }
        read
    }

    pub(crate) fn text(&mut self, path: &str) -> Option<String> {
        self.scalar(path, |text| Some(text.to_owned()))
    }

    pub(crate) fn flag(&mut self, path: &str) -> Option<bool> {
        self.scalar(path, |text| text.parse().ok())
    }

    pub(crate) fn count(&mut self, path: &str) -> Option<usize> {
        self.scalar(path, count)
    }

    /// None inside: `auto`.
    pub(crate) fn count_or_auto(&mut self, path: &str) -> Option<Option<usize>> {
        self.scalar(path, |text| if text == "auto" { Some(None) } else { count(text).map(Some) })
    }

    pub(crate) fn time(&mut self, path: &str) -> Option<Duration> {
        self.scalar(path, quantity::duration)
    }

    pub(crate) fn size(&mut self, path: &str) -> Option<u64> {
        self.scalar(path, quantity::bytes)
    }

    /// One of the words of its kind, as what it stands for.
    pub(crate) fn choice<T: Copy>(&mut self, path: &str, choices: &[(&str, T)]) -> Option<T> {
        self.scalar(path, |text| choices.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice))
    }

    /// A path that is the same wherever the launch-agent is started.
    pub(crate) fn absolute(&mut self, path: &str) -> Option<PathBuf> {
        let directory = PathBuf::from(self.text(path)?);
        if directory.is_absolute() {
            return Some(directory);
        }
        self.error(path, format!("`{path}`: an absolute path is wanted"));
        None
    }

    pub(crate) fn words(&mut self, path: &str) -> Option<Vec<String>> {
        let words = match &self.value(path)?.kind {
            ValueKind::Array(items) => items.iter().map(text_of).collect(),
            _ => None,
        };
        if words.is_none() {
            self.unreadable(path);
        }
        words
    }

    /// Maps by their names, as the resource classes, each with what it holds.
    pub(crate) fn maps(&mut self, path: &str) -> Vec<(String, BTreeMap<String, Value>)> {
        let Some(value) = self.value(path).cloned() else { return Vec::new() };
        let ValueKind::Table(classes) = value.kind else {
            self.unreadable(path);
            return Vec::new();
        };
        let mut named = Vec::new();
        for (name, class) in classes {
            match class.kind {
                ValueKind::Table(class) => named.push((name, class.into_iter().collect())),
                _ => {
                    let wanted = keys::find(path).map_or(Kind::Classes, |key| key.kind).wanted();
                    self.error(&format!("{path}.{name}"), format!("`{name}`: {wanted}"));
                }
            }
        }
        named.sort_by(|(one, _), (other, _)| one.cmp(other));
        named
    }
}

/// A whole number from 1 up.
pub(crate) fn count(text: &str) -> Option<usize> {
    text.parse().ok().filter(|count| *count > 0)
}

/// The text of a scalar.
pub(crate) fn text_of(value: &Value) -> Option<String> {
    match &value.kind {
        ValueKind::String(text) => Some(text.clone()),
        _ => None,
    }
}
