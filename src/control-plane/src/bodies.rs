//! The memory that the bodies of all calls may take together. Small ones are free, so that leases are renewed, tasks begin
//! and end whatever else is sent.

use crate::refusal::Refusal;
use actix_web::{
    HttpRequest,
    dev::Payload,
    http::{
        Method,
        header::{CONTENT_LENGTH, TRANSFER_ENCODING},
    },
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// The largest JSON body: a configuration with its variables, or the test results of one request.
pub(crate) const MAX_JSON: usize = 32 * 1024 * 1024;
/// Bytes of all bodies that are read or worked on.
const ROOM: usize = 256 * 1024 * 1024;
/// The same of those that come without a token, and the most of one: webhooks of a push tell of a few thousand commits.
const ROOM_OF_STRANGERS: usize = 64 * 1024 * 1024;
const MOST_OF_STRANGER: usize = 8 * 1024 * 1024;
/// How long one of these may take to come.
const WITHIN: Duration = Duration::from_secs(30);
/// Up to this many bytes are free.
const FREE: usize = 16 * 1024;
/// What of a content is in memory while it goes to the disk.
const STREAMED: usize = 2 * 1024 * 1024;
/// What is counted in.
const KIB: usize = 1024;

/// The room for bodies.
#[derive(Debug)]
pub(crate) struct Bodies {
    room: Arc<Semaphore>,
    of_strangers: Arc<Semaphore>,
}

/// The room that a body takes until this is dropped; none for a small one.
#[derive(Debug)]
pub(crate) struct Room {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    /// All of the room, free.
    pub(crate) fn new() -> Self {
        let room = |bytes: usize| Arc::new(Semaphore::new(bytes / KIB));
        Self { room: room(ROOM), of_strangers: room(ROOM_OF_STRANGERS) }
    }

    /// Takes the room for the body of a call, before any of it is read.
    pub(crate) fn admit(&self, request: &HttpRequest) -> Result<Room, Refusal> {
        let most = if *request.method() == Method::PUT { STREAMED } else { MAX_JSON };
        self.take(length(request).min(most))
    }

    /// Reads the body of a call without a token. It takes room as it comes, not as it is announced, and none of what is there
    /// for those who have one: a stranger who sends nothing takes nothing.
    pub(crate) async fn read(&self, announced: usize, body: Payload) -> Result<(Bytes, Room), Refusal> {
        if announced > MOST_OF_STRANGER {
            return Err(too_long());
        }
        self.read_within(WITHIN, body).await
    }

    async fn read_within(&self, time: Duration, body: Payload) -> Result<(Bytes, Room), Refusal> {
        let late = |_| Err(Refusal::Bad(format!("the body did not come within {} s", time.as_secs())));
        timeout(time, self.whole(body)).await.unwrap_or_else(late)
    }

    async fn whole(&self, mut body: Payload) -> Result<(Bytes, Room), Refusal> {
        let (mut all, mut room) = (BytesMut::new(), None::<OwnedSemaphorePermit>);
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|error| Refusal::Bad(format!("the body: {error}")))?;
            all.extend_from_slice(&piece);
            if all.len() > MOST_OF_STRANGER {
                return Err(too_long());
            }
            let taken = room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits) * KIB;
            if all.len() > FREE.max(taken) {
                let more = permits(&self.of_strangers, all.len() - taken)?;
                match &mut room {
                    Some(room) => room.merge(more),
                    none => *none = Some(more),
                }
            }
        }
        Ok((all.freeze(), Room { _permit: room }))
    }

    fn take(&self, bytes: usize) -> Result<Room, Refusal> {
        if bytes <= FREE {
            return Ok(Room { _permit: None });
        }
        Ok(Room { _permit: Some(permits(&self.room, bytes)?) })
    }
}

fn too_long() -> Refusal {
    Refusal::Bad(format!("the body: it has {MOST_OF_STRANGER} bytes at most"))
}

fn permits(of: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
    let kib = u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX);
    of.clone().try_acquire_many_owned(kib).map_err(|_| Refusal::Busy)
}

/// As announced; without an announcement, as long as any may be.
fn length(request: &HttpRequest) -> usize {
    let is_open = request.headers().contains_key(TRANSFER_ENCODING);
    announced(request).unwrap_or(if is_open { usize::MAX } else { 0 })
}

/// As its sender says before it sends it, if they do.
pub(crate) fn announced(request: &HttpRequest) -> Option<usize> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::{error::PayloadError, test::TestRequest};
    use futures_util::stream::LocalBoxStream;

    fn call(method: Method, header: (&'static str, String)) -> HttpRequest {
        TestRequest::default().method(method).insert_header(header).to_http_request()
    }

    fn of(bytes: usize) -> HttpRequest {
        call(Method::POST, ("Content-Length", bytes.to_string()))
    }

    #[test]
    fn what_does_not_fit_is_refused_until_there_is_room_and_what_is_small_never_is() {
        let bodies = Bodies::new();
        let mut taken: Vec<_> = (0..ROOM / MAX_JSON).map(|_| bodies.admit(&of(MAX_JSON)).unwrap()).collect();
        assert!(matches!(bodies.admit(&of(FREE + 1)), Err(Refusal::Busy)));
        bodies.admit(&of(FREE)).unwrap();
        bodies.admit(&TestRequest::default().to_http_request()).unwrap();
        taken.pop();
        bodies.admit(&of(FREE + 1)).unwrap();
    }

    fn sent(pieces: usize) -> Payload {
        let piece = || Ok(Bytes::from_static(&[7; 64 * KIB]));
        let pieces = futures_util::stream::iter((0..pieces).map(move |_| piece()));
        Payload::Stream { payload: Box::pin(pieces) }
    }

    #[actix_web::test]
    async fn strangers_take_room_as_they_send_and_none_of_the_others() {
        let bodies = Bodies::new();
        let left = |of: &Semaphore| of.available_permits() * KIB;
        let (body, small) = bodies.read(0, sent(0)).await.unwrap();
        assert_eq!((body.len(), left(&bodies.of_strangers)), (0, ROOM_OF_STRANGERS));
        drop(small);
        let mut rooms = Vec::new();
        for number in 1..=9 {
            let (body, room) = bodies.read(0, sent(112)).await.unwrap();
            assert_eq!(body.len(), 7 * KIB * KIB);
            rooms.push(room);
            assert_eq!(left(&bodies.of_strangers), ROOM_OF_STRANGERS - number * body.len());
        }
        assert!(matches!(bodies.read(0, sent(112)).await, Err(Refusal::Busy)));
        assert_eq!((left(&bodies.room), left(&bodies.of_strangers)), (ROOM, KIB * KIB));
        rooms.clear();
        assert_eq!(bodies.read(0, sent(128)).await.unwrap().0.len(), MOST_OF_STRANGER);
        assert!(matches!(bodies.read(0, sent(129)).await, Err(Refusal::Bad(_))), "it is too long");
        assert_eq!(left(&bodies.of_strangers), ROOM_OF_STRANGERS);
    }

    #[actix_web::test]
    async fn a_stranger_who_begins_a_body_and_sends_no_more_is_sent_away() {
        let bodies = Bodies::new();
        let piece = futures_util::stream::once(async { Ok(Bytes::from_static(b"{")) });
        let payload: LocalBoxStream<'static, Result<Bytes, PayloadError>> =
            Box::pin(piece.chain(futures_util::stream::pending()));
        let late = bodies.read_within(Duration::from_millis(1), Payload::Stream { payload }).await;
        assert!(matches!(late, Err(Refusal::Bad(why)) if why.contains("did not come within")));
    }

    #[test]
    fn a_body_takes_what_of_it_is_in_memory() {
        let bodies = Bodies::new();
        let left = |bodies: &Bodies| bodies.room.available_permits() * KIB;
        let content = bodies.admit(&call(Method::PUT, ("Content-Length", usize::MAX.to_string()))).unwrap();
        assert_eq!(left(&bodies), ROOM - STREAMED);
        drop(content);
        let unknown = bodies.admit(&call(Method::POST, ("Transfer-Encoding", "chunked".to_owned()))).unwrap();
        assert_eq!(left(&bodies), ROOM - MAX_JSON);
        drop(unknown);
        assert_eq!(left(&bodies), ROOM);
    }
}
