//! The place and the environment of a task, made from its spec and what the task-agent was given.
//!
//! Later ones win: the task-agent's own environment (PATH, USER and whatever else the launch-agent gave it), what says
//! where the task lives, then the spec's variables in their order. A step's own come on top. No value is expanded. The
//! cookie by which the task's processes are found is passed on as it was given.

use crate::place::Place;
use protocol::{
    frame::Invitation,
    task::{TaskSpec, Variable},
};
use sandbox::contain::COOKIE;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// Where a job works that did not say.
const DEFAULT_WORKING_DIRECTORY: &str = "~/project";

/// A directory of the job's programs and ours, in that of its temporary files.
const TASK_DATA: &str = ".task-data";

/// A directory or file that the task needs and cannot have.
#[derive(Debug, thiserror::Error)]
#[error("cannot make {path}: {source}")]
pub(crate) struct CannotMake {
    path: PathBuf,
    source: io::Error,
}

/// Makes the task's directories and its `BASH_ENV` file.
pub(crate) fn make(
    invitation: &Invitation,
    spec: &TaskSpec,
    own: impl Iterator<Item = (String, String)>,
) -> Result<Place, CannotMake> {
    let home = invitation.root.clone();
    let temporary = home.join("tmp");
    let working_directory = working_directory(invitation, &spec.working_directory);
    for path in [temporary.clone(), temporary.join(TASK_DATA), working_directory.clone()] {
        fs::create_dir_all(&path).map_err(|source| CannotMake { path, source })?;
    }
    let bash_env = temporary.join(".bash_env");
    let opened = File::options().create(true).append(true).open(&bash_env);
    opened.map_err(|source| CannotMake { path: bash_env.clone(), source })?;
    let mut ours: BTreeMap<String, String> = own.collect();
    if invitation.terminal {
        // Nobody is there to turn a page.
        ours.entry("PAGER".to_owned()).or_insert_with(|| "cat".to_owned());
    }
    let mut place = Place { home, temporary, working_directory, variables: ours };
    let living = living(&place, invitation, spec, &bash_env);
    place.variables = variables(place.variables, living, &spec.environment);
    Ok(place)
}

fn variables(
    own: BTreeMap<String, String>,
    living: BTreeMap<String, String>,
    written: &[Variable],
) -> BTreeMap<String, String> {
    // By which the task's processes are found: what it says is the launch-agent's to know, and no job's to change.
    let cookie = own.get(COOKIE).map(|cookie| (COOKIE.to_owned(), cookie.clone()));
    let written = written.iter().map(|variable| (variable.name.clone(), variable.value.clone()));
    own.into_iter().chain(living).chain(written).chain(cookie).collect()
}

/// What says where the task lives.
fn living(
    place: &Place,
    invitation: &Invitation,
    spec: &TaskSpec,
    bash_env: &Path,
) -> BTreeMap<String, String> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    // As written, like CircleCI's own: scripts expect to expand a `~` themselves.
    let is_as_written = invitation.working_directory.is_none();
    let circle = if is_as_written { spec.working_directory.clone() } else { text(&place.working_directory) };
    let pairs = [
        ("HOME", text(&place.home)),
        ("TMPDIR", text(&place.temporary)),
        ("PWD", text(&place.working_directory)),
        ("BASH_ENV", text(bash_env)),
        ("CIRCLE_SHELL_ENV", text(bash_env)),
        ("CIRCLE_INTERNAL_TASK_DATA", text(&place.temporary.join(TASK_DATA))),
        ("CIRCLE_WORKING_DIRECTORY", circle),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The job's, if it named one: `~` is the task's root, and so is the beginning of a relative one. Else the operator's.
fn working_directory(invitation: &Invitation, written: &str) -> PathBuf {
    let root = &invitation.root;
    match (&invitation.working_directory, written.strip_prefix('~')) {
        (Some(configured), _) if written == DEFAULT_WORKING_DIRECTORY => configured.clone(),
        (_, Some("")) => root.clone(),
        (_, Some(below)) if below.starts_with('/') => root.join(below.trim_start_matches('/')),
        _ => root.join(written),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invitation(root: &Path, working_directory: Option<&str>) -> Invitation {
        Invitation {
            version: protocol::VERSION,
            socket: "/s".into(),
            key: protocol::frame::Key("k".to_owned()),
            root: root.to_owned(),
            working_directory: working_directory.map(PathBuf::from),
            outlive_ms: None,
            max_spool: 1,
            spool_wait_ms: 1,
            terminal: false,
        }
    }

    #[test]
    fn the_cookie_is_passed_on_as_the_launch_agent_gave_it() {
        let named = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let own = [named(COOKIE, "a-lease"), named("HOME", "/"), named("LANG", "C")].into();
        let living = [named("HOME", "/tasks/1")].into();
        let written = [COOKIE, "LANG"].map(|name| Variable {
            name: name.to_owned(),
            value: "a job's".to_owned(),
            secret: false,
        });
        let expected = [named(COOKIE, "a-lease"), named("HOME", "/tasks/1"), named("LANG", "a job's")];
        assert_eq!(variables(own, living, &written), expected.into());
    }

    #[test]
    fn the_jobs_own_working_directory_is_stronger_than_the_operators() {
        let root = Path::new("/tasks/1");
        for (configured, written, expected) in [
            (None, "~/project", "/tasks/1/project"),
            (Some("/builds/1"), "~/project", "/builds/1"),
            (Some("/builds/1"), "~/other", "/tasks/1/other"),
            (None, "~", "/tasks/1"),
            (None, "sub", "/tasks/1/sub"),
            (None, "/tmp/x", "/tmp/x"),
        ] {
            let directory = working_directory(&invitation(root, configured), written);
            assert_eq!(directory, Path::new(expected));
        }
    }
}
