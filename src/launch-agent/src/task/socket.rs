//! The task's own socket: its task-agent connects, proves itself, and connects again after any restart of ours.

use sandbox::packet::{Connection, Listener, Packet};
use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::Path,
    rc::Rc,
};
use tokio::io::{Interest, unix::AsyncFd};

/// Where connections come from.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    listener: Rc<AsyncFd<Listener>>,
}

/// One connection.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    connection: Rc<AsyncFd<Connection>>,
}

/// A packet to be sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) bytes: Vec<u8>,
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// What waits to be sent on one line, while the other side is slow to read.
#[derive(Debug, Default)]
pub(crate) struct Outgoings {
    waiting: VecDeque<Outgoing>,
}

/// More than this waiting means that the other side does not read at all.
const MAX_WAITING: usize = 1024;

impl Door {
    /// Listens at this path, in the place of an earlier life's socket.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let listener = failpoints::around("socket", "bound", || Listener::bind(path))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener: Rc::new(watched(listener, Interest::READABLE)?) })
    }

    /// The next connection.
    pub(crate) async fn accept(&self) -> io::Result<Line> {
        let connection = self.listener.async_io(Interest::READABLE, Listener::accept).await?;
        connection.set_nonblocking(true)?;
        Ok(Line { connection: Rc::new(watched(connection, Interest::READABLE | Interest::WRITABLE)?) })
    }
}

impl Line {
    /// The pid at the other end.
    pub(crate) fn peer(&self) -> io::Result<i32> {
        Ok(self.connection.get_ref().peer()?.pid)
    }

    /// The uid at the other end, when it connected.
    pub(crate) fn peer_account(&self) -> io::Result<u32> {
        Ok(self.connection.get_ref().peer()?.uid)
    }

    /// Ends it, whoever still reads from it.
    pub(crate) fn shut_down(&self) {
        self.connection.get_ref().shut_down();
    }

    /// The next packet; none at the end.
    pub(crate) async fn receive(&self) -> io::Result<Option<Packet>> {
        self.connection.async_io(Interest::READABLE, Connection::receive).await
    }

    /// Returns when there is room for a packet again, or the line is broken.
    pub(crate) async fn writable(&self) -> io::Result<()> {
        self.connection.writable().await.map(drop)
    }

    /// Sends what waits as far as there is room. True: all of it went.
    pub(crate) fn flush(&self, outgoings: &mut Outgoings) -> io::Result<bool> {
        while let Some(next) = outgoings.waiting.front() {
            let descriptors: Vec<_> = next.descriptors.iter().map(AsFd::as_fd).collect();
            let send = |connection: &Connection| connection.send(&next.bytes, &descriptors);
            match self.connection.try_io(Interest::WRITABLE, send) {
                Ok(()) => drop(outgoings.waiting.pop_front()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

impl Outgoings {
    /// Adds a packet. False: so many wait that the other side cannot be reading.
    pub(crate) fn push(&mut self, outgoing: Outgoing) -> bool {
        self.waiting.push_back(outgoing);
        self.waiting.len() <= MAX_WAITING
    }

    /// Whether something waits already.
    pub(crate) fn are_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

/// A descriptor that tokio watches. Each of ours is owned by what it is watched through, so it stays open meanwhile.
#[expect(
    deprecated,
    reason = "what replaces it is unsafe for the sake of types that lie about their descriptor"
)]
pub(super) fn watched<T: AsRawFd>(descriptor: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(descriptor, interest)
}
