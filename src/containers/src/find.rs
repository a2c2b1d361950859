//! Which engine: the one that is configured, the one that the environment names, or the first that answers where engines
//! are wont to listen.

use crate::engine::{About, Engine};
use bollard::{
    API_DEFAULT_VERSION, BollardRequest, Docker, errors::Error,
    models::SystemInfoCgroupVersionEnum as CgroupVersion,
};
use rustix::net::sockopt::socket_peercred;
use std::{
    env, fmt,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::timeout;

/// How long an engine has to say what it is. One that a service manager starts only now is slow.
const ANSWER: Duration = Duration::from_secs(20);
/// How long any call waits for the beginning of its answer, in seconds.
const HEADER: u64 = 120;

/// Where an engine may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// The socket that is configured. If there is one, no other is tried.
    pub socket: Option<PathBuf>,
    /// `DOCKER_HOST`. The same.
    pub docker_host: Option<String>,
    /// `XDG_RUNTIME_DIR`: where engines without root's rights listen.
    pub runtime_dir: Option<PathBuf>,
}

/// No engine that jobs can run with.
#[derive(Debug, thiserror::Error)]
pub enum NoEngine {
    /// The address is none of a unix socket.
    #[error(
        "`{0}` is no container engine on this host: jobs in containers need one that listens on a unix socket (unix:///run/docker.sock), because descriptors of files cross to them"
    )]
    NotLocal(String),
    /// It runs on another kernel: in a virtual machine, or behind a forwarded socket.
    #[error(
        "the container engine at {} runs on another kernel ({theirs}) than this host's ({ours}): descriptors of files cannot cross to its containers; install Docker or Podman on this host itself", socket.display()
    )]
    OtherKernel {
        /// Where it listens.
        socket: PathBuf,
        /// Its system and kernel.
        theirs: String,
        /// This host's.
        ours: String,
    },
    /// None answers.
    #[error("no container engine answers on this host: {0}")]
    Nowhere(Tried),
}

/// What was tried, and why it was of no use.
#[derive(Debug)]
pub struct Tried(Vec<(PathBuf, String)>);

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (socket, why) in &self.0 {
            write!(f, "{}: {why}; ", socket.display())?;
        }
        f.write_str("start one (`systemctl start docker`, `systemctl --user start podman.socket`), or name its socket")
    }
}

impl Wish {
    /// What this process's environment says, and the configured socket.
    pub fn of_environment(socket: Option<PathBuf>) -> Self {
        let docker_host = env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
        Self { socket, docker_host, runtime_dir: env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) }
    }

    /// The sockets to try, in order.
    fn sockets(&self) -> Result<Vec<PathBuf>, NoEngine> {
        if let Some(socket) = &self.socket {
            return Ok(vec![path_of(&socket.to_string_lossy())?]);
        }
        if let Some(host) = &self.docker_host {
            return Ok(vec![path_of(host)?]);
        }
        let of_root = ["/run/docker.sock", "/run/podman/podman.sock"].map(PathBuf::from);
        let of_user = self
            .runtime_dir
            .iter()
            .flat_map(|dir| ["docker.sock", "podman/podman.sock"].map(|name| dir.join(name)));
        Ok(of_root.into_iter().chain(of_user).collect())
    }
}

fn path_of(address: &str) -> Result<PathBuf, NoEngine> {
    let path = address.strip_prefix("unix://").unwrap_or(address);
    if path.starts_with('/') { Ok(path.into()) } else { Err(NoEngine::NotLocal(address.to_owned())) }
}

impl Engine {
    /// Finds an engine of this host that answers.
    pub async fn find(wish: &Wish) -> Result<Self, NoEngine> {
        let mut tried = Vec::new();
        for socket in wish.sockets()? {
            match timeout(ANSWER, ask(&socket)).await {
                Ok(Ok(met)) => return met.on_this_kernel(),
                Ok(Err(error)) => tried.push((socket.clone(), why_not(&socket, &error))),
                Err(_) => tried.push((socket, format!("it does not answer within {} s", ANSWER.as_secs()))),
            }
        }
        Err(NoEngine::Nowhere(Tried(tried)))
    }
}

/// An engine that answered.
struct Met {
    docker: Docker,
    about: About,
    /// The system, the processor and the kernel that it says it runs on.
    system: String,
    kernel: String,
}

async fn ask(socket: &Path) -> Result<Met, Error> {
    let docker = Docker::connect_with_unix(&socket.to_string_lossy(), HEADER, API_DEFAULT_VERSION)?;
    let docker = docker.with_request_modifier(with_safe_header).negotiate_version().await?;
    let (version, info) = (docker.version().await?, docker.info().await?);
    let components = version.components.unwrap_or_default();
    let is_podman = components.iter().any(|component| component.name.contains("Podman"));
    let options = info.security_options.unwrap_or_default();
    let is_rootless = is_anothers(socket) || options.iter().any(|option| option.contains("rootless"));
    let about = About {
        socket: socket.to_owned(),
        name: if is_podman { "Podman" } else { "Docker" },
        version: version.version.unwrap_or_default(),
        is_rootless,
        processors: info.ncpu.and_then(|count| u32::try_from(count).ok()).unwrap_or(u32::MAX),
        limits: !is_rootless || info.cgroup_version != Some(CgroupVersion::_1),
    };
    let system = info.os_type.or(version.os).unwrap_or_default();
    let kernel = info.kernel_version.or(version.kernel_version).unwrap_or_default();
    Ok(Met { docker, about, system, kernel })
}

/// Whether an account other than root's listens there. Podman does not say so by itself.
fn is_anothers(socket: &Path) -> bool {
    let connection = std::os::unix::net::UnixStream::connect(socket);
    let peer = connection.ok().and_then(|connection| socket_peercred(connection).ok());
    peer.is_some_and(|peer| !peer.uid.is_root())
}

/// Engines read this header in base64 of the kind that is safe in addresses, and take a login in the other kind for none.
fn with_safe_header(mut request: BollardRequest) -> BollardRequest {
    if let Some(login) = request.headers_mut().get_mut("x-registry-auth")
        && let Ok(text) = login.to_str()
        && let Ok(safe) = text.replace('+', "-").replace('/', "_").parse()
    {
        *login = safe;
    }
    request
}

impl Met {
    fn on_this_kernel(self) -> Result<Engine, NoEngine> {
        let own = rustix::system::uname();
        let ours = own.release().to_string_lossy().into_owned();
        if self.system == "linux" && self.kernel == ours {
            return Ok(Engine::new(self.docker, self.about));
        }
        let theirs = format!("{} {}", self.system, self.kernel);
        Err(NoEngine::OtherKernel { socket: self.about.socket, theirs, ours: format!("linux {ours}") })
    }
}

/// A connection that fails says little: the file says more.
fn why_not(socket: &Path, error: &Error) -> String {
    match std::os::unix::net::UnixStream::connect(socket) {
        Err(why) if why.kind() == std::io::ErrorKind::PermissionDenied => {
            format!("this account may not connect to it ({why}); add it to the socket's group")
        }
        Err(why) => why.to_string(),
        Ok(_) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(socket: Option<&str>, docker_host: Option<&str>, runtime_dir: Option<&str>) -> Wish {
        Wish {
            socket: socket.map(PathBuf::from),
            docker_host: docker_host.map(str::to_owned),
            runtime_dir: runtime_dir.map(PathBuf::from),
        }
    }

    #[test]
    fn what_is_configured_comes_before_the_environment_and_that_before_the_usual_places() {
        let sockets = |wish: Wish| wish.sockets().unwrap();
        assert_eq!(sockets(wish(Some("/a"), Some("unix:///b"), Some("/c"))), [Path::new("/a")]);
        assert_eq!(sockets(wish(Some("unix:///a"), None, None)), [Path::new("/a")]);
        assert_eq!(sockets(wish(None, Some("unix:///b"), Some("/c"))), [Path::new("/b")]);
        let usual = sockets(wish(None, None, Some("/c")));
        assert_eq!(usual.len(), 4);
        assert_eq!(usual[3], Path::new("/c/podman/podman.sock"));
    }

    #[test]
    fn an_address_of_another_host_is_refused_by_name() {
        for address in
            ["tcp://10.0.0.1:2375", "ssh://user@host", "npipe:////./pipe/docker_engine", "fd://", "host:2375"]
        {
            let refused = wish(None, Some(address), None).sockets().unwrap_err().to_string();
            assert!(refused.contains(address) && refused.contains("unix socket"), "{refused}");
        }
    }
}
