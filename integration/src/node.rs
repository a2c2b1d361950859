//! Packages from npm's registry, in a folder of their own that is kept from one run of the tests to the next.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{self, Command},
};

/// The folder, in `parent`, that has these packages, each as `name@version`; or why they cannot be had on this host.
///
/// Tests that want the same at once each fetch it, and the first to have all of it is whose folder stays.
///
/// # Errors
/// In a sentence that says what is lacking.
pub fn with(parent: &Path, packages: &[&str]) -> Result<PathBuf, String> {
    let name = packages.join("+").replace('/', "-");
    let (folder, draft) = (parent.join(&name), parent.join(format!("{name}.{}", process::id())));
    if folder.exists() {
        return Ok(folder);
    }
    let fetched = fetch(&draft, packages);
    // Onto one that is there already nothing is renamed.
    if fetched.is_err() || fs::rename(&draft, &folder).is_err() {
        let _ = fs::remove_dir_all(&draft);
    }
    fetched?;
    folder
        .exists()
        .then_some(folder)
        .ok_or_else(|| format!("{packages:?} cannot be kept in {}", parent.display()))
}

fn fetch(folder: &Path, packages: &[&str]) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut install = Command::new("npm");
    install
        .args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
        .arg(folder);
    let output = install.args(packages).output().map_err(|error| format!("no npm here: {error}"))?;
    let last = || String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
    let is_there = output.status.success() && folder.join("node_modules").is_dir();
    is_there
        .then_some(())
        .ok_or_else(|| format!("{packages:?} cannot be had from npm's registry: {}", last()))
}
