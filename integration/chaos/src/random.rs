//! Numbers that a seed determines.

/// A stream of numbers that its seed determines (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A stream of its own, for one part of what a seed determines.
    pub fn part(seed: u64, part: u64) -> Self {
        let mut parts = Self(seed ^ 0x5851_f42d_4c95_7f2d);
        Self(parts.next() ^ part.wrapping_mul(0x2545_f491_4f6c_dd1d))
    }

    /// The next number.
    #[expect(clippy::should_implement_trait, reason = "it never ends, so it is no iterator")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `least` up to, and not, `limit`.
    pub fn within(&mut self, least: u64, limit: u64) -> u64 {
        least + self.next() % (limit - least).max(1)
    }

    /// True so many times out of a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.within(0, 100) < percent
    }

    /// One of them.
    ///
    /// # Panics
    /// Where there is none.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        let place = usize::try_from(self.within(0, of.len() as u64)).expect("a length is a usize");
        of[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_determines_its_stream_and_parts_differ() {
        let stream = |mut random: Random| [(); 4].map(|()| random.next());
        assert_eq!(stream(Random::new(7)), stream(Random::new(7)));
        assert_ne!(stream(Random::part(7, 1)), stream(Random::part(7, 2)));
    }

    proptest::proptest! {
        #[test]
        fn numbers_stay_within_their_bounds(seed: u64, least in 0u64..1000, span in 1u64..1000) {
            let number = Random::new(seed).within(least, least + span);
            proptest::prop_assert!((least..least + span).contains(&number));
        }
    }
}
