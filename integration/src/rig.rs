//! A place of its own with the real programs in it: a control plane, launch-agents, and nothing left behind.
//!
//! The programs are those beside the running test's (`target/<profile>/roundhouse`, `roundhouse-task-agent`), or those in
//! `ROUNDHOUSE_PROGRAMS`.

use crate::{
    proc::{self, Process},
    wait,
};
use protocol::{
    api::{NewPipeline, Resource, Token},
    ids::{PipelineId, ResourceClass},
    task::Source,
};
use rustix::process::Signal;
use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// How long a program may take to be ready or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many lines of each log a failed test shows.
const LAST_WORDS: usize = 40;

/// With this option a control plane is called over TLS.
pub const SELF_SIGNED: &str = "--tls-self-signed";

const PROGRAMS: [&str; 2] = ["roundhouse", "roundhouse-task-agent"];

/// A temporary directory that every account may enter, and the programs.
#[derive(Debug)]
pub struct Rig {
    root: TempDir,
    programs: PathBuf,
}

/// A running control plane.
#[derive(Debug)]
pub struct Server {
    /// Where it listens, as `http://…` or `https://…`.
    pub url: String,
    /// The operator's token.
    pub token: String,
    /// Its data directory.
    pub data: PathBuf,
    /// The way to it, for whoever has a token.
    pub transport: client::Transport,
    program: Running,
}

/// A running launch-agent.
#[derive(Debug)]
pub struct Agent {
    /// Its state directory.
    pub state: PathBuf,
    /// Its configuration file.
    pub config: PathBuf,
    program: Running,
}

/// A program that was started; dropping it ends it for certain.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// What it wrote on standard error.
    pub log: PathBuf,
}

impl Rig {
    /// An empty place.
    ///
    /// # Panics
    /// Where the programs are not built.
    pub fn new() -> Self {
        Self::with(programs())
    }

    /// The same with programs that fail where they are told to: those of `ROUNDHOUSE_CHAOS_PROGRAMS`, or of
    /// `chaos` beside the profile's own directory.
    ///
    /// # Panics
    /// Where the programs are not built.
    pub fn with_places_to_fail() -> Self {
        let named = std::env::var_os("ROUNDHOUSE_CHAOS_PROGRAMS").map(PathBuf::from);
        Self::with(named.unwrap_or_else(|| beside_profile("chaos")))
    }

    fn with(programs: PathBuf) -> Self {
        let root =
            tempfile::Builder::new().prefix("roundhouse-rig-").tempdir().expect("a temporary directory");
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        let rig = Self { root, programs };
        for path in rig.programs() {
            assert!(path.exists(), "{} is missing: ./scripts/test builds it", path.display());
        }
        rig
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Writes a file, its directories made.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("below the root")).expect("it is ours");
        fs::write(&path, text).expect("it is ours");
        path
    }

    /// Where the two programs lie.
    pub fn programs(&self) -> [PathBuf; 2] {
        PROGRAMS.map(|program| self.programs.join(program))
    }

    /// `roundhouse`, ready for arguments, with nothing of this process's own settings.
    pub fn roundhouse(&self) -> Command {
        let mut command = Command::new(self.programs.join("roundhouse"));
        command.current_dir(self.root.path()).env_remove("ROUNDHOUSE_TOKEN").env_remove("ROUNDHOUSE_HOST");
        command
    }

    /// Starts a program with its errors in `<name>.log`.
    pub fn start(&self, name: &str, command: Command) -> Running {
        self.start_into(name, command, Stdio::null())
    }

    /// The same with its output somewhere.
    pub fn start_into(&self, name: &str, mut command: Command, output: Stdio) -> Running {
        let log = self.path(&format!("{name}.log"));
        let errors = File::options().create(true).append(true).open(&log).expect("it is ours");
        let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn();
        Running { child: child.expect("the program is there"), log }
    }

    /// A control plane with its data in `<name>`, on a port of its own choice.
    pub fn server(&self, name: &str) -> Server {
        self.server_at(name, "127.0.0.1:0")
    }

    /// The same at a given address, to start one again where it was.
    pub fn server_at(&self, name: &str, address: &str) -> Server {
        self.server_with(name, address, &[])
    }

    /// The same with more options.
    pub fn server_with(&self, name: &str, address: &str, options: &[&str]) -> Server {
        let data = self.path(name);
        let log = self.path(&format!("{name}.log"));
        let before = lines(&log).len();
        let mut command = self.roundhouse();
        command
            .args(["server", "--log-format", "json", "--listen", address, "--data-dir"])
            .arg(&data)
            .args(options);
        let program = self.start(name, command);
        let address = wait::until("the control plane listens", PATIENCE, || {
            lines(&program.log).iter().skip(before).find_map(|line| told(line, "listening", "address"))
        });
        let token = fs::read_to_string(data.join("operator-token")).expect("a started server has written it");
        let is_secure = options.contains(&SELF_SIGNED);
        let url = format!("{}://{address}", if is_secure { "https" } else { "http" });
        let mut settings = client::Settings::new(&url);
        settings.ca_file = is_secure.then(|| data.join("tls/authority.pem"));
        let transport = client::Transport::new(settings).expect("its address is sound");
        Server { url, token: token.trim().to_owned(), data, transport, program }
    }

    /// A launch-agent for these classes, each with its token, with room for `concurrency` tasks; it keeps its state in
    /// `<name>`, also when started again.
    pub fn agent(&self, name: &str, server: &Server, classes: &[(&str, &str)], concurrency: usize) -> Agent {
        self.agent_with(name, &server.url, classes, &[("concurrency", &concurrency.to_string())])
    }

    /// The same with any keys of `runner`, and the control plane at any address.
    pub fn agent_with(
        &self,
        name: &str,
        url: &str,
        classes: &[(&str, &str)],
        runner: &[(&str, &str)],
    ) -> Agent {
        self.agent_within(name, url, classes, runner, &[])
    }

    /// The same with these variables in its environment.
    pub fn agent_within(
        &self,
        name: &str,
        url: &str,
        classes: &[(&str, &str)],
        runner: &[(&str, &str)],
        variables: &[(&str, &Path)],
    ) -> Agent {
        let config = self.configure(name, url, classes, runner);
        let mut command = self.roundhouse();
        command.arg("launch-agent").arg("-c").arg(&config).envs(variables.iter().copied());
        Agent { state: self.path(name), program: self.start(name, command), config }
    }

    /// Writes the configuration of a launch-agent, or writes it anew.
    pub fn configure(
        &self,
        name: &str,
        url: &str,
        classes: &[(&str, &str)],
        runner: &[(&str, &str)],
    ) -> PathBuf {
        let state = self.path(name);
        let classes: String =
            classes.iter().map(|(class, token)| format!("  {class}: {{token: {token}}}\n")).collect();
        let runner: String = runner.iter().map(|(key, value)| format!("  {key}: {value}\n")).collect();
        let config = self.write(
            &format!("{name}.yaml"),
            &format!(
                "api:\n  url: {url}\nrunner:\n  name: {name}\n  state_directory: {}\n{runner}\
                 logging:\n  format: json\nresource_classes:\n{classes}",
                state.display()
            ),
        );
        fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).expect("it is ours");
        config
    }

    /// Processes that still have something of this place in their command lines.
    pub fn leftovers(&self) -> Vec<Process> {
        proc::running(&self.root.path().to_string_lossy())
    }
}

impl Default for Rig {
    fn default() -> Self {
        Self::new()
    }
}

impl Rig {
    /// What its programs said last, for the report of a failed test: their directory is removed.
    fn tell_logs(&self) {
        let is_log = |name: &String| Path::new(name).extension().is_some_and(|extension| extension == "log");
        for name in proc::names(self.root.path()).unwrap_or_default().iter().filter(|name| is_log(name)) {
            let said = lines(&self.path(name));
            let last = &said[said.len().saturating_sub(LAST_WORDS)..];
            eprintln!("last in {name}:\n{}\nstill running: {:?}", last.join("\n"), self.leftovers());
        }
    }
}

impl Drop for Rig {
    /// Whatever a failed test left running ends here, jobs' processes below their task-agents too.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell_logs();
        }
        proc::trees(self.leftovers()).into_iter().for_each(|process| process.signal(Signal::KILL));
    }
}

impl Server {
    /// The operator's side of its API, with connections of its own.
    pub fn operator(&self) -> client::Operator {
        self.transport.operator(&self.token)
    }

    /// A launch-agent's side of its API.
    pub fn runner(&self, token: &str) -> client::Runner {
        self.transport.runner(token)
    }

    /// Makes a resource class with a token, and gives the token.
    pub async fn class(&self, class: &str) -> String {
        let operator = self.operator();
        let resource_class: ResourceClass = class.parse().expect("a resource class");
        let resource = Resource {
            id: None,
            resource_class: resource_class.clone(),
            description: String::new(),
            max_tasks: None,
        };
        operator.create_resource(&resource).await.expect("a new resource class");
        let token =
            Token { id: None, resource_class, nickname: "rig".to_owned(), token: None, created_at: None };
        operator.create_token(&token).await.expect("a new token").token.expect("shown this once")
    }

    /// Starts a pipeline without a source, its jobs on `class`.
    pub async fn pipeline(&self, config: &str, class: &str) -> PipelineId {
        let created = self.operator().create_pipeline(&pipeline(config, class)).await;
        created.unwrap_or_else(|error| panic!("{error}")).id
    }

    /// The process.
    pub fn process(&self) -> Process {
        self.program.process()
    }

    /// The program, to be ended otherwise than by dropping.
    pub fn program(&mut self) -> &mut Running {
        &mut self.program
    }
}

impl Agent {
    /// The process.
    pub fn process(&self) -> Process {
        self.program.process()
    }

    /// The program, to be ended otherwise than by dropping.
    pub fn program(&mut self) -> &mut Running {
        &mut self.program
    }
}

impl Running {
    /// The process.
    pub fn process(&self) -> Process {
        Process(self.child.id().try_into().expect("a pid is positive"))
    }

    /// How many lines of its log have this in them.
    pub fn says(&self, text: &str) -> usize {
        lines(&self.log).iter().filter(|line| line.contains(text)).count()
    }

    /// Kills it, as a power cut would.
    pub fn kill(&mut self) {
        self.process().signal(Signal::KILL);
        self.child.wait().expect("it is our child");
    }

    /// Waits for its end; its exit status.
    pub fn ended(&mut self, within: Duration) -> i32 {
        let status =
            wait::until("the program ends", within, || self.child.try_wait().expect("it is our child"));
        status.code().unwrap_or(-1)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.try_wait().ok().flatten().is_none() {
            self.process().signal(Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// A pipeline without a source, its jobs on `class`.
pub fn pipeline(config: &str, class: &str) -> NewPipeline {
    NewPipeline {
        project: "local/rig".to_owned(),
        config: config.to_owned(),
        config_path: ".circleci/config.yml".to_owned(),
        parameters: std::collections::BTreeMap::new(),
        selection: protocol::api::Selection::default(),
        source: Source::None,
        git: protocol::api::GitValues::default(),
        environment: Vec::new(),
        contexts: std::collections::BTreeMap::new(),
        default_class: Some(class.parse().expect("a resource class")),
        native: false,
        orbs: Vec::new(),
        ssh_keys: Vec::new(),
        actor: Default::default(),
    }
}

/// Where the programs lie: tests run from `target/<profile>/deps`, others from `target/<profile>`.
fn programs() -> PathBuf {
    std::env::var_os("ROUNDHOUSE_PROGRAMS").map_or_else(profile, PathBuf::from)
}

fn beside_profile(name: &str) -> PathBuf {
    profile().parent().expect("a profile lies in the target directory").join(name)
}

fn profile() -> PathBuf {
    let own = std::env::current_exe().expect("the running program has a path");
    let directory = own.parent().expect("a program lies in a directory");
    if directory.ends_with("deps") { directory.parent().map(Path::to_owned) } else { None }
        .unwrap_or_else(|| directory.to_owned())
}

fn lines(log: &Path) -> Vec<String> {
    fs::read_to_string(log).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// A field of a log line in JSON that says `message`.
fn told(line: &str, message: &str, field: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    if line.get("msg")?.as_str()? == message { Some(line.get(field)?.as_str()?.to_owned()) } else { None }
}
