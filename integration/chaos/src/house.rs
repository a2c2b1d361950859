//! The real programs, each started again whenever it ends, as a service manager would: a control plane and two hosts.

mod earlier;
mod groups;
mod marked;
mod service;

pub(crate) use groups::{control_groups, names};
pub use marked::{Process, processes};
pub use service::Service;

use crate::{
    disk::{Disk, Shared},
    fault::POISON_AFTER,
    history::History,
    operator::Operator,
    oracle::HOST_NAMES,
    patience,
    proxy::Proxy,
    workload::CLASS,
};
use rustix::process::Signal;
use std::{
    fs::{self, File, Permissions},
    io,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};
use tempfile::TempDir;

/// How long a program may take to be ready.
const PATIENCE: Duration = Duration::from_secs(40);
/// Between looks at whether a service ended.
const LOOK: Duration = Duration::from_millis(50);
/// Of a disk, in megabytes.
const PLANE_DISK: u64 = 768;
const HOST_DISK: u64 = 192;

/// What a house is made with.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the programs lie.
    pub programs: PathBuf,
    /// The guard that the programs are to do without, if any.
    pub mutation: Option<&'static str>,
    /// How long a lease lasts, in milliseconds.
    pub lease: u64,
}

/// A place of its own with the programs in it. Dropping it ends everything that runs there.
#[derive(Debug)]
pub struct House {
    plan: Plan,
    /// Where jobs count their executions.
    pub runs: PathBuf,
    /// The control plane.
    pub plane: Service,
    /// The disk of its data.
    pub plane_disk: Disk,
    /// The launch-agents.
    pub hosts: Vec<Host>,
    /// The operator.
    pub operator: Operator,
    stop: Arc<AtomicBool>,
    minders: Vec<JoinHandle<()>>,
    // Last: the disks are unmounted before their mount points go.
    _shared: Shared,
    root: TempDir,
}

/// A host: its launch-agent, its disk, and its way to the control plane.
#[derive(Debug)]
pub struct Host {
    /// The launch-agent.
    pub agent: Service,
    /// The disk of its state.
    pub disk: Disk,
    /// Between it and the control plane.
    pub proxy: Proxy,
    /// Its state directory.
    pub state: PathBuf,
    /// Where its jobs work.
    pub work: PathBuf,
    mark: String,
    /// There while the operator's check is not content.
    unwell: PathBuf,
}

impl House {
    /// Makes the disks, starts the control plane, and makes the class; no launch-agent runs yet.
    pub fn open(plan: Plan, history: &Arc<History>) -> io::Result<Self> {
        earlier::sweep()?;
        let root = tempfile::Builder::new().prefix(earlier::PREFIX).tempdir_in(earlier::PLACE)?;
        earlier::own(root.path())?;
        let shared = Shared::make(root.path())?;
        fs::set_permissions(root.path(), Permissions::from_mode(0o755))?;
        let runs = root.path().join("runs");
        fs::create_dir(&runs)?;
        fs::set_permissions(&runs, Permissions::from_mode(0o1777))?;
        let address = format!("127.0.0.1:{}", free_port()?);
        let plane_disk = Disk::make(&root.path().join("plane"), PLANE_DISK)?;
        let plane = plane(&plan, root.path(), &address, history)?;
        plane.start();
        let token = root.path().join("plane/data/operator-token");
        let operator = patience::until(PATIENCE, || {
            let operator = Operator::new(&address, fs::read_to_string(&token).ok()?.trim());
            operator.is_answered().then_some(operator)
        });
        let operator = operator.ok_or_else(|| io::Error::other("the control plane does not start"))?;
        let token = operator.enlist()?;
        let hosts = (0..HOST_NAMES.len())
            .map(|number| Host::make(&plan, root.path(), number, (&address, &token), history));
        let hosts = hosts.collect::<io::Result<Vec<_>>>()?;
        let stop = Arc::new(AtomicBool::new(false));
        let services = hosts.iter().map(|host| host.agent.clone()).chain([plane.clone()]);
        let minders = services.map(|service| minder(service, stop.clone())).collect();
        Ok(Self { plan, runs, plane, plane_disk, hosts, operator, stop, minders, _shared: shared, root })
    }

    /// Its directory.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// How long a lease lasts, in milliseconds.
    pub fn lease(&self) -> u64 {
        self.plan.lease
    }

    /// Moves the control plane's wall clock to so many milliseconds beside the true one.
    pub fn set_clock(&self, off_by: i64) -> io::Result<()> {
        let clock = self.root().join("points/plane/clock");
        fs::write(clock.with_extension("new"), off_by.to_string())?;
        fs::rename(clock.with_extension("new"), clock)
    }

    /// Has the next passage of a host's launch-agent through a place panic; whether it was not going to anyway.
    pub fn arm(&self, host: usize, point: &str) -> io::Result<bool> {
        let path = self.root().join("points").join(HOST_NAMES[host]).join(point);
        match File::create_new(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            made => made.map(|_| true),
        }
    }

    /// Forgets panics that were armed; how many have not happened.
    pub fn disarm(&self) -> io::Result<u64> {
        let mut left = 0;
        for name in HOST_NAMES {
            for entry in fs::read_dir(self.root().join("points").join(name))? {
                left += u64::from(fs::remove_file(entry?.path()).is_ok());
            }
        }
        Ok(left)
    }

    /// What the control plane's own check finds wrong with its data, once it has ended.
    pub fn check_data(&self) -> io::Result<Option<String>> {
        let mut check = Command::new(self.plan.programs.join("roundhouse"));
        check.args(["server", "check", "--deep", "--data-dir"]).arg(self.root().join("plane/data"));
        let output = check.output()?;
        let said = [output.stdout, output.stderr].concat();
        Ok((!output.status.success()).then(|| String::from_utf8_lossy(&said).into_owned()))
    }

    /// Starts what was ended by itself no more.
    pub fn mind_no_more(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for minder in self.minders.drain(..) {
            // It does nothing that could panic.
            let _ = minder.join();
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.mind_no_more();
        self.hosts.iter().for_each(Host::kill_everything);
        self.plane.kill(0);
    }
}

impl Host {
    fn make(
        plan: &Plan,
        root: &Path,
        number: usize,
        (address, token): (&str, &str),
        history: &Arc<History>,
    ) -> io::Result<Self> {
        let (name, disk_at) = (HOST_NAMES[number], root.join(HOST_NAMES[number]));
        let disk = Disk::make(&disk_at, HOST_DISK)?;
        let (state, work) = (disk_at.join("state"), root.join("work").join(name));
        let (proxy, unwell) = (Proxy::start(address)?, root.join(format!("{name}.unwell")));
        let config = root.join(format!("{name}.yaml"));
        let text = format!(
            "api: {{url: '{}'}}\nrunner:\n  name: {name}\n  concurrency: 4\n  grace: 1s\n  min_free: 8MiB\n  poison_after: {POISON_AFTER}\n\
             \x20 health_check: [test, '!', -e, {}]\n  health_interval: 500ms\n  state_directory: {}\n  task_directory: {}\n  environment: [PATH, CHAOS_PLACE]\n\
             cache: {{size: 48MiB}}\nlogging: {{format: json}}\nresource_classes:\n  {CLASS}: {{token: {token}}}\n",
            proxy.url(),
            unwell.display(),
            state.display(),
            work.display()
        );
        fs::write(&config, text)?;
        fs::set_permissions(&config, Permissions::from_mode(0o600))?;
        let mark = place(root, name);
        let mut command = Command::new(plan.programs.join("roundhouse"));
        command.arg("launch-agent").arg("-c").arg(&config).env("CHAOS_PLACE", &mark);
        surround(&mut command, plan, root, name)?;
        let agent = Service::new(
            format!("launch-agent ended by itself: host {number}"),
            command,
            root.join(format!("{name}.log")),
            history,
        );
        Ok(Self { agent, disk, proxy, state, work, mark, unwell })
    }

    /// Says so to the operator's check.
    pub fn is_well(&self, is_well: bool) -> io::Result<()> {
        match is_well {
            false => fs::write(&self.unwell, ""),
            true if self.unwell.exists() => fs::remove_file(&self.unwell),
            true => Ok(()),
        }
    }

    /// Everything that runs on it: the launch-agent, task-agents, jobs.
    pub fn processes(&self) -> Vec<Process> {
        processes(&self.mark)
    }

    /// Its task-agents with their tasks.
    pub fn task_agents(&self) -> Vec<(Process, String)> {
        let agents = self.state.join("agents");
        let own = self
            .processes()
            .into_iter()
            .filter(|process| process.command_line().contains(&*agents.to_string_lossy()));
        own.filter_map(|process| Some((process, process.task()?))).collect()
    }

    /// Ends all that runs on it, as a power cut would; a kernel that boots has no control groups either.
    pub fn kill_everything(&self) {
        let tasks = names(&self.state.join("tasks"));
        self.kill_processes();
        for group in control_groups(&tasks) {
            // What it held is dead.
            let _ = fs::remove_dir(group);
        }
    }

    fn kill_processes(&self) {
        self.agent.kill(u64::MAX);
        // Whatever is born meanwhile is found by the next look.
        patience::until(Duration::from_secs(10), || {
            let left = self.processes();
            left.iter().for_each(|process| process.signal(Signal::KILL));
            left.is_empty().then_some(())
        });
    }
}

fn plane(plan: &Plan, root: &Path, address: &str, history: &Arc<History>) -> io::Result<Service> {
    let port = address.rsplit(':').next().unwrap_or_default();
    let mut command = Command::new(plan.programs.join("roundhouse"));
    // An address for every interface: contents are then fetched by the way that launch-agents came.
    command.args(["server", "--log-format", "json", "--listen", &format!("0.0.0.0:{port}")]);
    command.arg("--lease").arg(format!("{}ms", plan.lease)).arg("--data-dir").arg(root.join("plane/data"));
    command.env("CHAOS_PLACE", place(root, "plane"));
    surround(&mut command, plan, root, "plane")?;
    Ok(Service::new("control plane ended by itself".to_owned(), command, root.join("plane.log"), history))
}

/// What marks every process of one place, and what jobs inherit.
fn place(root: &Path, name: &str) -> String {
    format!("{}:{name}", root.display())
}

fn surround(command: &mut Command, plan: &Plan, root: &Path, name: &str) -> io::Result<()> {
    let points = root.join("points").join(name);
    fs::create_dir_all(&points)?;
    command.current_dir(root).env_remove("ROUNDHOUSE_MUTATE").env("ROUNDHOUSE_FAILPOINTS", points);
    command.env("TMPDIR", root);
    if let Some(mutation) = plan.mutation {
        command.env("ROUNDHOUSE_MUTATE", mutation);
    }
    Ok(())
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn minder(service: Service, stop: Arc<AtomicBool>) -> JoinHandle<()> {
    thread::spawn(move || {
        while !stop.load(Ordering::SeqCst) {
            service.mind();
            thread::sleep(LOOK);
        }
    })
}
