//! How long to wait before the next try: doubling from 50 ms, with jitter.

use ring::rand::{SecureRandom, SystemRandom};
use std::time::Duration;

/// Growing pauses between tries of something that failed.
#[derive(Clone, Debug)]
pub struct Backoff {
    next: Duration,
    most: Duration,
}

impl Backoff {
    /// Pauses from 50 ms up to `most`.
    pub fn up_to(most: Duration) -> Self {
        Self { next: Duration::from_millis(50).min(most), most }
    }

    /// The next pause: between half and all of a length that doubles each time.
    pub fn pause(&mut self) -> Duration {
        let length = self.next;
        self.next = (length * 2).min(self.most);
        length.mul_f64(0.5 + 0.5 * chance())
    }
}

/// A number from 0 to 1.
fn chance() -> f64 {
    let mut bytes = [0; 4];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_ne_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_most_and_are_never_shorter_than_half() {
        let mut backoff = Backoff::up_to(Duration::from_millis(300));
        for length in [50, 100, 200, 300, 300] {
            let pause = backoff.pause();
            assert!(pause <= Duration::from_millis(length) && pause >= Duration::from_millis(length / 2));
        }
    }
}
