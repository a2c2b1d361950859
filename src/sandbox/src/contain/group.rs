//! Control groups that hold the processes of one task: v2 with `cgroup.kill`, or the freezer of v1.

use super::{Means, kill_one};
use crate::{Identity, identity::Stat};
use rustix::fs::Access;
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// The directory below this process's own group in which each house has one, and in that each of its tasks.
const OURS: &str = "roundhouse";
const MEMBERS: &str = "cgroup.procs";
/// Where systemd puts what it runs beside the main process of a unit whose group is delegated, such as `ExecStopPost=`.
const BESIDE: &str = ".control";
const TRIES: usize = 8;
/// Of all jobs together: a third of what others beside them have, as their niceness has it.
const WEIGHT: &str = "33";

/// A control group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Group {
    /// Of v2.
    Unified(PathBuf),
    /// Of v1's freezer.
    Freezer(PathBuf),
}

/// How a process gets into a group.
#[derive(Debug)]
pub(crate) struct Entrance {
    /// It may be born there, if this is its directory of v2.
    pub(crate) directory: Option<OwnedFd>,
    /// Written to by a process that enters.
    pub(crate) door: OwnedFd,
}

impl Group {
    /// Of v2, if the kernel can kill a group (5.14) and this process may move others from its own group into it.
    pub(super) fn unified(house: &str, task: &str) -> Option<Self> {
        let directory = made(&own_group("cgroup2", "")?, house, task)?;
        if directory.join("cgroup.kill").exists() {
            return Some(Self::Unified(directory));
        }
        remove(&directory);
        None
    }

    /// Of v1's freezer.
    pub(super) fn freezer(house: &str, task: &str) -> Option<Self> {
        made(&own_group("cgroup", "freezer")?, house, task).map(Self::Freezer)
    }

    /// Those of a house, each with its task's name.
    pub(super) fn of_house(house: &str) -> Vec<(String, Self)> {
        let unified = own_group("cgroup2", "").into_iter().map(|own| (own, Self::Unified as fn(_) -> _));
        let first = own_group("cgroup", "freezer").into_iter().map(|own| (own, Self::Freezer as fn(_) -> _));
        let found = |(own, kind): (PathBuf, fn(PathBuf) -> Self)| {
            let groups = below(&own.join(OURS).join(house));
            groups
                .into_iter()
                .filter_map(move |path| Some((path.file_name()?.to_str()?.to_owned(), kind(path))))
        };
        unified.chain(first).flat_map(found).collect()
    }

    pub(super) fn means(&self) -> Means {
        match self {
            Self::Unified(_) => Means::CgroupKill,
            Self::Freezer(_) => Means::Freezer,
        }
    }

    fn directory(&self) -> &Path {
        match self {
            Self::Unified(directory) | Self::Freezer(directory) => directory,
        }
    }

    pub(super) fn entrance(&self) -> io::Result<Entrance> {
        let door = fs::OpenOptions::new().write(true).open(self.directory().join(MEMBERS))?;
        let directory = match self {
            Self::Unified(directory) => Some(fs::File::open(directory)?.into()),
            Self::Freezer(_) => None,
        };
        Ok(Entrance { directory, door: door.into() })
    }

    /// All in it and in the groups that a job made below it, that have not ended.
    pub(super) fn members(&self) -> Vec<Identity> {
        if self.is_known_empty() {
            return Vec::new();
        }
        let mut members = Vec::new();
        collect(self.directory(), &mut members);
        members
    }

    /// Of v2 one file says so for the whole tree.
    fn is_known_empty(&self) -> bool {
        let Self::Unified(directory) = self else { return false };
        let events = fs::read_to_string(directory.join("cgroup.events")).unwrap_or_default();
        events.lines().any(|line| line == "populated 0")
    }

    /// Strikes all of them once. What cannot be written is struck again by the loop that asks who is left.
    pub(super) fn kill(&self) {
        match self {
            Self::Unified(directory) => drop(fs::write(directory.join("cgroup.kill"), "1")),
            Self::Freezer(directory) => {
                let state = directory.join("freezer.state");
                let _ = fs::write(&state, "FROZEN");
                self.members().iter().for_each(kill_one);
                let _ = fs::write(&state, "THAWED");
            }
        }
    }

    /// The directories above go with the last task's.
    pub(super) fn remove(self) {
        remove(self.directory());
        for above in self.directory().ancestors().skip(1) {
            if fs::remove_dir(above).is_err() || above.ends_with(OURS) {
                break;
            }
        }
    }
}

fn collect(directory: &Path, members: &mut Vec<Identity>) {
    let listed = fs::read_to_string(directory.join(MEMBERS)).unwrap_or_default();
    let stats = listed.lines().filter_map(|pid| Stat::of(pid.parse().ok()?).ok());
    members.extend(stats.filter(Stat::is_alive).map(|stat| stat.identity));
    below(directory).iter().for_each(|group| collect(group, members));
}

fn below(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// Groups are removed from the innermost outwards; one with a process in it stays.
fn remove(directory: &Path) {
    below(directory).iter().for_each(|group| remove(group));
    let _ = fs::remove_dir(directory);
}

/// The task's group below `own`, if it can be made and entered.
fn made(own: &Path, house: &str, task: &str) -> Option<PathBuf> {
    // A process is moved by who may write to the nearest group above both its old and its new one.
    rustix::fs::access(own.join(MEMBERS), Access::WRITE_OK).ok()?;
    let ours = own.join(OURS);
    let directory = ours.join(house).join(task);
    // Another task's end may take the directories above away between the steps of making all.
    let is_made = (0..TRIES).any(|_| fs::create_dir_all(&directory).is_ok());
    if !is_made {
        return None;
    }
    // Where groups share the processors out at all.
    let _ = fs::write(ours.join("cpu.weight"), WEIGHT);
    rustix::fs::access(directory.join(MEMBERS), Access::WRITE_OK).ok()?;
    Some(directory)
}

/// The directory of this process's own group in the hierarchy of this kind and controller.
pub(crate) fn own_group(kind: &str, controller: &str) -> Option<PathBuf> {
    let (root, point) = mounts().lines().find_map(|line| mount(line, kind, controller))?;
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| membership(line, controller))?;
    let inside = Path::new(own).strip_prefix(&root).ok()?;
    Some(point.join(of_the_service(inside)))
}

/// The group of the main process, whichever process of the service asks. No controller is enabled below it, so that it may
/// hold processes and groups: a service manager can start the main process there again while tasks still run.
fn of_the_service(own: &Path) -> &Path {
    match own.parent() {
        Some(service) if own.ends_with(BESIDE) => service,
        _ => own,
    }
}

/// As they were when they were first asked for: the kernel takes long to write down many.
fn mounts() -> &'static str {
    static MOUNTS: OnceLock<String> = OnceLock::new();
    MOUNTS.get_or_init(|| fs::read_to_string("/proc/self/mountinfo").unwrap_or_default())
}

/// Root and mount point of a line of mountinfo, if it is of that kind and has that controller.
fn mount(line: &str, kind: &str, controller: &str) -> Option<(PathBuf, PathBuf)> {
    let (place, file_system) = line.split_once(" - ")?;
    let mut place = place.split(' ').skip(3);
    let (root, point) = (place.next()?, place.next()?);
    let mut file_system = file_system.split(' ');
    let is_kind = file_system.next()? == kind;
    let has = controller.is_empty() || file_system.nth(1)?.split(',').any(|option| option == controller);
    (is_kind && has).then(|| (root.into(), point.into()))
}

/// The path of a line of `/proc/self/cgroup`, if it is of that controller's hierarchy; v2's names none.
fn membership<'l>(line: &'l str, controller: &str) -> Option<&'l str> {
    let mut fields = line.splitn(3, ':');
    let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    let is_it = if controller.is_empty() {
        number == "0"
    } else {
        controllers.split(',').any(|one| one == controller)
    };
    is_it.then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_known_by_kind_and_controller() {
        let unified = "30 29 0:25 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw";
        let freezer = "31 29 0:26 /outer /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer";
        assert_eq!(mount(unified, "cgroup2", ""), Some(("/".into(), "/sys/fs/cgroup/unified".into())));
        assert_eq!(
            mount(freezer, "cgroup", "freezer"),
            Some(("/outer".into(), "/sys/fs/cgroup/freezer".into()))
        );
        assert_eq!(mount(freezer, "cgroup2", ""), None);
        assert_eq!(mount(freezer, "cgroup", "memory"), None);
        assert_eq!(mount("", "cgroup", ""), None);
    }

    #[test]
    fn what_runs_beside_a_service_finds_the_groups_of_its_tasks() {
        let service = Path::new("system.slice/roundhouse-launch-agent.service");
        assert_eq!(of_the_service(service), service);
        assert_eq!(of_the_service(&service.join(".control")), service);
        assert_eq!(of_the_service(Path::new("")), Path::new(""));
    }

    #[test]
    fn a_membership_is_known_by_its_hierarchy() {
        assert_eq!(membership("0::/a:b", ""), Some("/a:b"));
        assert_eq!(membership("6:freezer,misc:/x", "freezer"), Some("/x"));
        assert_eq!(membership("4:memory:/x", "freezer"), None);
        assert_eq!(membership("0::/", "freezer"), None);
    }
}
