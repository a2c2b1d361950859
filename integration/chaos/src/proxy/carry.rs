//! One connection of a launch-agent, carried request by request.

use super::{LOOK, Mode, Shared};
use crate::{
    fault::Tampering,
    http::{Head, Length, read_raw},
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    io::{self, BufReader, Write},
    net::{Shutdown, TcpStream},
    thread,
    time::{Duration, Instant},
};

/// A stuck peer holds a connection no longer than this.
const PATIENCE: Duration = Duration::from_secs(60);

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "cut")
}

/// A request or an answer, whole.
struct Whole {
    head: Head,
    body: Vec<u8>,
}

impl Whole {
    fn bytes(&self) -> Vec<u8> {
        [self.head.text.as_slice(), &self.body].concat()
    }
}

/// Both sides of it.
struct Pair<'s> {
    client: &'s TcpStream,
    from_client: BufReader<TcpStream>,
    upstream: Option<BufReader<TcpStream>>,
    shared: &'s Shared,
}

/// Carries requests until either side, or the mode, ends it. Both sides are closed at the end.
pub(super) fn serve(client: &TcpStream, shared: &Shared) -> io::Result<()> {
    client.set_write_timeout(Some(PATIENCE))?;
    client.set_nodelay(true)?;
    let from_client = BufReader::new(client.try_clone()?);
    let mut pair = Pair { client, from_client, upstream: None, shared };
    let ended = pair.carry_all();
    let _ = client.shutdown(Shutdown::Both);
    ended
}

impl Pair<'_> {
    fn carry_all(&mut self) -> io::Result<()> {
        loop {
            self.wait_for_request()?;
            let Some(head) = Head::read(&mut self.from_client)? else { return Ok(()) };
            let body = read_raw(&mut self.from_client, head.length(Length::Bytes(0)))?;
            let request = Whole { head, body };
            self.pass()?;
            match self.shared.tampering(request.head.word(0), request.head.word(1)) {
                None => self.exchange(&request)?,
                Some(how) => self.tamper(&request, how)?,
            }
        }
    }

    fn exchange(&mut self, request: &Whole) -> io::Result<()> {
        let answer = self.ask(request)?;
        self.pass()?;
        write(self.client, &answer.bytes())
    }

    fn tamper(&mut self, request: &Whole, how: Tampering) -> io::Result<()> {
        match how {
            Tampering::CutBefore => Err(cut()),
            Tampering::CutAfter => self.ask(request).and_then(|_| Err(cut())),
            Tampering::HalfRequest => {
                let bytes = request.bytes();
                self.send(&bytes[..bytes.len() / 2])?;
                Err(cut())
            }
            Tampering::HalfAnswer => {
                let answer = self.ask(request)?.bytes();
                write(self.client, &answer[..answer.len() / 2])?;
                Err(cut())
            }
            Tampering::Late { by } => {
                thread::sleep(Duration::from_millis(by));
                self.pass()?;
                self.exchange(request)
            }
            Tampering::HalfOpen { length } => {
                self.ask(request)?;
                thread::sleep(Duration::from_millis(length));
                Err(cut())
            }
            Tampering::Status { status } => {
                let text = "{\"message\":\"a faulty proxy\"}";
                let length = text.len();
                let answer = format!(
                    "HTTP/1.1 {status} Faulty\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{text}"
                );
                write(self.client, answer.as_bytes())
            }
            Tampering::Twice => {
                self.ask(request)?;
                self.exchange(request)
            }
        }
    }

    fn ask(&mut self, request: &Whole) -> io::Result<Whole> {
        self.send(&request.bytes())?;
        self.wait_for_answer()?;
        let upstream = self.upstream.as_mut().ok_or_else(cut)?;
        let head = Head::read(upstream)?.ok_or_else(cut)?;
        let empty = head.status() == 204 || head.status() == 304 || request.head.word(0) == "HEAD";
        let length = if empty { Length::Bytes(0) } else { head.length(Length::ToEnd) };
        let body = read_raw(upstream, length)?;
        if length == Length::ToEnd || head.field("connection").is_some_and(|said| said.contains("close")) {
            self.upstream = None;
        }
        Ok(Whole { head, body })
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.upstream.is_none() {
            let stream = TcpStream::connect(self.shared.upstream())?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            stream.set_nodelay(true)?;
            self.upstream = Some(BufReader::new(stream));
        }
        let upstream = self.upstream.as_ref().ok_or_else(cut)?;
        write(upstream.get_ref(), bytes)
    }

    /// Returns where the mode lets something through; fails where it cuts.
    fn pass(&self) -> io::Result<()> {
        loop {
            match self.shared.mode() {
                Mode::Open => return Ok(()),
                Mode::Cut => return Err(cut()),
                Mode::Silent => thread::sleep(LOOK),
            }
        }
    }

    fn wait_for_request(&self) -> io::Result<()> {
        let idle = self.upstream.as_ref().map(BufReader::get_ref);
        while self.from_client.buffer().is_empty() && !is_readable(self.client)? {
            let gone = idle.is_some_and(|upstream| is_readable(upstream).unwrap_or(true));
            if self.shared.mode() == Mode::Cut || gone {
                return Err(cut());
            }
        }
        Ok(())
    }

    /// A client that leaves meanwhile is a call that nobody waits for: its server is to hear of that.
    fn wait_for_answer(&self) -> io::Result<()> {
        let Some(upstream) = &self.upstream else { return Err(cut()) };
        let end = Instant::now() + PATIENCE;
        while upstream.buffer().is_empty() && !is_readable(upstream.get_ref())? {
            let left = has_left(self.client);
            if left || self.shared.mode() == Mode::Cut || Instant::now() > end {
                return Err(cut());
            }
        }
        Ok(())
    }
}

fn write(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes)
}

/// Whether bytes or the end of a stream have come, after a short look.
fn is_readable(stream: &TcpStream) -> io::Result<bool> {
    let look = Timespec { tv_sec: 0, tv_nsec: LOOK.subsec_nanos().into() };
    let mut watched = [PollFd::new(stream, PollFlags::IN)];
    Ok(poll(&mut watched, Some(&look))? > 0)
}

fn has_left(client: &TcpStream) -> bool {
    let nothing = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut watched = [PollFd::new(client, PollFlags::RDHUP)];
    poll(&mut watched, Some(&nothing)).is_err()
        || watched[0].revents().intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR)
}
