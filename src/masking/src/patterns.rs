//! Finding many words in a stream: a filter over sampled groups of bytes, then the words themselves in order.

/// Where a word begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) start: usize,
    /// Of the longest whole word at `start`; 0 if none is whole.
    pub(crate) length: usize,
    /// Whether the data ends within a (longer) word at `start`.
    pub(crate) open: bool,
}

/// The longest stretch in which the filter wants a sample.
const MOST_SAMPLED: usize = 20;

/// Words of at least four bytes.
///
/// Every occurrence of a word has, among its first `stride` positions, exactly one that is a multiple of `stride`. The
/// filter knows the groups of bytes that can stand there, so most positions of a text are never looked at.
#[derive(Debug, Default)]
pub(crate) struct Patterns {
    /// In order, each once: those with a common beginning stand together, the shortest first.
    words: Vec<Vec<u8>>,
    /// Where the words that begin with each byte stand.
    by_first: Vec<std::ops::Range<usize>>,
    /// One bit per hash of a group.
    groups: Vec<u64>,
    /// Which bytes of the four at a position are its group.
    group: u32,
    stride: usize,
    /// What a sample speaks for: so many bytes from a word's beginning.
    window: usize,
}

const HASH_BITS: u32 = 16;

impl Patterns {
    pub(crate) fn new(mut words: Vec<Vec<u8>>) -> Self {
        words.sort_unstable();
        words.dedup();
        let Some(shortest) = words.iter().map(Vec::len).min() else {
            return Self::default();
        };
        debug_assert!(shortest >= 4, "a shorter word has no group of three bytes and a stride");
        let window = shortest.min(MOST_SAMPLED);
        let group_length = (window - 1).min(4);
        let group = if group_length == 3 { 0x00ff_ffff } else { u32::MAX };
        let by_first = (0..=255u8).map(|first| range(&words, first)).collect();
        let groups = vec![0; (1 << HASH_BITS) / 64];
        let mut patterns = Self { words, by_first, groups, group, stride: window + 1 - group_length, window };
        patterns.learn(group_length);
        patterns
    }

    fn learn(&mut self, group_length: usize) {
        for word in &self.words {
            for at in 0..self.stride {
                let mut bytes = [0; 4];
                bytes[..group_length].copy_from_slice(&word[at..at + group_length]);
                let hash = hash(u32::from_le_bytes(bytes) & self.group);
                self.groups[hash / 64] |= 1 << (hash % 64);
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The first place at or after `from` where a word is whole or where the data ends within one.
    pub(crate) fn find(&self, data: &[u8], from: usize) -> Option<Found> {
        let sampled = data.len().saturating_sub(self.window);
        let mut start = from;
        while start < sampled {
            let sample = self.next_sample(data, start);
            let last = sampled.min(sample.saturating_add(1));
            let first = start.max(last.saturating_sub(self.stride));
            if let Some(found) = self.first_within(data, first..last) {
                return Some(found);
            }
            start = last;
        }
        self.first_within(data, start..data.len())
    }

    /// The first sampled position at or after `from` whose group some word has near its beginning.
    fn next_sample(&self, data: &[u8], from: usize) -> usize {
        let mut at = from.next_multiple_of(self.stride);
        while let Some(bytes) = data.get(at..at + 4) {
            let group = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) & self.group;
            let hash = hash(group);
            if self.groups[hash / 64] & (1 << (hash % 64)) != 0 {
                return at;
            }
            at += self.stride;
        }
        usize::MAX
    }

    fn first_within(&self, data: &[u8], mut starts: std::ops::Range<usize>) -> Option<Found> {
        starts.find_map(|start| {
            let (length, open) = self.at(&data[start..]);
            (length > 0 || open).then_some(Found { start, length, open })
        })
    }

    /// The length of the longest word `data` begins with, and whether `data` itself is the beginning of a word.
    fn at(&self, data: &[u8]) -> (usize, bool) {
        let mut range = self.by_first[usize::from(data[0])].clone();
        let mut longest = 0;
        for depth in 1..=data.len() {
            let Some(first) = self.words[range.clone()].first() else {
                return (longest, false);
            };
            if first.len() == depth {
                longest = depth;
                range.start += 1;
            }
            match data.get(depth) {
                Some(byte) => range = self.narrowed(range, depth, *byte),
                None => break,
            }
        }
        (longest, !range.is_empty())
    }

    /// Those words of the range, all longer than `depth`, that have `byte` there.
    fn narrowed(&self, range: std::ops::Range<usize>, depth: usize, byte: u8) -> std::ops::Range<usize> {
        let words = &self.words[range.clone()];
        let below = words.partition_point(|word| word[depth] < byte);
        let equal = words[below..].partition_point(|word| word[depth] == byte);
        range.start + below..range.start + below + equal
    }
}

fn range(words: &[Vec<u8>], first: u8) -> std::ops::Range<usize> {
    words.partition_point(|word| word[0] < first)..words.partition_point(|word| word[0] <= first)
}

fn hash(group: u32) -> usize {
    (group.wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)) as usize
}
