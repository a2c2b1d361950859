//! What an operator configures: the file, the environment over it, and the validated settings they come to.
//!
//! ```text
//! file ──YamlFile──┐ (key path → place)
//!                  ├─▶ config::Config ──▶ Merged ──▶ Settings
//! environment ─────┘ (explicit table)        └─────▶ located errors and warnings
//! ```

mod containers;
mod keys;
mod merged;
mod problem;
mod quantity;
mod secret;
mod settings;
#[cfg(test)]
mod tests;
mod validated;
mod written;

pub use containers::{ContainerSettings, EngineChoice, RemoteDocker};
pub use secret::Secret;
pub use settings::{
    ClassSettings, LogFormat, LogLevel, LogTarget, Logging, Mode, Settings, default_state_directory, hostname,
};

use config::{Config, File, ValueKind};
use merged::Merged;
use problem::{Place, Problem, SourceText};
use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path};
use written::{Variables, YamlFile, doubts};
use yaml::Severity;

/// The settings, and what the operator should look at all the same.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Ready to run with.
    pub settings: Settings,
    /// Each rendered with its place.
    pub warnings: Vec<String>,
}

/// A configuration that cannot be used: everything that is wrong with it, each rendered with its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigErrors(pub Vec<String>);

/// Reads the file, if there is to be one, and the environment over it.
pub fn load(file: Option<&Path>, variables: &BTreeMap<String, String>) -> Result<Loaded, ConfigErrors> {
    let source = match file {
        Some(path) => read(path)?,
        None => SourceText { name: "environment".to_owned(), text: String::new() },
    };
    let yaml = YamlFile::default();
    let mut merged = merge(&source, yaml, variables)?;
    if let Some(path) = file {
        merged.problems.extend(readable_by_others(path, &merged));
    }
    let settings = validated::settings(&mut merged, variables);
    let (errors, warnings): (Vec<_>, Vec<_>) =
        merged.problems.into_iter().partition(|problem| problem.severity == Severity::Error);
    let rendered =
        |problems: Vec<Problem>| problems.iter().map(|problem| problem.render(&source)).collect::<Vec<_>>();
    match settings {
        Some(settings) if errors.is_empty() => {
            let warnings = rendered(warnings).into_iter().chain(doubts(variables)).collect();
            Ok(Loaded { settings, warnings })
        }
        _ => Err(ConfigErrors(rendered(errors))),
    }
}

/// This process's environment; variables that are no UTF-8 stand for no key.
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn read(path: &Path) -> Result<SourceText, ConfigErrors> {
    let name = path.display().to_string();
    let failed =
        |why: String| ConfigErrors(vec![format!("{name}: error: cannot read the configuration: {why}")]);
    let bytes = fs::read(path).map_err(|error| failed(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let line =
            1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count();
        ConfigErrors(vec![format!("{name}:{line}: error: the configuration is no UTF-8 text")])
    })?;
    Ok(SourceText { name, text })
}

fn merge(
    source: &SourceText,
    yaml: YamlFile,
    variables: &BTreeMap<String, String>,
) -> Result<Merged, ConfigErrors> {
    let file = File::from_str(&source.text, yaml.clone());
    let built = Config::builder().add_source(file).add_source(Variables::read(variables)).build();
    let built = built.map_err(|error| ConfigErrors(vec![format!("{}: error: {error}", source.name)]))?;
    let ValueKind::Table(values) = built.cache.kind else {
        return Err(ConfigErrors(vec![format!("{}: error: a map of keys is wanted", source.name)]));
    };
    let findings = std::mem::take(&mut *yaml.findings());
    if findings.unreadable {
        return Err(ConfigErrors(findings.problems.iter().map(|problem| problem.render(source)).collect()));
    }
    Ok(Merged { values, spans: findings.spans, problems: findings.problems })
}

/// A token that everybody on the host can read is everybody's.
fn readable_by_others(path: &Path, merged: &Merged) -> Option<Problem> {
    let has_token = |key: &String| key == "api.auth_token" || key.ends_with(".token");
    let open = fs::metadata(path).ok()?.permissions().mode() & 0o004 != 0;
    let token = merged.spans.iter().find(|(key, _)| has_token(key))?.1;
    let problem = Problem::warning(Place::In(*token), "every account of this host can read this token");
    open.then(|| problem.with_help(format!("chmod 600 {}", path.display())))
}
