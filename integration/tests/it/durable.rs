//! What the control plane acknowledged is there after it was killed at any moment, once each, and in every backup.

mod caller;
mod known;

use caller::Callers;
use integration::{
    rig::{Rig, Server},
    wait,
};
use std::{
    process::Child,
    time::{Duration, Instant},
};

const CLASS: &str = "rig/linux";
const PATIENCE: Duration = Duration::from_secs(60);
const KILLS: u32 = 6;

/// Numbers that look random, the same for the same seed (xorshift).
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn seed() -> u64 {
    std::env::var("ROUNDHOUSE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_124)
}

/// `roundhouse server check` of a directory: its exit status and what it said.
fn checked(rig: &Rig, data: &str) -> (i32, String) {
    let mut command = rig.roundhouse();
    command.args(["server", "check", "--deep", "--data-dir"]).arg(rig.path(data));
    let ended = rig.finish(command);
    (ended.status, ended.output + &ended.errors)
}

fn is_sound(rig: &Rig, data: &str) {
    let (status, said) = checked(rig, data);
    assert_eq!(status, 0, "{said}");
}

async fn house(rig: &Rig) -> (Server, String) {
    let server = rig.server("server");
    let token = server.class(CLASS).await;
    (server, token)
}

fn address(server: &Server) -> String {
    server.url.trim_start_matches("http://").to_owned()
}

/// Lets callers write until some number of acknowledgements and a moment later, then kills the control plane.
async fn killed_in_the_middle(mut server: Server, callers: &Callers, random: &mut Random) {
    let (acknowledgements, pause) = (5 + random.below(60), Duration::from_micros(random.below(4000)));
    let url = server.url.clone();
    callers
        .call(&url, |count| {
            if count < acknowledgements {
                return true;
            }
            // Whatever was begun meanwhile is cut off wherever it is.
            let since = Instant::now();
            while since.elapsed() < pause {
                std::hint::spin_loop();
            }
            server.program().kill();
            false
        })
        .await;
}

#[actix_rt::test]
async fn whatever_was_acknowledged_is_there_after_kills_at_random_moments_and_nothing_is_there_twice() {
    let (rig, mut random) = (Rig::new(), Random(seed()));
    let (mut server, token) = house(&rig).await;
    let callers = Callers::new(&server, token);
    for kill in 0..KILLS {
        let address = address(&server);
        killed_in_the_middle(server, &callers, &mut random).await;
        if kill % 2 == 1 {
            is_sound(&rig, "server");
        }
        server = rig.server_at("server", &address);
        callers.known().is_there(&server).await;
    }
    callers.finish(&server.url).await;
    let known = callers.known();
    known.is_there(&server).await;
    assert!(known.ended() > 0 && known.artifacts() > 0 && known.tokens() > 0, "seed {}: {known:?}", seed());
    is_sound(&rig, "server");
    server.program().kill();
    is_sound(&rig, "server");
}

fn backup(rig: &Rig, target: &str) -> Child {
    let mut command = rig.roundhouse();
    command.args(["server", "backup", "--data-dir"]).arg(rig.path("server")).arg(rig.path(target));
    command.spawn().expect("the program is there")
}

#[actix_rt::test]
async fn a_backup_taken_under_load_has_all_that_was_acknowledged_before_it() {
    let rig = Rig::new();
    let (mut server, token) = house(&rig).await;
    let callers = Callers::new(&server, token);
    callers.call(&server.url, |count| count < 80).await;
    let before = callers.known();
    let mut copying: Option<Child> = None;
    callers
        .call(&server.url, |count| {
            let copying = copying.get_or_insert_with(|| backup(&rig, "backup"));
            count < 40 || copying.try_wait().expect("it is our child").is_none()
        })
        .await;
    assert!(copying.expect("it was begun").wait().expect("it is our child").success());
    assert!(!rig.path("backup.part").exists());
    is_sound(&rig, "backup");
    is_sound(&rig, "server");
    let copy = rig.server("backup");
    before.is_there(&copy).await;
    drop(copy);
    is_sound(&rig, "backup");
    callers.known().is_there(&server).await;
    server.program().kill();
    is_sound(&rig, "server");
}

#[actix_rt::test]
async fn a_backup_is_refused_where_something_is_and_a_cut_off_one_is_never_taken_for_whole() {
    let rig = Rig::new();
    let (server, _) = house(&rig).await;
    let refused = |target: &str, words: &str| {
        let mut command = rig.roundhouse();
        command.args(["server", "backup", "--data-dir"]).arg(&server.data).arg(rig.path(target));
        let ended = rig.finish(command);
        assert!(ended.status != 0 && ended.errors.contains(words), "{ended:?}");
    };
    rig.write("there/precious", "notes");
    refused("there", "is there already");
    refused("server/blobs/here", "lies in the data directory");
    rig.write("cut.part/store.db", "half");
    refused("cut", "cut off");
    assert!(!rig.path("cut").exists() && rig.path("cut.part/store.db").exists());
    assert!(rig.path("there/precious").exists());
}

#[actix_rt::test]
async fn a_check_names_each_fault_with_its_place_and_changes_nothing() {
    let rig = Rig::new();
    let (mut server, token) = house(&rig).await;
    let callers = Callers::new(&server, token);
    callers.call(&server.url, |count| count < 60).await;
    callers.finish(&server.url).await;
    server.program().kill();
    let artifact = callers.known().an_artifact_in(&rig.path("server"));
    let mut bytes = std::fs::read(&artifact).expect("it is there");
    bytes[0] ^= 1;
    std::fs::write(&artifact, &bytes).expect("it is ours");
    let log = wait::until("a log's file", PATIENCE, || known::a_file_below(&rig.path("server/logs")));
    std::fs::File::options().write(true).open(&log).and_then(|file| file.set_len(9)).expect("it is ours");
    let database = std::fs::read(rig.path("server/store.db")).expect("it is there");
    let (status, said) = checked(&rig, "server");
    assert_eq!(status, 1, "{said}");
    let line = |place: &std::path::Path| {
        let found = said.lines().find(|line| line.starts_with(&*place.to_string_lossy()));
        found.unwrap_or_else(|| panic!("{} is not named: {said}", place.display()))
    };
    assert!(line(&artifact).contains("digest") && line(&log).contains("9 bytes"), "{said}");
    assert_eq!(std::fs::read(rig.path("server/store.db")).expect("it is there"), database);
}
