//! A large content on its way: several parts at once, and none that the control plane has already, whoever sent it.

use super::{
    carry::{Carrier, Obstacle},
    received::{Known, hash_part},
};
use client::ClientError;
use futures_util::{StreamExt, TryStreamExt, stream};
use protocol::transfer::{Content, Parts};
use std::{io, ops::Range};
use tokio::task::spawn_blocking;

/// So many parts of one content are under way at once.
const AT_ONCE: usize = 4;
/// The answer to a join while parts are missing.
const CONFLICT: u16 = 409;

impl Carrier {
    /// Each part is a transfer of its own; a part that arrived never goes again, also after a restart of either side.
    pub(super) async fn put_parts(
        &self,
        url: &str,
        parts: &Parts,
        known: &Known,
        sent: &impl Fn(u64),
    ) -> Result<(), Obstacle> {
        let size = known.content.size;
        let missing = parts.missing(size);
        let length = |number: &u32| {
            let Range { start, end } = Parts::range(size, parts.size, *number);
            end - start
        };
        let mut done = size - missing.iter().map(length).sum::<u64>();
        sent(done);
        let puts = missing.into_iter().map(|number| self.put_part(url, parts.size, number, known));
        let mut puts = stream::iter(puts).buffer_unordered(AT_ONCE);
        while let Some(bytes) = puts.try_next().await? {
            done += bytes;
            sent(done);
        }
        let _transfer = self.transfer().await;
        match self.client.join_parts(url, &known.content).await {
            // They were swept meanwhile, or another sender's join found them wrong: which are missing is asked again.
            Err(ClientError::Rejected { status: CONFLICT, .. }) => Err(Obstacle::Passing),
            joined => joined.map_err(Obstacle::of_content),
        }
    }

    async fn put_part(&self, url: &str, size: u64, number: u32, known: &Known) -> Result<u64, Obstacle> {
        let _transfer = self.transfer().await;
        let Range { start, end } = Parts::range(known.content.size, size, number);
        let file = known.source.clone();
        let hashed = spawn_blocking(move || hash_part(&file, start, end - start)).await;
        let hashed = hashed.map_err(io::Error::other).flatten();
        let part: Content = hashed.map_err(|error| Obstacle::of_content(ClientError::File(error)))?;
        self.client
            .put_part(url, number, &part, (&known.source, start))
            .await
            .map_err(Obstacle::of_content)?;
        Ok(part.size)
    }
}
