//! The task-agent's program: beside this one, or where the command line says.

use crate::failure::Failure;
use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

const NAME: &str = "roundhouse-task-agent";

/// Where the task-agent is; a sentence where it is not.
pub(crate) fn task_agent(named: Option<&Path>) -> Result<PathBuf, Failure> {
    match named {
        Some(path) => {
            usable(path).ok_or_else(|| Failure::machinery(format!("{} is no program", path.display())))
        }
        None => beside(std::env::current_exe().ok().as_deref()),
    }
}

fn beside(own: Option<&Path>) -> Result<PathBuf, Failure> {
    let folder = own.and_then(Path::parent).unwrap_or(Path::new("."));
    usable(&folder.join(NAME)).ok_or_else(|| {
        Failure::machinery(format!(
            "there is no {NAME} in {}: build it there with scripts/build-task-agent, or name one with --task-agent",
            folder.display()
        ))
    })
}

fn usable(path: &Path) -> Option<PathBuf> {
    let found = path.metadata().ok()?;
    let runs = found.is_file() && found.permissions().mode() & 0o111 != 0;
    if runs { path.canonicalize().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_task_agent_is_the_machinerys_failure() {
        let folder = tempfile::tempdir().unwrap();
        let failure = beside(Some(&folder.path().join("roundhouse"))).unwrap_err();
        assert_eq!(failure.status, protocol::exit::MACHINERY);
        assert!(failure.message.contains("build-task-agent"), "{}", failure.message);
    }

    #[test]
    fn a_file_that_does_not_run_is_no_task_agent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        std::fs::write(&path, "x").unwrap();
        assert!(task_agent(Some(&path)).is_err());
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(task_agent(Some(&path)).unwrap(), path.canonicalize().unwrap());
    }
}
