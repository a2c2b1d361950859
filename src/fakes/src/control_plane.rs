//! The control plane's side of the wire, in memory, with its HTTP server on a thread of its own.

mod blobs;
mod routes;
mod state;
mod stream;
mod trouble;

pub use state::{CLASS_TOKEN, State, Task};
pub use trouble::Trouble;

use actix_web::{App, HttpServer, dev::ServerHandle, middleware, web};
use protocol::{ids::TaskId, task::TaskSpec};
use std::{
    net::TcpListener,
    sync::{Arc, Mutex, MutexGuard},
    thread::JoinHandle,
    time::Duration,
};
use tokio::sync::watch;

/// How long anything is waited for.
const DEADLINE: Duration = Duration::from_secs(60);

/// A running fake; dropping it ends it.
#[derive(Debug)]
pub struct ControlPlane {
    shared: Arc<Shared>,
    address: std::net::SocketAddr,
    server: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

/// What the routes work on.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    changes: watch::Sender<u64>,
}

impl Shared {
    /// Looks at the state, or changes it; whoever waits for a change looks again.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let done = work(&mut self.lock());
        self.changes.send_modify(|count| *count += 1);
        done
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no route panics while it holds the state")
    }

    /// Waits until `look` sees something; none once `time` is over.
    pub(crate) async fn until<T>(
        &self,
        time: Duration,
        mut look: impl FnMut(&mut State) -> Option<T>,
    ) -> Option<T> {
        let mut changes = self.changes.subscribe();
        let seeing = async {
            loop {
                let seen = look(&mut self.lock());
                if let Some(seen) = seen {
                    return seen;
                }
                changes.changed().await.expect("the sender is in self");
            }
        };
        tokio::time::timeout(time, seeing).await.ok()
    }
}

impl ControlPlane {
    /// Starts one on a loopback port. It accepts [`CLASS_TOKEN`] and has no task yet.
    pub fn start() -> Self {
        Self::start_at("127.0.0.1:0")
    }

    /// Starts one at this address.
    pub fn start_at(address: &str) -> Self {
        let listener = TcpListener::bind(address).expect("a loopback port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared { state: Mutex::default(), changes: watch::Sender::new(0) });
        let (server, thread) = serve(listener, shared.clone());
        Self { shared, address, server, thread: Some(thread) }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Puts a task into the queue; its epoch is the fake's to say.
    pub fn enqueue(&self, spec: TaskSpec) -> TaskId {
        let id = spec.task;
        self.shared.with(|state| state.enqueue(spec));
        id
    }

    /// Looks at the state, or changes it.
    pub fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        self.shared.with(work)
    }

    /// A copy of all that is known of a task.
    pub fn task(&self, task: TaskId) -> Task {
        self.with(|state| state.tasks[&task].clone())
    }

    /// From now on, the calls whose path begins so meet this trouble, so many times.
    pub fn trouble(&self, path: &str, times: usize, trouble: Trouble) {
        self.with(|state| state.troubles.push((path.to_owned(), times, trouble)));
    }

    /// No trouble any more.
    pub fn calm(&self) {
        self.with(|state| state.troubles.clear());
    }

    /// Waits until `look` sees something; panics with `what` if it never does.
    pub async fn until<T>(&self, what: &str, mut look: impl FnMut(&State) -> Option<T>) -> T {
        let seen = self.shared.until(DEADLINE, |state| look(state)).await;
        seen.unwrap_or_else(|| {
            panic!("{what}: not within {} s; {:#?}", DEADLINE.as_secs(), self.shared.lock())
        })
    }

    /// Waits for the end of a task, and holds all that was told of it against the invariants.
    pub async fn ended(&self, task: TaskId) -> Task {
        let over = |state: &State| state.tasks.get(&task).filter(|task| task.ended.is_some()).cloned();
        let ended = self.until(&format!("the end of task {task}"), over).await;
        self.assert_sound();
        ended
    }

    /// Panics if anything that was ever told broke a rule of the protocol.
    pub fn assert_sound(&self) {
        let violations = self.with(|state| state.violations());
        assert!(violations.is_empty(), "rules of the protocol were broken: {violations:#?}");
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        drop(self.server.stop(false));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Serves on a thread with an actix system of its own.
fn serve(listener: TcpListener, shared: Arc<Shared>) -> (ServerHandle, JoinHandle<()>) {
    let (tell, told) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            let data = web::Data::from(shared);
            let app = move || {
                let limit = web::PayloadConfig::new(1 << 30);
                let json = web::JsonConfig::default().limit(64 << 20);
                let trouble = middleware::from_fn(trouble::meet);
                App::new()
                    .app_data(data.clone())
                    .app_data(limit)
                    .app_data(json)
                    .wrap(trouble)
                    .configure(routes::all)
            };
            let server = HttpServer::new(app).h1_allow_half_closed(false);
            let server = server.workers(1).disable_signals().shutdown_timeout(0);
            let server = server.listen(listener).expect("the listener is bound").run();
            tell.send(server.handle()).expect("the starter waits");
            server.await.expect("the server runs until it is stopped");
        });
    });
    (told.recv().expect("the server starts"), thread)
}
