//! An engine for one job alone: Podman without root's rights, in namespaces of its own, with its own storage.
//!
//! ```text
//! unshare ── users of the account, mounts, processes ──▶ sh, the first of its namespace ──▶ podman system service
//!    ▲                                                        ▲ what containers leave behind is this one's, and reaped
//!    └ its end is the end of all of them, by the kernel       └ its end as well
//! ```
//!
//! Its socket is made and bound by whoever starts it, and handed to it as a descriptor: the engine never gets to where the
//! socket lies, and nobody gets there but the job.

use bollard::{API_DEFAULT_VERSION, Docker};
use rustix::{
    fs::{Access, access},
    process::geteuid,
};
use sandbox::{Account, launch::Launch};
use std::{
    env,
    ffi::OsStr,
    fs::{File, Metadata},
    io,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// An engine that is to be started.
#[derive(Debug)]
pub struct Private {
    /// Whose rights it gets; none: those of this process. Never root's.
    pub account: Option<Account>,
    /// A directory of that account's, for this engine alone: its storage and whatever else it writes. See [`clear`].
    pub home: PathBuf,
    /// Listens where the job finds it.
    pub listener: OwnedFd,
    /// What it says of itself.
    pub output: File,
}

/// What a private engine needs and this host has not.
#[derive(Debug, thiserror::Error)]
pub enum Lacking {
    /// A program.
    #[error("there is no `{program}` on this host's PATH: install {package}")]
    Program {
        /// Which.
        program: &'static str,
        /// Where it is as a rule.
        package: &'static str,
    },
    /// Accounts below the account.
    #[error(
        "account {account} has no range of accounts in {file}: `usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {account}`, with numbers that nobody has"
    )]
    Subordinates {
        /// Whose.
        account: String,
        /// Where it is missing.
        file: &'static str,
    },
    /// Namespaces of users.
    #[error("this host allows no namespaces of users: set the sysctl {0} to a number above 0")]
    Namespaces(&'static str),
    /// `unshare` is too old to map a whole range.
    #[error("`unshare` here knows no --map-auto: install util-linux 2.38 or newer")]
    MapAuto,
}

/// Programs, and the packages that have them.
const PROGRAMS: [(&str, &str); 4] = [
    ("podman", "podman"),
    ("newuidmap", "uidmap"),
    ("newgidmap", "uidmap"),
    ("unshare", "util-linux 2.38 or newer"),
];
const MOST_NAMESPACES: &str = "/proc/sys/user/max_user_namespaces";
const TUN: &str = "/dev/net/tun";
/// How long it may take to answer, in seconds.
const HEADER: u64 = 60;
/// Where administrators' programs lie is not on everybody's PATH.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Its directory as it sees it: Podman takes only a short one, and what root has there is none of its business.
const HOME: &str = "/root";
/// The first process of the namespaces: it gives the engine its directory, waits for it, and for whatever its containers
/// leave behind. Podman takes a socket that was handed to it only if it is told its own number.
const FIRST: &str = "mount --no-mtab --bind \"$0\" /root && cd /root && mkdir -p run || exit\n\
                     sh -c 'LISTEN_PID=$$ exec podman \"$@\"' podman \"$@\" & wait $!";
const NAMESPACES: [&str; 7] =
    ["--user", "--map-root-user", "--map-auto", "--mount", "--pid", "--kill-child", "--mount-proc"];

impl Private {
    /// What its process is to be.
    pub fn launch(self) -> Launch {
        let own = Account::current();
        let account = self.account.as_ref().unwrap_or(&own);
        let environment = environment(account);
        let home = self.home.display().to_string();
        let words = NAMESPACES.into_iter().chain(["--", "/bin/sh", "-c", FIRST, &home]).map(str::to_owned);
        Launch {
            program: "unshare".into(),
            arguments: words.chain(arguments()).collect(),
            prefix: Vec::new(),
            environment,
            directory: self.home,
            stdin: Vec::new(),
            error_output: self.output,
            listener: Some(self.listener),
            account: self.account,
        }
    }
}

fn arguments() -> Vec<String> {
    let at = |name: &str| format!("{HOME}/{name}");
    let places =
        [("--root", at("storage")), ("--runroot", at("run/containers")), ("--tmpdir", at("run/engine"))];
    let places = places.into_iter().flat_map(|(option, place)| [option.to_owned(), place]);
    // No session of a service manager is there to ask for control groups or to keep events.
    let fixed = ["--storage-driver", "overlay", "--cgroup-manager", "cgroupfs", "--events-backend", "file"];
    let service = ["system", "service", "--time", "0"];
    places.chain(fixed.into_iter().chain(service).map(str::to_owned)).collect()
}

/// Podman is told that its namespace is made already, and whose it is.
fn environment(account: &Account) -> Vec<(String, String)> {
    let pairs = [
        ("PATH", path()),
        ("HOME", HOME.to_owned()),
        ("TMPDIR", format!("{HOME}/run")),
        ("XDG_RUNTIME_DIR", format!("{HOME}/run")),
        ("LISTEN_FDS", "1".to_owned()),
        ("_CONTAINERS_USERNS_CONFIGURED", "done".to_owned()),
        ("_CONTAINERS_ROOTLESS_UID", account.uid.to_string()),
        ("_CONTAINERS_ROOTLESS_GID", account.gid.to_string()),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn path() -> String {
    env::var("PATH").map_or_else(|_| PATH.to_owned(), |own| format!("{own}:{PATH}"))
}

/// What an engine of this account would need and not find. As root, accounts below it are given to the account.
pub fn lacks(account: Option<&Account>) -> Option<Lacking> {
    let own = Account::current();
    let account = account.unwrap_or(&own);
    missing(&path())
        .or_else(no_namespaces)
        .or_else(|| (!maps_ranges()).then_some(Lacking::MapAuto))
        .or_else(|| no_subordinates(account))
}

fn missing(path: &str) -> Option<Lacking> {
    let is_there = |program: &str| env::split_paths(OsStr::new(path)).any(|dir| dir.join(program).is_file());
    let missing = PROGRAMS.into_iter().find(|(program, _)| !is_there(program));
    missing.map(|(program, package)| Lacking::Program { program, package })
}

fn no_namespaces() -> Option<Lacking> {
    let most = std::fs::read_to_string(MOST_NAMESPACES).ok()?;
    (most.trim() == "0").then_some(Lacking::Namespaces("user.max_user_namespaces"))
}

fn maps_ranges() -> bool {
    let help = Command::new("unshare").arg("--help").env("PATH", path()).output();
    help.is_ok_and(|help| String::from_utf8_lossy(&help.stdout).contains("--map-auto"))
}

fn no_subordinates(account: &Account) -> Option<Lacking> {
    if geteuid().is_root() {
        // Where that fails the account still has none, which is said.
        let _ = account.give_subordinates();
    }
    let file = account.without_subordinates()?;
    Some(Lacking::Subordinates { account: account.name.clone(), file })
}

/// What containers of such an engine cannot do on this host, for people.
pub fn limitations(account: Option<&Account>) -> Vec<String> {
    let own = Account::current();
    let account = account.unwrap_or(&own);
    let without_tun = !is_open_to(account).unwrap_or(false);
    let tun = format!(
        "Containers get no network of their own here, only `--network=host` or `none`: {TUN} is not open to account {} (`chmod 666 {TUN}`).",
        account.name
    );
    let is_unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    let limits =
        "Limits of memory and processors are ignored here: control groups are of version 1.".to_owned();
    [(without_tun, tun), (!is_unified, limits)]
        .into_iter()
        .filter_map(|(is_so, note)| is_so.then_some(note))
        .collect()
}

fn is_open_to(account: &Account) -> io::Result<bool> {
    if account.uid == geteuid().as_raw() {
        return Ok(access(TUN, Access::READ_OK | Access::WRITE_OK).is_ok());
    }
    let about = std::fs::metadata(TUN)?;
    Ok(may_write(account, &about))
}

fn may_write(account: &Account, about: &Metadata) -> bool {
    const BOTH: u32 = 0o6;
    let groups = [account.gid].into_iter().chain(account.groups.iter().copied());
    let shift = match () {
        () if about.uid() == account.uid => 6,
        () if groups.into_iter().any(|group| group == about.gid()) => 3,
        () => 0,
    };
    (about.mode() >> shift) & BOTH == BOTH
}

/// Asks one that listens there what it is; this alone, for Podman looks much up that it says.
pub async fn ask(socket: &Path) -> Result<String, String> {
    let docker = Docker::connect_with_unix(&socket.to_string_lossy(), HEADER, API_DEFAULT_VERSION);
    let said = async { docker?.version().await }.await.map_err(|error| error.to_string())?;
    let is_podman = said.components.iter().flatten().any(|component| component.name.contains("Podman"));
    let name = if is_podman { "Podman" } else { "Docker" };
    Ok(format!("{name} {}", said.version.unwrap_or_default()))
}

/// Removes what such an engine wrote, once no process of it is left: much of it belongs to accounts below this one, which
/// only a namespace with all of them may remove. For those who have not root's rights.
pub fn clear(home: &Path) -> io::Result<()> {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--map-auto", "--", "rm", "-rf", "--"]);
    let output: Output = command.arg(home).env("PATH", path()).output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_named_with_its_package() {
        let lacking = missing("/no/such/directory").unwrap().to_string();
        assert_eq!(lacking, "there is no `podman` on this host's PATH: install podman");
    }

    #[test]
    fn an_account_without_a_range_is_told_how_it_gets_one() {
        if geteuid().is_root() {
            return eprintln!("skipped: root gives accounts what they lack");
        }
        let account = Account { uid: 61_404, gid: 61_404, groups: Vec::new(), name: "none-such".to_owned() };
        let lacking = no_subordinates(&account).unwrap().to_string();
        assert!(
            lacking.contains("account none-such has no range") && lacking.contains("usermod"),
            "{lacking}"
        );
    }

    #[test]
    fn a_device_is_open_to_its_owner_its_group_or_everybody() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let about = |mode| {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
            std::fs::set_permissions(file.path(), mode).unwrap();
            file.path().metadata().unwrap()
        };
        let own = Account::current();
        let (uid, gid) = (about(0o600).uid(), about(0o600).gid());
        let other = Account { uid: uid + 1, gid: gid + 1, groups: Vec::new(), name: String::new() };
        let grouped = Account { groups: vec![gid], ..other.clone() };
        assert!(may_write(&own, &about(0o600)) && !may_write(&other, &about(0o660)));
        assert!(may_write(&grouped, &about(0o660)) && !may_write(&grouped, &about(0o606)));
        assert!(may_write(&other, &about(0o606)));
    }
}
