//! `roundhouse status --watch` on a real terminal: drawn to its size, and given back as it was.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use integration::{
    rig::{Agent, Rig},
    wait,
};
use protocol::exit;
use rustix::{
    fs::{Mode, OFlags, open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};
use std::{
    fs::File,
    io::{Read, Write},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

const SOON: Duration = Duration::from_secs(30);
const ENTERS: &str = "\u{1b}[?1049h\u{1b}[?25l";
const LEAVES: &str = "\u{1b}[?25h\u{1b}[?1049l";
const HOME: &str = "\u{1b}[H";

/// A terminal, and what was written on it.
struct Terminal {
    master: File,
    /// Held open: the other side of one that nobody has open cannot be read.
    slave: File,
    path: String,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    fn new() -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = File::from(open(path.as_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap());
        let (master, written) = (File::from(master), Arc::<Mutex<Vec<u8>>>::default());
        let (mut reader, shown) = (master.try_clone().unwrap(), written.clone());
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length) = reader.read(&mut piece) {
                shown.lock().unwrap().extend_from_slice(&piece[..length]);
            }
        });
        Self { master, slave, path, written }
    }

    fn side(&self) -> Stdio {
        self.slave.try_clone().unwrap().into()
    }

    /// `stty`, which speaks to it as a shell's user would.
    fn stty(&self, words: &[&str]) -> String {
        let output = Command::new("stty").arg("-F").arg(&self.path).args(words).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs it in a session whose terminal this is.
    fn run(&self, command: &Command) -> Child {
        let mut session = Command::new("setsid");
        session.arg("--ctty").arg(command.get_program()).args(command.get_args());
        session.env("TERM", "xterm").stdin(self.side()).stdout(self.side()).stderr(self.side());
        session.spawn().unwrap()
    }

    fn written(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().unwrap()).into_owned()
    }

    /// Waits for a whole frame that is so.
    fn shows(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        wait::until(what, SOON, || {
            let written = self.written();
            let frames: Vec<_> = written.split(HOME).skip(1).collect();
            let whole = frames.iter().rfind(|frame| frame.ends_with("\u{1b}[J"))?;
            is_so(whole).then(|| (*whole).to_owned())
        })
    }

    fn type_in(&mut self, keys: &[u8]) {
        self.master.write_all(keys).unwrap();
    }
}

struct House {
    agent: Agent,
    watch: Child,
    terminal: Terminal,
    /// As the terminal was before.
    before: String,
    _rig: Rig,
}

impl House {
    /// Without a control plane: the launch-agent stands all the same.
    fn new() -> Self {
        let rig = Rig::new();
        let agent = rig.agent_with("agent", "http://127.0.0.1:9", &[("rig/linux", "token")], &[]);
        let terminal = Terminal::new();
        terminal.stty(&["rows", "40", "columns", "150"]);
        wait::until("the launch-agent's socket", SOON, || {
            agent.state.join("status.sock").exists().then_some(())
        });
        let before = terminal.stty(&["-g"]);
        let mut command = rig.roundhouse();
        command.args(["status", "--watch", "--state-dir"]).arg(&agent.state);
        let watch = terminal.run(&command);
        Self { agent, watch, terminal, before, _rig: rig }
    }

    fn ended(&mut self) -> i32 {
        let status = wait::until("its end", SOON, || self.watch.try_wait().unwrap());
        status.code().unwrap_or(-1)
    }
}

#[test]
fn a_watched_status_is_drawn_to_the_terminals_size_and_gives_it_back_when_it_is_interrupted() {
    let mut house = House::new();
    let frame = house.terminal.shows("every actor", |frame| frame.contains("HealthKeeper"));
    assert!(!frame.contains("lines more"), "{frame:?}");
    assert!(house.terminal.written().starts_with(ENTERS));
    house.terminal.stty(&["rows", "6", "columns", "30"]);
    let frame = house.terminal.shows("a frame that is cut", |frame| frame.contains("lines more"));
    let lines: Vec<_> = frame.trim_end_matches("\u{1b}[J").split("\u{1b}[K").map(plain).collect();
    assert!(lines.len() <= 7 && lines.iter().all(|line| line.chars().count() <= 30), "{lines:?}");
    house.terminal.type_in(b"\x03");
    assert_eq!(house.ended(), i32::from(exit::INTERRUPTED));
    wait::until("the first screen", SOON, || house.terminal.written().ends_with(LEAVES).then_some(()));
    assert_eq!(house.terminal.stty(&["-g"]), house.before);
}

#[test]
fn a_watched_launch_agent_that_is_gone_is_told_of_on_the_screen_of_before() {
    let mut house = House::new();
    house.terminal.shows("every actor", |frame| frame.contains("HealthKeeper"));
    house.agent.program().kill();
    assert_eq!(house.ended(), i32::from(exit::MACHINERY));
    wait::until("why, on the first screen", SOON, || {
        let written = house.terminal.written();
        let (_, after) = written.rsplit_once(LEAVES)?;
        after.contains("no launch-agent runs").then_some(())
    });
    assert_eq!(house.terminal.stty(&["-g"]), house.before);
}

#[test]
fn a_watch_that_is_stopped_leaves_the_terminal_and_draws_on_it_again_when_it_goes_on() {
    let mut house = House::new();
    house.terminal.shows("every actor", |frame| frame.contains("HealthKeeper"));
    house.terminal.type_in(b"\x1a");
    wait::until("the first screen", SOON, || house.terminal.written().ends_with(LEAVES).then_some(()));
    let process = rustix::process::Pid::from_child(&house.watch);
    rustix::process::kill_process(process, rustix::process::Signal::CONT).unwrap();
    wait::until("a second look", SOON, || {
        let written = house.terminal.written();
        let (_, after) = written.rsplit_once(LEAVES)?;
        (after.contains(ENTERS) && after.contains("HealthKeeper")).then_some(())
    });
    house.terminal.type_in(b"\x03");
    assert_eq!(house.ended(), i32::from(exit::INTERRUPTED));
}

/// A line without its colors and its end.
fn plain(line: &str) -> String {
    let mut plain = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain += before;
        rest = after.split_once(|end: char| end.is_ascii_alphabetic()).map_or("", |(_, rest)| rest);
    }
    (plain + rest).replace(['\r', '\n'], "")
}
