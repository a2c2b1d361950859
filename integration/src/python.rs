//! Programs from Python's registry, in an environment of their own that is kept from one run of the tests to the next.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The interpreter of an environment in `folder` that has these packages, each as `name==version`; or why there is none
/// on this host.
///
/// # Errors
/// In a sentence that says what is lacking.
pub fn with(folder: &Path, packages: &[&str]) -> Result<PathBuf, String> {
    let (python, ready) = (folder.join("bin/python"), folder.join("ready"));
    let wanted = packages.join("\n");
    if fs::read_to_string(&ready).is_ok_and(|has| has == wanted) {
        return Ok(python);
    }
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(folder);
    done(make).map_err(|error| format!("no environment of Python (package python3-venv): {error}"))?;
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(packages);
    done(install).map_err(|error| format!("{packages:?} cannot be had from Python's registry: {error}"))?;
    fs::write(&ready, wanted).map_err(|error| format!("{}: {error}", ready.display()))?;
    Ok(python)
}

fn done(mut command: Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let last = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
    if output.status.success() { Ok(()) } else { Err(last) }
}
