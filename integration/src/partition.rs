//! A network that fails at a chosen moment: a TCP proxy that falls silent when it sees certain words.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
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
}

/// The proxy. Once silent it takes everything and passes nothing on, as a network does that drops packets.
#[derive(Debug)]
pub struct Partition {
    address: SocketAddr,
    silent: Arc<AtomicBool>,
}

impl Partition {
    /// A proxy before this address, until its moment comes.
    ///
    /// # Panics
    /// Where no port is free.
    pub fn before(target: &str, silence: Silence) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let silent = Arc::<AtomicBool>::default();
        let (target, moment) = (target.trim_start_matches("http://").to_owned(), silent.clone());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (target, moment) = (target.clone(), moment.clone());
                thread::spawn(move || lead(client, &target, silence, &moment));
            }
        });
        Self { address, silent }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Whether its moment has come.
    pub fn is_silent(&self) -> bool {
        self.silent.load(Ordering::SeqCst)
    }

    /// The network is mended.
    pub fn mend(&self) {
        self.silent.store(false, Ordering::SeqCst);
    }
}

fn lead(client: TcpStream, target: &str, silence: Silence, silent: &Arc<AtomicBool>) -> io::Result<()> {
    let server = TcpStream::connect(target)?;
    let (answers, asker, moment) = (server.try_clone()?, client.try_clone()?, silent.clone());
    thread::spawn(move || pass(answers, asker, None, &moment));
    pass(client, server, Some(silence), silent)
}

/// Passes bytes on. What came while it was silent is lost, and so is the connection once the network is mended.
fn pass(
    mut from: TcpStream,
    mut to: TcpStream,
    silence: Option<Silence>,
    silent: &AtomicBool,
) -> io::Result<()> {
    let (mut piece, mut lost) = (vec![0; 64 * 1024], false);
    loop {
        let length = from.read(&mut piece)?;
        let bytes = &piece[..length];
        let says = |words: &str| bytes.windows(words.len()).any(|window| window == words.as_bytes());
        if matches!(silence, Some(Silence::BeforeRequest(words)) if says(words)) {
            silent.store(true, Ordering::SeqCst);
        }
        lost |= silent.load(Ordering::SeqCst);
        if length == 0 || (lost && !silent.load(Ordering::SeqCst)) {
            let _ = from.shutdown(Shutdown::Both);
            return to.shutdown(Shutdown::Both);
        }
        // The answer must not overtake the silence.
        if matches!(silence, Some(Silence::AfterRequest(words)) if says(words)) {
            silent.store(true, Ordering::SeqCst);
        }
        if !lost {
            to.write_all(bytes)?;
        }
    }
}
