//! Repositories, and the servers that real people have them on: git's own over HTTP, git's daemon, and an OpenSSH server.

use crate::wait;
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// How long a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A bare repository to fetch from, and a work tree to fill it.
#[derive(Debug)]
pub struct Repository {
    /// The bare one, as servers find it.
    pub bare: PathBuf,
    work: PathBuf,
}

impl Repository {
    /// An empty one in `folder`, its default branch `main`.
    pub fn new(folder: &Path) -> Self {
        let (bare, work) = (folder.join("app.git"), folder.join("work"));
        fs::create_dir_all(folder).expect("it is ours");
        git(folder, &["init", "-q", "--bare", "-b", "main", &bare.to_string_lossy()]);
        git(folder, &["init", "-q", "-b", "main", &work.to_string_lossy()]);
        for (name, value) in [
            ("uploadpack.allowFilter", "true"),
            ("uploadpack.allowAnySHA1InWant", "true"),
            ("http.receivepack", "false"),
        ] {
            git(&bare, &["config", name, value]);
        }
        git(&work, &["remote", "add", "origin", &bare.to_string_lossy()]);
        Self { bare, work }
    }

    /// Commits this file and pushes the commit to a reference; its id.
    pub fn commit(&self, file: &str, text: &str, reference: &str) -> String {
        let path = self.work.join(file);
        fs::create_dir_all(path.parent().expect("below the work tree")).expect("it is ours");
        fs::write(path, text).expect("it is ours");
        git(&self.work, &["add", "-A"]);
        git(
            &self.work,
            &["commit", "-qm", &format!("{file} is {}", text.lines().next().unwrap_or_default())],
        );
        git(&self.work, &["push", "-q", "--force", "origin", &format!("HEAD:{reference}")]);
        git(&self.work, &["rev-parse", "HEAD"])
    }

    /// Runs git in the work tree.
    pub fn git(&self, arguments: &[&str]) -> String {
        git(&self.work, arguments)
    }
}

/// Runs git; what it says.
///
/// # Panics
/// Where it fails.
pub fn git(directory: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.current_dir(directory).args(arguments).env("GIT_CONFIG_GLOBAL", "/dev/null");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "n").env(format!("GIT_{who}_EMAIL"), "n@example.org");
    }
    let output = command.output().expect("git is installed");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// `git http-backend` behind a small HTTP server, as long as the test's process lives.
#[derive(Debug)]
pub struct Http {
    /// Of the folder it serves.
    pub url: String,
    heard: Arc<Heard>,
}

/// What came so far.
#[derive(Debug, Default)]
struct Heard {
    packs: AtomicUsize,
    /// Paths, and what was shown there.
    shown: Mutex<Vec<(String, String)>>,
}

impl Http {
    /// Serves the repositories of a folder.
    pub fn serve(folder: &Path) -> Self {
        Self::serve_to(folder, &[])
    }

    /// The same to whoever shows one of these as `Authorization`; of none, to everybody.
    pub fn serve_to(folder: &Path, shown: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it listens"));
        let (folder, heard) = (folder.to_owned(), Arc::new(Heard::default()));
        let hearing = heard.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (folder, hearing) = (folder.clone(), hearing.clone());
                thread::spawn(move || answer(&stream, (&folder, shown), &hearing));
            }
        });
        Self { url, heard }
    }

    /// How many packs were asked for so far.
    pub fn packs(&self) -> usize {
        self.heard.packs.load(Ordering::SeqCst)
    }

    /// What was shown at paths that begin like this.
    pub fn shown_at(&self, path: &str) -> Vec<String> {
        let shown = self.heard.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.iter().filter(|(at, _)| at.starts_with(path)).map(|(_, shown)| shown.clone()).collect()
    }
}

/// One call, by the rules of CGI.
fn answer(stream: &TcpStream, (folder, shown): (&Path, &[&str]), heard: &Heard) -> Option<()> {
    let mut input = BufReader::new(stream);
    let mut line = String::new();
    input.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut command = Command::new("git");
    command.arg("http-backend").env("GIT_PROJECT_ROOT", folder).env("GIT_HTTP_EXPORT_ALL", "1");
    command.env("REQUEST_METHOD", &method).env("PATH_INFO", path).env("QUERY_STRING", query);
    let (mut length, mut is_let_in) = (0, shown.is_empty());
    for header in input.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty()) {
        let (name, value) = header.split_once(':')?;
        match (name.to_ascii_lowercase().as_str(), value.trim()) {
            ("authorization", value) => {
                is_let_in |= shown.contains(&value);
                let mut all = heard.shown.lock().unwrap_or_else(PoisonError::into_inner);
                all.push((path.to_owned(), value.to_owned()));
            }
            ("content-length", value) => length = value.parse().ok()?,
            ("content-type", value) => drop(command.env("CONTENT_TYPE", value)),
            ("git-protocol", value) => drop(command.env("GIT_PROTOCOL", value)),
            ("content-encoding", value) => drop(command.env("HTTP_CONTENT_ENCODING", value)),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    input.read_exact(&mut body).ok()?;
    let mut output = stream;
    if !is_let_in {
        let head = "HTTP/1.1 401 -\r\nWWW-Authenticate: Basic realm=\"git\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        return output.write_all(head.as_bytes()).ok();
    }
    // A list of references is asked for with the same call.
    if method == "POST" && (body.starts_with(b"0011command=fetch") || has(&body, b"command=fetch")) {
        heard.packs.fetch_add(1, Ordering::SeqCst);
    }
    let child =
        command.env("CONTENT_LENGTH", length.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = child.stderr(Stdio::null()).spawn().ok()?;
    child.stdin.take()?.write_all(&body).ok()?;
    let said = child.wait_with_output().ok()?.stdout;
    let status = said.strip_prefix(b"Status: ").and_then(|rest| std::str::from_utf8(rest.get(..3)?).ok());
    write!(output, "HTTP/1.1 {} -\r\nConnection: close\r\n", status.unwrap_or("200")).ok()?;
    output.write_all(&said).ok()
}

fn has(body: &[u8], words: &[u8]) -> bool {
    body.windows(words.len()).any(|window| window == words)
}

/// A server that is a program; dropping it ends it.
#[derive(Debug)]
pub struct Daemon {
    /// Of the folder it serves.
    pub url: String,
    child: Child,
}

impl Daemon {
    /// `git daemon` over the repositories of a folder.
    pub fn serve(folder: &Path) -> Self {
        let port = free_port();
        // The program itself, so that ending it ends it.
        let programs = git(folder, &["--exec-path"]);
        let mut command = Command::new(Path::new(&programs).join("git-daemon"));
        command.args(["--reuseaddr", "--export-all", "--listen=127.0.0.1"]);
        command.arg(format!("--port={port}")).arg(format!("--base-path={}", folder.display())).arg(folder);
        Self { url: format!("git://127.0.0.1:{port}"), child: listening(command, port) }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An OpenSSH server that lets one key in, as whoever runs the test.
#[derive(Debug)]
pub struct Sshd {
    /// To be put before the path of a repository.
    pub url: String,
    /// The port on the loopback address.
    pub port: u16,
    /// Whom it lets in.
    pub user: String,
    /// The line for `known_hosts`.
    pub known_host: String,
    folder: PathBuf,
    child: Child,
}

impl Sshd {
    /// Starts one with its files in `folder`; none, and a word about it, where the host has no OpenSSH server.
    pub fn start(folder: &Path) -> Option<Self> {
        let program =
            ["/usr/sbin/sshd", "/usr/local/sbin/sshd"].into_iter().find(|path| Path::new(path).exists());
        let Some(program) = program.filter(|_| keygen(folder, "host").is_some()) else {
            eprintln!("skipped: this host has no OpenSSH server (package openssh-server)");
            return None;
        };
        let (port, user) = (free_port(), whoami());
        fs::write(folder.join("authorized_keys"), "").expect("it is ours");
        fs::write(folder.join("config"), config(folder, port)).expect("it is ours");
        // Its own rule where root starts it.
        let _ = fs::create_dir_all("/run/sshd");
        let mut command = Command::new(program);
        command.args(["-D", "-e", "-f"]).arg(folder.join("config")).stderr(log(folder));
        let child = listening(command, port);
        let public = fs::read_to_string(folder.join("host.pub")).expect("it was made");
        Some(Self {
            url: format!("ssh://{user}@127.0.0.1:{port}"),
            known_host: format!("[127.0.0.1]:{port} {public}"),
            port,
            user,
            folder: folder.to_owned(),
            child,
        })
    }

    /// Lets a public key in.
    pub fn admit(&self, public_key: &str) {
        let path = self.folder.join("authorized_keys");
        let known = fs::read_to_string(&path).expect("it was made");
        fs::write(path, format!("{known}{}\n", public_key.trim())).expect("it is ours");
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A new key in `folder`; the path of its private half.
pub fn keygen(folder: &Path, name: &str) -> Option<PathBuf> {
    fs::create_dir_all(folder).expect("it is ours");
    let path = folder.join(name);
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&path).stdin(Stdio::null());
    let made = command.status().ok()?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).ok()?;
    made.success().then_some(path)
}

fn config(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    let path = std::env::var("PATH").unwrap_or_default();
    format!(
        "ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder}/host\nPidFile none\nStrictModes no\nUsePAM no\n\
         AuthorizedKeysFile {folder}/authorized_keys\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n\
         SetEnv PATH={path}\nMaxStartups 100\n"
    )
}

fn log(folder: &Path) -> fs::File {
    fs::File::create(folder.join("sshd.log")).expect("it is ours")
}

fn whoami() -> String {
    let output = Command::new("id").arg("-un").output().expect("every host has it");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it listens").port()
}

fn listening(mut command: Command, port: u16) -> Child {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("the program is there");
    wait::until("the server listens", PATIENCE, || TcpStream::connect(("127.0.0.1", port)).ok());
    child
}
