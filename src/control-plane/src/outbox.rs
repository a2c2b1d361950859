//! What others are told: taken from the store, tried again with pauses, and given up on.
//!
//! ```text
//! something changes ──in one write──▶ store ──what is due, many at once──▶ others, who say whether they heard it
//! ```
//!
//! Whoever is killed in between tells it again.

use crate::{
    outbound::Outbound,
    plane::{Plane, clock::wall_ms},
    refusal::Refusal,
};
use futures_util::stream::{FuturesUnordered, StreamExt};
use slog::{Logger, debug, warn};
use std::{collections::HashSet, sync::Arc, time::Duration};
use store::{Outbox, Store, StoreError, Write};
use tokio::time::sleep;

/// So many of a kind are told at once.
const AT_ONCE: usize = 32;
/// So many of a kind wait at most; those made before them are given up.
const WAITING: u64 = 10_000;
/// How long one is tried.
const PATIENCE_MS: i64 = 24 * 60 * 60 * 1000;
/// The longest pause between two tries of one.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);
/// The longest that others may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(60 * 60);

/// What came of telling one.
#[derive(Debug)]
pub(crate) enum Outcome {
    Told,
    /// The same may succeed later.
    Later(Option<Duration>, String),
    Never(String),
}

/// One of those that are to be told.
pub(crate) trait Letter: Sized {
    /// Where those of its kind lie.
    const OUTBOX: Outbox;
    /// As the log calls one.
    const NAME: &'static str;

    /// Those that are due by now, the oldest first, at most so many.
    async fn due(store: &Store, now_ms: i64, most: u32) -> Result<Vec<Self>, StoreError>;
    /// Its place in the outbox.
    fn id(&self) -> i64;
    /// Since when it is to be told.
    fn made_ms(&self) -> i64;
    /// How often it was tried.
    fn tries(&self) -> u32;
    /// A log whose lines say which it is.
    fn logger(&self, log: &Logger) -> Logger;
    /// Tells it once.
    async fn tell(&self, plane: &Plane, outbound: &dyn Outbound) -> Outcome;
}

impl Plane {
    /// Tells others of one kind until the control plane stops.
    pub(crate) async fn tell_others<L: Letter>(self: Arc<Self>) {
        let Some(outbound) = self.rules.outbound.clone() else { return };
        let (mut rung, mut closed) = (self.to_tell.subscribe(), std::pin::pin!(self.closed()));
        let (mut flights, mut flying, mut landed) = (FuturesUnordered::new(), HashSet::new(), Vec::new());
        loop {
            let (due, pause) = meanwhile(&mut flights, &mut landed, self.due::<L>(&flying)).await;
            flying.extend(due.iter().map(Letter::id));
            flights.extend(due.into_iter().map(|one| self.tell_one(&*outbound, one)));
            if landed.is_empty() {
                tokio::select! {
                    () = &mut closed => return,
                    Some(id) = flights.next() => landed.push(id),
                    _ = rung.changed() => {}
                    () = sleep(pause) => {}
                }
            }
            for id in landed.drain(..) {
                flying.remove(&id);
            }
        }
    }

    /// What is to be told now beside what is on its way; for how long nothing else will be.
    async fn due<L: Letter>(&self, flying: &HashSet<i64>) -> (Vec<L>, Duration) {
        self.due_beside(flying).await.unwrap_or_else(|refusal| {
            warn!(self.log, "what others are to be told cannot be read"; "what" => L::NAME, "error" => %refusal);
            (Vec::new(), LONGEST_PAUSE)
        })
    }

    async fn due_beside<L: Letter>(&self, flying: &HashSet<i64>) -> Result<(Vec<L>, Duration), Refusal> {
        if self.store.waiting(L::OUTBOX).await? > WAITING {
            let given_up = self.write(vec![Write::Trim(L::OUTBOX, WAITING)]).await?[0];
            self.tallies.told(L::OUTBOX, "given_up", given_up);
            warn!(self.log, "too many wait to be told: the oldest are given up";
                "what" => L::NAME, "count" => given_up);
        }
        let now_ms = wall_ms();
        let mut due = L::due(&self.store, now_ms, AT_ONCE as u32).await?;
        due.retain(|one| !flying.contains(&one.id()));
        due.truncate(AT_ONCE.saturating_sub(flying.len()));
        let next = self.store.next_due_ms(L::OUTBOX, now_ms).await?;
        let pause = next.and_then(|next| u64::try_from(next - now_ms).ok()).map(Duration::from_millis);
        Ok((due, pause.unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE)))
    }

    /// Tells one, and notes what came of it; which it was.
    async fn tell_one<L: Letter>(&self, outbound: &dyn Outbound, one: L) -> i64 {
        let outcome = one.tell(self, outbound).await;
        if let Err(refusal) = self.write(vec![self.noted(&one, outcome)]).await {
            warn!(self.log, "what came of telling others cannot be noted"; "what" => L::NAME, "error" => %refusal);
            // It is due still, and others are not to hear it again and again.
            sleep(LONGEST_PAUSE).await;
        }
        one.id()
    }

    fn noted<L: Letter>(&self, one: &L, outcome: Outcome) -> Write {
        let (id, log) = (one.id(), one.logger(&self.log));
        match outcome {
            Outcome::Told => {
                self.tallies.told(L::OUTBOX, "told", 1);
                Write::Told(L::OUTBOX, id)
            }
            Outcome::Later(asked, why) if wall_ms() - one.made_ms() < PATIENCE_MS => {
                self.tallies.told(L::OUTBOX, "failed", 1);
                debug!(log, "{} is told later", L::NAME; "error" => why);
                let pause = asked.map_or(pause(one.tries()), |asked| asked.min(LONGEST_ASKED));
                let pause = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
                Write::Later(L::OUTBOX, id, wall_ms().saturating_add(pause))
            }
            Outcome::Later(_, why) | Outcome::Never(why) => {
                self.tallies.told(L::OUTBOX, "given_up", 1);
                warn!(log, "{} is given up", L::NAME; "tries" => one.tries() + 1, "error" => why);
                Write::Told(L::OUTBOX, id)
            }
        }
    }
}

/// Waits for something while what is on its way goes on: it may hold what that waits for. Those that arrive are noted.
async fn meanwhile<T>(
    flights: &mut FuturesUnordered<impl Future<Output = i64>>,
    landed: &mut Vec<i64>,
    something: impl Future<Output = T>,
) -> T {
    let mut something = std::pin::pin!(something);
    loop {
        tokio::select! {
            done = &mut something => return done,
            Some(id) = flights.next() => landed.push(id),
        }
    }
}

/// Twice as long each time.
fn pause(tries: u32) -> Duration {
    Duration::from_secs(1 << tries.min(10)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_quarter_of_an_hour() {
        let seconds: Vec<_> = [0, 1, 2, 9, 10, 50].map(|tries| pause(tries).as_secs()).into();
        assert_eq!(seconds, [1, 2, 4, 512, 900, 900]);
    }
}
