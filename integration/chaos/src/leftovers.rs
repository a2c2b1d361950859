//! What must not be left once everything is over: processes, sockets, directories, control groups, mounts, leases, parts.

use crate::{
    house::{House, control_groups, names, processes},
    patience,
    seen::sha256,
};
use std::{
    fs, io,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// How long the last of it may take to be swept.
const SWEPT: Duration = Duration::from_secs(40);
/// How long a program may take to end when it is asked to.
const ENDED: Duration = Duration::from_secs(60);

/// What is left while everything still runs: work of tasks that are over.
pub fn of_tasks(house: &House, tasks: &[String]) -> io::Result<Vec<String>> {
    let mut left = Vec::new();
    let open = patience::until(SWEPT, || house.operator.open_tasks().ok().filter(|open| *open == (0, 0)));
    if open.is_none() {
        let (queued, held) = house.operator.open_tasks()?;
        left.push(format!("{queued} tasks are queued and {held} leases are held"));
    }
    for directory in house.hosts.iter().flat_map(|host| [host.state.join("tasks"), host.work.clone()]) {
        patience::until(SWEPT, || names(&directory).is_empty().then_some(()));
        left.extend(names(&directory).into_iter().map(|name| format!("{} has {name}", directory.display())));
    }
    left.extend(
        control_groups(tasks)
            .into_iter()
            .map(|group| format!("the control group {} is left", group.display())),
    );
    for host in &house.hosts {
        left.extend(
            host.task_agents()
                .into_iter()
                .map(|(process, task)| format!("task {task} still runs as {}", process.0)),
        );
    }
    Ok(left)
}

/// Ends the programs, and says what is left of them.
pub fn of_programs(house: &mut House) -> io::Result<Vec<String>> {
    house.mind_no_more();
    let mut left = Vec::new();
    let agents = house.hosts.iter().map(|host| ("a launch-agent", &host.agent));
    let services = agents.chain([("the control plane", &house.plane)]);
    for (name, service) in services.filter(|(_, service)| service.is_wanted()) {
        match service.end(ENDED) {
            Some(0) => {}
            Some(code) => left.push(format!("{name} ended with exit status {code} when it was asked to end")),
            None => left.push(format!("{name} did not end when it was asked to, or had ended before")),
        }
    }
    let mark = format!("{}:", house.root().display());
    left.extend(
        processes(&mark)
            .iter()
            .map(|process| format!("process {} is left: {}", process.0, process.command_line())),
    );
    for path in files_below(house.root()) {
        left.extend(wrong_file(&path));
    }
    left.extend(mounts(house));
    left.extend(
        house.check_data()?.map(|said| format!("the control plane's own check finds: {}", said.trim())),
    );
    Ok(left)
}

fn files_below(root: &Path) -> Vec<PathBuf> {
    let (mut files, mut directories) = (Vec::new(), vec![root.to_owned()]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_directory { &mut directories } else { &mut files }.push(entry.path());
        }
    }
    files
}

/// A socket, a part of a file, or a content that is not what its name says.
fn wrong_file(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    let parent = path.parent()?.file_name()?.to_string_lossy().into_owned();
    if fs::symlink_metadata(path).ok()?.file_type().is_socket() {
        return Some(format!("the socket {} is left", path.display()));
    }
    if parent == "incoming" || name.ends_with(".part") {
        return Some(format!("the part {} is left", path.display()));
    }
    let is_digest = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_damaged = is_digest && sha256(&fs::read(path).ok()?) != name;
    is_damaged.then(|| format!("the content {} is not what its name says", path.display()))
}

/// Mounts below the house that are none of its own disks.
fn mounts(house: &House) -> Vec<String> {
    let root = house.root().display().to_string();
    let mounted = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let places = mounted.lines().filter_map(|line| line.split(' ').nth(1));
    let below = places.filter_map(|place| place.strip_prefix(&root)?.strip_prefix('/'));
    below.filter(|place| place.contains('/')).map(|place| format!("{place} is still mounted")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_and_a_damaged_content_are_found_and_a_whole_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let content = path("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        fs::write(&content, "abc").unwrap();
        assert_eq!(wrong_file(&content), None);
        fs::write(&content, "abd").unwrap();
        assert!(wrong_file(&content).is_some());
        fs::write(path("x.part"), "").unwrap();
        assert!(wrong_file(&path("x.part")).is_some());
    }
}
