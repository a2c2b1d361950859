//! What earlier lives of this launch-agent left on the host and nobody comes back for: found at the start, removed, counted.
//!
//! Other launch-agents' is let alone, also a dead one's whose next life adopts it: groups and accounts say whose they are,
//! programs lie in their house's own directory, and two launch-agents never have a directory of tasks in common.

use crate::{
    host::Host,
    status::Orphans,
    task::journal::{self, Past},
};
use protocol::{TaskId, http::Claimed};
use sandbox::{Containment, Identity, contain, mounts};
use slog::{error, info, warn};
use std::{fmt::Display, path::Path, time::Duration};

/// How long what will not go is struck, a kind at a time.
const STRIKE: Duration = Duration::from_secs(10);

/// Removes what belongs to none of the kept tasks. Blocks.
pub(crate) fn remove(host: &Host, kept: &[Claimed], strays: &[TaskId]) -> Orphans {
    let kept = Kept::read(host, kept);
    let mut sweep = Sweep { host, orphans: Orphans::default() };
    sweep.count_mounts(&kept);
    sweep.end_groups(&kept);
    sweep.end_task_agents(&kept);
    sweep.end_accounts(&kept);
    sweep.remove_tasks(strays);
    sweep.remove_probes();
    sweep.orphans.parts = host.programs.torn() + host.contents.torn();
    sweep.tell();
    sweep.orphans
}

/// Ends and removes everything of a task that has no actor. False if processes of it are left.
pub(crate) fn clear(host: &Host, task: TaskId, slot: Option<usize>) -> bool {
    // As its journal says that they were held; without a word of that, by the strongest means there is.
    let past = past(host, task);
    let lease = host.task_dir(task).claim().map(|record| record.claimed.allocation);
    let strongest = || Containment::strongest(&host.house, &lease.unwrap_or_else(|_| task.to_string()), None);
    let mut containment = past.containment.unwrap_or_else(strongest);
    past.process.into_iter().for_each(|process| containment.rooted_in(process));
    for mut held in [Some(containment), past.engine].into_iter().flatten() {
        match slot {
            Some(slot) => host.accounts.take_again(slot, &mut held),
            None => held.without_account(),
        }
        if let Err(survivors) = held.kill(STRIKE) {
            error!(host.log, "processes of a task are left"; "task" => %task, "error" => %survivors);
            return false;
        }
        held.remove();
    }
    if let Err(error) = host.remove_task(task) {
        warn!(host.log, "what is left of a task cannot be removed"; "task" => %task, "error" => %error);
    }
    true
}

fn past(host: &Host, task: TaskId) -> Past {
    let text = std::fs::read(host.task_dir(task).journal());
    text.map(|text| journal::past(&text)).unwrap_or_default()
}

/// Removes the containers that belong to none of the kept leases; how many.
pub(crate) async fn remove_containers(host: &Host, kept: &[String]) -> usize {
    let Ok(engine) = host.engine.get() else { return 0 };
    let swept = match engine.sweep(&host.house, kept).await {
        Ok(swept) => swept,
        Err(error) => {
            warn!(host.log, "whether an earlier life left containers is not known"; "error" => %error);
            return 0;
        }
    };
    for (left, why) in &swept.left {
        warn!(host.log, "what an earlier life left does not go"; "what" => %left, "error" => why);
    }
    if !swept.removed.is_empty() {
        info!(host.log, "left by an earlier life and removed: containers"; "count" => swept.removed.len());
    }
    swept.removed.len()
}

/// What tasks that go on hold, as their journals say.
#[derive(Default)]
struct Kept {
    tasks: Vec<String>,
    /// Groups are named after them.
    leases: Vec<String>,
    roots: Vec<Identity>,
    accounts: Vec<u32>,
}

impl Kept {
    fn read(host: &Host, claims: &[Claimed]) -> Self {
        let mut kept = Self::default();
        for claim in claims {
            let past = past(host, claim.task_id);
            kept.tasks.push(claim.task_id.to_string());
            kept.leases.push(claim.allocation.clone());
            kept.roots.extend(past.process);
            let held = [past.containment, past.engine].into_iter().flatten();
            kept.accounts.extend(held.filter_map(|containment| containment.account()));
        }
        kept
    }
}

struct Sweep<'h> {
    host: &'h Host,
    orphans: Orphans,
}

impl Sweep<'_> {
    /// They go with the tasks they were made by.
    fn count_mounts(&mut self, kept: &Kept) {
        let work = &self.host.settings.work_dir;
        let of_kept = |point: &Path| kept.tasks.iter().any(|task| point.starts_with(work.join(task)));
        let found = mounts::below(work).into_iter().filter(|point| point != work && !of_kept(point));
        self.orphans.mounts = found.count();
    }

    fn end_groups(&mut self, kept: &Kept) {
        for group in Containment::left_by(&self.host.house) {
            if kept.leases.iter().any(|lease| lease == group.task()) {
                continue;
            }
            self.orphans.processes += group.members().len();
            match group.kill(STRIKE) {
                Ok(_) => {
                    group.remove();
                    self.orphans.groups += 1;
                }
                Err(survivors) => self.failed("a control group", &survivors),
            }
        }
    }

    fn end_task_agents(&mut self, kept: &Kept) {
        for stray in contain::strays(self.host.programs.directory(), &kept.roots) {
            let tree = contain::Descendants::of(stray);
            self.orphans.processes += tree.members().len();
            if let Err(survivors) = tree.kill(STRIKE) {
                self.failed("a task-agent", &survivors);
            }
        }
    }

    fn end_accounts(&mut self, kept: &Kept) {
        if !self.host.is_root {
            return;
        }
        for account in self.host.accounts.forsaken(&kept.accounts) {
            self.orphans.processes += account.members();
            if let Err(survivors) = account.kill(STRIKE) {
                self.failed("an account", &survivors);
            }
        }
    }

    fn remove_tasks(&mut self, strays: &[TaskId]) {
        let removed = strays.iter().filter(|task| clear(self.host, **task, None));
        self.orphans.tasks = removed.count();
    }

    /// Of launch-agents that were killed while they looked whether they may write.
    fn remove_probes(&mut self) {
        let settings = &self.host.settings;
        for directory in [&settings.state_dir, &settings.state_dir.join("tasks"), &settings.work_dir] {
            let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
            let probes =
                entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(crate::host::PROBE));
            self.orphans.probes += probes.filter(|probe| std::fs::remove_file(probe.path()).is_ok()).count();
        }
    }

    fn failed(&self, what: &str, error: &dyn Display) {
        warn!(self.host.log, "what an earlier life left does not go"; "what" => what, "error" => %error);
    }

    fn tell(&self) {
        for (kind, count) in self.orphans.kinds() {
            if count > 0 {
                info!(self.host.log, "left by an earlier life and removed: {}", kind; "count" => count);
            }
        }
    }
}
