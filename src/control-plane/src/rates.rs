//! How often one token may call: so many times a second in the long run, and ten seconds' worth of that at once.
//!
//! A bucket is known by the time at which it is full again (the generic cell rate algorithm, ITU-T I.371), so that one that is
//! full needs no place in memory.

use crate::{
    engine::task::Millis,
    plane::{people::Who, token::TokenHash},
    refusal::Refusal,
};
use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
};

/// So many seconds' worth of calls may come at once.
const AT_ONCE: u64 = 10;
/// With so many tokens in mind, those that are full are forgotten.
const MANY: usize = 10_000;
const MICROS: u64 = 1_000_000;

/// When each token's bucket is full again, in microseconds of the plane's own clock.
#[derive(Debug)]
pub(crate) struct Rates {
    a_second: Option<NonZeroU32>,
    full_at: Mutex<HashMap<TokenHash, u64>>,
}

impl Rates {
    /// Without a number: as often as anybody likes.
    pub(crate) fn new(a_second: Option<NonZeroU32>) -> Self {
        Self { a_second, full_at: Mutex::default() }
    }

    /// Counts a call. The operator's, and those of programs of our own, are not counted.
    pub(crate) fn admit(&self, who: &Who, token: &TokenHash, now: Millis) -> Result<(), Refusal> {
        match who {
            Who::Person(_) | Who::Project { .. } => self.count(token, now * 1000),
            Who::Operator | Who::Approver => Ok(()),
        }
    }

    fn count(&self, token: &TokenHash, now: u64) -> Result<(), Refusal> {
        let Some(a_second) = self.a_second else { return Ok(()) };
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if full_at.len() >= MANY {
            full_at.retain(|_, at| *at > now);
        }
        let at =
            full_at.get(token).copied().unwrap_or_default().max(now) + MICROS / u64::from(a_second.get());
        let wait = (at - now).saturating_sub(AT_ONCE * MICROS);
        if wait > 0 {
            return Err(Refusal::TooMany { seconds: wait.div_ceil(MICROS) });
        }
        full_at.insert(*token, at);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_ten_seconds_worth_at_once_and_then_its_rate() {
        let rates = Rates::new(NonZeroU32::new(2));
        let (one, other) = ([1; 32], [2; 32]);
        let counted = |token, now| rates.count(token, now).is_ok();
        assert_eq!((0..30).filter(|_| counted(&one, 0)).count(), 20);
        assert!(counted(&other, 0), "another's is its own");
        assert!(matches!(rates.count(&one, 0), Err(Refusal::TooMany { seconds: 1 })));
        assert!(counted(&one, 500_000) && !counted(&one, 600_000));
        assert_eq!((0..30).filter(|_| counted(&one, 60 * MICROS)).count(), 20);
    }

    #[test]
    fn without_a_number_nothing_is_counted() {
        let rates = Rates::new(None);
        assert!((0..100_000).all(|_| rates.count(&[1; 32], 0).is_ok()));
    }
}
