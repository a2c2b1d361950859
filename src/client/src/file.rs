//! Carries whole files: positioned reads and writes on the threads for blocking work, digests checked on the way.

use crate::{
    backoff::Backoff,
    bearer::Bearer,
    call::{ClientError, Failure, request, sentence},
    transport::Link,
};
use awc::{
    ClientRequest, ClientResponse,
    body::{BodySize, MessageBody},
    http::{
        Method, StatusCode,
        header::{AUTHORIZATION, CONTENT_RANGE, CONTENT_TYPE, RANGE},
    },
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use protocol::{ids::Digest, transfer::Content};
use ring::digest::{Context, SHA256};
use std::{
    cell::Cell,
    fs::File,
    future::Future,
    io,
    os::unix::fs::FileExt,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Poll, ready},
    time::{Duration, Instant},
};
use tokio::task::{JoinHandle, spawn_blocking};

/// Bytes read or written at once.
const PIECE: usize = 256 * 1024;
/// How long a transfer may stand still.
const STANDSTILL: Duration = Duration::from_secs(30);

/// Where a content goes to or comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'t> {
    /// A path of the API, or a signed URL.
    pub(crate) path: &'t str,
    /// None where the URL is signed.
    pub(crate) token: Option<&'t Bearer>,
}

impl Target<'_> {
    fn request(self, link: &Link, method: &Method) -> Result<(ClientRequest, String), Failure> {
        let what = format!("{method} {}", unsigned(&link.resolve(self.path)));
        let request = request(link, method, self.path, &what)?;
        let request = match self.token {
            Some(token) => request.insert_header((AUTHORIZATION, token.header())),
            None => request,
        };
        Ok((request, what))
    }
}

/// A URL as it may be told: its signature is a right.
fn unsigned(url: &str) -> &str {
    url.split('?').next().unwrap_or_default()
}

/// Sends `content.size` bytes of a file; tried again from its start.
pub(crate) async fn put(
    link: &Link,
    target: Target<'_>,
    content: &Content,
    from: &File,
) -> Result<(), ClientError> {
    put_from(link, target, content, (from, 0)).await
}

/// The same of bytes that begin somewhere in the file.
pub(crate) async fn put_from(
    link: &Link,
    target: Target<'_>,
    content: &Content,
    (from, offset): (&File, u64),
) -> Result<(), ClientError> {
    let file = Arc::new(from.try_clone().map_err(ClientError::File)?);
    let mut tries = Patience::new(link);
    loop {
        let broken = Rc::new(Cell::new(None));
        match send(link, target, content, (&file, offset, &broken)).await {
            Ok(()) => return Ok(()),
            Err(_) if let Some(error) = broken.take() => return Err(ClientError::File(error)),
            Err(failure) => tries.pause(failure).await?,
        }
    }
}

type Broken = Rc<Cell<Option<io::Error>>>;

async fn send(
    link: &Link,
    target: Target<'_>,
    content: &Content,
    (file, offset, broken): (&Arc<File>, u64, &Broken),
) -> Result<(), Failure> {
    let (request, what) = target.request(link, &Method::PUT)?;
    let moved = Rc::new(Cell::new(Instant::now()));
    let body = FileBody {
        file: file.clone(),
        start: offset,
        offset: 0,
        size: content.size,
        reading: None,
        moved: moved.clone(),
        broken: broken.clone(),
    };
    let sending = request.insert_header((CONTENT_TYPE, "application/octet-stream")).send_body(body);
    let sent = while_moving(sending, &moved, standstill(content.size), &what).await?;
    let mut response = sent.map_err(|error| Failure::of_sending(&what, error))?;
    settled(&mut response, link, what).await
}

/// Says that all parts of a content were sent.
pub(crate) async fn join(link: &Link, target: Target<'_>, content: &Content) -> Result<(), ClientError> {
    let mut tries = Patience::new(link);
    loop {
        match joined(link, target, content).await {
            Ok(()) => return Ok(()),
            Err(failure) => tries.pause(failure).await?,
        }
    }
}

async fn joined(link: &Link, target: Target<'_>, content: &Content) -> Result<(), Failure> {
    let (request, what) = target.request(link, &Method::PUT)?;
    // Until it has read all of it.
    let sending = tokio::time::timeout(standstill(content.size), request.send());
    let sent = sending.await.map_err(|_| Failure::lost(&what, "the parts are not joined".to_owned()))?;
    let mut response = sent.map_err(|error| Failure::of_sending(&what, error))?;
    settled(&mut response, link, what).await
}

/// A control plane that syncs and checks what it got is silent meanwhile.
fn standstill(size: u64) -> Duration {
    STANDSTILL + Duration::from_secs(size / (16 << 20))
}

async fn settled(response: &mut ClientResponse, link: &Link, what: String) -> Result<(), Failure> {
    let status = response.status();
    let read = tokio::time::timeout(STANDSTILL, response.body().limit(PIECE)).await;
    let body = read.map_err(|_| Failure::lost(&what, "its answer has no end".to_owned()))?;
    let body = body.map_err(|error| Failure::of_reading(&what, error))?;
    Failure::passing(&what, response, &body)?;
    refusal(status, &body, link, what)
}

fn refusal(status: StatusCode, body: &Bytes, link: &Link, what: String) -> Result<(), Failure> {
    if status.is_success() {
        return Ok(());
    }
    let hidden = status == StatusCode::NOT_FOUND && body.is_empty();
    let error = if hidden || status == StatusCode::UNAUTHORIZED {
        ClientError::Refused { url: link.resolve("") }
    } else if status.is_client_error() {
        ClientError::Rejected { what, status: status.as_u16(), message: sentence(status, body) }
    } else {
        ClientError::Unexpected { what, why: format!("status {status}") }
    };
    Err(Failure::useless(error))
}

/// Awaits what goes on as long as something moves.
async fn while_moving<T>(
    going: impl Future<Output = T>,
    moved: &Cell<Instant>,
    standstill: Duration,
    what: &str,
) -> Result<T, Failure> {
    let mut going = std::pin::pin!(going);
    loop {
        let seen = moved.get();
        let end = tokio::time::Instant::from_std(seen + standstill);
        match tokio::time::timeout_at(end, going.as_mut()).await {
            Ok(done) => return Ok(done),
            Err(_) if moved.get() != seen => {}
            Err(_) => {
                return Err(Failure::lost(what, format!("nothing moved for {} s", standstill.as_secs())));
            }
        }
    }
}

/// The tries of one transfer.
struct Patience {
    deadline: Instant,
    patience: Duration,
    backoff: Backoff,
}

impl Patience {
    fn new(link: &Link) -> Self {
        let patience = link.patience();
        Self {
            deadline: Instant::now() + patience,
            patience,
            backoff: Backoff::up_to(Duration::from_secs(5)),
        }
    }

    /// Something came: patience begins anew.
    fn renew(&mut self) {
        self.deadline = Instant::now() + self.patience;
    }

    async fn pause(&mut self, failure: Failure) -> Result<(), ClientError> {
        let pause = failure.pause.unwrap_or_else(|| self.backoff.pause());
        if !failure.error.is_transient() || Instant::now() + pause >= self.deadline {
            return Err(failure.error);
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// A file as a request's body.
struct FileBody {
    file: Arc<File>,
    /// Where in the file it begins.
    start: u64,
    offset: u64,
    size: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    moved: Rc<Cell<Instant>>,
    broken: Broken,
}

impl FileBody {
    fn read_next(&self) -> JoinHandle<io::Result<Bytes>> {
        let (file, offset) = (self.file.clone(), self.start + self.offset);
        let length = (self.size - self.offset).min(PIECE as u64) as usize;
        spawn_blocking(move || {
            let mut piece = BytesMut::zeroed(length);
            file.read_exact_at(&mut piece, offset)?;
            Ok(piece.freeze())
        })
    }
}

impl MessageBody for FileBody {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.size)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Bytes, io::Error>>> {
        self.moved.set(Instant::now());
        if self.offset == self.size {
            return Poll::Ready(None);
        }
        if self.reading.is_none() {
            self.reading = Some(self.read_next());
        }
        let reading = self.reading.as_mut().expect("it was just begun");
        let read = ready!(Pin::new(reading).poll(context)).map_err(io::Error::other).flatten();
        self.reading = None;
        match read {
            Ok(piece) => {
                self.offset += piece.len() as u64;
                Poll::Ready(Some(Ok(piece)))
            }
            Err(error) => {
                self.broken.set(Some(io::Error::new(error.kind(), error.to_string())));
                Poll::Ready(Some(Err(error)))
            }
        }
    }
}

/// Fetches a content into a file; goes on where a cut connection ended, if the other side can.
pub(crate) async fn get(
    link: &Link,
    target: Target<'_>,
    content: &Content,
    into: &File,
) -> Result<(), ClientError> {
    let mut sink = Sink::new(Arc::new(into.try_clone().map_err(ClientError::File)?));
    let mut tries = Patience::new(link);
    loop {
        let before = sink.written;
        match receive(link, target, content, &mut sink).await {
            Ok(what) => return sink.check(content, what),
            Err(failure) if sink.written > before => {
                tries.renew();
                tries.pause(failure).await?;
            }
            Err(failure) => tries.pause(failure).await?,
        }
    }
}

async fn receive(
    link: &Link,
    target: Target<'_>,
    content: &Content,
    sink: &mut Sink,
) -> Result<String, Failure> {
    let (mut request, what) = target.request(link, &Method::GET)?;
    if sink.written > 0 {
        request = request.insert_header((RANGE, format!("bytes={}-", sink.written)));
    }
    let sending = tokio::time::timeout(STANDSTILL, request.send());
    let sent = sending.await.map_err(|_| Failure::lost(&what, "no answer within 30 s".to_owned()))?;
    let mut response = sent.map_err(|error| Failure::of_sending(&what, error))?;
    if !response.status().is_success() {
        settled(&mut response, link, what.clone()).await?;
    }
    if !goes_on(&response, sink.written) {
        sink.restart();
    }
    drain(&mut response, content, sink, &what).await?;
    Ok(what)
}

/// Whether the answer is the rest that was asked for.
fn goes_on(response: &ClientResponse, written: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    let first = range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse::<u64>().ok());
    response.status() == StatusCode::PARTIAL_CONTENT && first == Some(written)
}

async fn drain(
    response: &mut ClientResponse,
    content: &Content,
    sink: &mut Sink,
    what: &str,
) -> Result<(), Failure> {
    let mut piece = BytesMut::new();
    loop {
        let next = tokio::time::timeout(STANDSTILL, response.next()).await;
        let next = next.map_err(|_| Failure::lost(what, "nothing came for 30 s".to_owned()))?;
        let Some(bytes) = next.transpose().map_err(|error| Failure::of_reading(what, error))? else { break };
        piece.extend_from_slice(&bytes);
        if sink.written + piece.len() as u64 > content.size {
            return Err(Failure::useless(sink.mismatch(content, what.to_owned(), piece.len())));
        }
        if piece.len() >= PIECE {
            sink.write(piece.split().freeze()).await?;
        }
    }
    sink.write(piece.freeze()).await?;
    if sink.written < content.size {
        return Err(Failure::lost(what, format!("cut after {} of {} bytes", sink.written, content.size)));
    }
    Ok(())
}

/// The file that is written, and the digest so far.
struct Sink {
    file: Arc<File>,
    written: u64,
    digest: Context,
}

impl Sink {
    fn new(file: Arc<File>) -> Self {
        Self { file, written: 0, digest: Context::new(&SHA256) }
    }

    fn restart(&mut self) {
        (self.written, self.digest) = (0, Context::new(&SHA256));
    }

    async fn write(&mut self, piece: Bytes) -> Result<(), Failure> {
        let (file, offset, mut digest) = (self.file.clone(), self.written, self.digest.clone());
        let length = piece.len() as u64;
        let writing = spawn_blocking(move || {
            file.write_all_at(&piece, offset)?;
            digest.update(&piece);
            Ok(digest)
        });
        let written = writing.await.map_err(io::Error::other).flatten();
        self.digest = written.map_err(|error| Failure::useless(ClientError::File(error)))?;
        self.written += length;
        Ok(())
    }

    fn check(self, content: &Content, what: String) -> Result<(), ClientError> {
        if self.got() == content.digest && self.written == content.size {
            return Ok(());
        }
        Err(self.mismatch(content, what, 0))
    }

    fn got(&self) -> Digest {
        let hash = self.digest.clone().finish();
        Digest::of_bytes(hash.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    fn mismatch(&self, content: &Content, what: String, more: usize) -> ClientError {
        ClientError::Digest {
            what,
            got: self.got().to_string(),
            size: self.written + more as u64,
            wanted: content.digest.to_string(),
            wanted_size: content.size,
        }
    }
}
