//! The policies of an organization: each has a name and is of the package `org`, and all of them compile together.

use crate::{evaluation, functions};
use protocol::policies::{LONGEST_BUNDLE, LONGEST_NAME, MOST_POLICIES};
use regorus::unstable::{Expr, Module, Ref, Rule, RuleHead};
use std::{collections::BTreeMap, time::Duration};

/// The rule by which a policy says what it is called.
const NAME: &str = "policy_name";
/// The package of all policies, and none below it.
const PACKAGE: &str = "org";
/// How long rules that need themselves are looked for.
const TRIAL: Duration = Duration::from_millis(500);

/// The texts by the names that the policies give themselves, or all that is wrong with them.
pub(crate) fn check(files: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Vec<String>> {
    bounded(&files)?;
    let mut engine = evaluation::engine();
    let mut faults = Vec::new();
    for (file, text) in &files {
        if let Err(error) = engine.add_policy(file.clone(), text.clone()) {
            let told = told(&error);
            let is_placed = told.contains(file.as_str());
            faults.push(if is_placed { told } else { format!("{file}: {told}") });
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    // As they came, one for each file.
    let modules = engine.get_modules().clone();
    let mut named = BTreeMap::new();
    for ((file, text), module) in files.iter().zip(&modules) {
        match name(module).and_then(|name| in_package(module).map(|()| name)) {
            Ok(name) if named.contains_key(&name) => {
                faults.push(format!("{file}: another policy is called `{name}` too"));
            }
            Ok(name) => {
                named.insert(name, text.clone());
            }
            Err(fault) => faults.push(format!("{file}: {fault}")),
        }
    }
    faults.extend(functions::faults(&modules));
    if faults.is_empty() && !named.is_empty() {
        faults.extend(compiled(&files).err());
    }
    if faults.is_empty() { Ok(named) } else { Err(faults) }
}

fn bounded(files: &BTreeMap<String, String>) -> Result<(), Vec<String>> {
    let bytes: usize = files.values().map(String::len).sum();
    if files.len() > MOST_POLICIES || bytes > LONGEST_BUNDLE {
        return Err(vec![format!(
            "these are {} policies of {bytes} bytes: an organization has at most {MOST_POLICIES}, of {LONGEST_BUNDLE} bytes",
            files.len()
        )]);
    }
    Ok(())
}

/// As the first rule says it.
fn name(module: &Module) -> Result<String, String> {
    let wanted = || format!("the first rule has to be `{NAME}[\"its_name\"]`");
    let Rule::Spec { head, bodies, .. } = module.policy.first().ok_or_else(wanted)?.as_ref() else {
        return Err(wanted());
    };
    let (refr, key) = match head {
        RuleHead::Set { refr, key: Some(key), .. } => (refr, key),
        // `policy_name["x"]` is one of either kind, by what follows.
        RuleHead::Compr { refr, assign: None, .. } => match refr.as_ref() {
            Expr::RefBrack { refr, index, .. } => (refr, index),
            _ => return Err(wanted()),
        },
        _ => return Err(wanted()),
    };
    if functions::path(refr).as_deref() != Some(NAME) || bodies.len() > 1 {
        return Err(wanted());
    }
    let Expr::String { value, .. } = key.as_ref() else { return Err(wanted()) };
    let name = value.as_string().map_err(|_| wanted())?.to_string();
    let is_plain = |name: &str| name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    if name.is_empty() || name.len() > LONGEST_NAME || !is_plain(&name) {
        return Err(format!(
            "`{name}` is no name of a policy: it wants 1 to {LONGEST_NAME} letters, digits and `_`"
        ));
    }
    Ok(name)
}

fn in_package(module: &Module) -> Result<(), String> {
    match functions::path(&module.package.refr) {
        Some(package) if package == PACKAGE => Ok(()),
        package => Err(format!(
            "a policy is of the package `{PACKAGE}`, and this one of `{}`",
            package.unwrap_or_default()
        )),
    }
}

/// What the engine finds only when it has all of them: unsafe variables, rules of two kinds, rules that need themselves.
fn compiled(files: &BTreeMap<String, String>) -> Result<(), String> {
    let mut engine = evaluation::engine();
    files.iter().try_for_each(|(file, text)| evaluation::add(&mut engine, file, text))?;
    evaluation::add_library(&mut engine).map_err(|error| told(&error))?;
    let entry = format!("data.{PACKAGE}.{NAME}").into();
    engine.compile_with_entrypoint(&entry).map_err(|error| told(&error))?;
    evaluation::end_after(&mut engine, TRIAL);
    match evaluation::all(&mut engine, "{}", "{}") {
        Err(error) if error.to_string().contains("recursion detected") => Err(told(&error)),
        _ => Ok(()),
    }
}

/// An error of the engine, which shows the place.
pub(crate) fn told(error: &impl std::fmt::Display) -> String {
    error.to_string().trim().to_owned()
}

/// All expressions that are directly in a rule's head.
pub(crate) fn heads(rule: &Rule) -> Vec<&Ref<Expr>> {
    match rule {
        Rule::Spec { head, .. } => match head {
            RuleHead::Compr { refr, assign, .. } => {
                [refr].into_iter().chain(assign.as_ref().map(|assign| &assign.value)).collect()
            }
            RuleHead::Set { key, .. } => key.iter().collect(),
            RuleHead::Func { args, assign, .. } => {
                args.iter().chain(assign.as_ref().map(|assign| &assign.value)).collect()
            }
        },
        Rule::Default { value, .. } => vec![value],
    }
}
