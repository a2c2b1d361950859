//! How fast output passes the masker, beside output that has nothing to mask.

use crate::{
    Scale,
    table::{Row, ratio},
};
use masking::Masker;
use std::time::{Duration, Instant};

/// As many secrets as a large context has; every tenth is a private key.
const SECRETS: usize = 100;
const KEY_EVERY: usize = 10;
/// Bytes of one write, as a step's output comes.
const PIECE: usize = 256 * 1024;
/// Passes over the same text; the median counts.
const PASSES: usize = 5;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const WORDS: [&str; 12] = [
    "Compiling",
    "error:",
    "src/main.rs:12:34",
    "test",
    "ok",
    "0.123s",
    "====",
    "https://registry.example/package",
    "a1b2c3d4e5f6a7b8",
    "warning",
    "PASSED",
    "2026-01-02T03:04:05Z",
];

/// One row: a text like a build's log.
pub(crate) fn rows(scale: Scale) -> Vec<Row> {
    let mut random = Random(88_172_645_463_325_252);
    let text = text(&mut random, usize::try_from(scale.output / 8).expect("it fits into memory"));
    let secrets: Vec<String> = (0..SECRETS).map(|number| secret(&mut random, number)).collect();
    let began = Instant::now();
    let masker = Masker::new(secrets);
    let prepared = began.elapsed();
    let (ours, floor) = (passes(&masker, &text), passes(&Masker::new([]), &text));
    vec![Row {
        work: format!(
            "output passes the masker with {SECRETS} secrets, {} of them private keys",
            SECRETS / KEY_EVERY
        ),
        ours: format!("{} (prepared once a task: {:.1} ms)", rate(&text, ours), prepared.as_secs_f64() * 1e3),
        floor: format!("without secrets, copied: {}", rate(&text, floor)),
        ratio: ratio(ours, floor),
        budget: "≥ 500 MB/s",
    }]
}

fn rate(text: &[u8], took: Duration) -> String {
    format!("{:.0} MB/s", text.len() as f64 / took.as_secs_f64() / 1e6)
}

fn passes(masker: &Masker, text: &[u8]) -> Duration {
    let mut shown = Vec::with_capacity(2 * PIECE);
    let mut took: Vec<_> = (0..PASSES)
        .map(|_| {
            let (mut masker, began) = (masker.fresh(), Instant::now());
            for piece in text.chunks(PIECE) {
                shown.clear();
                masker.push(std::hint::black_box(piece), &mut shown);
            }
            began.elapsed()
        })
        .collect();
    took.sort();
    took[PASSES / 2]
}

fn text(random: &mut Random, length: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(length + PIECE);
    while text.len() < length {
        text.extend_from_slice(WORDS[random.below(WORDS.len())].as_bytes());
        text.push(if random.below(10) == 0 { b'\n' } else { b' ' });
    }
    text
}

fn secret(random: &mut Random, number: usize) -> String {
    let is_key = number % KEY_EVERY == KEY_EVERY - 1;
    let length = if is_key { 1_700 } else { 16 + random.below(30) };
    let at = |place| if is_key && place % 65 == 64 { '\n' } else { char::from(ALPHABET[random.below(64)]) };
    (0..length).map(at).collect()
}

/// The same numbers in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}
