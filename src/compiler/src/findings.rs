//! What the compiler has to say: each thing once, and not without end.

use crate::{diagnostics, nearest::nearest};
use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    rc::Rc,
};
use yaml::{Diagnostic, Sources, Span};

/// After so many errors the rest is not worth reading.
const MOST: usize = 200;

/// Something said of a configuration.
#[derive(Clone, Debug)]
enum Finding {
    /// It is so whatever runs.
    Said(Diagnostic),
    /// Only what runs must not use it.
    Refused(Diagnostic),
    /// It is so of the whole, but what runs may do without it.
    Missed(Diagnostic),
}

impl Finding {
    fn diagnostic(&self) -> &Diagnostic {
        match self {
            Self::Said(diagnostic) | Self::Refused(diagnostic) | Self::Missed(diagnostic) => diagnostic,
        }
    }
}

/// All that was found, each list in the order of the text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    /// What is so whatever runs.
    pub(crate) said: Vec<Diagnostic>,
    /// What stands between what runs and its running here.
    pub(crate) refused: Vec<Diagnostic>,
    /// What the whole lacks.
    pub(crate) missed: Vec<Diagnostic>,
}

/// Collects what is said, from any depth.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    collected: RefCell<Collected>,
    /// How many errors were found, here and in all collections beside this one.
    total: Rc<Cell<usize>>,
}

/// What is expanded within what, and where each is used.
type Uses = Vec<(String, Span)>;

#[derive(Debug, Default)]
struct Collected {
    /// Each with what it was found in.
    list: Vec<(Finding, Uses)>,
    seen: HashSet<(Span, String)>,
    /// What is being expanded, and where each is used, outermost first.
    uses: Uses,
    errors: usize,
    refusals: usize,
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
        self.add_here(Finding::Said(diagnostic));
    }

    /// Refuses what is not there yet, should it be among what runs.
    pub(crate) fn refuse(&self, diagnostic: Diagnostic) {
        self.add_here(Finding::Refused(diagnostic));
    }

    /// Says what the whole lacks, though what runs may do without it.
    pub(crate) fn miss(&self, diagnostic: Diagnostic) {
        self.add_here(Finding::Missed(diagnostic));
    }

    /// Says a last thing: what follows it would only be its consequences.
    pub(crate) fn say_last(&self, diagnostic: Diagnostic) {
        self.say(diagnostic);
        self.collected.borrow_mut().closed = true;
    }

    /// From here on what is found is in something that is used at `span`.
    pub(crate) fn enter(&self, what: &str, span: Span) {
        self.collected.borrow_mut().uses.push((what.to_owned(), span));
    }

    /// The end of that.
    pub(crate) fn leave(&self) {
        self.collected.borrow_mut().uses.pop();
    }

    /// Takes over what another collection has, its refusals only if what they are about runs.
    pub(crate) fn take(&self, other: Self, runs: bool) {
        let other = other.collected.into_inner();
        for (finding, uses) in other.list {
            if runs || !matches!(finding, Finding::Refused(_)) {
                self.add(finding, uses);
            }
        }
        if other.closed {
            self.collected.borrow_mut().closed = true;
        }
    }

    /// Whether anything said so far is an error.
    pub(crate) fn has_errors(&self) -> bool {
        let collected = self.collected.borrow();
        collected.errors + collected.refusals > 0
    }

    /// Whether anything said so far is an error whatever runs.
    pub(crate) fn has_mistakes(&self) -> bool {
        self.collected.borrow().errors > 0
    }

    /// All of it; errors that point at one place stay in the order they were found.
    pub(crate) fn into_verdict(self, sources: &Sources) -> Verdict {
        let mut verdict = Verdict::default();
        let mut list = self.collected.into_inner().list;
        list.sort_by_key(|(finding, _)| finding.diagnostic().span.start);
        for (finding, uses) in list {
            match finding {
                Finding::Said(diagnostic) => verdict.said.push(with_uses(diagnostic, &uses, sources)),
                Finding::Refused(diagnostic) => verdict.refused.push(with_uses(diagnostic, &uses, sources)),
                Finding::Missed(diagnostic) => verdict.missed.push(diagnostic),
            }
        }
        verdict
    }

    fn add_here(&self, finding: Finding) {
        let uses = self.collected.borrow().uses.clone();
        self.add(finding, uses);
    }

    fn add(&self, finding: Finding, uses: Uses) {
        let mut collected = self.collected.borrow_mut();
        let diagnostic = finding.diagnostic();
        if collected.closed || !collected.seen.insert((diagnostic.span, diagnostic.message.clone())) {
            return;
        }
        if matches!(finding, Finding::Refused(_)) {
            collected.refusals += 1;
            if collected.refusals <= MOST {
                collected.list.push((finding, uses));
            }
            return;
        }
        let counts = diagnostic.is_error() && !matches!(finding, Finding::Missed(_));
        let errors = usize::from(counts);
        collected.errors += errors;
        self.total.set(self.total.get() + errors);
        if collected.errors > MOST {
            collected.closed = true;
            let last = diagnostics::too_many_errors(diagnostic.span, MOST);
            collected.list.push((Finding::Said(last), Uses::new()));
            return;
        }
        collected.list.push((finding, uses));
    }
}

/// An error with the innermost uses that led to it.
fn with_uses(diagnostic: Diagnostic, uses: &Uses, sources: &Sources) -> Diagnostic {
    const SHOWN: usize = 3;
    let told = uses.iter().rev().filter(|_| diagnostic.is_error()).take(SHOWN);
    let told = told.filter_map(|(what, span)| Some(format!("in {what}, used {}", sources.place(*span)?)));
    let help: Vec<String> = diagnostic.help.iter().cloned().chain(told).collect();
    if help.is_empty() { diagnostic } else { diagnostic.with_help(help.join("\n")) }
}
