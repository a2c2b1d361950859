//! An engine of the tests' own: a private `podman system service`, with its own storage, gone with its owner. Or a Docker
//! that `ROUNDHOUSE_TEST_DOCKER` names by its socket, of which tests touch nothing but what they made.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The image of [`Podman::start`]: busybox, with an ordinary user `circleci` and one that has no home.
pub(crate) const BOX: &str = "localhost/box:1";
/// The same image, whose user is `circleci`.
pub(crate) const CIMG: &str = "localhost/cimg:1";
/// The same image, whose entrypoint says that it runs, and which wants it kept.
pub(crate) const ENTRY: &str = "localhost/entry:1";

/// In the engine's directory: what it knows of registries, which is nothing at first.
pub(crate) const REGISTRIES: &str = "registries.conf";
const BEGIN: Duration = Duration::from_secs(60);

/// A running engine. What is in it goes with it.
pub(crate) struct Podman {
    dir: TempDir,
    service: Option<Child>,
    /// Somebody else's engine in its place.
    docker: Option<PathBuf>,
}

/// More than the host's limits is refused to root without `CAP_SYS_RESOURCE`; and where control groups are of both
/// versions only runc runs. The address range is the process's own, for the host's bridges are everybody's.
fn configuration() -> String {
    static NETWORKS: AtomicU32 = AtomicU32::new(0);
    let number = std::process::id().wrapping_mul(7) + NETWORKS.fetch_add(1, Ordering::Relaxed);
    let subnet = format!("10.{}.{}.0/24", 200 + number / 256 % 50, number % 256);
    let runtime = if found("runc") { "runtime = \"runc\"\n" } else { "" };
    format!(
        "[containers]\ndefault_ulimits = [\"nofile=1024:4096\", \"nproc=4096:4096\"]\n\
         [network]\ndefault_subnet = \"{subnet}\"\n\
         [engine]\n{runtime}cgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n"
    )
}

fn found(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

/// Where an engine has to be had, as in continuous integration, a test without one fails.
fn skipped(why: &str) -> Option<Podman> {
    assert!(std::env::var_os("ROUNDHOUSE_NEEDS_ENGINE").is_none(), "{why}");
    eprintln!("skipped: {why}");
    None
}

impl Podman {
    /// Starts one with the images above, or says why the test is skipped.
    pub(crate) fn start() -> Option<Self> {
        Self::start_in(Path::new("/tmp"))
    }

    /// The same with all that it keeps below some directory.
    pub(crate) fn start_in(parent: &Path) -> Option<Self> {
        for (program, package) in [("podman", "podman"), ("busybox", "busybox-static"), ("tar", "tar")] {
            if !found(program) {
                return skipped(&format!("there is no {program} here (package {package})"));
            }
        }
        let dir = tempfile::Builder::new().prefix("engine").tempdir_in(parent).unwrap();
        fs::write(dir.path().join("containers.conf"), configuration()).unwrap();
        fs::write(dir.path().join(REGISTRIES), "").unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        let storage = format!(
            "[storage]\ndriver = \"overlay\"\ngraphroot = \"{}\"\nrunroot = \"{}\"\n",
            at("storage"),
            at("run")
        );
        fs::write(dir.path().join("storage.conf"), storage).unwrap();
        let mut podman = Self { dir, service: None, docker: None };
        podman.docker = std::env::var_os("ROUNDHOUSE_TEST_DOCKER").map(PathBuf::from);
        if let Err(why) = podman.take_images() {
            return skipped(&format!("podman runs nothing here: {why}"));
        }
        if podman.docker.is_none() {
            podman.serve();
        }
        Some(podman)
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.docker.clone().unwrap_or_else(|| self.dir.path().join("engine.sock"))
    }

    /// For a test that stops its engine: somebody else's is not stopped.
    pub(crate) fn start_own() -> Option<Self> {
        let podman = Self::start()?;
        if podman.docker.is_some() {
            eprintln!("skipped: the engine is somebody else's");
            return None;
        }
        Some(podman)
    }

    /// A command of this engine.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let Some(docker) = &self.docker else { return self.podman(words) };
        let mut command = Command::new("docker");
        command.env("DOCKER_HOST", format!("unix://{}", docker.display())).args(words);
        command
    }

    fn podman(&self, words: &[&str]) -> Command {
        let at = |name: &str| self.dir.path().join(name);
        let mut command = Command::new("podman");
        // A container that ran out of memory has its mark left in the directory of whoever started it.
        command.current_dir(self.dir.path());
        command
            .env("CONTAINERS_CONF", at("containers.conf"))
            .env("CONTAINERS_STORAGE_CONF", at("storage.conf"));
        command.env("CONTAINERS_REGISTRIES_CONF", at(REGISTRIES));
        command.env_remove("DOCKER_HOST").arg("--root").arg(at("storage")).arg("--runroot").arg(at("run"));
        command.arg("--tmpdir").arg(at("tmp")).args(words);
        command
    }

    /// What a command of this engine printed.
    pub(crate) fn printed(&self, words: &[&str]) -> String {
        let output = self.command(words).output().unwrap();
        assert!(output.status.success(), "podman {words:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Starts the service, which may have been stopped.
    pub(crate) fn serve(&mut self) {
        let _ = fs::remove_file(self.socket());
        let address = format!("unix://{}", self.socket().display());
        let log = fs::File::options().create(true).append(true).open(self.dir.path().join("log")).unwrap();
        let mut command = self.podman(&["system", "service", "--time=0", &address]);
        let service = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        self.service = Some(service);
        let begun = Instant::now();
        while std::os::unix::net::UnixStream::connect(self.socket()).is_err() {
            let log = fs::read_to_string(self.dir.path().join("log")).unwrap();
            assert!(begun.elapsed() < BEGIN, "the engine does not listen: {log}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Kills the service. What runs in containers goes on.
    pub(crate) fn stop(&mut self) {
        if let Some(mut service) = self.service.take() {
            service.kill().unwrap();
            service.wait().unwrap();
            // Without root's rights a second process listens, which goes when it notices.
            while std::os::unix::net::UnixStream::connect(self.socket()).is_ok() {
                let _ = fs::remove_file(self.socket());
            }
        }
    }

    /// Built once, and kept beside what cargo builds.
    fn take_images(&self) -> Result<(), String> {
        let kept = kept_in().join("images.tar");
        if !kept.exists() {
            self.build_images()?;
            let saved = self.dir.path().join("images.tar");
            let mut command = self.podman(&["save", "--quiet", "--multi-image-archive", "--output"]);
            run(command.arg(&saved).args([BOX, CIMG, ENTRY]))?;
            let unfinished = kept.with_file_name(self.dir.path().file_name().unwrap());
            fs::copy(saved, &unfinished).map_err(|error| error.to_string())?;
            // The first one stays: another test may be reading it.
            let linked = fs::hard_link(&unfinished, &kept);
            let _ = fs::remove_file(unfinished);
            if let Err(error) = linked.or_else(|error| if kept.exists() { Ok(()) } else { Err(error) }) {
                return Err(error.to_string());
            }
        }
        run(self.command(&["load", "--quiet", "--input"]).arg(kept))
    }

    fn build_images(&self) -> Result<(), String> {
        let root = self.dir.path().join("root");
        for dir in ["bin", "etc", "home/circleci", "root", "tmp", "proc", "sys", "dev", "run", "var"] {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        let write = |path: &str, text: &str| fs::write(root.join(path), text).unwrap();
        write("etc/passwd", PASSWD);
        write("etc/group", GROUP);
        write(
            "entry",
            "#!/bin/sh\necho \"entry $* as $(id -u) in $PWD\"\n: >/tmp/entered\nexec sleep 1000\n",
        );
        run(Command::new("sh").args(["-euc", ROOT]).arg("sh").arg(&root).arg(self.dir.path()))?;
        let archive = self.dir.path().join("root.tar");
        let import = |changes: &[&str], name: &str| {
            let mut words = vec!["import", "--quiet"];
            changes.iter().for_each(|change| words.extend(["--change", change]));
            let mut command = self.podman(&words);
            run(command.arg(&archive).arg(name))
        };
        import(&["ENV PATH=/bin", "CMD /bin/sh"], BOX)?;
        import(&["ENV PATH=/bin", "USER circleci", "WORKDIR /home/circleci/project"], CIMG)?;
        let kept = [
            "ENV PATH=/bin",
            "ENTRYPOINT [\"/entry\"]",
            "CMD [\"serve\"]",
            "LABEL com.circleci.preserve-entrypoint=true",
        ];
        import(&kept, ENTRY)?;
        run(&mut self.podman(&["run", "--rm", "--network=none", BOX, "/bin/true"]))
    }
}

/// Where cargo has tests keep things; of the bench, which is no test to it, the program's own directory.
fn kept_in() -> PathBuf {
    let of_program = || Some(std::env::current_exe().ok()?.parent()?.to_owned());
    option_env!("CARGO_TARGET_TMPDIR").map(PathBuf::from).or_else(of_program).unwrap()
}

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
                      circleci:x:3434:3434:CircleCI:/home/circleci:/bin/sh\n\
                      nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n";
const GROUP: &str = "root:x:0:\nstaff:x:50:circleci\ncircleci:x:3434:\n";
/// The programs, the owners, the archive.
const ROOT: &str = "cp \"$(command -v busybox)\" \"$1/bin/busybox\"\n\
                    for name in $(busybox --list); do [ $name = busybox ] || ln -s busybox \"$1/bin/$name\"; done\n\
                    chmod 1777 \"$1/tmp\"; chmod 755 \"$1/entry\"\n\
                    tar -C \"$1\" --numeric-owner --owner=0 --group=0 --exclude=./home/circleci -cf \"$2/root.tar\" .\n\
                    tar -C \"$1\" --numeric-owner --owner=3434 --group=3434 -rf \"$2/root.tar\" ./home/circleci\n";

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(said(&output)) }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

impl Podman {
    /// What watched a container may still be at it.
    fn remove(&self) {
        if rustix::process::geteuid().is_root() {
            let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
            let points = mounts.lines().rev().filter_map(|line| line.split(' ').nth(1));
            for point in points.filter(|point| Path::new(point).starts_with(self.dir.path())) {
                let _ = Command::new("umount").args(["--quiet", "--lazy", point]).output();
            }
        } else {
            // Layers belong to accounts of the engine's own namespace, which a process holds for commands to come.
            let _ = self.podman(&["unshare", "rm", "-rf"]).arg(self.dir.path().join("storage")).output();
        }
        let holder = fs::read_to_string(self.dir.path().join("tmp/pause.pid")).ok();
        if let Some(pid) = holder.and_then(|pid| rustix::process::Pid::from_raw(pid.trim().parse().ok()?)) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        if fs::remove_dir_all(self.dir.path()).is_err() {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        if self.docker.is_some() {
            let host = format!("label=roundhouse.host={}", self.dir.path().display());
            let left = self.printed(&["ps", "--all", "--quiet", "--filter", &host]);
            let _ = self.command(&["rm", "--force", "--volumes"]).args(left.lines()).output();
            return;
        }
        let _ = self.podman(&["rm", "--all", "--force", "--depend", "--volumes", "--time=0"]).output();
        self.stop();
        let begun = Instant::now();
        while self.dir.path().exists() && begun.elapsed() < BEGIN {
            self.remove();
        }
    }
}
