//! The project's login for the server of its repository, where git finds it in every step, for that address and no other.
//!
//! ```text
//! ~/.roundhouse/login      name and password, in the words of git's helpers for credentials; 0600
//! ~/.roundhouse/gitconfig  has git read them, for the repository's address alone
//! ```
//!
//! Those settings are included twice: by `~/.gitconfig`, for submodules and clones of the same repository, and by the
//! repository itself, for steps with another `HOME`. Once the task's home is gone, so are they: what includes them includes
//! nothing. On no command line, in no variable and in no address there is a password.

use crate::{
    place::Place,
    steps::{
        StepError,
        ssh::{append, private},
    },
};
use protocol::repository::{self, Login};
use std::{
    fs::{self, DirBuilder},
    io::Write,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// Git's settings for a login, in a file.
#[derive(Debug)]
pub(super) struct LoggedIn {
    settings: PathBuf,
}

impl LoggedIn {
    /// Writes the login into the task's home; none: there is none, or none for an address like this.
    pub(super) fn at(
        place: &Place,
        url: &str,
        login: &Login,
        log: &mut dyn Write,
    ) -> Result<Option<Self>, StepError> {
        let (Login::Shown { user, password }, Some(at)) = (login, repository::place(url)) else {
            return Ok(None);
        };
        let folder = place.home.join(".roundhouse");
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(StepError::file(&folder))?;
        let (shown, settings) = (folder.join("login"), folder.join("gitconfig"));
        private(&shown, &format!("username={user}\npassword={password}\n"))?;
        let scheme = if at.is_plain { "http" } else { "https" };
        private(&settings, &asking(&format!("{scheme}://{}/{}", at.host, at.path), &shown))?;
        let logged_in = Self { settings };
        logged_in.include_in(&place.home.join(".gitconfig"))?;
        writeln!(log, "Using a token of the project for the checkout.")?;
        Ok(Some(logged_in))
    }

    /// Has a file of settings include those of the login.
    pub(super) fn include_in(&self, config: &Path) -> Result<(), StepError> {
        let block = including(&self.settings);
        // What is no text was not written by us.
        let written = fs::read(config).unwrap_or_default();
        if String::from_utf8_lossy(&written).contains(&block) {
            return Ok(());
        }
        append(config, &block).map_err(StepError::file(config))
    }

    /// Options of git by which a checkout asks for the login first and alone: a helper of the job's or the host's neither
    /// answers in its place nor is given it to keep.
    pub(super) fn options(&self) -> [String; 4] {
        let include = format!("include.path={}", self.settings.display());
        ["-c".to_owned(), "credential.helper=".to_owned(), "-c".to_owned(), include]
    }
}

/// The empty section is where `git config credential.helper` writes: helpers that a job sets up by it are asked first.
fn including(settings: &Path) -> String {
    format!("\n[credential]\n[include]\n\tpath = {}\n", quoted(&settings.display().to_string()))
}

/// Settings by which git asks the file, and what lies below the address as well: large files have one of their own there.
fn asking(address: &str, shown: &Path) -> String {
    let path = shown.display().to_string().replace('\'', r"'\''");
    let helper = quoted(&format!("!login() {{ test \"$1\" != get || cat '{path}'; }}; login"));
    let section = |address: String| format!("[credential {}]\n\thelper = {helper}\n", quoted(&address));
    section(address.to_owned()) + &section(format!("{address}.git"))
}

/// As git's files of settings have a text.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::scripted::{place, told};
    use std::{
        fs,
        os::unix::fs::PermissionsExt,
        process::{Command, Stdio},
    };

    const URL: &str = "https://git.example:8443/acme/app.git";

    fn shown() -> Login {
        Login::Shown { user: "oauth2".to_owned(), password: "hunter2".to_owned() }
    }

    /// What git finds for an address, with the settings of this home.
    fn found(home: &Path, url: &str) -> String {
        let mut git = Command::new("git");
        git.args(["credential", "fill"]).env("HOME", home).env("GIT_TERMINAL_PROMPT", "0");
        git.env("GIT_CONFIG_NOSYSTEM", "1").env_remove("GIT_CONFIG_GLOBAL").env_remove("GIT_ASKPASS");
        git.env_remove("SSH_ASKPASS").env_remove("XDG_CONFIG_HOME").current_dir(home);
        let mut child = git.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(format!("url={url}\n\n").as_bytes()).unwrap();
        let said = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        let is_shown = |line: &&str| line.starts_with("username=") || line.starts_with("password=");
        said.lines().filter(is_shown).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn git_finds_the_login_for_the_repository_and_for_no_other_address() {
        let root = tempfile::tempdir().unwrap();
        let home = root.path().join("a \"home\" of 'its' own");
        let (place, mut log) = (place(&home), Vec::new());
        for _ in 0..2 {
            LoggedIn::at(&place, URL, &shown(), &mut log).unwrap().unwrap();
        }
        let at = |rest: &str| found(&home, &format!("https://git.example{rest}"));
        for rest in [":8443/acme/app.git", ":8443/acme/app", ":8443/acme/app.git/info/lfs"] {
            assert_eq!(at(rest), "username=oauth2 password=hunter2", "{rest}");
        }
        for rest in ["/acme/app.git", ":8443/acme/app2", ":8443/acme/other.git", ":8443/acme", ":8443/"] {
            assert_eq!(at(rest), "", "{rest}");
        }
        assert_eq!(found(&home, &URL.replace("https", "http")), "");
        assert_eq!(found(&home, &URL.replace("git.", "git2.")), "");
        let settings = fs::read_to_string(home.join(".gitconfig")).unwrap();
        assert_eq!(settings.matches("[include]").count(), 1, "{settings}");
        assert!(told(&log, &home).starts_with("Using a token of the project for the checkout.\n"));
    }

    #[test]
    fn only_the_tasks_account_may_read_the_login_and_settings_name_no_password() {
        let root = tempfile::tempdir().unwrap();
        let place = place(root.path());
        LoggedIn::at(&place, URL, &shown(), &mut Vec::new()).unwrap().unwrap();
        let folder = root.path().join(".roundhouse");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&folder.join("login"))), (0o700, 0o600));
        for path in [folder.join("gitconfig"), root.path().join(".gitconfig")] {
            let text = fs::read_to_string(&path).unwrap();
            assert!(!text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn what_the_job_sets_up_itself_to_let_git_in_is_asked_first() {
        let root = tempfile::tempdir().unwrap();
        LoggedIn::at(&place(root.path()), URL, &shown(), &mut Vec::new()).unwrap().unwrap();
        let mine = "!f() { printf 'username=me\\npassword=mine\\n'; }; f";
        let mut git = Command::new("git");
        git.args(["config", "--global", "credential.helper", mine]).env("HOME", root.path());
        git.env_remove("GIT_CONFIG_GLOBAL").env_remove("XDG_CONFIG_HOME");
        assert!(git.status().unwrap().success());
        assert_eq!(found(root.path(), URL), "username=me password=mine");
    }

    #[test]
    fn without_a_login_or_an_address_for_one_nothing_is_written() {
        let root = tempfile::tempdir().unwrap();
        let place = place(root.path());
        let withheld = Login::Withheld { why: "so".to_owned() };
        for (url, login) in [(URL, Login::None), (URL, withheld), ("/srv/app.git", shown())] {
            assert!(LoggedIn::at(&place, url, &login, &mut Vec::new()).unwrap().is_none());
        }
        assert!(!root.path().join(".roundhouse").exists() && !root.path().join(".gitconfig").exists());
    }
}
