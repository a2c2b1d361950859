//! The local socket: HTTP/1.1 on a thread of its own, so that a launch-agent whose Supervisor hangs still answers.

use super::{Board, Status, metrics};
use crate::supervisor::Command;
use actix_http::{
    HttpService, KeepAlive, Method, Request, Response, StatusCode,
    body::BoxBody,
    header::{ALLOW, CONTENT_TYPE},
};
use actix_service::{Service, ServiceFactory};
use protocol::exposition;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};
use sandbox::packet::at_address;
use slog::{Logger, error};
use std::{
    convert::Infallible,
    fs::Permissions,
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{mpsc, oneshot},
    task::{JoinSet, LocalSet, spawn_blocking},
    time::timeout,
};

/// So many are answered at once; others wait in the kernel's queue.
const MOST: usize = 8;
/// In the kernel's queue.
const BACKLOG: i32 = 16;
/// One request with its answer, whatever the other side does.
const LONGEST: Duration = Duration::from_secs(10);
/// Within which a request has to come.
const REQUEST: Duration = Duration::from_secs(5);
/// How long a fresh answer of the Supervisor is waited for, and one of the disk.
const PATIENCE: Duration = Duration::from_secs(1);
/// Of the thread that answers.
const STACK: usize = 512 * 1024;

/// What the answers are made of.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) board: Arc<Board>,
    pub(crate) commands: mpsc::UnboundedSender<Command>,
    /// The folder of all tasks' directories.
    pub(crate) tasks: PathBuf,
}

/// The thread that answers. Dropping this ends it and removes the socket.
#[derive(Debug)]
pub(crate) struct Server {
    path: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Binds the socket, in the place of what an earlier life left, for its owner alone.
    pub(crate) fn start(path: PathBuf, asked: Asked, log: Logger) -> io::Result<Self> {
        let listener = bound(&path)?;
        let (stop, stopped) = oneshot::channel();
        let serving = move || {
            if let Err(error) = serve(listener, asked, stopped, &log) {
                error!(log, "the status socket is not served any more"; "error" => %error);
            }
        };
        let thread = thread::Builder::new().name("status".to_owned()).stack_size(STACK).spawn(serving)?;
        Ok(Self { path, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        // Nothing it could say matters any more; and who finds no socket knows that nobody is there.
        let _ = self.thread.take().map(JoinHandle::join);
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Nobody can connect before the mode is set: until it listens, the socket refuses.
fn bound(path: &Path) -> io::Result<std::os::unix::net::UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    at_address(path, |address| bind(&socket, address))?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

fn serve(
    listener: std::os::unix::net::UnixListener,
    asked: Asked,
    stopped: oneshot::Receiver<()>,
    log: &Logger,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .thread_keep_alive(PATIENCE)
        .build()?;
    let here = LocalSet::new();
    let served = here.block_on(&runtime, async move {
        let listener = UnixListener::from_std(listener)?;
        tokio::select! {
            () = accept(listener, asked, log) => {}
            _ = stopped => {}
        }
        Ok(())
    });
    // A disk that does not answer is not waited for.
    runtime.shutdown_background();
    served
}

async fn accept(listener: UnixListener, asked: Asked, log: &Logger) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MOST => match accepted {
                Ok((stream, _)) => drop(connections.spawn_local(timeout(LONGEST, answer(stream, asked.clone())))),
                // Descriptors may be short.
                Err(_) => tokio::time::sleep(PATIENCE).await,
            },
            Some(over) = connections.join_next() => if let Err(died) = over {
                error!(log, "an answer at the status socket failed"; "error" => %died);
            },
        }
    }
}

/// One request. A service of its own for each: one that is kept would keep a clock ticking for its `Date`.
async fn answer(stream: UnixStream, asked: Asked) {
    let answered = move |request: Request| {
        let asked = asked.clone();
        async move { Ok::<_, Infallible>(respond(&request, &asked).await) }
    };
    let service =
        HttpService::build().keep_alive(KeepAlive::Disabled).client_request_timeout(REQUEST).h1(answered);
    if let Ok(connection) = service.new_service(()).await {
        // What fails here is that nobody listens any more.
        let _ = connection.call((stream, None)).await;
    }
}

async fn respond(request: &Request, asked: &Asked) -> Response<BoxBody> {
    if request.method() != Method::GET {
        let mut refused =
            said(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET is answered here\n".to_owned());
        refused.headers_mut().insert(ALLOW, "GET".parse().expect("it is a method"));
        return refused;
    }
    match request.path() {
        "/status" => match serde_json::to_string(&asked.status().await) {
            Ok(json) => said(StatusCode::OK, "application/json", json + "\n"),
            Err(error) => said(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n")),
        },
        "/metrics" => {
            said(StatusCode::OK, exposition::CONTENT_TYPE, metrics::exposition(&asked.status().await))
        }
        "/healthz" => judged("it lives", asked.status().await.is_dead_of()),
        "/readyz" => judged("it is ready", asked.status().await.is_unready_for()),
        path => {
            let others = "/status, /metrics, /healthz or /readyz";
            said(StatusCode::NOT_FOUND, TEXT, format!("no {path} here: ask for {others}\n"))
        }
    }
}

fn judged(well: &str, otherwise: Option<String>) -> Response<BoxBody> {
    match otherwise {
        None => said(StatusCode::OK, TEXT, format!("{well}\n")),
        Some(reason) => said(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{reason}\n")),
    }
}

const TEXT: &str = "text/plain; charset=utf-8";

fn said(status: StatusCode, kind: &'static str, body: String) -> Response<BoxBody> {
    let mut response = Response::with_body(status, BoxBody::new(body));
    response.headers_mut().insert(CONTENT_TYPE, kind.parse().expect("it is a content type"));
    response
}

impl Asked {
    /// As fresh as the Supervisor makes it within its time; else what was last known.
    async fn status(&self) -> Status {
        let (answer, fresh) = oneshot::channel();
        if self.commands.send(Command::Standings(answer)).is_ok() {
            let _ = timeout(PATIENCE, fresh).await;
        }
        let tasks = self.tasks.clone();
        let spooled = timeout(PATIENCE, spawn_blocking(move || spool_bytes(&tasks))).await;
        Status { spool_bytes: spooled.ok().and_then(Result::ok), ..self.board.status() }
    }
}

/// What logs take on disk: what is acknowledged of them is given back while they grow.
fn spool_bytes(tasks: &Path) -> u64 {
    let entries = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten();
    let spools = entries(tasks).flat_map(|task| entries(&task.path().join("steps")));
    spools
        .filter_map(|spool| std::os::unix::fs::MetadataExt::blocks(&spool.metadata().ok()?).checked_mul(512))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{Standing, ask, socket_path};
    use slog::{Discard, o};
    use std::io::{Read, Write};
    use supervise::Tree;

    fn answered(state_dir: &Path, path: &str) -> String {
        let mut stream = std::os::unix::net::UnixStream::connect(socket_path(state_dir)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn a_supervisor_that_hangs_is_said_to_hang_with_what_was_last_known_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let board = Arc::new(Board::new(Tree::of::<u8>(), "name", "http://plane"));
        board.publish(Standing { host: "Serving".to_owned(), slots: 4, taken: 3, ..Standing::default() });
        // Nobody takes what is asked out of here.
        let (commands, _inbox) = mpsc::unbounded_channel();
        let asked = Asked { board: board.clone(), commands, tasks: dir.path().join("tasks") };
        let log = Logger::root(Discard, o!());
        let server = Server::start(socket_path(dir.path()), asked, log).unwrap();
        let fresh = ask(dir.path()).unwrap();
        assert!(!fresh.hung && fresh.silent_ms >= 1_000, "it was waited for: {fresh:?}");
        board.was_heard_before(Duration::from_secs(60));
        let status = ask(dir.path()).unwrap();
        assert_eq!((status.host.as_str(), status.slots, status.taken, status.hung), ("Serving", 4, 3, true));
        assert_eq!(status.tree.state, "Hung, was New");
        for path in ["/healthz", "/readyz"] {
            let answer = answered(dir.path(), path);
            assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("hangs: no sign"), "{answer}");
        }
        drop(server);
        assert!(ask(dir.path()).is_err());
    }
}
