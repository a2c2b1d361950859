//! Starting and stopping: everything is opened, or a sentence says what could not be.

use crate::{
    api, blob_routes,
    contexts::Contexts,
    data_dir,
    finish::finished,
    logs,
    oidc::Issuer,
    plane::{Parts, Plane, Rules, access::Access, instances::Instances, queue::QueueRules, token},
    secrets::{KeyError, Vault},
    settings::{KeySource, Settings},
    sign_in::SignIns,
    tls::{self, Speaking, TlsError},
    triggers::Fetches,
    web::{self, welcome::Welcome},
};
use actix_web::{
    App, HttpServer,
    body::MessageBody,
    dev::{ServerHandle, ServiceRequest, ServiceResponse},
    middleware::{Next, from_fn},
    web::Data,
};
use blobs::{BlobError, Blobs, Scope};
use logs::Logs;
use protocol::transfer::Content;
use slog::{Logger, error, info};
use std::{
    fs::File,
    io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use store::{DueEvent, DueStatus, OpenError, Store};
use tokio::{sync::watch, task::JoinHandle, time::timeout};

/// The most threads that serve calls.
const MOST_WORKERS: usize = 4;
/// How long calls may take to finish when the control plane stops.
const PATIENCE: Duration = Duration::from_secs(2);
/// How much longer webhooks may take that are being worked on: their providers may have heard already that all is well.
const FOR_WEBHOOKS: Duration = Duration::from_secs(20);
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// A control plane that serves.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it listens on this host alone, without TLS, for calls of its own.
    pub own: SocketAddr,
    /// What callers are to trust, where the certificate was made here.
    pub authority: Option<PathBuf>,
    /// The operator's token.
    pub operator_token: String,
    /// Where the first admin makes themselves known, once and within a day; none where somebody is known.
    pub welcome: Option<String>,
    pub(crate) plane: Arc<Plane>,
    server: ServerHandle,
    closing: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    /// Held as long as the data directory is ours.
    _lock: File,
}

/// A control plane that did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory or something in it cannot be used.
    #[error("cannot {doing} {}: {source}; name a directory that can be written to", path.display())]
    Directory {
        /// In the imperative.
        doing: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process uses the data directory.
    #[error("{} is in use by process {process}: stop it, or name another directory", path.display())]
    Locked {
        /// The data directory.
        path: PathBuf,
        /// As the lock's file says.
        process: String,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; name another address with --listen")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The task-agent's program is not there.
    #[error("cannot read the task-agent {}: {source}; build it with scripts/build-task-agent", path.display())]
    NoAgent {
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// What is in the store cannot be used.
    #[error("cannot take up what the store remembers: {0}")]
    Remembered(String),
    /// The certificate cannot be had.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The key cannot be had.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The blob directory cannot be used.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// People cannot sign in where they are to.
    #[error("people cannot sign in by OpenID Connect: {0}")]
    SignIn(String),
}

impl StartError {
    pub(crate) fn directory(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Directory { doing, path, source }
    }

    fn remembered(error: impl std::fmt::Display) -> Self {
        Self::Remembered(error.to_string())
    }
}

/// Opens the data directory, takes up what was running, and serves. Must be called within an actix `System`.
pub async fn start(settings: Settings, log: Logger) -> Result<Running, StartError> {
    let lock = data_dir::take(&settings.data_dir)?;
    let listener = listen(settings.listen)?;
    let address =
        listener.local_addr().map_err(|source| StartError::Listen { address: settings.listen, source })?;
    let (closing, closed) = watch::channel(false);
    let Opened { plane, operator_token, welcome } = open(&settings, address, log, closed).await?;
    plane.restore_all().await.map_err(StartError::remembered)?;
    let secure = tls::speaking(&settings, address)?;
    let authority = secure.as_ref().and_then(|secure| secure.authority.clone());
    let shown = secure.as_ref().map(|secure| secure.shown.clone());
    let doors = doors(listener, secure)?;
    let own = doors.own;
    let (server, serving) = serve(plane.clone(), doors)
        .map_err(|source| StartError::Listen { address: settings.listen, source })?;
    let mut tasks = vec![
        serving,
        spawn(plane.clone().keep()),
        spawn(plane.clone().keep_schedules()),
        spawn(seal(plane.clone())),
        spawn(plane.clone().finish_rotation()),
        spawn(retain(plane.clone())),
        spawn(plane.clone().tell_others::<DueStatus>()),
        spawn(plane.clone().tell_others::<DueEvent>()),
    ];
    tasks.extend(shown.map(|shown| spawn(shown.keep(plane.clone()))));
    info!(plane.log, "serving"; "address" => %address);
    Ok(Running {
        address,
        own,
        authority,
        operator_token,
        welcome,
        plane,
        server,
        closing,
        tasks,
        _lock: lock,
    })
}

/// Where calls come in.
struct Doors {
    /// With TLS or without.
    listener: TcpListener,
    /// With TLS, and then the other one, for this host alone.
    secure: Option<(Speaking, TcpListener)>,
    /// Of whichever has no TLS.
    own: SocketAddr,
}

fn doors(listener: TcpListener, secure: Option<Speaking>) -> Result<Doors, StartError> {
    let address = |listener: &TcpListener| {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        listener.local_addr().map_err(|source| StartError::Listen { address, source })
    };
    let Some(speaking) = secure else {
        let own = address(&listener)?;
        return Ok(Doors { listener, secure: None, own });
    };
    let inner = listen(([127, 0, 0, 1], 0).into())?;
    let own = address(&inner)?;
    Ok(Doors { listener: inner, secure: Some((speaking, listener)), own })
}

fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    let listener = TcpListener::bind(address).map_err(|source| StartError::Listen { address, source })?;
    listener.set_nonblocking(true).map_err(|source| StartError::Listen { address, source })?;
    Ok(listener)
}

async fn open(
    settings: &Settings,
    address: SocketAddr,
    log: Logger,
    closing: watch::Receiver<bool>,
) -> Result<Opened, StartError> {
    let directory = &settings.data_dir;
    let store = Store::open(&directory.join(data_dir::STORE)).await?;
    let blobs = Blobs::open(directory.join(data_dir::BLOBS)).await?;
    tell_swept(blobs.swept(), data_dir::sweep(directory)?, &log);
    let vault = Vault::open(&settings.key, directory)?;
    let page = page(settings, address);
    let issuer = issuer(settings, page.as_deref(), &vault)?;
    let agent = publish(&blobs, &settings.agent_program).await?;
    let operator_token = operator_token(settings)?;
    let approver = settings.approver_token.as_deref().map(token::hash);
    let access = Access::read(&store, token::hash(&operator_token), approver).await;
    let access = access.map_err(StartError::remembered)?;
    let (welcome, key) = welcome(settings, &access);
    let contexts = Contexts::read(&store).await.map_err(StartError::remembered)?;
    let instances = Instances::read(&store).await.map_err(StartError::remembered)?;
    let queue_rules = QueueRules::read(&store).await.map_err(StartError::remembered)?;
    let removals = Arc::new(data_dir::Removals::of(directory)?);
    let logs = Logs::open(directory, store.clone(), blobs.clone(), removals.clone())
        .map_err(StartError::remembered)?;
    let rules = rules(settings, page.clone(), agent);
    let swept = directory.join(data_dir::SWEPT);
    let fetches = fetches(settings)?;
    let parts = Parts {
        store,
        blobs,
        logs,
        vault,
        issuer,
        log,
        access,
        contexts,
        instances,
        queue_rules,
        rules,
        fetches,
        welcome,
        sign_ins: sign_ins(settings, page.as_deref())?,
        wall: settings.wall.clone(),
        removals,
        swept,
        rate: settings.rate,
        closing,
    };
    let at = page.unwrap_or_else(|| own_address(settings, address));
    let welcome = key.map(|key| format!("{at}/welcome/{key}"));
    Ok(Opened { plane: Plane::new(parts), operator_token, welcome })
}

fn rules(settings: &Settings, page: Option<String>, agent: Content) -> Rules {
    Rules {
        lease: settings.lease,
        max_run_time: settings.max_run_time,
        only_class: settings.only_class.clone(),
        page,
        agent,
        retention: settings.retention,
        orbs: settings.orbs.clone(),
        judge: settings.judge.clone(),
        known_hosts: settings.known_hosts.clone(),
        key_directory: matches!(settings.key, KeySource::File).then(|| settings.data_dir.clone()),
        outbound: settings.outbound.clone(),
        queue_timeout: settings.queue_timeout,
    }
}

fn fetches(settings: &Settings) -> Result<Fetches, StartError> {
    let directory = &settings.data_dir;
    Fetches::open(directory, settings.insecure_fetch)
        .map_err(StartError::directory("empty", &directory.join("fetches")))
}

/// What an opened data directory is.
struct Opened {
    plane: Arc<Plane>,
    operator_token: String,
    welcome: Option<String>,
}

fn sign_ins(settings: &Settings, page: Option<&str>) -> Result<Option<SignIns>, StartError> {
    let Some(provider) = settings.identity_provider.clone() else { return Ok(None) };
    let sign_ins = SignIns::new(provider, page, settings.outbound.as_ref());
    sign_ins.map(Some).map_err(StartError::SignIn)
}

/// As long as nobody is known.
fn welcome(settings: &Settings, access: &Access) -> (Welcome, Option<String>) {
    if !settings.welcomes || !access.people().is_empty() {
        return (Welcome::default(), None);
    }
    let (welcome, key) = Welcome::new();
    (welcome, Some(key))
}

/// Whoever is to check a token has to reach its issuer, and to find the same key there later.
fn issuer(settings: &Settings, page: Option<&str>, vault: &Vault) -> Result<Option<Issuer>, KeyError> {
    match (page, &settings.key) {
        (Some(address), KeySource::File) => {
            Issuer::open(vault, &settings.data_dir, address.to_owned()).map(Some)
        }
        _ => Ok(None),
    }
}

/// Where people and programs reach it, as far as that is known.
fn page(settings: &Settings, address: SocketAddr) -> Option<String> {
    let told = settings.public_url.as_deref().map(|url| url.trim_end_matches('/').to_owned());
    told.or_else(|| (!address.ip().is_unspecified()).then(|| own_address(settings, address)))
}

fn own_address(settings: &Settings, address: SocketAddr) -> String {
    let scheme = if settings.tls.is_some() { "https" } else { "http" };
    format!("{scheme}://{address}")
}

/// As a launch-agent says what earlier lives had left on its host.
fn tell_swept(uploads: usize, drafts: usize, log: &Logger) {
    for (kind, count) in [("uploads that were broken off", uploads), ("files half-written", drafts)] {
        if count > 0 {
            info!(log, "left by an earlier life and removed: {}", kind; "count" => count);
        }
    }
}

async fn publish(blobs: &Blobs, program: &Path) -> Result<Content, StartError> {
    let path = program.to_owned();
    let file = File::open(program).map_err(|source| StartError::NoAgent { path, source })?;
    let (digest, size) = blobs.store(&Scope::agents(), file).await?;
    Ok(Content { digest, size })
}

/// The operator's token, of which the store knows nothing.
fn operator_token(settings: &Settings) -> Result<String, StartError> {
    match &settings.operator_token {
        Some(token) => Ok(token.clone()),
        None => data_dir::operator_token(&settings.data_dir),
    }
}

fn serve(plane: Arc<Plane>, doors: Doors) -> io::Result<(ServerHandle, JoinHandle<()>)> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_WORKERS);
    let shared = Data::from(plane.clone());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(shared.clone())
            .wrap(from_fn(counted))
            .wrap(from_fn(finished))
            .configure(api::routes)
            .configure(blob_routes::routes)
            .configure(web::routes)
            .default_service(actix_web::web::to(api::nowhere))
    })
    .workers(workers)
    .keep_alive(KEEP_ALIVE)
    // A launch-agent that died closed its connection: its held-open claim must not take a task any more.
    .h1_allow_half_closed(false)
    .tcp_nodelay(true)
    .disable_signals()
    .listen(doors.listener)?;
    let server = match doors.secure {
        Some((speaking, listener)) => server.listen_rustls_0_23(listener, speaking.config)?,
        None => server,
    };
    let server = server.run();
    let handle = server.handle();
    let serving = spawn(async move {
        if let Err(failure) = server.await {
            error!(plane.log, "the server failed"; "error" => %failure);
        }
    });
    Ok((handle, serving))
}

/// Counts a call while it is being answered.
async fn counted(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let plane = request.app_data::<Data<Plane>>().expect("every server has its plane").clone();
    let _call = Call::begin(&plane.calls);
    let began = Instant::now();
    let answered = next.call(request).await;
    if let Ok(answer) = &answered {
        plane.tallies.answered(answer.request(), answer.status(), began.elapsed());
    }
    answered
}

/// A call that is being answered, or was dropped because its caller went away.
struct Call<'p>(&'p watch::Sender<usize>);

impl<'p> Call<'p> {
    fn begin(calls: &'p watch::Sender<usize>) -> Self {
        calls.send_modify(|calls| *calls += 1);
        Self(calls)
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|calls| *calls -= 1);
    }
}

async fn seal(plane: Arc<Plane>) {
    plane.logs.seal_forever(&plane.log).await;
}

async fn retain(plane: Arc<Plane>) {
    plane.retain_forever().await;
}

#[expect(
    clippy::disallowed_methods,
    reason = "each lives as long as the control plane, which aborts it at its end"
)]
fn spawn(future: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
    actix_web::rt::spawn(future)
}

impl Running {
    /// Answers held-open calls, lets the others finish for a moment, and webhooks for a little longer, and closes the store.
    /// What was acknowledged stays.
    pub async fn stop(self) {
        self.closing.send_replace(true);
        self.answered().await;
        if self.plane.finish_webhooks(FOR_WEBHOOKS).await {
            self.answered().await;
        }
        self.server.stop(false).await;
        self.tasks.iter().for_each(JoinHandle::abort);
        self.plane.store.close().await;
    }

    /// A call that takes longer is cut off, as by any crash; idle connections are not waited for at all.
    async fn answered(&self) {
        let mut calls = self.plane.calls.subscribe();
        let _ = timeout(PATIENCE, calls.wait_for(|calls| *calls == 0)).await;
    }
}
