//! Real processes started with fewer rights, and what they find.

#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that cannot be")]

use sandbox::{
    Account, Containment, Identity,
    contain::Means,
    identity::Exit,
    job::JobCommand,
    launch::{Launch, LaunchError, Started},
    packet::readable,
};
use std::{
    fs::File,
    io::{Read, Seek},
    os::fd::AsFd,
};

fn launch(script: &str, output: &File) -> Launch {
    Launch {
        program: "/bin/sh".into(),
        arguments: vec!["-c".to_owned(), script.to_owned()],
        prefix: Vec::new(),
        account: None,
        environment: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
        directory: "/".into(),
        stdin: Vec::new(),
        error_output: output.try_clone().unwrap(),
        listener: None,
    }
}

fn by_descent(task: &str) -> Containment {
    Containment::only(Means::Descendants, task, None).unwrap()
}

fn ended(started: &Started) -> Exit {
    readable(&[started.pidfd.as_fd()], None).unwrap();
    started.identity.reap().unwrap()
}

/// What a launched process printed, and how it ended.
fn told(task: &str, change: impl FnOnce(&mut Launch), script: &str) -> (String, Exit) {
    let mut output = tempfile::tempfile().unwrap();
    let mut launch = launch(script, &output);
    change(&mut launch);
    let exit = ended(&launch.start(&mut by_descent(task)).unwrap());
    let mut text = String::new();
    output.rewind().unwrap();
    output.read_to_string(&mut text).unwrap();
    (text, exit)
}

#[test]
fn it_reads_its_one_line_and_then_the_end() {
    let read = |launch: &mut Launch| launch.stdin = b"invitation\n".to_vec();
    let (text, exit) = told("reads", read, "cat; echo over >&2; exit 3");
    assert_eq!((text.as_str(), exit), ("invitation\nover\n", Exit::Code(3)));
}

#[test]
fn it_inherits_no_variable_and_carries_the_cookie() {
    let (text, _) = told("bare", |_| (), "env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= | sort");
    assert_eq!(text, "PATH=/usr/bin:/bin\nROUNDHOUSE_TASK=bare\n");
}

#[test]
fn it_inherits_no_descriptor() {
    let file = tempfile::tempfile().unwrap();
    let inheritable = rustix::io::dup(&file).unwrap();
    let (text, _) = told("closed", |_| (), "ls /proc/self/fd | tr '\\n' ' '");
    // 3 is the listing's own.
    assert_eq!(text, "0 1 2 3 ");
    drop(inheritable);
}

#[test]
fn it_leads_a_session_with_default_signals_and_umask() {
    let script =
        "umask; ps -o sid= -p $$ | tr -d ' '; echo $$; exec grep -E '^Sig(Blk|Ign)' /proc/self/status";
    let (text, _) = told("session", |_| (), script);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines[0], lines[1]), ("0022", lines[2]), "{text}");
    let masks = lines[3..].iter().map(|line| line.split_whitespace().last().unwrap());
    assert!(masks.into_iter().all(|mask| mask == "0000000000000000"), "{text}");
}

#[test]
fn it_dies_sooner_than_the_host_when_memory_runs_out() {
    let score = |text: String| text.trim().parse::<i32>().unwrap();
    let started = score(told("oom", |_| (), "cat /proc/self/oom_score_adj").0);
    // Never below who started it: these tests may run in a job, which goes sooner than an agent does.
    let own = score(std::fs::read_to_string("/proc/self/oom_score_adj").unwrap());
    assert_eq!(started, own.max(500));
}

#[test]
fn a_prefix_stands_before_the_program() {
    let prefixed = |launch: &mut Launch| launch.prefix = vec!["env".to_owned(), "ADDED=yes".to_owned()];
    assert_eq!(told("prefix", prefixed, "echo $ADDED").0, "yes\n");
}

#[test]
fn a_program_that_cannot_be_executed_is_an_error_that_names_it() {
    let output = tempfile::tempfile().unwrap();
    let missing = Launch { program: "/no/such/program".into(), ..launch("", &output) };
    let error = missing.start(&mut by_descent("missing")).unwrap_err();
    assert!(matches!(&error, LaunchError::Start { .. }));
    assert!(error.to_string().contains("/no/such/program"), "{error}");
    assert!(error.to_string().contains("No such file"), "{error}");
}

#[test]
fn it_has_the_rights_of_its_account_and_no_more() {
    if !Account::current().is_root() {
        return eprintln!("skipped: becoming another account needs root");
    }
    let account = Account { uid: 61_201, gid: 61_202, groups: vec![61_202, 61_203], name: "test".to_owned() };
    let (text, _) =
        told("rights", |launch| launch.account = Some(account), "id -u; id -g; id -G; cat /etc/shadow");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[..3], ["61201", "61202", "61202 61203"]);
    assert!(lines[3].contains("Permission denied"), "{text}");
    let capabilities = told(
        "caps",
        |launch| launch.account = Some(Account { uid: 61_201, ..Account::current() }),
        "grep CapEff /proc/self/status",
    )
    .0;
    assert!(capabilities.trim_end().ends_with("0000000000000000"), "{capabilities}");
}

#[test]
fn a_started_process_is_known_for_certain() {
    let output = tempfile::tempfile().unwrap();
    let mut containment = by_descent("known");
    let started = launch("sleep 60", &output).start(&mut containment).unwrap();
    assert_eq!(Identity::of(started.identity.pid).unwrap(), started.identity);
    assert_eq!(containment.root(), Some(started.identity));
    assert!(started.identity.kill().unwrap());
    assert_eq!(ended(&started), Exit::Signal(9));
}

/// The middle one of so many starts, printed: see it with `--nocapture`.
#[test]
fn a_start_tells_its_pace_in_a_group_and_beside_one() {
    let output = tempfile::tempfile().unwrap();
    for (what, mut containment) in [
        ("group", Containment::strongest("house", "test-pace", None)),
        ("no group", by_descent("test-pace-beside")),
    ] {
        let mut times: Vec<_> = (0..20)
            .map(|_| {
                let begin = std::time::Instant::now();
                let started = launch("exit 0", &output).start(&mut containment).unwrap();
                let time = begin.elapsed();
                ended(&started);
                time
            })
            .collect();
        times.sort();
        eprintln!("{what}: {:?} to the exec, {:?} at most", times[times.len() / 2], times[times.len() - 1]);
        containment.remove();
    }
}

#[test]
fn it_finds_the_usual_soft_limit_of_descriptors_and_the_hard_one_unchanged() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // As a launch-agent does; the other tests of this process bear it.
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    let usual = limit.maximum.map_or(1024, |hard| hard.min(1024));
    let hard = limit.maximum.map_or_else(|| "unlimited".to_owned(), |hard| hard.to_string());
    assert_eq!(told("limit", |_| (), "ulimit -Sn; ulimit -Hn").0, format!("{usual}\n{hard}\n"));
}

/// What is asked for, what a process then has, and what it has after it tried to get before the launch-agent.
const SCORES: &str = "cat /proc/self/oom_score_adj
    for less in -1000 -1; do echo $less > /proc/self/oom_score_adj; done 2> /dev/null
    cat /proc/self/oom_score_adj";

#[test]
fn it_is_ended_before_the_launch_agent_when_memory_runs_out_whatever_it_does() {
    let own: i32 = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap().trim().parse().unwrap();
    let ordinary = Account { uid: 61_204, gid: 61_204, groups: Vec::new(), name: "test".to_owned() };
    let change = |launch: &mut Launch| {
        launch.account = Account::current().is_root().then_some(ordinary);
    };
    let score = own.max(500);
    assert_eq!(told("scores", change, SCORES).0, format!("{score}\n{score}\n"));
}

#[test]
fn a_job_gives_way_to_the_agents_further_still() {
    let environment = vec![("PATH".into(), "/usr/bin:/bin".into())];
    let said = "cat /proc/self/oom_score_adj /proc/self/autogroup; ps -o ni= -p $$";
    let words = ["sh", "-c", said].map(Into::into).to_vec();
    let (mut output, writer) = std::io::pipe().unwrap();
    let started = JobCommand { words, environment, directory: "/".into() }.start(writer.into()).unwrap();
    assert_eq!(ended(&started), Exit::Code(0));
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].parse::<i32>().unwrap() >= 700, "{text}");
    // Kernels without autogroups say nothing in the middle.
    assert!(lines.len() == 2 || lines[1].ends_with("nice 5"), "{text}");
    let own = rustix::process::getpriority_process(None).unwrap();
    assert_eq!(lines[lines.len() - 1].trim(), (own + 5).min(19).to_string());
}

#[test]
fn a_script_without_an_interpreter_is_executed_by_the_shell() {
    use std::{io::Write, os::unix::fs::PermissionsExt};
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("plain");
    let mut script = File::create(&path).unwrap();
    script.write_all(b"echo $1\n").unwrap();
    script.set_permissions(std::fs::Permissions::from_mode(0o755)).unwrap();
    drop(script);
    let plain =
        |launch: &mut Launch| (launch.program, launch.arguments) = (path.clone(), vec!["hi".to_owned()]);
    assert_eq!(told("plain", plain, "").0, "hi\n");
}

#[test]
fn it_is_born_in_its_group_and_nowhere_else() {
    let Some(mut containment) = Containment::only(Means::CgroupKill, "test-born", None) else {
        return eprintln!("skipped: no cgroup v2 here");
    };
    let mut output = tempfile::tempfile().unwrap();
    let started = launch("grep ^0:: /proc/self/cgroup", &output).start(&mut containment).unwrap();
    assert_eq!(ended(&started), Exit::Code(0));
    let mut text = String::new();
    output.rewind().unwrap();
    output.read_to_string(&mut text).unwrap();
    assert!(text.ends_with("/roundhouse/test-born\n"), "{text}");
    containment.remove();
}
