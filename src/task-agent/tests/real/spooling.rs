//! Spools that are full.

use crate::host::{Host, run, until};
use protocol::{
    frame::ToTaskAgent,
    ids::StepNumber,
    marks::{NOTED_LENGTH, Noted},
    status::Outcome,
};
use std::{path::PathBuf, process::Command};

const STEP: StepNumber = StepNumber(1);

#[test]
fn output_waits_for_room_and_nothing_is_lost() {
    let mut host = Host::new(vec![run("seq 1 100000")]);
    host.invitation.max_spool = 50_000;
    let host = host.begun();
    let whole: String = (1..=100_000).map(|number| format!("{number}\n")).collect();
    let mut seen = 0;
    while seen < whole.len() {
        host.wait_for_log(1, &whole[..(seen + 50_000).min(whole.len())]);
        let now = host.log_so_far(1).len();
        assert!(now <= seen + 50_000, "the bound holds");
        seen = now;
        if seen < whole.len() {
            host.send(&ToTaskAgent::Acknowledged { step: STEP, offset: seen as u64 }, &[]);
        }
    }
    let left = host.finish();
    assert_eq!(left.log(1), whole);
}

#[test]
fn when_output_came_is_noted_beside_the_spools_where_the_launch_agent_says() {
    let wait = |gate| format!("until [ -e ~/{gate} ]; do sleep 0.01; done");
    let steps = [format!("echo one; {}; echo two", wait("go")), "echo other".to_owned()];
    let mut host = Host::new(steps.iter().map(|step| run(step)).collect());
    host.wants_times = true;
    let host = host.begun();
    let noted = || {
        let bytes = std::fs::read(host.times()).unwrap();
        let notes = bytes.chunks(NOTED_LENGTH).map(|note| Noted::from_bytes(note.try_into().unwrap()));
        notes.map(|note| (note.step.0, note.mark.offset, note.mark.ms)).collect::<Vec<_>>()
    };
    host.wait_for_log(1, "one\n");
    let seen = std::time::Instant::now();
    let [(1, 0, first)] = noted()[..] else { panic!("{:?}", noted()) };
    until("more than the spacing of marks", || seen.elapsed().as_millis() > 300);
    std::fs::write(host.root().join("go"), "").unwrap();
    host.wait_for_log(1, "one\ntwo\n");
    host.wait_for_log(2, "other\n");
    let all = noted();
    let [(1, 0, _), (1, 4, second), (2, 0, other)] = all[..] else { panic!("{all:?}") };
    assert!(second >= first + 300 && other < second, "{all:?}");
    host.finish();
}

#[test]
fn without_room_the_middle_is_dropped_and_the_job_goes_on() {
    let mut host = Host::new(vec![run("seq 1 100000; echo the end")]);
    host.invitation.max_spool = 50_000;
    host.invitation.spool_wait_ms = 50;
    let left = host.left();
    assert_eq!(left.outcome(), Some(Outcome::Success));
    let log = left.log(1);
    assert!(log.starts_with("1\n2\n3\n") && log.ends_with("100000\nthe end\n"));
    let (before, after) = log.split_once("\n[").unwrap();
    let dropped: usize = after.split(' ').next().unwrap().parse().unwrap();
    let line = after.split_once("]\n").unwrap();
    assert!(line.0.ends_with("bytes of output dropped at byte 50000 of this log: 50000 bytes waited to be sent, which is logs.max_spool"), "{}", line.0);
    let whole =
        (1..=100_000).map(|number: u32| number.to_string().len() + 1).sum::<usize>() + "the end\n".len();
    assert_eq!(before.len() + dropped + line.1.len(), whole, "every byte is there or counted");
}

#[test]
fn a_full_disk_is_waited_for_and_then_said() {
    if !sandbox::Account::current().is_root() {
        return eprintln!("skipped: a small file system needs root");
    }
    let mut host = Host::new(vec![run(
        "seq 1 1000000; touch ~/through; until [ -e ~/go ]; do sleep 0.02; done; echo the end",
    )]);
    host.invitation.spool_wait_ms = 100;
    let (through, go) = (host.root().join("through"), host.root().join("go"));
    let disk = SmallDisk::at(host.spools());
    let host = host.begun();
    until("the job went on without room", || through.exists());
    disk.mount("remount,size=8m");
    std::fs::write(go, "").unwrap();
    let left = host.finish();
    let log = left.log(1);
    assert!(
        log.starts_with("1\n2\n3\n") && log.ends_with("1000000\nthe end\n"),
        "{}",
        &log[log.len() - 300..]
    );
    assert!(log.contains("of this log: the disk of the runner was full]\n"));
    assert_eq!(left.outcome(), Some(Outcome::Success));
}

/// A file system of 256 KiB, until it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(path: PathBuf) -> Self {
        let disk = Self(path);
        disk.mount("size=256k");
        disk
    }

    fn mount(&self, options: &str) {
        let mut mount = Command::new("mount");
        let status = mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&self.0).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
