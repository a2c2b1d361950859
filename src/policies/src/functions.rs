//! The functions that policies call: each is theirs, the library's or the language's, and none calls itself.

use crate::{bundle::heads, evaluation, iteration::behind_in};
use regorus::unstable::{BUILTINS, Expr, Literal, LiteralStmt, Module, Query, Ref, Rule, RuleHead, Span};
use std::collections::{BTreeMap, BTreeSet};

/// Functions of the language that the engine has beside its table.
const SPECIAL: [&str; 2] = ["print", "walk"];
/// What policies were once given, and are no more.
const GONE: &str = "data.meta.branch";

/// Everything that is wrong with calls of these modules.
pub(crate) fn faults(modules: &[Ref<Module>]) -> Vec<String> {
    let mut known: BTreeSet<String> = modules.iter().flat_map(|module| defined(module, "org")).collect();
    known.extend(evaluation::library_functions());
    let mut faults = Vec::new();
    let mut calls = BTreeMap::<String, Vec<(String, Span)>>::new();
    for module in modules {
        let aliases = aliases(module);
        for rule in &module.policy {
            let mut walk = Walk::new(&aliases, &known);
            walk.rule(rule);
            faults.append(&mut walk.faults);
            if let Some(name) = function(rule) {
                calls.entry(format!("data.org.{name}")).or_default().append(&mut walk.called);
            }
        }
    }
    faults.extend(circles(&calls));
    faults
}

/// Where in a module's text what is that some variable is in begins and ends.
pub(crate) fn iterations(module: &Module) -> Vec<(usize, usize)> {
    let (aliases, known) = (BTreeMap::new(), BTreeSet::new());
    let mut walk = Walk::new(&aliases, &known);
    module.policy.iter().for_each(|rule| walk.rule(rule));
    walk.iterations
}

/// A reference as it is written with dots; none where it has other parts than names.
pub(crate) fn path(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Var { span, .. } => Some(span.text().to_owned()),
        Expr::RefDot { refr, field, .. } => Some(format!("{}.{}", path(refr)?, field.0.text())),
        Expr::RefBrack { refr, index, .. } => match index.as_ref() {
            Expr::String { value, .. } => Some(format!("{}.{}", path(refr)?, value.as_string().ok()?)),
            _ => None,
        },
        _ => None,
    }
}

/// The full names of a module's functions.
pub(crate) fn defined(module: &Module, package: &str) -> Vec<String> {
    module
        .policy
        .iter()
        .filter_map(|rule| function(rule))
        .map(|name| format!("data.{package}.{name}"))
        .collect()
}

fn function(rule: &Rule) -> Option<String> {
    match rule {
        Rule::Spec { head: RuleHead::Func { refr, .. }, .. } => path(refr),
        _ => None,
    }
}

/// What the module calls what it imports.
fn aliases(module: &Module) -> BTreeMap<String, String> {
    let named = module.imports.iter().filter_map(|import| {
        let path = path(&import.refr)?;
        let last = path.rsplit('.').next()?.to_owned();
        Some((import.r#as.as_ref().map_or(last, |name| name.text().to_owned()), path))
    });
    named.collect()
}

/// Functions that call themselves, each once.
fn circles(calls: &BTreeMap<String, Vec<(String, Span)>>) -> Vec<String> {
    let reaches = |from: &str, to: &str| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(name) = next.pop() {
            if name == to {
                return true;
            }
            if seen.insert(name) {
                next.extend(calls.get(name).into_iter().flatten().map(|(called, _)| called.as_str()));
            }
        }
        false
    };
    let found = calls.iter().filter_map(|(name, called)| {
        let (_, span) = called.iter().find(|(called, _)| reaches(called, name))?;
        Some(located(span, &format!("the function {name} calls itself")))
    });
    found.collect()
}

fn located(span: &Span, fault: &str) -> String {
    format!("{}:{}:{}: {fault}", span.source.file(), span.line, span.col)
}

struct Walk<'w> {
    aliases: &'w BTreeMap<String, String>,
    known: &'w BTreeSet<String>,
    /// Functions of policies.
    called: Vec<(String, Span)>,
    faults: Vec<String>,
    iterations: Vec<(usize, usize)>,
}

impl<'w> Walk<'w> {
    fn new(aliases: &'w BTreeMap<String, String>, known: &'w BTreeSet<String>) -> Self {
        Self { aliases, known, called: Vec::new(), faults: Vec::new(), iterations: Vec::new() }
    }

    fn rule(&mut self, rule: &Rule) {
        heads(rule).into_iter().for_each(|expr| self.expr(expr));
        let Rule::Spec { bodies, .. } = rule else { return };
        for body in bodies {
            if let Some(assign) = &body.assign {
                self.expr(&assign.value);
            }
            self.query(&body.query);
        }
    }

    fn query(&mut self, query: &Query) {
        query.stmts.iter().for_each(|statement| self.statement(statement));
    }

    fn statement(&mut self, statement: &LiteralStmt) {
        match &statement.literal {
            Literal::SomeVars { .. } => {}
            Literal::SomeIn { key, value, collection, .. } => {
                let end =
                    statement.with_mods.first().map_or(statement.span.end, |with| with.span.start) as usize;
                let text = statement.span.source.contents();
                let start = behind_in(text, value.span().end as usize).filter(|start| *start < end);
                self.iterations.extend(start.map(|start| (start, end)));
                key.iter().chain([value, collection]).for_each(|expr| self.expr(expr));
            }
            Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => self.expr(expr),
            Literal::Every { domain, query, .. } => {
                self.expr(domain);
                self.query(query);
            }
        }
        statement.with_mods.iter().for_each(|with| self.expr(&with.r#as));
    }

    fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::Call { span, fcn, params, .. } => {
                self.call(span, fcn);
                params.iter().for_each(|param| self.expr(param));
            }
            Expr::ArrayCompr { term, query, .. } | Expr::SetCompr { term, query, .. } => {
                self.expr(term);
                self.query(query);
            }
            Expr::ObjectCompr { key, value, query, .. } => {
                self.expr(key);
                self.expr(value);
                self.query(query);
            }
            Expr::RefDot { span, refr, .. } | Expr::RefBrack { span, refr, .. } => {
                self.reference(span, expr);
                self.expr(refr);
                if let Expr::RefBrack { index, .. } = expr {
                    self.expr(index);
                }
            }
            other => parts(other).into_iter().for_each(|part| self.expr(part)),
        }
    }

    fn call(&mut self, span: &Span, callee: &Expr) {
        let Some(written) = path(callee) else { return };
        let (first, rest) = written.split_once('.').map_or((written.as_str(), None), |(a, b)| (a, Some(b)));
        let full = match (self.aliases.get(first), rest) {
            (Some(imported), Some(rest)) => format!("{imported}.{rest}"),
            (Some(imported), None) => imported.clone(),
            _ => written.clone(),
        };
        let own = format!("data.org.{written}");
        if let Some(name) = [full.clone(), own].into_iter().find(|name| self.known.contains(name)) {
            return self.called.push((name, span.clone()));
        }
        if !BUILTINS.contains_key(written.as_str()) && !SPECIAL.contains(&written.as_str()) {
            self.faults.push(located(span, &format!("undefined function {full}")));
        }
    }

    fn reference(&mut self, span: &Span, expr: &Expr) {
        if path(expr).as_deref() == Some(GONE) {
            self.faults.push(located(span, "there is no data.meta.branch: use data.meta.vcs.branch"));
        }
    }
}

/// What a simple expression is made of.
fn parts(expr: &Expr) -> Vec<&Ref<Expr>> {
    match expr {
        Expr::Array { items, .. } | Expr::Set { items, .. } => items.iter().collect(),
        Expr::Object { fields, .. } => fields.iter().flat_map(|(_, key, value)| [key, value]).collect(),
        Expr::UnaryExpr { expr, .. } => vec![expr],
        Expr::BinExpr { lhs, rhs, .. }
        | Expr::BoolExpr { lhs, rhs, .. }
        | Expr::ArithExpr { lhs, rhs, .. }
        | Expr::AssignExpr { lhs, rhs, .. } => vec![lhs, rhs],
        Expr::Membership { key, value, collection, .. } => key.iter().chain([value, collection]).collect(),
        _ => Vec::new(),
    }
}
