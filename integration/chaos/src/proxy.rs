//! A faulty proxy of our own between one host's launch-agent and the control plane.
//!
//! It carries whole requests, so that each can be cut, truncated, delayed, refused, repeated or left without an answer,
//! and a whole host can be cut off or met with silence.

mod carry;

use crate::fault::{Route, Tampering};
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    thread,
    time::Duration,
};

/// How often whoever waits looks whether the mode changed.
pub(crate) const LOOK: Duration = Duration::from_millis(20);

/// How the proxy treats all connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// What comes goes through.
    Open,
    /// Every connection is cut.
    Cut,
    /// Nothing goes through, and nobody is told.
    Silent,
}

/// A running proxy.
#[derive(Clone, Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
}

/// What all its connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    upstream: String,
    mode: AtomicU8,
    armed: Mutex<VecDeque<(Route, Tampering)>>,
    done: Mutex<BTreeMap<&'static str, u64>>,
}

impl Proxy {
    /// Listens for one host, on a port of its own.
    pub fn start(upstream: &str) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            mode: AtomicU8::new(Mode::Open as u8),
            armed: Mutex::default(),
            done: Mutex::default(),
        });
        let serving = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = serving.clone();
                // A connection that fails is what this is for.
                thread::spawn(move || drop(carry::serve(&client, &shared)));
            }
        });
        Ok(Self { shared, address })
    }

    /// Where launch-agents find it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes how all connections are treated.
    pub fn set(&self, mode: Mode) {
        self.shared.mode.store(mode as u8, Ordering::SeqCst);
    }

    /// Has the next request on this route come to harm.
    pub fn arm(&self, route: Route, how: Tampering) {
        self.shared.armed().push_back((route, how));
    }

    /// Forgets what was armed and has not happened.
    pub fn disarm(&self) {
        self.shared.armed().clear();
    }

    /// How many requests came to harm, by how.
    pub fn done(&self) -> BTreeMap<&'static str, u64> {
        self.shared.done.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Shared {
    fn armed(&self) -> MutexGuard<'_, VecDeque<(Route, Tampering)>> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn mode(&self) -> Mode {
        match self.mode.load(Ordering::SeqCst) {
            1 => Mode::Cut,
            2 => Mode::Silent,
            _ => Mode::Open,
        }
    }

    /// What is to happen to this request, if anything.
    pub(crate) fn tampering(&self, method: &str, path: &str) -> Option<Tampering> {
        let mut armed = self.armed();
        let place = armed.iter().position(|(route, _)| route.has(method, path))?;
        let (_, how) = armed.remove(place)?;
        *self.done.lock().unwrap_or_else(PoisonError::into_inner).entry(how.name()).or_default() += 1;
        Some(how)
    }

    pub(crate) fn upstream(&self) -> &str {
        &self.upstream
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Head, Length, ask, read_raw};
    use std::sync::atomic::AtomicU64;
    use std::{
        io::{BufReader, Write},
        net::TcpStream,
    };

    /// Answers each request by its number and the length of its body.
    fn server() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let number = Arc::new(AtomicU64::new(0));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let number = number.clone();
                thread::spawn(move || drop(answer(&stream, &number)));
            }
        });
        address
    }

    fn answer(mut stream: &TcpStream, number: &AtomicU64) -> io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        while let Some(head) = Head::read(&mut reader)? {
            let body = read_raw(&mut reader, head.length(Length::Bytes(0)))?;
            let said = format!("{} {}", number.fetch_add(1, Ordering::SeqCst), body.len());
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{said}", said.len())?;
        }
        Ok(())
    }

    fn proxied() -> (Proxy, String) {
        let proxy = Proxy::start(&server()).unwrap();
        let address = proxy.address.to_string();
        (proxy, address)
    }

    fn said(address: &str) -> io::Result<String> {
        let answer = ask(address, "POST", "/api/v3/task/begin", "t", b"12345")?;
        Ok(format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body)))
    }

    #[test]
    fn requests_go_through_unless_something_is_armed_for_them() {
        let (proxy, address) = proxied();
        proxy.arm(Route::Blob, Tampering::CutBefore);
        assert_eq!(said(&address).unwrap(), "200 0 5");
        assert!(proxy.done().is_empty());
    }

    #[test]
    fn a_request_is_repeated_refused_or_cut_once_each() {
        let (proxy, address) = proxied();
        proxy.arm(Route::Begin, Tampering::Twice);
        assert_eq!(said(&address).unwrap(), "200 1 5", "the second answer of two");
        proxy.arm(Route::Any, Tampering::Status { status: 503 });
        assert!(said(&address).unwrap().starts_with("503 "));
        for how in [Tampering::CutBefore, Tampering::HalfRequest, Tampering::HalfAnswer, Tampering::CutAfter]
        {
            proxy.arm(Route::Begin, how);
            assert!(said(&address).is_err(), "{how:?}");
        }
        assert_eq!(said(&address).unwrap(), "200 4 5", "those whose answer was cut or halved arrived");
        assert_eq!(proxy.done().values().sum::<u64>(), 6);
    }

    #[test]
    fn a_host_that_is_cut_off_gets_no_connection_until_it_is_open_again() {
        let (proxy, address) = proxied();
        proxy.set(Mode::Cut);
        assert!(said(&address).is_err());
        proxy.set(Mode::Open);
        assert_eq!(said(&address).unwrap(), "200 0 5");
    }
}
