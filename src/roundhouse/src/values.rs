//! What a pipeline is started with, as the command line and its files give it.

use crate::{
    arguments::{Assignment, ContextFile, Selection, is_variable_name},
    failure::{Failure, OrFail},
};
use protocol::{api, task::Variable};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// A configuration as it was read.
#[derive(Clone, Debug)]
pub(crate) struct ConfigFile {
    /// As diagnostics name it.
    pub(crate) shown: String,
    /// Its text.
    pub(crate) text: String,
}

/// The folder a command works on: as given, else the nearest at or above this one that has a `.circleci`.
pub(crate) fn folder(given: Option<&Path>) -> Result<PathBuf, Failure> {
    let here = match given {
        Some(path) => path.to_owned(),
        None => std::env::current_dir().or_usage("cannot tell the current folder")?,
    };
    let folder = here.canonicalize().or_usage(here.display())?;
    if !folder.is_dir() {
        return Err(Failure::usage(format!("{} is no folder", folder.display())));
    }
    let above = || folder.ancestors().find(|above| above.join(".circleci").is_dir());
    let found = if given.is_none() { above() } else { None };
    Ok(found.map_or(folder.clone(), Path::to_owned))
}

impl ConfigFile {
    /// As named on the command line, else the folder's own.
    pub(crate) fn read(named: Option<&Path>, folder: &Path) -> Result<Self, Failure> {
        let path = named.map_or_else(|| folder.join(".circleci/config.yml"), Path::to_owned);
        let hint = if named.is_some() { "" } else { " (another one: --config FILE)" };
        let what = format!("cannot read {}{hint}", path.display());
        let text = read_text(&path, &what)?;
        let shown = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
        Ok(Self { shown, text })
    }
}

impl ConfigFile {
    /// As named, where `-` is standard input.
    pub(crate) fn read_or_standard_input(named: &Path) -> Result<Self, Failure> {
        if named != Path::new("-") {
            return Self::read(Some(named), Path::new("."));
        }
        let text = std::io::read_to_string(std::io::stdin()).or_usage("cannot read standard input")?;
        Ok(Self { shown: "standard input".to_owned(), text })
    }
}

/// Pipeline parameters as one option gives them: `name=value`, a JSON object, or a file with a map.
pub(crate) fn pipeline_parameters(given: &str) -> Result<BTreeMap<String, String>, Failure> {
    let option = "--pipeline-parameters";
    let is_object = given.trim_start().starts_with('{');
    if let Some((name, value)) = given.split_once('=').filter(|_| !is_object && !Path::new(given).exists()) {
        return Ok(BTreeMap::from([(name.to_owned(), value.to_owned())]));
    }
    let (name, text) = match is_object {
        true => ("the JSON object", given.to_owned()),
        false => (given, read_text(Path::new(given), &format!("{option}: cannot read {given}"))?),
    };
    let (root, said) = yaml::parse(&text);
    if let Some(error) = said.iter().find(|one| one.is_error()) {
        return Err(Failure::usage(format!("{option}: {}", yaml::render(error, name, &text).trim_end())));
    }
    let wrong = || Failure::usage(format!("{option}: {name} must be a map of names and plain values"));
    let root = root.filter(|root| root.is_null() || root.as_map().is_some()).ok_or_else(wrong)?;
    let pair = |(key, value): &yaml::Entry| match (key.text(), value.text()) {
        (Some(key), Some(value)) => Ok((key.to_owned(), value.to_owned())),
        _ => Err(wrong()),
    };
    root.entries().iter().map(pair).collect()
}

fn read_text(path: &Path, what: &str) -> Result<String, Failure> {
    let bytes = fs::read(path).or_usage(what)?;
    String::from_utf8(bytes).map_err(|error| {
        Failure::usage(format!("{what}: byte {} is no UTF-8", error.utf8_error().valid_up_to()))
    })
}

/// Pipeline parameters, each of which needs a value.
pub(crate) fn parameters(given: &[Assignment]) -> Result<BTreeMap<String, String>, Failure> {
    let pair = |one: &Assignment| match &one.value {
        Some(value) => Ok((one.name.clone(), value.clone())),
        None => Err(Failure::usage(format!("--param {0}: write {0}=VALUE", one.name))),
    };
    given.iter().map(pair).collect()
}

/// What of the configuration is to run.
pub(crate) fn selection(given: &Selection) -> api::Selection {
    api::Selection { workflow: given.workflow.clone(), job: given.job.clone(), no_deps: given.no_deps }
}

/// The variables of every job: `--env`, then `--secret`.
pub(crate) fn environment(given: &Selection) -> Result<Vec<Variable>, Failure> {
    let own = |name: &str| std::env::var(name).ok();
    let plain = given.environment.iter().map(|one| variable(one, "--env", false, own));
    let secret = given.secrets.iter().map(|one| variable(one, "--secret", true, own));
    plain.chain(secret).collect()
}

fn variable(
    given: &Assignment,
    option: &str,
    secret: bool,
    own: impl Fn(&str) -> Option<String>,
) -> Result<Variable, Failure> {
    let name = given.name.clone();
    match given.value.clone().or_else(|| own(&name)) {
        Some(value) => Ok(Variable { name, value, secret }),
        None => Err(Failure::usage(format!(
            "{option} {name}: this environment has no {name}; write {name}=VALUE"
        ))),
    }
}

/// Contexts by name; a context given twice has the variables of both files.
pub(crate) fn contexts(given: &[ContextFile]) -> Result<BTreeMap<String, Vec<Variable>>, Failure> {
    let mut contexts = BTreeMap::<String, Vec<Variable>>::new();
    for context in given {
        let text = read_text(
            &context.file,
            &format!("--context {}: cannot read {}", context.name, context.file.display()),
        )?;
        let variables = context_variables(&text, &context.file)?;
        contexts.entry(context.name.clone()).or_default().extend(variables);
    }
    Ok(contexts)
}

/// `KEY=value` lines: `export` before, quotes around, comments and empty lines are what shells make of them.
fn context_variables(text: &str, file: &Path) -> Result<Vec<Variable>, Failure> {
    let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim()));
    let meant = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let read = meant.map(|(number, line)| {
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) =
            line.split_once('=').map_or((line, None), |(name, value)| (name.trim(), Some(value)));
        match value.filter(|_| is_variable_name(name)) {
            Some(value) => {
                Ok(Variable { name: name.to_owned(), value: unquoted(value.trim()), secret: true })
            }
            // Not the line itself: it may be a secret.
            None => Err(Failure::usage(format!("{}:{number}: write KEY=value", file.display()))),
        }
    });
    read.collect()
}

fn unquoted(value: &str) -> String {
    let inside = |quote: char| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inside('"').or_else(|| inside('\'')).unwrap_or(value).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, String> {
        let variables = context_variables(text, Path::new("org.env")).map_err(|failure| failure.message)?;
        assert!(variables.iter().all(|variable| variable.secret));
        Ok(variables.into_iter().map(|variable| (variable.name, variable.value)).collect())
    }

    #[test]
    fn a_context_file_is_read_as_a_shell_would() {
        let text = "# comment\n\nA=1\nexport B=\"two words\"\nC='x=y'\nD=\n";
        let pairs = [("A", "1"), ("B", "two words"), ("C", "x=y"), ("D", "")];
        assert_eq!(read(text).unwrap(), pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_wrong_line_is_named_but_not_shown() {
        assert_eq!(read("A=1\nhush hush").unwrap_err(), "org.env:2: write KEY=value");
    }

    #[test]
    fn a_secret_without_a_value_comes_from_the_environment() {
        let given: Assignment = "TOKEN".parse().unwrap();
        let found = variable(&given, "--secret", true, |_| Some("hush".to_owned())).unwrap();
        assert_eq!((found.value.as_str(), found.secret), ("hush", true));
        let missing = variable(&given, "--secret", true, |_| None).unwrap_err();
        assert!(missing.message.contains("this environment has no TOKEN"));
    }

    #[test]
    fn pipeline_parameters_come_as_a_pair_an_object_or_a_file() {
        let read = |given: &str| {
            let pairs = pipeline_parameters(given).map_err(|failure| failure.message)?;
            Ok::<_, String>(
                pairs
                    .into_iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect::<Vec<_>>()
                    .join(" "),
            )
        };
        assert_eq!(read("a=b=c").unwrap(), "a=b=c");
        assert_eq!(read(r#"{"a": true, "b": 1, "c": "x y"}"#).unwrap(), "a=true b=1 c=x y");
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "a: 1\nb: 'yes'\n").unwrap();
        assert_eq!(read(file.path().to_str().unwrap()).unwrap(), "a=1 b=yes");
        assert!(read("{a: [1]}").unwrap_err().contains("plain values"));
        assert!(read("{a").unwrap_err().contains("no YAML"));
        assert!(read("/nowhere").unwrap_err().contains("cannot read /nowhere"));
    }

    #[test]
    fn a_folder_that_is_named_is_taken_as_it_is() {
        let top = tempfile::tempdir().unwrap();
        let inner = top.path().join("inner");
        fs::create_dir_all(top.path().join(".circleci")).unwrap();
        fs::create_dir(&inner).unwrap();
        assert_eq!(folder(Some(&inner)).unwrap(), inner.canonicalize().unwrap());
        assert_eq!(folder(Some(&top.path().join("nowhere"))).unwrap_err().status, protocol::exit::USAGE);
    }
}
