//! Output that is known as bytes and as the shell command that prints them.

use crate::random::Random;

/// A piece of output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Numbers, one on a line.
    Count(u64, u64),
    /// The same, slowly: so many milliseconds after each.
    Slow(u64, u64, u64),
    /// One line again and again, to so many bytes.
    Fill(&'static str, u64),
    /// A word without an end of line.
    Bare(&'static str),
    /// Which of a job's tasks prints it.
    Index,
}

const WORDS: [&str; 6] = ["lantern", "points and signals", "turntable", "steam", "größer", "coupling rod"];

impl Piece {
    /// One to four pieces.
    pub fn some(random: &mut Random, may_be_long: bool) -> Vec<Self> {
        (0..random.within(1, 5)).map(|_| Self::one(random, may_be_long)).collect()
    }

    /// One that is large.
    pub fn large(random: &mut Random) -> Self {
        Self::Fill(random.pick(&WORDS), random.within(20_000, 400_000))
    }

    fn one(random: &mut Random, may_be_long: bool) -> Self {
        let first = random.within(0, 1_000_000);
        match random.within(0, if may_be_long { 10 } else { 6 }) {
            0 => Self::Bare(random.pick(&WORDS)),
            1 => Self::Index,
            2 => Self::Fill(random.pick(&WORDS), random.within(1, 5_000)),
            6..=8 => Self::Slow(first, first + random.within(5, 60), random.within(1, 60)),
            9 => Self::large(random),
            _ => Self::Count(first, first + random.within(1, 400)),
        }
    }

    fn shell(&self) -> String {
        match self {
            Self::Count(from, to) => format!("seq {from} {to}"),
            Self::Slow(from, to, pause) => {
                format!("for i in $(seq {from} {to}); do echo $i; sleep 0.{pause:03}; done")
            }
            Self::Fill(line, bytes) => format!("head -c {bytes} < <(yes '{line}' 2>&-)"),
            Self::Bare(word) => format!("printf %s '{word}'"),
            Self::Index => "echo \"index $CIRCLE_NODE_INDEX\"".to_owned(),
        }
    }

    fn bytes(&self, index: u32) -> Vec<u8> {
        match self {
            Self::Count(from, to) | Self::Slow(from, to, _) => {
                (*from..=*to).flat_map(|number| format!("{number}\n").into_bytes()).collect()
            }
            Self::Fill(line, bytes) => {
                let line = format!("{line}\n").into_bytes();
                line.into_iter().cycle().take(usize::try_from(*bytes).unwrap_or(usize::MAX)).collect()
            }
            Self::Bare(word) => word.as_bytes().to_vec(),
            Self::Index => format!("index {index}\n").into_bytes(),
        }
    }

    /// A shell command that prints them all.
    pub fn shell_of(pieces: &[Self]) -> String {
        pieces.iter().map(Self::shell).collect::<Vec<_>>().join("\n")
    }

    /// What the task with this index of a job prints.
    pub fn bytes_of(pieces: &[Self], index: u32) -> Vec<u8> {
        pieces.iter().flat_map(|piece| piece.bytes(index)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_shell_prints_the_very_bytes() {
        let mut random = Random::new(11);
        for index in 0..20 {
            let pieces = Piece::some(&mut random, index % 4 == 0);
            let mut shell = Command::new("/bin/bash");
            shell.args(["-eo", "pipefail", "-c", &Piece::shell_of(&pieces)]);
            let output = shell.env("CIRCLE_NODE_INDEX", index.to_string()).output().unwrap();
            assert!(output.status.success(), "{pieces:?}");
            assert!(output.stdout == Piece::bytes_of(&pieces, index), "{pieces:?}");
        }
    }
}
