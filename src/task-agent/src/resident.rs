//! In a container: from its root, as which this program begins there, to the job's user in a home and a working directory
//! that are its own.

use protocol::{
    container::{JOB, PROGRAM, Resident},
    frame::Invitation,
    job::NAMES,
};
use sandbox::{job::JobCommand, own};
use std::{
    ffi::OsString,
    fs::{self, DirBuilder},
    io::{self, Read},
    os::{
        fd::AsFd,
        unix::fs::{DirBuilderExt, MetadataExt, chown, symlink},
    },
    path::{Path, PathBuf},
};

/// The longest file of accounts that is read.
const MOST_ACCOUNTS: u64 = 4 * 1024 * 1024;
/// Where every PATH leads, after what an image installs itself.
const COMMANDS: &str = "/usr/bin";

/// What keeps this program from being the job's user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CannotReside {
    #[error("its arguments are none of a container's: {0}")]
    Arguments(#[from] serde_json::Error),
    #[error("the image has no account {0}: name one of its /etc/passwd as `user`, or a number")]
    NoUser(String),
    #[error("the image has no group {0}: name one of its /etc/group after the `:` of `user`, or a number")]
    NoGroup(String),
    #[error("cannot make {path} in the container: {source}")]
    Directory { path: PathBuf, source: io::Error },
    #[error(
        "cannot become uid {uid} in the container: {source}; an engine without root's rights needs a range for it in /etc/subuid"
    )]
    Become { uid: u32, source: io::Error },
    #[error("cannot start the container's entrypoint {words:?}: {source}")]
    Beside { words: Vec<String>, source: io::Error },
}

/// Somebody of the image.
#[derive(Debug, PartialEq, Eq)]
struct Account {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    home: PathBuf,
}

/// What the arguments of this process say of its container; none where it is in none.
pub(crate) fn of_arguments() -> Result<Option<Resident>, CannotReside> {
    Ok(Resident::of_arguments(std::env::args().skip(1)).transpose()?)
}

/// Makes what the job needs and becomes its user, for good. The task's root is that one's home from now on.
pub(crate) fn settle(resident: &Resident, invitation: &mut Invitation) -> Result<(), CannotReside> {
    let read = |path: &str| {
        let mut text = Vec::new();
        // An image may have neither.
        let _ = fs::File::open(path).and_then(|file| file.take(MOST_ACCOUNTS).read_to_end(&mut text));
        String::from_utf8_lossy(&text).into_owned()
    };
    let mut account = account(&resident.user, &read("/etc/passwd"), &read("/etc/group"))?;
    if let Some(home) = &resident.home {
        account.home = home.into();
    }
    let home = &account.home;
    let working_directory = below(home, &resident.working_directory);
    for path in [home.clone(), home.join("tmp"), working_directory, PathBuf::from(JOB)] {
        give(&path, &account).map_err(|source| CannotReside::Directory { path, source })?;
    }
    link_commands(Path::new(COMMANDS));
    let failed = |source| CannotReside::Become { uid: account.uid, source };
    own::become_account(account.uid, account.gid, &account.groups).map_err(failed)?;
    (invitation.root, invitation.working_directory) = (account.home, None);
    Ok(())
}

/// The job's commands also where a shell looks that forgets the PATH it was given: one for a login, or of another user.
/// Whatever the image has there of that name is left alone, and an image without the directory does without.
fn link_commands(directory: &Path) {
    for name in NAMES {
        let _ = symlink(PROGRAM, directory.join(name));
    }
}

/// A path as a configuration has it.
fn below(home: &Path, written: &str) -> PathBuf {
    match written.strip_prefix('~') {
        Some(rest) => home.join(rest.trim_start_matches('/')),
        None => home.join(written),
    }
}

/// A directory that is not there, or that nobody uses, is the account's.
fn give(path: &Path, account: &Account) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).create(parent)?;
    }
    let made = DirBuilder::new().mode(0o755).create(path);
    let is_free = match made {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let about = fs::metadata(path)?;
            about.uid() == 0 && about.mode() & 0o002 == 0 && fs::read_dir(path)?.next().is_none()
        }
        Err(error) => return Err(error),
    };
    if is_free { chown(path, Some(account.uid), Some(account.gid)) } else { Ok(()) }
}

/// Starts entrypoint and command of the primary, which run beside the steps: with the container's own environment, where
/// the image works, printing where this process does. Before any other child, which the waiting for one that cannot be
/// executed is not to miss.
pub(crate) fn start_beside(resident: Resident, home: &Path) -> Result<(), CannotReside> {
    if resident.beside.is_empty() {
        return Ok(());
    }
    let words = resident.beside.iter().map(OsString::from).collect();
    let home = (OsString::from("HOME"), home.as_os_str().to_owned());
    let start = || {
        let environment = std::env::vars_os().chain([home]).collect();
        let command = JobCommand { words, environment, directory: std::env::current_dir()? };
        command.start(io::stderr().as_fd().try_clone_to_owned()?)
    };
    start().map(drop).map_err(|source| CannotReside::Beside { words: resident.beside, source })
}

/// `name`, `uid`, `name:group`, `uid:gid` or nothing, as engines understand it: a number need not be anybody's, and the
/// groups that an account is in are its own only where none is named.
fn account(user: &str, passwd: &str, group: &str) -> Result<Account, CannotReside> {
    let (name, named_group) = user.split_once(':').map_or((user, None), |(name, group)| (name, Some(group)));
    let name = if name.is_empty() { "0" } else { name };
    let mut accounts = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let entry = accounts.find(|fields| fields.len() > 5 && (fields[0] == name || fields[2] == name));
    let number = |text: &str| text.parse::<u32>().ok();
    let (uid, own_group, home, login) = match &entry {
        Some(fields) => (number(fields[2]), number(fields[3]), fields[5], fields[0]),
        None => (number(name), Some(0), "/", ""),
    };
    let no_user = || CannotReside::NoUser(name.to_owned());
    let (uid, own_group) = (uid.ok_or_else(no_user)?, own_group.ok_or_else(no_user)?);
    let groups: Vec<Vec<&str>> = group.lines().map(|line| line.split(':').collect()).collect();
    let found = |name: &str| {
        groups.iter().find(|fields| fields.len() > 2 && (fields[0] == name || fields[2] == name))
    };
    let gid = match named_group.filter(|group| !group.is_empty()) {
        Some(group) => found(group).map_or(number(group), |fields| number(fields[2])),
        None => Some(own_group),
    };
    let gid = gid.ok_or_else(|| CannotReside::NoGroup(named_group.unwrap_or_default().to_owned()))?;
    let is_in = |fields: &&Vec<&str>| {
        fields.len() > 3 && !login.is_empty() && fields[3].split(',').any(|member| member == login)
    };
    let others =
        groups.iter().filter(is_in).filter_map(|fields| number(fields[2])).filter(|other| *other != gid);
    let groups = if named_group.is_some() { vec![gid] } else { [gid].into_iter().chain(others).collect() };
    let home = if home.starts_with('/') { home } else { "/" };
    Ok(Account { uid, gid, groups, home: home.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbroken\ncircleci:x:3434:3434::/home/circleci:/bin/sh\n\
                          1000:x:7:8::/odd:\n";
    const GROUP: &str = "root:x:0:\nstaff:x:50:root,circleci\ncircleci:x:3434:circleci\ndocker:x:99:other\n";

    #[test]
    fn a_user_is_whom_the_image_and_engines_mean_by_it() {
        for (user, uid, gid, groups, home) in [
            ("", 0, 0, vec![0, 50], "/root"),
            ("root", 0, 0, vec![0, 50], "/root"),
            ("circleci", 3434, 3434, vec![3434, 50], "/home/circleci"),
            ("3434", 3434, 3434, vec![3434, 50], "/home/circleci"),
            ("circleci:docker", 3434, 99, vec![99], "/home/circleci"),
            ("circleci:5", 3434, 5, vec![5], "/home/circleci"),
            ("1001", 1001, 0, vec![0], "/"),
            ("1001:1001", 1001, 1001, vec![1001], "/"),
            ("1000", 7, 8, vec![8], "/odd"),
        ] {
            let expected = Account { uid, gid, groups, home: home.into() };
            assert_eq!(account(user, PASSWD, GROUP).unwrap(), expected, "{user}");
        }
    }

    #[test]
    fn whom_the_image_does_not_have_is_named() {
        let refused = |user: &str| account(user, PASSWD, GROUP).unwrap_err().to_string();
        assert!(refused("nobody").contains("no account nobody"));
        assert!(refused("circleci:wheel").contains("no group wheel"));
        assert_eq!(account("", "", "").unwrap().home, Path::new("/"), "an image may have no accounts at all");
    }

    #[test]
    fn a_working_directory_begins_at_home_unless_it_is_absolute() {
        for (written, path) in
            [("~", "/h"), ("~/project", "/h/project"), ("sub", "/h/sub"), ("/go/src", "/go/src"), ("", "/h")]
        {
            assert_eq!(below(Path::new("/h"), written), Path::new(path));
        }
    }

    #[test]
    fn what_an_image_calls_circleci_stays_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("circleci"), "its own").unwrap();
        link_commands(dir.path());
        assert_eq!(fs::read_to_string(dir.path().join("circleci")).unwrap(), "its own");
        assert_eq!(fs::read_link(dir.path().join("circleci-agent")).unwrap(), Path::new(PROGRAM));
        link_commands(Path::new("/no/such"));
    }

    #[test]
    fn a_directory_is_given_only_where_nobody_uses_it() {
        let dir = tempfile::tempdir().unwrap();
        if fs::metadata(dir.path()).unwrap().uid() != 0 {
            return eprintln!("skipped: only root gives directories away");
        }
        let account = Account { uid: 3434, gid: 3434, groups: Vec::new(), home: "/".into() };
        let owner = |path: &Path| fs::metadata(path).unwrap().uid();
        let (new, empty, used) =
            (dir.path().join("a/new"), dir.path().join("empty"), dir.path().join("used"));
        fs::create_dir(&empty).unwrap();
        fs::create_dir_all(used.join("x")).unwrap();
        for path in [&new, &empty, &used] {
            give(path, &account).unwrap();
        }
        assert_eq!([&new, &empty, &used].map(|path| owner(path)), [3434, 3434, 0]);
        assert_eq!(owner(&dir.path().join("a")), 0);
    }
}
