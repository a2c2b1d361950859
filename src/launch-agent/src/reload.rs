//! Another program in the place of this one, under running tasks: the process stays, and so do its children.
//!
//! The program that lies where this one was started from is asked first whether it would run with the configuration as it is
//! now. Only then this one lets go, and executes it.

use crate::{
    config::Settings,
    host::{Host, StartError},
};
use rustix::param::linux_execfn;
use std::{
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::timeout,
};

/// Asks a launch-agent's program whether it would start.
const CHECK: &str = "--check";
/// How long it may think about that.
const PATIENCE: Duration = Duration::from_secs(30);
/// So much of what it says is heard.
const MOST: u64 = 64 * 1024;

/// How this process was started.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    name: OsString,
    arguments: Vec<OsString>,
}

/// Why this program is not replaced.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The kernel does not execute it.
    #[error("cannot execute {}: {source}", path.display())]
    Execute {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It would not run.
    #[error("{} refuses: {words}", path.display())]
    Refused {
        /// Which.
        path: PathBuf,
        /// What it said.
        words: String,
    },
    /// It does not say whether it would.
    #[error("{} does not say within {} s whether it would run", path.display(), PATIENCE.as_secs())]
    Silent {
        /// Which.
        path: PathBuf,
    },
    /// It would run without finding what runs now.
    #[error(
        "{} would not keep its tasks where those lie that run now ({kept}): stop this launch-agent first",
        path.display()
    )]
    Elsewhere {
        /// Which.
        path: PathBuf,
        /// A line of [`assurance`] that it does not say.
        kept: String,
    },
}

/// What a program that would run with these settings says to whoever wants to be replaced by it: where it keeps its tasks,
/// a line each.
pub fn assurance(settings: &Settings) -> Result<String, StartError> {
    Host::check(settings)?;
    Ok(places(settings).join("\n"))
}

fn places(settings: &Settings) -> [String; 2] {
    let line = |what: &str, path: &Path| format!("{what}: {}", path.display());
    [line("state directory", &settings.state_dir), line("task directory", &settings.work_dir)]
}

/// From now on the orders come through that waited while one program took another's place. For a program that listens to
/// them.
pub fn take_orders() -> io::Result<()> {
    sandbox::own::take_orders()
}

impl Program {
    /// By the path it was executed by, not by what lies behind: an upgrade may have a link show elsewhere. To be asked
    /// before the working directory changes.
    pub fn own() -> io::Result<Self> {
        let own = std::env::current_exe()?;
        let told = Path::new(OsStr::from_bytes(linux_execfn().to_bytes()));
        let told = std::path::absolute(told).unwrap_or_else(|_| own.clone());
        // A loader may have been executed, or a descriptor.
        let path = if is_same_file(&told, &own) { told } else { own };
        let mut words = std::env::args_os();
        let name = words.next().unwrap_or_else(|| path.clone().into());
        Ok(Self { path, name, arguments: words.collect() })
    }

    /// Whether what lies there now would run in the place of a launch-agent with these settings.
    pub async fn check(&self, settings: &Settings) -> Result<(), ReloadError> {
        let path = || self.path.clone();
        let failed = |source| ReloadError::Execute { path: path(), source };
        let asked = timeout(PATIENCE, self.ask()).await;
        let (is_well, said, words) =
            asked.map_err(|_| ReloadError::Silent { path: path() })?.map_err(failed)?;
        if !is_well {
            return Err(ReloadError::Refused { path: path(), words: words.trim().to_owned() });
        }
        let missing = places(settings).into_iter().find(|place| !said.lines().any(|line| line == place));
        missing.map_or(Ok(()), |kept| Err(ReloadError::Elsewhere { path: path(), kept }))
    }

    /// Whether it exits well, and what it says on its standard output and error.
    async fn ask(&self) -> io::Result<(bool, String, String)> {
        let mut command = tokio::process::Command::new(&self.path);
        command.args(&self.arguments).arg(CHECK).env_remove("NOTIFY_SOCKET").kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let (output, errors) = (child.stdout.take(), child.stderr.take());
        let (said, words) = tokio::join!(heard(output), heard(errors));
        Ok((child.wait().await?.success(), said?, words?))
    }

    /// Becomes the program. Returns only if that fails; what comes for this process meanwhile waits for whoever is it then.
    pub fn replace(&self) -> ReloadError {
        let failed = |source| ReloadError::Execute { path: self.path.clone(), source };
        match sandbox::own::hold_orders() {
            Ok(()) => failed(Command::new(&self.path).arg0(&self.name).args(&self.arguments).exec()),
            Err(error) => failed(error),
        }
    }
}

async fn heard(stream: Option<impl AsyncRead + Unpin>) -> io::Result<String> {
    let mut said = Vec::new();
    if let Some(stream) = stream {
        stream.take(MOST).read_to_end(&mut said).await?;
    }
    Ok(String::from_utf8_lossy(&said).into_owned())
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    let identity = |path| fs::metadata(path).map(|about| (about.dev(), about.ino())).ok();
    identity(one).is_some_and(|one| identity(other) == Some(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refusal(path: &str) -> String {
        let program = Program { path: path.into(), name: path.into(), arguments: Vec::new() };
        let settings = Settings::new("test", "http://127.0.0.1:1", "/state", Vec::new());
        program.check(&settings).await.unwrap_err().to_string()
    }

    #[actix_rt::test]
    async fn what_is_no_launch_agent_is_refused_by_name() {
        assert_eq!(
            refusal("/no/program").await,
            "cannot execute /no/program: No such file or directory (os error 2)"
        );
        assert_eq!(
            refusal("/etc/passwd").await,
            "cannot execute /etc/passwd: Permission denied (os error 13)"
        );
        assert!(refusal("/bin/false").await.starts_with("/bin/false refuses"));
        let stranger = refusal("/bin/true").await;
        assert!(stranger.contains("state directory: /state"), "{stranger}");
    }

    #[test]
    fn a_program_knows_where_it_was_started_from() {
        let own = Program::own().unwrap();
        assert!(is_same_file(&own.path, &std::env::current_exe().unwrap()) && own.path.is_absolute());
    }
}
