//! The user's Rust toolchain, for jobs of a local run: rustup's programs look for it in a home that a job does not have.

use protocol::task::Variable;
use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Who runs the jobs, as far as reading the user's files goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// The user that this process runs as.
    Same,
    /// An account that has no more rights than anybody.
    Anybody,
}

/// `RUSTUP_HOME` and `CARGO_HOME`, where PATH leads to rustup's programs and the reader may use them.
pub(crate) fn variables(reader: Reader, own: impl Fn(&str) -> Option<String>) -> Vec<Variable> {
    let home = own("HOME").map(PathBuf::from);
    let place = |name: &str, default: &str| {
        own(name).map(PathBuf::from).or_else(|| home.as_ref().map(|home| home.join(default)))
    };
    let (rustup, cargo) = (place("RUSTUP_HOME", ".rustup"), place("CARGO_HOME", ".cargo"));
    let path = own("PATH").unwrap_or_default();
    let leads_there = |cargo: &Path| std::env::split_paths(&path).any(|folder| folder == cargo.join("bin"));
    match (rustup, cargo) {
        (Some(rustup), Some(cargo))
            if leads_there(&cargo) && [&rustup, &cargo].iter().all(|at| usable(at, reader)) =>
        {
            vec![variable("RUSTUP_HOME", &rustup), variable("CARGO_HOME", &cargo)]
        }
        _ => Vec::new(),
    }
}

fn usable(folder: &Path, reader: Reader) -> bool {
    let open = |folder: &Path| folder.metadata().is_ok_and(|found| found.permissions().mode() & 0o001 != 0);
    folder.is_dir() && (reader == Reader::Same || folder.ancestors().all(open))
}

fn variable(name: &str, value: &Path) -> Variable {
    Variable { name: name.to_owned(), value: value.display().to_string(), secret: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_toolchain_that_path_leads_to_and_the_job_may_read_is_told() {
        let home = tempfile::tempdir().unwrap();
        std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o700)).unwrap();
        for folder in [".rustup", ".cargo/bin"] {
            std::fs::create_dir_all(home.path().join(folder)).unwrap();
        }
        let with = |path: String| {
            let home = home.path().display().to_string();
            move |name: &str| match name {
                "HOME" => Some(home.clone()),
                "PATH" => Some(path.clone()),
                _ => None,
            }
        };
        let there = format!("/usr/bin:{}/.cargo/bin", home.path().display());
        let names = |variables: Vec<Variable>| variables.into_iter().map(|one| one.name).collect::<Vec<_>>();
        assert_eq!(names(variables(Reader::Same, with(there.clone()))), ["RUSTUP_HOME", "CARGO_HOME"]);
        assert!(variables(Reader::Same, with("/usr/bin".to_owned())).is_empty());
        assert!(variables(Reader::Anybody, with(there)).is_empty(), "the home is private");
    }
}
