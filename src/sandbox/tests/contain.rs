//! The certain kill, by each means that this host has, of real processes that do what they can to stay.

#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that cannot be")]

use sandbox::{
    Account, Containment, Identity,
    contain::{COOKIE, Gone, Means},
    launch::{Launch, Started},
};
use std::time::{Duration, Instant};

/// A root, its child, and a grandchild in a session of its own whose parent is gone; none of them hears TERM.
const FAMILY: &str = r#"
trap '' TERM
sh -c 'setsid sh -c "trap : USR1; while :; do sleep 60; done" &'
sleep 60 & while :; do wait; done
"#;
const SOON: Duration = Duration::from_secs(10);

fn start(containment: &mut Containment, account: Option<Account>, script: &str) -> Started {
    let launch = Launch {
        program: "/bin/sh".into(),
        arguments: vec!["-c".to_owned(), script.to_owned()],
        prefix: Vec::new(),
        account,
        environment: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
        directory: "/".into(),
        stdin: Vec::new(),
        error_output: tempfile::tempfile().unwrap(),
        listener: None,
    };
    launch.start(containment).unwrap()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < SOON, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Starts the family, kills it, and finds each of its members gone.
fn none_survives(mut containment: Containment, account: Option<Account>) {
    let root = start(&mut containment, account, FAMILY).identity;
    // The root, its sleep, the grandchild and the grandchild's sleep; the middle one is gone.
    until("the family is complete", || containment.members().len() == 4);
    let family = containment.members();
    assert!(containment.contains(root.pid) && !containment.contains(1));
    containment.terminate();
    assert!(root.is_alive(), "it ignores TERM");
    assert_eq!(containment.kill(SOON), Ok(Gone));
    assert!(family.iter().all(|member| !member.is_alive()));
    root.reap();
    containment.remove();
}

fn by(means: Means, task: &str, account: Option<Account>) {
    let own = account.clone();
    match Containment::only(means, task, account.as_ref()) {
        Some(containment) => {
            assert_eq!(containment.means(), means);
            none_survives(containment, own);
        }
        None => eprintln!("skipped: not to be had on this host by this account: {means}"),
    }
}

fn nobody_elses(uid: u32) -> Account {
    Account { uid, gid: uid, groups: vec![uid], name: uid.to_string() }
}

#[test]
fn none_survives_the_kill_of_a_v2_group() {
    by(Means::CgroupKill, "test-unified", None);
}

#[test]
fn none_survives_the_freezer() {
    by(Means::Freezer, "test-freezer", None);
}

#[test]
fn none_survives_the_kill_of_its_account() {
    by(Means::Account, "test-account", Some(nobody_elses(61_301)));
}

#[test]
fn none_survives_the_walk_over_descendants() {
    by(Means::Descendants, "test-descendants", None);
}

#[test]
fn none_survives_the_strongest() {
    none_survives(Containment::strongest("house", "test-strongest", None), None);
}

#[test]
fn a_stray_is_known_by_its_cookie_when_its_parents_are_gone() {
    let mut containment = Containment::only(Means::Descendants, "test-stray", None).unwrap();
    let root = start(&mut containment, None, FAMILY).identity;
    until("the family is complete", || containment.members().len() == 4);
    root.kill().unwrap();
    reap_soon(root);
    let strays = containment.members();
    assert!(!strays.is_empty() && !strays.contains(&root));
    assert_eq!(containment.kill(SOON), Ok(Gone));
    assert!(strays.iter().all(|stray| !stray.is_alive()));
}

fn reap_soon(identity: Identity) {
    until("the root is reaped", || identity.reap().is_some());
}

#[test]
fn what_left_its_group_is_found_under_its_account() {
    let account = nobody_elses(61_302);
    let mut containment = Containment::strongest("house", "test-runaway", Some(&account));
    if !Account::current().is_root() || containment.means() > Means::Freezer {
        return eprintln!("skipped: needs root and control groups");
    }
    let root = start(&mut containment, Some(account.clone()), FAMILY).identity;
    until("the family is complete", || containment.members().len() == 4);
    let mut elsewhere = Containment::only(Means::Descendants, "test-runaway-elsewhere", None).unwrap();
    let runaway = start(&mut elsewhere, Some(account), "trap '' TERM; sleep 60").identity;
    assert!(containment.contains(runaway.pid));
    assert_eq!(containment.kill(SOON), Ok(Gone));
    assert!(!runaway.is_alive() && !root.is_alive());
    root.reap();
    runaway.reap();
    containment.remove();
}

#[test]
fn what_left_its_group_is_found_by_its_cookie_where_the_account_is_shared() {
    let mut containment = Containment::strongest("house", "test-moved", None);
    let root = start(&mut containment, None, FAMILY).identity;
    let mut elsewhere = Containment::only(Means::Descendants, "test-moved", None).unwrap();
    let moved = start(&mut elsewhere, None, "trap '' TERM; sleep 60").identity;
    assert!(containment.contains(moved.pid));
    assert_eq!(containment.kill(SOON), Ok(Gone));
    assert!(!moved.is_alive() && !root.is_alive());
    root.reap();
    moved.reap();
    containment.remove();
}

#[test]
fn a_process_that_is_only_just_executing_is_found_by_its_cookie() {
    let by_cookie = Containment::only(Means::Descendants, "test-executing", None).unwrap();
    for _ in 0..100 {
        let mut elsewhere = by_cookie.clone();
        let started = start(&mut elsewhere, None, "sleep 60").identity;
        assert!(by_cookie.contains(started.pid));
        assert_eq!(elsewhere.kill(SOON), Ok(Gone));
        started.reap();
    }
}

#[test]
fn a_task_that_forks_without_end_is_killed() {
    let mut containment = Containment::strongest("house", "test-forks", None);
    let root = start(&mut containment, None, "while :; do sh -c 'sleep 0.2' & sleep 0.01; done").identity;
    until("it forks", || containment.members().len() > 5);
    assert_eq!(containment.kill(SOON), Ok(Gone));
    root.reap();
    containment.remove();
}

#[test]
fn a_containment_kept_in_a_file_still_kills() {
    let mut containment = Containment::strongest("house", "test-kept", None);
    let root = start(&mut containment, None, FAMILY).identity;
    let kept = serde_json::to_string(&containment).unwrap();
    let again: Containment = serde_json::from_str(&kept).unwrap();
    assert_eq!(again, containment);
    assert_eq!(again.kill(SOON), Ok(Gone));
    assert!(!root.is_alive());
    root.reap();
    again.remove();
}

#[test]
fn a_containment_of_the_same_name_is_the_same_one() {
    let mut containment = Containment::strongest("house", "test-again", None);
    let root = start(&mut containment, None, FAMILY).identity;
    let mut again = Containment::strongest("house", "test-again", None);
    again.rooted_in(root);
    assert_eq!(again.kill(SOON), Ok(Gone));
    assert!(!root.is_alive());
    root.reap();
    again.remove();
}

#[test]
fn the_others_of_the_host_are_not_touched() {
    let mut bystander =
        std::process::Command::new("sleep").arg("60").env(COOKIE, "test-bystander").spawn().unwrap();
    none_survives(Containment::only(Means::Descendants, "test-own", None).unwrap(), None);
    assert!(bystander.try_wait().unwrap().is_none());
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[test]
fn roots_own_account_is_never_one_tasks() {
    let root = nobody_elses(0);
    assert_eq!(Containment::only(Means::Account, "test-root", Some(&root)), None);
}
