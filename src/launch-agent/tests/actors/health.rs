//! A host that is not well claims nothing, says why, and goes on by itself; what runs there goes on all the while.

use crate::rig::{DEADLINE, Rig, appears, drained, log};
use launch_agent::{Handle, config::Settings, start};
use protocol::Outcome;
use std::{
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

fn started(rig: &Rig, change: impl FnOnce(&mut Settings)) -> Handle {
    let mut settings = rig.settings();
    change(&mut settings);
    start(settings, log()).unwrap()
}

/// Waits until the launch-agent is paused for this reason, or for none.
async fn paused(agent: &Handle, reason: Option<&str>) -> Option<String> {
    let seen = async {
        loop {
            let why = agent.status().await.unwrap().paused;
            match (&why, reason) {
                (None, None) => return why,
                (Some(said), Some(reason)) if said.contains(reason) => return why,
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    tokio::time::timeout(DEADLINE, seen).await.unwrap_or_else(|_| panic!("never paused for {reason:?}"))
}

/// Waits until the claim that was held open before a pause is let go.
async fn claims_nothing(rig: &Rig) {
    rig.plane.until("no claim", |state| (state.held_claims == 0).then_some(())).await;
}

/// Waits until the Supervisor heard so many words more.
async fn looked_at(agent: &Handle, times: u64) {
    let enough = agent.status().await.unwrap().tree.handled + times;
    let looked = async {
        while agent.status().await.unwrap().tree.handled < enough {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, looked).await.unwrap();
}

/// It takes a task from there to its end.
async fn claims(rig: &Rig, agent: &Handle) {
    let task = rig.enqueue(&["say hello"]);
    let ended = tokio::time::timeout(DEADLINE, rig.plane.ended(task)).await.unwrap();
    assert_eq!(ended.ended.as_ref().unwrap().outcome, Outcome::Success);
    drained(agent).await;
}

/// Mounted there as long as this lives; none where this user may not.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(path: PathBuf) -> Option<Self> {
        std::fs::create_dir(&path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8m,mode=0755", "small"]).arg(&path);
        mount.status().is_ok_and(|status| status.success()).then_some(Self(path))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[actix_rt::test]
async fn a_full_disk_pauses_the_claims_and_what_runs_goes_on() {
    let rig = Rig::new();
    let Some(disk) = SmallDisk::at(rig.dir.path().join("disk")) else {
        return eprintln!("skipped: this user cannot mount a small disk");
    };
    let agent = started(&rig, |settings| {
        settings.work_dir = disk.0.join("work");
        settings.min_free = 6 << 20;
    });
    let (up, go) = (rig.shared("up"), rig.shared("go"));
    let running = rig.enqueue(&[&format!("touch {}\nwait {}\nsay done", up.display(), go.display())]);
    appears(&up).await;
    let ballast = disk.0.join("ballast");
    std::fs::write(&ballast, vec![0; 4 << 20]).unwrap();
    let why = paused(&agent, Some("runner.min_free is 6.0 MiB")).await.unwrap();
    assert!(why.starts_with(&format!("{} has ", disk.0.join("work").display())), "{why}");
    std::fs::write(&go, "").unwrap();
    let ended = rig.plane.ended(running).await;
    assert_eq!(ended.ended.as_ref().unwrap().outcome, Outcome::Success, "what runs goes on");
    claims_nothing(&rig).await;
    let waiting = rig.enqueue(&["say later"]);
    looked_at(&agent, 2).await;
    paused(&agent, Some("runner.min_free")).await;
    assert_eq!(rig.plane.with(|state| state.task(waiting).claims), 0);
    std::fs::remove_file(ballast).unwrap();
    let ended = rig.plane.ended(waiting).await;
    assert_eq!(ended.ended.as_ref().unwrap().outcome, Outcome::Success);
    paused(&agent, None).await;
    drained(&agent).await;
}

#[actix_rt::test]
async fn a_host_with_less_memory_than_is_wanted_claims_nothing() {
    let rig = Rig::new();
    let agent = started(&rig, |settings| settings.min_memory = 1 << 60);
    let task = rig.enqueue(&["say never"]);
    let why = paused(&agent, Some("memory are left")).await.unwrap();
    assert!(why.ends_with("runner.min_memory is 1073741824.0 GiB"), "{why}");
    assert_eq!(rig.plane.with(|state| state.task(task).claims), 0);
    drained(&agent).await;
}

#[actix_rt::test]
async fn zombies_pause_the_claims_until_somebody_asks_how_they_ended() {
    let rig = Rig::new();
    let mut zombies: Vec<Child> = (0..40).map(|_| Command::new("true").spawn().unwrap()).collect();
    let others = 20;
    let agent = started(&rig, |settings| settings.max_zombies = others);
    paused(&agent, Some("runner.max_zombies is 20")).await;
    for zombie in &mut zombies {
        zombie.wait().unwrap();
    }
    claims(&rig, &agent).await;
}

#[actix_rt::test]
async fn a_check_that_fails_says_why_and_one_that_is_content_again_lets_tasks_come() {
    let rig = Rig::new();
    let reason = rig.shared("reason");
    std::fs::write(&reason, "the license server is away").unwrap();
    let agent = started(&rig, |settings| check(settings, &reason));
    let why = paused(&agent, Some("license")).await.unwrap();
    assert_eq!(why, "runner.health_check: exit code 9: the license server is away");
    std::fs::remove_file(&reason).unwrap();
    claims(&rig, &agent).await;
}

#[actix_rt::test]
async fn a_check_that_hangs_has_failed() {
    let rig = Rig::new();
    let agent = started(&rig, |settings| {
        settings.health_check = ["sh", "-c", "echo asking; sleep 1000"].map(str::to_owned).to_vec();
        settings.health_timeout = Duration::from_secs(2);
    });
    let why = paused(&agent, Some("health_check")).await.unwrap();
    assert_eq!(why, "runner.health_check: not over within 2s, so it was killed: asking");
    drained(&agent).await;
}

fn check(settings: &mut Settings, reason: &Path) {
    let script = format!("echo looking; cat {} 2> /dev/null && exit 9; exit 0", reason.display());
    settings.health_check = ["sh".to_owned(), "-c".to_owned(), script].to_vec();
    settings.health_interval = Duration::from_millis(50);
}
