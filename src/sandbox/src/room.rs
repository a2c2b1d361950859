//! What a host has left for more work: memory, as far as this process may use it, and rows in the table of processes.

use crate::contain::{own_group, processes};
use std::{fs, path::Path};

/// How a hierarchy of control groups names its limit of memory, what of it is used, and what of that the kernel takes back
/// when it is wanted: pages of files that nobody used lately.
struct Names {
    limit: &'static str,
    used: &'static str,
    reclaimable: &'static str,
}

const UNIFIED: Names = Names { limit: "memory.max", used: "memory.current", reclaimable: "inactive_file " };
const FIRST: Names = Names {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    reclaimable: "total_inactive_file ",
};

/// Bytes that more work could use without swapping: of the host, or of the tightest control group around this process.
/// None where the host does not say.
pub fn memory() -> Option<u64> {
    let host = fs::read_to_string("/proc/meminfo").ok().as_deref().and_then(available);
    let unified = own_group("cgroup2", "").and_then(|own| left_around(&own, &UNIFIED));
    let first = own_group("cgroup", "memory").and_then(|own| left_around(&own, &FIRST));
    [host, unified, first].into_iter().flatten().min()
}

/// How many processes, of all that this one can see, have ended without anybody asking how.
pub fn zombies() -> usize {
    processes().iter().filter(|stat| !stat.is_alive()).count()
}

fn available(meminfo: &str) -> Option<u64> {
    let kilobytes = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(kilobytes.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Of this group and of those above it, the least.
fn left_around(own: &Path, names: &Names) -> Option<u64> {
    let groups = own.ancestors().take_while(|group| group.join("cgroup.procs").exists());
    groups.filter_map(|group| left_in(group, names)).min()
}

fn left_in(group: &Path, names: &Names) -> Option<u64> {
    let number = |name| fs::read_to_string(group.join(name)).ok()?.trim().parse::<u64>().ok();
    // No number: `max`.
    let (limit, used) = (number(names.limit)?, number(names.used)?);
    let statistics = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    let reclaimable = statistics.lines().find_map(|line| line.strip_prefix(names.reclaimable));
    let reclaimable = reclaimable.and_then(|bytes| bytes.trim().parse().ok()).unwrap_or(0);
    Some(limit.saturating_sub(used.saturating_sub(reclaimable)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(path: &Path, limit: &str, used: &str) {
        fs::create_dir_all(path).unwrap();
        for (name, text) in [
            ("cgroup.procs", ""),
            ("memory.max", limit),
            ("memory.current", used),
            ("memory.stat", "anon 1\ninactive_file 20\nactive_file 7\n"),
        ] {
            fs::write(path.join(name), text).unwrap();
        }
    }

    #[test]
    fn the_tightest_group_around_a_process_counts() {
        let top = tempfile::tempdir().unwrap();
        let (slice, own) = (top.path().join("slice"), top.path().join("slice/own"));
        group(&own, "max\n", "50\n");
        group(&slice, "1000\n", "320\n");
        assert_eq!(left_around(&own, &UNIFIED), Some(700));
        group(&own, "100\n", "50\n");
        assert_eq!(left_around(&own, &UNIFIED), Some(70));
        group(&own, "10\n", "50\n");
        assert_eq!(left_around(&own, &UNIFIED), Some(0), "over its limit");
    }

    #[test]
    fn this_host_says_what_it_has() {
        assert_eq!(available("MemTotal: 9 kB\nMemAvailable:    2048 kB\n"), Some(2 << 20));
        assert!(memory().unwrap() > 0);
    }

    #[test]
    #[expect(clippy::zombie_processes, reason = "the zombie is what is tested")]
    fn a_process_that_nobody_asks_how_it_ended_is_counted() {
        let child = std::process::Command::new("true").spawn().unwrap();
        let identity = crate::Identity::of(i32::try_from(child.id()).unwrap()).unwrap();
        let pidfd = identity.pidfd().unwrap().unwrap();
        crate::packet::readable(&[std::os::fd::AsFd::as_fd(&pidfd)], None).unwrap();
        assert!(zombies() > 0);
        identity.reap().unwrap();
    }
}
