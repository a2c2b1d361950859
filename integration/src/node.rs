//! Packages from npm's registry, in a folder of their own that is kept from one run of the tests to the next.

use std::{fs, path::Path, process::Command};

/// Has these packages in `folder`, each as `name@version`; or says why they cannot be had on this host.
///
/// # Errors
/// In a sentence that says what is lacking.
pub fn with(folder: &Path, packages: &[&str]) -> Result<(), String> {
    let (ready, wanted) = (folder.join("ready"), packages.join("\n"));
    if fs::read_to_string(&ready).is_ok_and(|has| has == wanted) {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut install = Command::new("npm");
    install
        .args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
        .arg(folder);
    let output = install.args(packages).output().map_err(|error| format!("no npm here: {error}"))?;
    if !output.status.success() {
        let last = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
        return Err(format!("{packages:?} cannot be had from npm's registry: {last}"));
    }
    fs::write(&ready, wanted).map_err(|error| format!("{}: {error}", ready.display()))
}
