//! A control plane of this process, on a thread and System of its own.

use super::place::Place;
use crate::failure::{Failure, OrFail, causes};
use control_plane::{KeySource, Retention, Settings, StartError};
use ring::rand::{SecureRandom, SystemRandom};
use slog::Logger;
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::mpsc,
    thread,
};
use tokio::sync::oneshot;

/// What the control plane of a run is told: a loopback port, and neither the operator's token nor a key on any disk.
pub(crate) fn settings(
    place: &Place,
    program: &Path,
    (operator, approver): (&str, &str),
) -> Result<Settings, Failure> {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut settings = Settings::new(place.server(), listen, program.to_owned());
    settings.operator_token = Some(operator.to_owned());
    settings.queue_timeout = None;
    settings.approver_token = Some(approver.to_owned());
    settings.key = KeySource::Memory(random()?);
    settings.only_class = Some(super::agent::class());
    settings.retention = Retention::LOCAL;
    Ok(settings)
}

/// A secret that nobody can guess.
pub(crate) fn random_token() -> Result<String, Failure> {
    Ok(random::<32>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| Failure::machinery("the system gives no random numbers"))?;
    Ok(bytes)
}

/// A control plane that runs until it is stopped.
#[derive(Debug)]
pub(crate) struct Plane {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Plane {
    /// Starts it; comes back once it listens.
    pub(crate) fn start(settings: Settings, log: Logger) -> Result<Self, Failure> {
        let (started, starts) = mpsc::sync_channel(1);
        let (stop, stopped) = oneshot::channel();
        let serve = move || actix_rt::System::new().block_on(serve(settings, log, started, stopped));
        let thread = thread::Builder::new().name("control-plane".to_owned()).spawn(serve);
        let thread = Some(thread.or_machinery("cannot start a thread")?);
        match starts.recv() {
            Ok(Ok(address)) => Ok(Self { address, stop: Some(stop), thread }),
            Ok(Err(error)) => {
                Err(Failure::machinery(format!("cannot start the control plane: {}", causes(&error))))
            }
            Err(_) => Err(Failure::machinery("the control plane ended while it started: its log says more")),
        }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(
    settings: Settings,
    log: Logger,
    started: mpsc::SyncSender<Result<SocketAddr, StartError>>,
    stopped: oneshot::Receiver<()>,
) {
    match control_plane::start(settings, log).await {
        Ok(running) => {
            let _ = started.send(Ok(running.address));
            let _ = stopped.await;
            running.stop().await;
        }
        Err(error) => {
            let _ = started.send(Err(error));
        }
    }
}
