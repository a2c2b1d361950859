//! The fake task-agent's connection: says hello after every connect, sends again what was not answered.

use protocol::{
    VERSION,
    frame::{Answer, CancelReason, Invitation, ToLaunchAgent, ToTaskAgent, Wanted, decode, encode},
};
use sandbox::packet::{Connection, Packet};
use std::{
    collections::BTreeMap,
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::Duration,
};

/// The link to the launch-agent, kept by a thread of its own.
#[derive(Clone)]
pub(super) struct Link {
    shared: Arc<(Mutex<Shared>, Condvar)>,
}

/// What came with the task.
pub(super) struct Received {
    pub(super) spec: OwnedFd,
    pub(super) journal: OwnedFd,
    pub(super) spools: Vec<OwnedFd>,
}

#[derive(Default)]
struct Shared {
    connection: Option<Arc<Connection>>,
    task: Option<(OwnedFd, OwnedFd)>,
    spools: Vec<OwnedFd>,
    holds_task: bool,
    begun: bool,
    canceled: Option<CancelReason>,
    last_request: u64,
    pending: BTreeMap<u64, (Wanted, Option<OwnedFd>)>,
    answers: BTreeMap<u64, (Answer, Option<OwnedFd>)>,
}

impl Link {
    pub(super) fn start(invitation: Invitation) -> Self {
        let link = Self { shared: Arc::default() };
        let keeper = link.clone();
        std::thread::spawn(move || {
            loop {
                let _ = keeper.serve(&invitation);
                keeper.lock().connection = None;
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        link
    }

    /// Waits for the task and everything that belongs to it.
    pub(super) fn task(&self) -> Received {
        let (mut shared, (spec, journal)) = self.wait(|shared| shared.task.take());
        shared.holds_task = true;
        drop(shared);
        Received { spec, journal, spools: Vec::new() }.with_spools(self)
    }

    /// Waits for leave to run user code.
    pub(super) fn begun(&self) {
        drop(self.wait(|shared| (shared.begun || shared.canceled.is_some()).then_some(())));
    }

    pub(super) fn canceled(&self) -> Option<CancelReason> {
        self.lock().canceled
    }

    pub(super) fn progress(&self) {
        self.send(&ToLaunchAgent::Progress, None);
    }

    pub(super) fn garbage(&self) {
        if let Some(connection) = self.lock().connection.clone() {
            let _ = connection.send(b"\x00no frame\xff", &[]);
        }
    }

    /// Asks for something and waits for the answer, over as many connections as it takes.
    pub(super) fn ask(&self, wanted: Wanted, file: Option<OwnedFd>) -> (Answer, Option<OwnedFd>) {
        let request = {
            let mut shared = self.lock();
            shared.last_request += 1;
            let request = shared.last_request;
            shared.pending.insert(request, (wanted, file));
            request
        };
        self.send_pending(request);
        self.wait(|shared| shared.answers.remove(&request)).1
    }

    fn send_pending(&self, request: u64) {
        let shared = self.lock();
        let (Some(connection), Some((wanted, file))) =
            (shared.connection.clone(), shared.pending.get(&request))
        else {
            return;
        };
        let frame = ToLaunchAgent::Request { request, wanted: wanted.clone() };
        let _ = connection.send(&encode(&frame).expect("requests are short"), &descriptors(file.as_ref()));
    }

    fn send(&self, frame: &ToLaunchAgent, file: Option<&OwnedFd>) {
        if let Some(connection) = self.lock().connection.clone() {
            let _ = connection.send(&encode(frame).expect("frames are short"), &descriptors(file));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.0.lock().expect("no thread panics while it holds it")
    }

    fn wait<T>(&self, mut look: impl FnMut(&mut Shared) -> Option<T>) -> (MutexGuard<'_, Shared>, T) {
        let mut shared = self.lock();
        loop {
            if let Some(seen) = look(&mut shared) {
                return (shared, seen);
            }
            shared = self.shared.1.wait(shared).expect("no thread panics while it holds it");
        }
    }

    fn serve(&self, invitation: &Invitation) -> io::Result<()> {
        let connection = Arc::new(Connection::connect(&invitation.socket)?);
        let (holds_task, begun) = {
            let shared = self.lock();
            (shared.holds_task || shared.task.is_some(), shared.begun)
        };
        let key = invitation.key.clone();
        let hello = ToLaunchAgent::Hello {
            version: VERSION,
            key,
            holds_task,
            begun,
            follows: true,
            notes_times: false,
        };
        connection.send(&encode(&hello).map_err(io::Error::other)?, &[])?;
        self.lock().connection = Some(connection.clone());
        let pending: Vec<_> = self.lock().pending.keys().copied().collect();
        pending.into_iter().for_each(|request| self.send_pending(request));
        while let Some(packet) = connection.receive()? {
            self.hear(packet);
        }
        Ok(())
    }

    fn hear(&self, packet: Packet) {
        let Ok(frame) = decode::<ToTaskAgent>(&packet.bytes) else { return };
        let mut descriptors = packet.descriptors.into_iter();
        let mut shared = self.lock();
        match frame {
            ToTaskAgent::Task { .. } => shared.task = descriptors.next().zip(descriptors.next()),
            ToTaskAgent::StepLogs { .. } => shared.spools.extend(descriptors),
            ToTaskAgent::Begin => shared.begun = true,
            ToTaskAgent::Acknowledged { .. } | ToTaskAgent::Sent { .. } | ToTaskAgent::Times => {}
            ToTaskAgent::Answer { request, answer } => {
                if shared.pending.remove(&request).is_some() {
                    shared.answers.insert(request, (answer, descriptors.next()));
                }
            }
            ToTaskAgent::Cancel { why, .. } => shared.canceled = Some(why),
        }
        drop(shared);
        self.shared.1.notify_all();
    }
}

impl Received {
    /// Waits until every step has its spool: the spec says how many there are.
    fn with_spools(mut self, link: &Link) -> Self {
        let file = self.spec.try_clone().map(std::fs::File::from).expect("a descriptor can be doubled");
        let spec: protocol::task::TaskSpec = read_at_start(&file);
        let count = spec.steps.len();
        let enough = |shared: &mut Shared| {
            let all = shared.spools.len() >= count || shared.canceled.is_some();
            all.then(|| std::mem::take(&mut shared.spools))
        };
        self.spools = link.wait(enough).1;
        self
    }
}

fn read_at_start(file: &std::fs::File) -> protocol::task::TaskSpec {
    use std::os::unix::fs::FileExt;
    let length = file.metadata().map(|metadata| metadata.len()).unwrap_or_default();
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, 0).expect("the spec is a memory file");
    serde_json::from_slice(&bytes).expect("the spec is JSON")
}

fn descriptors(file: Option<&OwnedFd>) -> Vec<std::os::fd::BorrowedFd<'_>> {
    file.into_iter().map(AsFd::as_fd).collect()
}
