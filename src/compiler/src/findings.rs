//! What the compiler has to say: each thing once, and not without end.

use crate::{diagnostics, nearest::nearest};
use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    rc::Rc,
};
use yaml::{Diagnostic, Span};

/// After so many errors the rest is not worth reading.
const MOST: usize = 200;

/// Something said of a configuration.
#[derive(Clone, Debug)]
enum Finding {
    /// It is so whatever runs.
    Said(Diagnostic),
    /// Only what runs must not use it.
    Refused(Diagnostic),
}

impl Finding {
    fn diagnostic(&self) -> &Diagnostic {
        match self {
            Self::Said(diagnostic) | Self::Refused(diagnostic) => diagnostic,
        }
    }
}

/// Collects what is said, from any depth.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    collected: RefCell<Collected>,
    /// How many errors were found, here and in all collections beside this one.
    total: Rc<Cell<usize>>,
}

#[derive(Debug, Default)]
struct Collected {
    list: Vec<Finding>,
    seen: HashSet<(Span, String)>,
    errors: usize,
    closed: bool,
}

impl Findings {
    /// A collection of its own for a part of the same configuration.
    pub(crate) fn beside(&self) -> Self {
        Self { collected: RefCell::default(), total: self.total.clone() }
    }

    /// Whether so much is wrong that advice is no longer worth its work.
    pub(crate) fn is_full(&self) -> bool {
        self.total.get() > MOST
    }

    /// The name that may have been meant.
    pub(crate) fn near<'c>(
        &self,
        name: &str,
        candidates: impl IntoIterator<Item = &'c str>,
    ) -> Option<&'c str> {
        if self.is_full() { None } else { nearest(name, candidates) }
    }

    /// Says something that is so whatever runs.
    pub(crate) fn say(&self, diagnostic: Diagnostic) {
        self.add(Finding::Said(diagnostic));
    }

    /// Refuses what is not there yet, should it be among what runs.
    pub(crate) fn refuse(&self, diagnostic: Diagnostic) {
        self.add(Finding::Refused(diagnostic));
    }

    /// Says a last thing: what follows it would only be its consequences.
    pub(crate) fn say_last(&self, diagnostic: Diagnostic) {
        self.say(diagnostic);
        self.collected.borrow_mut().closed = true;
    }

    /// Takes over what another collection has, its refusals only if what they are about runs.
    pub(crate) fn take(&self, other: Self, runs: bool) {
        let other = other.collected.into_inner();
        for finding in other.list {
            if runs || matches!(finding, Finding::Said(_)) {
                self.add(finding);
            }
        }
        if other.closed {
            self.collected.borrow_mut().closed = true;
        }
    }

    /// Whether anything said so far is an error.
    pub(crate) fn has_errors(&self) -> bool {
        self.collected.borrow().errors > 0
    }

    /// All of it, in the order of the text; errors that point at one place stay in the order they were found.
    pub(crate) fn into_diagnostics(self) -> Vec<Diagnostic> {
        let list = self.collected.into_inner().list;
        let mut all: Vec<Diagnostic> = list.iter().map(|finding| finding.diagnostic().clone()).collect();
        all.sort_by_key(|diagnostic| diagnostic.span.start);
        all
    }

    fn add(&self, finding: Finding) {
        let mut collected = self.collected.borrow_mut();
        let diagnostic = finding.diagnostic();
        if collected.closed || !collected.seen.insert((diagnostic.span, diagnostic.message.clone())) {
            return;
        }
        let errors = usize::from(diagnostic.is_error());
        collected.errors += errors;
        self.total.set(self.total.get() + errors);
        if collected.errors > MOST {
            collected.closed = true;
            let last = diagnostics::too_many_errors(diagnostic.span, MOST);
            collected.list.push(Finding::Said(last));
            return;
        }
        collected.list.push(finding);
    }
}
