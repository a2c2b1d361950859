//! Accounts of the host: whose rights a process has.

mod pool;
mod subordinate;

pub use pool::Pool;

use rustix::fs::FlockOperation;
use std::{
    fs::File,
    io,
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    process::{Command, Output},
    time::Duration,
};

/// An account as the kernel knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its number.
    pub uid: u32,
    /// Its own group.
    pub gid: u32,
    /// All its groups.
    pub groups: Vec<u32>,
    /// Its name, or its number where it has none.
    pub name: String,
}

/// An account that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// There is no such account.
    #[error("this host has no account `{0}`: create it, or name another")]
    Unknown(String),
    /// A program by which accounts are known or made cannot be run.
    #[error("cannot run `{program}` for account `{name}`: {source}; install it, or name an existing account")]
    Program {
        /// Which.
        program: &'static str,
        /// For which account.
        name: String,
        /// Why not.
        source: io::Error,
    },
    /// Who makes or has lent an account cannot be known.
    #[error("cannot lock {path} for an account: {source}")]
    Lock {
        /// The lock's file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// `useradd` refused.
    #[error("cannot make account `{name}`: {message}")]
    NotMade {
        /// Which.
        name: String,
        /// What `useradd` said.
        message: String,
    },
}

/// Whoever makes an account locks this file.
const LOCK: &str = "/run/roundhouse-accounts.lock";
/// How often a busy password file is tried again, and after what time.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(100);
/// Of the names of the pool's accounts.
const PREFIX: &str = "roundhouse-";

impl Account {
    /// Whose rights this process has.
    pub fn current() -> Self {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let groups = rustix::process::getgroups().unwrap_or_default();
        let groups = groups.into_iter().map(rustix::process::Gid::as_raw).collect();
        let name = password_line(|fields| fields.get(2) == Some(&uid.to_string().as_str()));
        let name = name.map_or_else(|| uid.to_string(), |line| field(&line, 0).to_owned());
        Self { uid, gid, groups, name }
    }

    /// Whether this number is one of the pool's.
    pub fn is_of_pool(uid: u32) -> bool {
        let line = password_line(|fields| fields.get(2) == Some(&uid.to_string().as_str()));
        line.is_some_and(|line| field(&line, 0).starts_with(PREFIX))
    }

    /// Whether this is root.
    pub fn is_root(&self) -> bool {
        self.uid == 0
    }

    /// The account of this name, wherever the host keeps it.
    pub fn by_name(name: &str) -> Result<Self, AccountError> {
        Self::find(name)?.ok_or_else(|| AccountError::Unknown(name.to_owned()))
    }

    /// The account `roundhouse-<slot>`, whoever has it: a [`Pool`] gives one that nobody has. Made if it is missing.
    pub fn pool(slot: usize) -> Result<Self, AccountError> {
        let name = format!("{PREFIX}{slot}");
        if let Some(account) = Self::find(&name)? {
            return Ok(account);
        }
        // `useradd` asks whether a name is free before it locks the file: two at once make the same account twice.
        let _turn = turn().map_err(|source| AccountError::Lock { path: LOCK.into(), source })?;
        let mut refusal = String::new();
        for _ in 0..TRIES {
            if let Some(account) = Self::find(&name)? {
                return Ok(account);
            }
            match make(&name)? {
                (Some(0), _) => continue,
                // Another program holds the password file (1) or the group file (10).
                (Some(1 | 10), message) => refusal = message,
                (_, message) => return Err(AccountError::NotMade { name, message }),
            }
            std::thread::sleep(PAUSE);
        }
        Err(AccountError::NotMade { name, message: refusal })
    }

    fn find(name: &str) -> Result<Option<Self>, AccountError> {
        let local = password_line(|fields| fields.first() == Some(&name));
        let Some(line) = local.map_or_else(|| elsewhere(name), |line| Ok(Some(line)))? else {
            return Ok(None);
        };
        let (Ok(uid), Ok(gid)) = (field(&line, 2).parse(), field(&line, 3).parse()) else { return Ok(None) };
        Ok(Some(Self { uid, gid, groups: groups(name, gid)?, name: name.to_owned() }))
    }
}

/// The right to make accounts, among all programs of ours, until it is dropped.
fn turn() -> io::Result<File> {
    let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(LOCK)?;
    rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}

/// `useradd`'s exit code and what it said. The account has a group of its own, no home and no shell.
fn make(name: &str) -> Result<(Option<i32>, String), AccountError> {
    let group: &[&str] = if has_group(name) { &["-g", name] } else { &["-U"] };
    let fixed = ["-r", "-M", "-d", "/nonexistent", "-s", "/usr/sbin/nologin"];
    let arguments: Vec<&str> = fixed.iter().chain(group).copied().chain([name]).collect();
    let output = run("useradd", &arguments, name)?;
    let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Ok((output.status.code(), message))
}

fn has_group(name: &str) -> bool {
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    groups.lines().any(|line| field(line, 0) == name)
}

/// The account's line of directory services, asked through `getent`, so that no program of ours links against them.
fn elsewhere(name: &str) -> Result<Option<String>, AccountError> {
    let output = run("getent", &["passwd", "--", name], name)?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().find(|line| field(line, 0) == name).map(str::to_owned))
}

fn groups(name: &str, gid: u32) -> Result<Vec<u32>, AccountError> {
    let output = run("id", &["-G", "--", name], name)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut groups: Vec<u32> = text.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    if !groups.contains(&gid) {
        groups.push(gid);
    }
    Ok(groups)
}

fn run(program: &'static str, arguments: &[&str], name: &str) -> Result<Output, AccountError> {
    let failed = |source| AccountError::Program { program, name: name.to_owned(), source };
    // Where administrators' programs lie is not on everybody's PATH.
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin";
    Command::new(program).args(arguments).env("PATH", path).env("LC_ALL", "C").output().map_err(failed)
}

fn password_line(wanted: impl Fn(&[&str]) -> bool) -> Option<String> {
    let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
    let mut lines = accounts.lines();
    lines.find(|line| wanted(&line.split(':').collect::<Vec<_>>())).map(str::to_owned)
}

fn field(line: &str, index: usize) -> &str {
    line.split(':').nth(index).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_found_by_name_with_its_groups() {
        let root = Account::by_name("root").unwrap();
        assert_eq!((root.uid, root.gid, root.is_root()), (0, 0, true));
        assert!(root.groups.contains(&0));
    }

    #[test]
    fn an_account_that_is_not_there_is_named_in_the_error() {
        let error = Account::by_name("nobody-has-this-name").unwrap_err();
        assert!(error.to_string().contains("nobody-has-this-name"), "{error}");
    }

    #[test]
    fn the_current_account_is_the_one_that_runs() {
        let current = Account::current();
        assert_eq!(current.uid, rustix::process::geteuid().as_raw());
    }

    #[test]
    fn two_who_want_the_same_pool_account_get_the_same_one() {
        if !Account::current().is_root() {
            return eprintln!("skipped: making accounts needs root");
        }
        let both = std::thread::scope(|scope| {
            let threads = [scope.spawn(|| Account::pool(0)), scope.spawn(|| Account::pool(0))];
            threads.map(|thread| thread.join().unwrap().unwrap())
        });
        assert_eq!(both[0], both[1]);
        assert_eq!(both[0].name, "roundhouse-0");
        assert_ne!(both[0].uid, 0);
    }
}
