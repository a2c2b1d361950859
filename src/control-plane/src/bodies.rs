//! The memory that the bodies of all calls may take together. Small ones are free, so that leases are renewed, tasks begin
//! and end whatever else is sent.

use crate::refusal::Refusal;
use actix_web::{
    HttpRequest,
    http::{
        Method,
        header::{CONTENT_LENGTH, TRANSFER_ENCODING},
    },
};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The largest JSON body: a configuration with its variables, or the test results of one request.
pub(crate) const MAX_JSON: usize = 32 * 1024 * 1024;
/// Bytes of all bodies that are read or worked on.
const ROOM: usize = 256 * 1024 * 1024;
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
}

/// The room that a body takes until this is dropped; none for a small one.
#[derive(Debug)]
pub(crate) struct Room {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    /// All of the room, free.
    pub(crate) fn new() -> Self {
        Self { room: Arc::new(Semaphore::new(ROOM / KIB)) }
    }

    /// Takes the room for the body of a call, before any of it is read.
    pub(crate) fn admit(&self, request: &HttpRequest) -> Result<Room, Refusal> {
        let most = if *request.method() == Method::PUT { STREAMED } else { MAX_JSON };
        self.take(length(request).min(most))
    }

    fn take(&self, bytes: usize) -> Result<Room, Refusal> {
        if bytes <= FREE {
            return Ok(Room { _permit: None });
        }
        let kib = u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX);
        let permit = self.room.clone().try_acquire_many_owned(kib).map_err(|_| Refusal::Busy)?;
        Ok(Room { _permit: Some(permit) })
    }
}

/// As announced; without an announcement, as long as any may be.
fn length(request: &HttpRequest) -> usize {
    let headers = request.headers();
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    announced.unwrap_or(if headers.contains_key(TRANSFER_ENCODING) { usize::MAX } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

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
