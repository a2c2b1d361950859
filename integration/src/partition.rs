//! A network that fails at a chosen moment: a TCP proxy that falls silent when it sees certain words, and counts.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

/// When the network falls silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// Before a request with these words is passed on.
    BeforeRequest(&'static str),
    /// After a request with these words is passed on: its answer never comes.
    AfterRequest(&'static str),
    /// At no moment.
    Never,
}

/// The proxy. Once silent it takes everything and passes nothing on, as a network does that drops packets.
#[derive(Debug)]
pub struct Partition {
    address: SocketAddr,
    state: Arc<State>,
}

/// What all its connections share.
#[derive(Debug, Default)]
struct State {
    silent: AtomicBool,
    /// Bytes of requests that were passed on.
    asked: AtomicU64,
}

impl State {
    fn is_silent(&self) -> bool {
        self.silent.load(Ordering::SeqCst)
    }

    fn fall_silent(&self) {
        self.silent.store(true, Ordering::SeqCst);
    }
}

impl Partition {
    /// A proxy before this address, until its moment comes.
    ///
    /// # Panics
    /// Where no port is free.
    pub fn before(target: &str, silence: Silence) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let state = Arc::<State>::default();
        let (target, shared) = (target.trim_start_matches("http://").to_owned(), state.clone());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (target, shared) = (target.clone(), shared.clone());
                thread::spawn(move || lead(client, &target, silence, &shared));
            }
        });
        Self { address, state }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Whether its moment has come.
    pub fn is_silent(&self) -> bool {
        self.state.is_silent()
    }

    /// The network is mended.
    pub fn mend(&self) {
        self.state.silent.store(false, Ordering::SeqCst);
    }

    /// Bytes of requests that were passed on.
    pub fn asked(&self) -> u64 {
        self.state.asked.load(Ordering::SeqCst)
    }
}

fn lead(client: TcpStream, target: &str, silence: Silence, state: &Arc<State>) -> io::Result<()> {
    let server = TcpStream::connect(target)?;
    let (answers, asker, shared) = (server.try_clone()?, client.try_clone()?, state.clone());
    thread::spawn(move || pass(answers, asker, None, &shared));
    pass(client, server, Some(silence), state)
}

/// Passes bytes on. What came while it was silent is lost, and so is the connection once the network is mended.
fn pass(mut from: TcpStream, mut to: TcpStream, silence: Option<Silence>, state: &State) -> io::Result<()> {
    let (mut piece, mut lost) = (vec![0; 64 * 1024], false);
    loop {
        // Who was killed may end a connection with an error.
        let length = from.read(&mut piece).unwrap_or_default();
        let bytes = &piece[..length];
        let says = |words: &str| bytes.windows(words.len()).any(|window| window == words.as_bytes());
        if matches!(silence, Some(Silence::BeforeRequest(words)) if says(words)) {
            state.fall_silent();
        }
        lost |= state.is_silent();
        let is_over = length == 0 || (lost && !state.is_silent());
        // The answer must not overtake the silence.
        if !is_over && matches!(silence, Some(Silence::AfterRequest(words)) if says(words)) {
            state.fall_silent();
        }
        if is_over || (!lost && to.write_all(bytes).is_err()) {
            let _ = from.shutdown(Shutdown::Both);
            return to.shutdown(Shutdown::Both);
        }
        if silence.is_some() && !lost {
            state.asked.fetch_add(length as u64, Ordering::SeqCst);
        }
    }
}
