//! The command of a `run` step: which shell gets it, and how.
//!
//! The text is written to a file that the shell gets as its argument, so that it may be longer than one argument can be
//! (128 KiB) and never stands in a process list. A shell that was written with `-c` as its last word gets the text itself.

use crate::{commands::Runner, place::Place};
use protocol::{ids::StepNumber, task::Run};
use sandbox::job::JobCommand;
use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Where bash is, and what stands in for it where it is not.
const SHELLS: [&str; 2] = ["/bin/bash", "/bin/sh"];
const OPTIONS: [&str; 2] = ["-eo", "pipefail"];

/// A `run` step that cannot be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShellError {
    /// Its directory is not there.
    #[error("the step's working directory {0} is not there: create it in a step before, or name another")]
    NoDirectory(PathBuf),
    /// The script cannot be written.
    #[error("cannot write the step's script {path}: {source}")]
    Script {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// The command of a step. Its script file is to be removed after it.
pub(crate) fn command(
    step: StepNumber,
    run: &Run,
    place: &Place,
    runner: &Runner,
) -> Result<(JobCommand, PathBuf), ShellError> {
    let written = run.working_directory.as_deref();
    let directory = written.map_or_else(|| place.working_directory.clone(), |path| place.resolve(path));
    if !directory.is_dir() {
        return Err(ShellError::NoDirectory(directory));
    }
    let script = place.temporary.join(format!(".step-{:03}.sh", step.0));
    write_script(&script, &run.command)
        .map_err(|source| ShellError::Script { path: script.clone(), source })?;
    let words = words(run, &script);
    let at = directory.to_string_lossy().into_owned();
    let own = run.environment.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let over: Vec<_> = [("PWD", at.as_str())].into_iter().chain(own).collect();
    Ok((JobCommand { words, environment: runner.environment(&over), directory }, script))
}

fn words(run: &Run, script: &Path) -> Vec<OsString> {
    let written: Vec<&str> = run.shell.iter().flat_map(|shell| shell.split_whitespace()).collect();
    let shell = if written.is_empty() { default_shell() } else { written };
    let is_inline = shell.len() > 1 && shell.last() == Some(&"-c");
    let argument = if is_inline { OsString::from(&run.command) } else { script.into() };
    shell.into_iter().map(OsString::from).chain([argument]).collect()
}

fn default_shell() -> Vec<&'static str> {
    let shell = SHELLS.into_iter().find(|shell| Path::new(shell).exists());
    [shell.unwrap_or(SHELLS[1])].into_iter().chain(OPTIONS).collect()
}

/// Made anew: a step before may have put something else there.
fn write_script(path: &Path, command: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    remove(path);
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o700).open(path)?;
    file.write_all(command.as_bytes())?;
    file.write_all(b"\n")
}

/// Whoever removed it before did the same.
pub(crate) fn remove(script: &Path) {
    let _ = std::fs::remove_file(script);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(shell: Option<&str>) -> Run {
        Run {
            command: "echo hi".to_owned(),
            shell: shell.map(str::to_owned),
            environment: Vec::new(),
            background: false,
            working_directory: None,
            no_output_timeout_ms: 1,
            max_auto_reruns: 0,
            auto_rerun_delay_ms: 0,
        }
    }

    fn check(shell: Option<&str>, expected: &[&str]) {
        assert_eq!(words(&run(shell), Path::new("/s")), expected);
    }

    #[test]
    fn a_shell_gets_the_script_or_after_c_the_text() {
        check(Some("/bin/bash --login -eo pipefail"), &["/bin/bash", "--login", "-eo", "pipefail", "/s"]);
        check(
            Some("/usr/bin/env bash -euo pipefail -c"),
            &["/usr/bin/env", "bash", "-euo", "pipefail", "-c", "echo hi"],
        );
        check(Some("sh"), &["sh", "/s"]);
        check(Some("  "), &["/bin/bash", "-eo", "pipefail", "/s"]);
        check(None, &["/bin/bash", "-eo", "pipefail", "/s"]);
    }
}
