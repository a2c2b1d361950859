//! Writing one content: piece by piece into a file aside, checked, synced and put in its place at the end.

use crate::{
    BlobError, Scope, blocking,
    directory::{Directory, Incoming},
};
use bytes::Bytes;
use protocol::Digest;
use ring::digest::{Context, SHA256};
use std::{io::Write, sync::Arc};

/// Bytes that are gathered before they go to the file, so that small pieces cost no thread switch each.
const GATHERED: usize = 1024 * 1024;

/// A content being written. Dropped before [`Writer::finish`], it was never there.
#[derive(Debug)]
pub struct Writer {
    directory: Arc<Directory>,
    scope: Scope,
    announced: Option<Digest>,
    size: Option<u64>,
    received: u64,
    waiting: Vec<Bytes>,
    waiting_bytes: usize,
    /// Taken while a blocking thread works on it; gone for good after a failed write.
    target: Option<Target>,
}

struct Target {
    incoming: Incoming,
    hash: Context,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.incoming.fmt(f)
    }
}

impl Writer {
    pub(crate) async fn begin(
        directory: Arc<Directory>,
        scope: Scope,
        announced: Option<Digest>,
        size: Option<u64>,
    ) -> Result<Self, BlobError> {
        let opened = directory.clone();
        let incoming = blocking(move || opened.incoming()).await?;
        let target = Some(Target { incoming, hash: Context::new(&SHA256) });
        let (waiting, waiting_bytes, received) = (Vec::new(), 0, 0);
        Ok(Self { directory, scope, announced, size, received, waiting, waiting_bytes, target })
    }

    /// Adds a piece. A piece beyond the announced size is refused at once.
    pub async fn push(&mut self, piece: Bytes) -> Result<(), BlobError> {
        self.received += piece.len() as u64;
        if let Some(announced) = self.size.filter(|announced| self.received > *announced) {
            return Err(BlobError::Size { announced, found: self.received });
        }
        self.waiting_bytes += piece.len();
        self.waiting.push(piece);
        if self.waiting_bytes < GATHERED { Ok(()) } else { self.write_waiting().await }
    }

    async fn write_waiting(&mut self) -> Result<(), BlobError> {
        let mut target = self.target.take().expect("a writer is not used after a failed write");
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        let written = blocking(move || target.write(&waiting).map(|()| target)).await;
        self.target =
            Some(written.map_err(|error| BlobError::system("write", self.directory.path(), error))?);
        Ok(())
    }

    /// Checks size and digest, syncs, and puts the content in its place. Whoever wrote the same at the same time
    /// put the same bytes there.
    pub async fn finish(self) -> Result<(Digest, u64), BlobError> {
        let (directory, scope, size) = (self.directory.clone(), self.scope.clone(), self.received);
        let (mut incoming, found) = self.checked().await?;
        let digest = found.clone();
        blocking(move || directory.place_content(&mut incoming, &scope, &digest)).await?;
        Ok((found, size))
    }

    /// All of it, of the size and the digest that were announced, in a file aside.
    pub(crate) async fn checked(mut self) -> Result<(Incoming, Digest), BlobError> {
        if let Some(announced) = self.size.filter(|announced| self.received != *announced) {
            return Err(BlobError::Size { announced, found: self.received });
        }
        self.write_waiting().await?;
        let Target { incoming, hash } = self.target.take().expect("the write before succeeded");
        let hash = hash.finish();
        let found = Digest::of_bytes(hash.as_ref().try_into().expect("a SHA-256 has 32 bytes"));
        match self.announced.filter(|announced| *announced != found) {
            Some(announced) => Err(BlobError::Digest { announced, found }),
            None => Ok((incoming, found)),
        }
    }
}

impl Target {
    fn write(&mut self, pieces: &[Bytes]) -> std::io::Result<()> {
        for piece in pieces {
            self.hash.update(piece);
            self.incoming.file.write_all(piece)?;
        }
        Ok(())
    }
}
