//! Whether a process is on this host and in a container: what the kernel here says, whatever the engine does.

use sandbox::Identity;

/// Whether a process of this host is of the container: its first process, or in the control group that has the
/// container's id in its name. For the peer of a connection.
pub fn holds(id: &str, first: Identity, pid: i32) -> bool {
    (pid == first.pid && first.is_alive()) || is_in_group(id, pid)
}

/// The process that the engine calls a container's first. None: it ended meanwhile; or the engine is behind a socket that
/// leads to another host or into another namespace of processes, where its number is somebody else's or nobody's.
pub(crate) fn first(id: &str, pid: i32) -> Option<Identity> {
    let first = Identity::of(pid).ok()?;
    let is_containers = is_in_group(id, pid) || parent(pid).is_some_and(|parent| is_named_by(id, parent));
    (is_containers && first.is_alive()).then_some(first)
}

fn is_in_group(id: &str, pid: i32) -> bool {
    read(pid, "cgroup").is_some_and(|groups| groups.contains(id))
}

/// Engines have a process of their own above every container, which is told its id.
fn is_named_by(id: &str, pid: i32) -> bool {
    read(pid, "cmdline").is_some_and(|words| words.contains(id))
}

fn parent(pid: i32) -> Option<i32> {
    let status = read(pid, "status")?;
    status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok())
}

fn read(pid: i32, name: &str) -> Option<String> {
    let text = std::fs::read(format!("/proc/{pid}/{name}")).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}
