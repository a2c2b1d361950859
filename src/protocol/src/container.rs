//! A task-agent inside a container: where it finds what was mounted for it, and whom it becomes.

use serde::{Deserialize, Serialize};

/// The task-agent's program.
pub const PROGRAM: &str = "/.roundhouse/task-agent";
/// The directory of the task's socket.
pub const DOOR: &str = "/.roundhouse/door";
/// A directory for what the job's programs need of the task-agent: their commands and their socket. Made at the start.
pub const JOB: &str = "/.roundhouse/job";
/// The engine of the job's own, in the [`DOOR`].
pub const ENGINE: &str = "engine.sock";
/// The host's engine, where the administrator has it lent to jobs.
pub const LENT_ENGINE: &str = "/.roundhouse/engine.sock";
/// The first argument of a task-agent in a container; the second is a [`Resident`] as JSON.
pub const RESIDENT: &str = "--resident";

/// What a task-agent in a container is told in its arguments. It begins with the rights of root within the container,
/// makes the directories that the job needs, and becomes the job's user before anything else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resident {
    /// Whose rights the job gets, as the image or the configuration says: `name`, `uid`, `name:group`, `uid:gid`; empty:
    /// root's.
    #[serde(default)]
    pub user: String,
    /// The job's home, where image or configuration set one; else as the container's `/etc/passwd` says.
    #[serde(default)]
    pub home: Option<String>,
    /// The job's, as the configuration has it; made if it is not there.
    #[serde(default)]
    pub working_directory: String,
    /// What runs beside the steps: entrypoint and command of the primary, where the configuration or the image asks for
    /// them. Empty: nothing.
    #[serde(default)]
    pub beside: Vec<String>,
}

impl Resident {
    /// The arguments that say it.
    pub fn arguments(&self) -> [String; 2] {
        let json = serde_json::to_string(self).expect("strings alone");
        [RESIDENT.to_owned(), json]
    }

    /// What arguments say; none where they are not of a container.
    pub fn of_arguments(arguments: impl IntoIterator<Item = String>) -> Option<serde_json::Result<Self>> {
        let mut arguments = arguments.into_iter();
        (arguments.next()? == RESIDENT).then(|| serde_json::from_str(&arguments.next().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resident_is_read_from_the_arguments_that_say_it() {
        let resident = Resident {
            user: "circleci".to_owned(),
            home: Some("/home/circleci".to_owned()),
            working_directory: "~/project".to_owned(),
            beside: ["/entry.sh", "--with", "a space"].map(str::to_owned).into(),
        };
        assert_eq!(Resident::of_arguments(resident.arguments()).unwrap().unwrap(), resident);
        assert!(Resident::of_arguments(["tests".to_owned()]).is_none());
        assert!(Resident::of_arguments([RESIDENT.to_owned()]).unwrap().is_err());
        let old = Resident::of_arguments([RESIDENT, "{\"later\":1}"].map(str::to_owned));
        assert_eq!(old.unwrap().unwrap(), Resident::default(), "fields come and go");
    }
}
