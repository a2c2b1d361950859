//! A machine of its own for the units of `config/systemd`: a real systemd as process 1 of namespaces, gone with its test.

use crate::{
    proc::{self, Process},
    rig::{Rig, Running},
    wait,
};
use rustix::process::Signal;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

/// How it is made of this host.
const BOOT: &str = include_str!("machine.sh");
/// What that needs.
const PROBE: &str = "mount -t tmpfs probe /mnt && cd /mnt && mkdir files work root && \
                     mount -t overlay -o lowerdir=/,upperdir=files,workdir=work overlay root";
/// Into a group, which is all that the namespaces know of groups, and then into those.
const ENTER: &str = "echo $$ >\"$1/cgroup.procs\" && shift && \
                     exec unshare --mount --propagation=slave --pid --fork --kill-child=KILL --cgroup --uts --ipc -- \"$@\"";
/// Targets that units name. There is nothing behind them here.
const TARGETS: [&str; 6] = ["machine", "sysinit", "basic", "shutdown", "umount", "network-online"];
const UNITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/systemd");
/// How long it may take to start, and a unit to become what it is waited for.
const SOON: Duration = Duration::from_secs(60);

/// A running one, with our programs and units installed.
#[derive(Debug)]
pub struct Machine {
    /// Its process 1.
    init: Process,
    /// What it shares with this host.
    directory: PathBuf,
    group: Group,
    _program: Running,
}

/// The control group that it takes for the root of all.
#[derive(Debug)]
struct Group(PathBuf);

impl Machine {
    /// What this host lacks for one, if anything.
    pub fn lacking() -> Option<String> {
        if !rustix::process::geteuid().is_root() {
            return Some("root".to_owned());
        }
        let systemd = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"];
        if !systemd.iter().any(|program| Path::new(program).exists()) {
            return Some("systemd".to_owned());
        }
        let group = match Group::make() {
            Ok(group) => group,
            Err(lacking) => return Some(lacking),
        };
        let probed = group.enter(&["sh", "-c", PROBE]).output().expect("there is a shell");
        let said = String::from_utf8_lossy(&probed.stderr).trim().to_owned();
        (!probed.status.success()).then_some(said)
    }

    /// Starts one.
    ///
    /// # Panics
    /// Where it does not come up, with what its systemd said.
    pub fn boot(rig: &Rig) -> Self {
        let directory = rig.path("machine");
        for part in ["upper", "root", "etc", "units"] {
            fs::create_dir_all(directory.join(part)).expect("it is ours");
        }
        let console = rig.write("machine/console", "");
        install_units(&directory.join("units"));
        let group = Group::make().expect("a host that lacks nothing");
        let mut command = group.enter(&["sh", "-c", BOOT, "machine.sh"]);
        command.arg(&directory).args(rig.programs());
        let program = rig.start("machine", command);
        let init = wait::until("its process 1", SOON, || program.process().children().pop());
        let machine = Self { init, directory, group, _program: program };
        wait::until(&format!("systemd, which says what {} has", console.display()), SOON, || {
            let state = machine.systemctl(&["is-system-running"]);
            (state.stdout == b"running\n").then_some(())
        });
        machine
    }

    /// Its operator's word.
    pub fn systemctl(&self, words: &[&str]) -> Output {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--pid", "--cgroup", "--target", &self.init.0.to_string()]);
        command.args(["--", "systemctl", "--no-pager"]).args(words).output().expect("nsenter is there")
    }

    /// The same where it must be obeyed.
    ///
    /// # Panics
    /// Where it is not.
    pub fn obeys(&self, words: &[&str]) {
        let output = self.systemctl(words);
        assert!(output.status.success(), "{words:?}: {output:?}; {}", self.said());
    }

    /// What it says of a unit's property.
    pub fn show(&self, unit: &str, property: &str) -> String {
        let output = self.systemctl(&["show", "--value", "--property", property, unit]);
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Waits until a unit's property is so.
    pub fn shows(&self, unit: &str, property: &str, value: &str) {
        let what = format!("{property}={value} of {unit}");
        wait::until(&what, SOON, || (self.show(unit, property) == value).then_some(()));
    }

    /// What its operator adds to a unit.
    pub fn adds(&self, unit: &str, text: &str) {
        let directory = self.directory.join(format!("units/{unit}.d"));
        fs::create_dir_all(&directory).expect("it is ours");
        fs::write(directory.join("operator.conf"), text).expect("it is ours");
        self.obeys(&["daemon-reload"]);
    }

    /// What its systemd said, which is much only of what goes wrong.
    fn said(&self) -> String {
        fs::read_to_string(self.directory.join("console")).unwrap_or_default()
    }

    /// A file of it, as this process gets there.
    pub fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.init.0))
    }

    /// The control group of a unit.
    pub fn group_of(&self, unit: &str) -> PathBuf {
        self.group.0.join("system.slice").join(unit)
    }

    /// The main process of a unit.
    pub fn main_process(&self, unit: &str) -> Process {
        let members = self.group_of(unit).join("cgroup.procs");
        wait::until(&format!("the main process of {unit}"), SOON, || {
            fs::read_to_string(&members).ok()?.lines().next()?.parse().ok().map(Process)
        })
    }
}

/// As they are delivered.
fn install_units(directory: &Path) {
    for unit in proc::names(Path::new(UNITS)).expect("the project has units") {
        fs::copy(Path::new(UNITS).join(&unit), directory.join(unit)).expect("it is ours");
    }
    for target in TARGETS {
        let text = format!("[Unit]\nDescription=The target {target} of a test\n");
        fs::write(directory.join(format!("{target}.target")), text).expect("it is ours");
    }
}

impl Drop for Machine {
    /// All that it is ends with its process 1, and lets go of its groups and mounts.
    fn drop(&mut self) {
        self.init.signal(Signal::KILL);
    }
}

impl Group {
    /// A new one, or why there can be none.
    fn make() -> Result<Self, String> {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let unified = mounts.find(|mount| mount.get(2) == Some(&"cgroup2"));
        let unified = unified.and_then(|mount| Some(PathBuf::from(mount.get(1)?)));
        let unified = unified.ok_or("control groups of version 2")?;
        let made = tempfile::Builder::new().prefix("roundhouse-machine-").tempdir_in(&unified);
        let made = made.map_err(|error| format!("control groups in {}: {error}", unified.display()))?;
        Ok(Self(made.keep()))
    }

    /// A command in it, and in namespaces.
    fn enter(&self, command: &[&str]) -> Command {
        let mut enter = Command::new("sh");
        enter.args(["-c", ENTER, "sh"]).arg(&self.0).args(command);
        enter
    }
}

impl Drop for Group {
    /// Once nobody is in it any more.
    fn drop(&mut self) {
        for _ in 0..1000 {
            if remove(&self.0) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        eprintln!("{} is left", self.0.display());
    }
}

/// A group after those below it.
fn remove(group: &Path) -> bool {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    fs::remove_dir(group).is_ok()
}
