//! Secrets taken out of a stream of bytes, wherever the stream is cut.

mod forms;
mod patterns;
#[cfg(test)]
mod tests;

use patterns::Patterns;
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

/// What stands where a secret stood.
pub const MASK: &[u8] = b"****";

/// The most secrets that are learned while streams run: each makes the search for all of them longer.
pub const MOST_LEARNED: usize = 256;

/// One secret more than [`MOST_LEARNED`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

/// One stream on its way. Every byte that belongs to an occurrence of a secret is taken out; occurrences that overlap
/// leave one [`MASK`] together.
#[derive(Clone, Debug)]
pub struct Masker {
    known: Arc<Known>,
    /// How many had been learned when this stream last looked, and all that was known then.
    learned: usize,
    patterns: Arc<Patterns>,
    /// What may be the beginning of a secret.
    held: Vec<u8>,
    /// How much of the beginning of `held` was given out, as it is or as a mask.
    given: usize,
    /// How much of it a mask already given out has covered.
    masked: usize,
}

/// What all streams with the same secrets mask.
#[derive(Debug)]
struct Known {
    patterns: Mutex<Arc<Patterns>>,
    /// How many secrets came later: it changes after the patterns do.
    learned: AtomicUsize,
}

/// So many bytes of a secret may be shown, where nothing followed them for a while.
const SHOWABLE: usize = 2;

impl Masker {
    /// Masks these values and the forms in which shells, encoders and terminals show them. Values of fewer than
    /// four characters, blank ones, and `true` and `false` are not masked.
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let forms = secrets.into_iter().flat_map(|secret| forms::of(&secret)).collect();
        let patterns = Mutex::new(Arc::new(Patterns::new(forms)));
        Self::of(Arc::new(Known { patterns, learned: AtomicUsize::new(0) }))
    }

    fn of(known: Arc<Known>) -> Self {
        let (learned, patterns) = known.all();
        Self { known, learned, patterns, held: Vec::new(), given: 0, masked: 0 }
    }

    /// Another stream with the same secrets.
    pub fn fresh(&self) -> Self {
        Self::of(Arc::clone(&self.known))
    }

    /// From now on this value is masked too, in all streams with the same secrets, in what is pushed into them.
    pub fn learn(&self, secret: &str) -> Result<(), TooMany> {
        self.known.learn(secret)
    }

    /// Whether there is nothing to mask.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty() && !self.is_behind()
    }

    fn is_behind(&self) -> bool {
        self.known.learned.load(Ordering::Acquire) != self.learned
    }

    /// How many bytes are held back, because they may be the beginning of a secret.
    pub fn pending(&self) -> usize {
        self.held.len() - self.given
    }

    /// Takes the next bytes of the stream, and appends to `out` all that can be shown.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        if self.is_behind() {
            (self.learned, self.patterns) = self.known.all();
        }
        if self.patterns.is_empty() {
            out.extend_from_slice(input);
        } else if self.held.is_empty() {
            let kept = self.scan(input, Rest::MayFollow, out);
            self.held.extend_from_slice(&input[kept..]);
        } else {
            let mut data = std::mem::take(&mut self.held);
            data.extend_from_slice(input);
            let kept = self.scan(&data, Rest::MayFollow, out);
            data.drain(..kept);
            self.held = data;
        }
    }

    /// The stream is over: appends what was held back.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        let data = std::mem::take(&mut self.held);
        self.scan(&data, Rest::IsOver, out);
        (self.given, self.masked) = (0, 0);
    }

    /// Nothing came for a while: appends a short tail that was held back, so that nobody waits for the end of a prompt. It
    /// still counts as the beginning of a secret: the rest of that is masked. A longer one is held on.
    pub fn release(&mut self, out: &mut Vec<u8>) {
        let tail = &self.held[self.given..];
        // Half a character is no text.
        if self.held.len() <= SHOWABLE && str::from_utf8(tail).is_ok() {
            out.extend_from_slice(tail);
            self.given = self.held.len();
        }
    }

    /// Appends `data` masked, up to the first byte that may belong to a secret still to come; tells which that is.
    fn scan(&mut self, data: &[u8], rest: Rest, out: &mut Vec<u8>) -> usize {
        let mut shown = Shown { data, until: self.given, masked: self.masked, out };
        let mut from = 0;
        let mut kept = data.len();
        while let Some(found) = self.patterns.find(data, from) {
            if found.length > 0 {
                shown.mask(found.start, found.length);
            }
            if found.open && rest == Rest::MayFollow {
                kept = found.start;
                break;
            }
            from = found.start + 1;
        }
        shown.literally(kept);
        self.given = shown.until.saturating_sub(kept);
        self.masked = shown.masked.saturating_sub(kept);
        kept
    }
}

impl Known {
    fn all(&self) -> (usize, Arc<Patterns>) {
        let patterns = self.patterns.lock().unwrap_or_else(PoisonError::into_inner);
        (self.learned.load(Ordering::Acquire), Arc::clone(&patterns))
    }

    fn learn(&self, secret: &str) -> Result<(), TooMany> {
        let mut patterns = self.patterns.lock().unwrap_or_else(PoisonError::into_inner);
        if self.learned.load(Ordering::Acquire) >= MOST_LEARNED {
            return Err(TooMany);
        }
        *patterns = Arc::new(patterns.with(forms::of(secret)));
        self.learned.fetch_add(1, Ordering::Release);
        Ok(())
    }
}

/// Whether more of a stream can come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    MayFollow,
    IsOver,
}

/// How far some data was given out, as it is or as a mask.
struct Shown<'a> {
    data: &'a [u8],
    until: usize,
    /// Where the last mask ends.
    masked: usize,
    out: &'a mut Vec<u8>,
}

impl Shown<'_> {
    fn literally(&mut self, until: usize) {
        if self.until < until {
            self.out.extend_from_slice(&self.data[self.until..until]);
            self.until = until;
        }
    }

    fn mask(&mut self, start: usize, length: usize) {
        if self.masked <= start {
            self.literally(start);
            self.out.extend_from_slice(MASK);
        }
        self.masked = self.masked.max(start + length);
        self.until = self.until.max(self.masked);
    }
}
