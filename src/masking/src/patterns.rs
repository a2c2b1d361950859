//! Finding many words in a stream: a filter over sampled groups of bytes, then the words themselves in order.

use std::ops::Range;

/// Where a word begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) start: usize,
    /// Of the longest whole word at `start`; 0 if none is whole.
    pub(crate) length: usize,
    /// Whether the data ends within a (longer) word at `start`.
    pub(crate) open: bool,
}

/// The longest stretch in which a filter wants a sample.
const MOST_SAMPLED: usize = 20;
/// Words below each of these lengths, and all others, have a filter of their own: a few short ones do not slow down the
/// search for many long ones.
const CLASSES: [usize; 3] = [8, 16, usize::MAX];

/// Words of at least four bytes.
#[derive(Debug, Default)]
pub(crate) struct Patterns {
    /// In order, each once: those with a common beginning stand together, the shortest first.
    words: Vec<Vec<u8>>,
    /// Where the words that begin with each byte stand.
    by_first: Vec<Range<usize>>,
    /// The first four bytes of all words: few places are compared with the words themselves.
    heads: Filter,
    samplers: Vec<Sampler>,
    /// The longest of theirs.
    window: usize,
}

/// Finds where words of about one length may begin, without looking at most positions of a text.
///
/// Every occurrence of a word has, among its first `stride` positions, exactly one that is a multiple of `stride`. The
/// filter knows the groups of bytes that can stand there.
#[derive(Debug)]
struct Sampler {
    groups: Filter,
    /// Which bytes of the four at a position are its group.
    group: u32,
    stride: usize,
    /// What a sample speaks for: so many bytes from a word's beginning.
    window: usize,
}

/// A set of numbers that has some more of them than were put in: a bit for each hash.
#[derive(Debug, Default)]
struct Filter {
    bits: Vec<u64>,
    shift: u32,
}

impl Filter {
    /// For so many numbers: of others about one in 16 is taken for one of them, unless there are very many.
    fn for_many(numbers: usize) -> Self {
        let log = (numbers * 16).next_power_of_two().ilog2().clamp(12, 23);
        Self { bits: vec![0; 1 << (log - 6)], shift: 32 - log }
    }

    fn insert(&mut self, number: u32) {
        let hash = self.hash(number);
        self.bits[hash / 64] |= 1 << (hash % 64);
    }

    fn may_have(&self, number: u32) -> bool {
        let hash = self.hash(number);
        self.bits[hash / 64] & (1 << (hash % 64)) != 0
    }

    fn hash(&self, number: u32) -> usize {
        (number.wrapping_mul(0x9e37_79b1) >> self.shift) as usize
    }
}

impl Sampler {
    /// None of no words.
    fn of(words: &[&[u8]]) -> Option<Self> {
        let shortest = words.iter().map(|word| word.len()).min()?;
        debug_assert!(shortest >= 4, "a shorter word has no group of three bytes and a stride");
        let window = shortest.min(MOST_SAMPLED);
        let group_length = (window - 1).min(4);
        let group = if group_length == 3 { 0x00ff_ffff } else { u32::MAX };
        let stride = window + 1 - group_length;
        let mut groups = Filter::for_many(words.len() * stride);
        for word in words {
            for at in 0..stride {
                let mut bytes = [0; 4];
                bytes[..group_length].copy_from_slice(&word[at..at + group_length]);
                groups.insert(u32::from_le_bytes(bytes));
            }
        }
        Some(Self { groups, group, stride, window })
    }

    /// The first sampled position at or after `from` whose group some word has near its beginning.
    fn next(&self, data: &[u8], from: usize) -> usize {
        let mut at = from.next_multiple_of(self.stride);
        while let Some(bytes) = four(data, at) {
            if self.groups.may_have(bytes & self.group) {
                return at;
            }
            at += self.stride;
        }
        usize::MAX
    }

    /// The positions that a sample speaks for.
    fn before(&self, sample: usize) -> Range<usize> {
        let end = sample.saturating_add(1);
        end.saturating_sub(self.stride)..end
    }
}

impl Patterns {
    pub(crate) fn new(mut words: Vec<Vec<u8>>) -> Self {
        words.sort_unstable();
        words.dedup();
        let mut heads = Filter::for_many(words.len());
        words.iter().filter_map(|word| four(word, 0)).for_each(|head| heads.insert(head));
        let mut least = 0;
        let classes = CLASSES.map(|most| std::mem::replace(&mut least, most)..most);
        let of_class = |class: Range<usize>| {
            let words: Vec<_> =
                words.iter().map(Vec::as_slice).filter(|word| class.contains(&word.len())).collect();
            Sampler::of(&words)
        };
        let samplers: Vec<_> = classes.into_iter().filter_map(of_class).collect();
        let window = samplers.iter().map(|sampler| sampler.window).max().unwrap_or_default();
        let by_first = (0..=255u8).map(|first| range(&words, first)).collect();
        Self { words, by_first, heads, samplers, window }
    }

    /// These words and more.
    pub(crate) fn with(&self, more: Vec<Vec<u8>>) -> Self {
        Self::new(self.words.iter().cloned().chain(more).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The first place at or after `from` where a word is whole or where the data ends within one.
    pub(crate) fn find(&self, data: &[u8], from: usize) -> Option<Found> {
        let sampled = data.len().saturating_sub(self.window);
        let mut start = from;
        let mut samples = [0; CLASSES.len()];
        while start < sampled {
            let candidates = self.candidates(data, start, &mut samples);
            let last = sampled.min(candidates.end);
            if let Some(found) = self.first_within(data, start.max(candidates.start)..last) {
                return Some(found);
            }
            start = last;
        }
        self.first_within(data, start..data.len())
    }

    /// The next positions where a word may begin. `samples` are those that were found before.
    fn candidates(&self, data: &[u8], start: usize, samples: &mut [usize; CLASSES.len()]) -> Range<usize> {
        let mut next = usize::MAX..usize::MAX;
        for (sampler, sample) in self.samplers.iter().zip(samples) {
            if *sample <= start {
                *sample = sampler.next(data, start);
            }
            let candidates = sampler.before(*sample);
            if candidates.start < next.start {
                next = candidates;
            }
        }
        next
    }

    fn first_within(&self, data: &[u8], mut starts: Range<usize>) -> Option<Found> {
        starts.find_map(|start| {
            if four(data, start).is_some_and(|head| !self.heads.may_have(head)) {
                return None;
            }
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
    fn narrowed(&self, range: Range<usize>, depth: usize, byte: u8) -> Range<usize> {
        let words = &self.words[range.clone()];
        let below = words.partition_point(|word| word[depth] < byte);
        let equal = words[below..].partition_point(|word| word[depth] == byte);
        range.start + below..range.start + below + equal
    }
}

fn range(words: &[Vec<u8>], first: u8) -> Range<usize> {
    words.partition_point(|word| word[0] < first)..words.partition_point(|word| word[0] <= first)
}

fn four(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}
