//! Where the job of a setup workflow continues its pipeline: https on the loopback address, as scripts for CircleCI call
//! it. A call is a request to the launch-agent like any other; nothing is connected to from here.
//!
//! The address and its authority are this task's alone and live in this process: a container has it too, and it goes on
//! while the launch-agent is started again.

mod authority;
mod call;
mod trust;

use crate::{carry::Carry, place::Place};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::{
    io::{self, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

/// Whom scripts call that name no other domain; curl is told to come here instead.
const PUBLIC: [&str; 2] = ["circleci.com", "app.circleci.com"];
/// So many calls are listened to at once.
const MOST_CALLS: usize = 8;
/// How long a caller may say nothing, or not listen.
const PATIENCE: Duration = Duration::from_secs(30);
/// Enough for a handshake; bodies go to files in small pieces.
const STACK: usize = 512 * 1024;

/// A setup job that would find no address to continue its pipeline.
#[derive(Debug, thiserror::Error)]
#[error("cannot make the address where the job continues its pipeline: {0}")]
pub(crate) struct CannotOpen(#[from] io::Error);

/// Opens the address and tells the job's programs of it: by its variables and by curl's settings.
pub(crate) fn open(place: &mut Place, carry: Arc<dyn Carry>) -> Result<(), CannotOpen> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?.to_string();
    let names = [PUBLIC[0], PUBLIC[1], "localhost", "127.0.0.1"];
    let identity = authority::make(&names).map_err(io::Error::other)?;
    trust::spread(place, &identity.authority, &address, &PUBLIC)?;
    let door = Arc::new(Door { tls: identity.tls, place: place.clone(), carry });
    let thread = thread::Builder::new().name("continuation".to_owned()).stack_size(STACK);
    thread.spawn(move || door.keep(&listener)).map(drop)?;
    Ok(())
}

/// What every call needs.
struct Door {
    tls: Arc<ServerConfig>,
    place: Place,
    carry: Arc<dyn Carry>,
}

impl Door {
    /// Takes calls as long as this process lives.
    fn keep(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming().flatten() {
            // Each call has its share of the door; one too many is turned away, as by any full house.
            if Arc::strong_count(self) > MOST_CALLS {
                continue;
            }
            let door = Arc::clone(self);
            let thread = thread::Builder::new().name("call".to_owned()).stack_size(STACK);
            // A caller that went away, or speaks no TLS, has had its answer.
            let _ = thread.spawn(move || door.take(stream));
        }
    }

    fn take(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let connection = ServerConnection::new(Arc::clone(&self.tls)).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, stream);
        call::answer(&mut stream, &*self.carry, || self.place.unnamed_file())?;
        stream.conn.send_close_notify();
        stream.flush()
    }
}
