//! In a container: whether the kernel killed for want of memory. An engine often does not know, and it was a step's process.

use std::{
    fs,
    sync::atomic::{AtomicU64, Ordering},
};

/// Where a container finds its own control group, of either version: the kills so far, and the limit.
const GROUPS: [(&str, &str); 2] = [
    ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory.max"),
    ("/sys/fs/cgroup/memory/memory.oom_control", "/sys/fs/cgroup/memory/memory.limit_in_bytes"),
];

/// A sentence about those that were killed since the last one. None on a host: its groups are not the task's.
pub(crate) fn news() -> Option<String> {
    static TOLD: AtomicU64 = AtomicU64::new(0);
    if std::process::id() != 1 {
        return None;
    }
    let mut known =
        GROUPS.iter().filter_map(|(kills, limit)| Some((killed(&fs::read_to_string(kills).ok()?)?, *limit)));
    let (killed, limit) = known.next()?;
    let new = killed.saturating_sub(TOLD.swap(killed, Ordering::AcqRel));
    let limit = fs::read_to_string(limit).ok();
    (new > 0).then(|| sentence(new, limit.and_then(|limit| limit.trim().parse().ok())))
}

/// Of either version's file, the line that counts.
fn killed(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

fn sentence(killed: u64, limit: Option<u64>) -> String {
    let processes = if killed == 1 { "a process" } else { "processes" };
    let limit = limit.map_or_else(String::new, |bytes| format!(" of {} MiB", bytes >> 20));
    format!(
        "Out of memory: the kernel killed {processes} of this container, whose limit{limit} was reached. Take a larger \
         resource class, or use less memory."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_counted_in_control_groups_of_both_versions() {
        assert_eq!(killed("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"), Some(2));
        assert_eq!(killed("low 0\nhigh 0\nmax 9\noom 3\noom_kill 1\noom_group_kill 0\n"), Some(1));
        assert_eq!(killed("under_oom 0\n"), None);
    }

    #[test]
    fn the_limit_is_told_where_it_is_a_number() {
        assert!(
            sentence(1, Some(64 << 20))
                .contains("killed a process of this container, whose limit of 64 MiB was")
        );
        assert!(sentence(2, None).contains("killed processes of this container, whose limit was"));
    }
}
