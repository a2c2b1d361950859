//! A step's log: its output with the secrets masked, and one line where some of it had to be dropped.

use crate::spool::{Full, Spools};
use masking::Masker;
use protocol::ids::StepNumber;
use std::{
    collections::VecDeque,
    io::{self, Write},
    sync::Arc,
};

/// How much of the end of what is dropped is kept, so that a log always has its last words.
const TAIL: usize = 64 * 1024;

/// Takes whatever is written: a writer never fails, and waits at most as long as the spools' limits say.
#[derive(Debug)]
pub(crate) struct StepLog {
    step: StepNumber,
    spools: Arc<Spools>,
    masker: Masker,
    shown: Vec<u8>,
    gap: Option<Gap>,
}

/// Output that found no room.
#[derive(Debug)]
struct Gap {
    why: Full,
    begins_at: u64,
    dropped: u64,
    tail: VecDeque<u8>,
}

impl Gap {
    fn push(&mut self, bytes: &[u8]) {
        self.tail.extend(bytes);
        let over = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..over);
        self.dropped += over as u64;
    }

    /// What goes into the log in its place.
    fn text(&self, most: u64) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.tail.len() + 256);
        if self.dropped > 0 {
            let why = match self.why {
                Full::Spool => format!("{most} bytes waited to be sent, which is logs.max_spool"),
                Full::Disk => "the disk of the runner was full".to_owned(),
            };
            let (dropped, at) = (self.dropped, self.begins_at);
            text.extend_from_slice(
                format!("\n[{dropped} bytes of output dropped at byte {at} of this log: {why}]\n").as_bytes(),
            );
        }
        text.extend(&self.tail);
        text
    }
}

impl StepLog {
    /// Of a step that begins. `masker` must be fresh.
    pub(crate) fn new(step: StepNumber, spools: Arc<Spools>, masker: Masker) -> Self {
        spools.begin(step);
        Self { step, spools, masker, shown: Vec::new(), gap: None }
    }

    /// A line of the task-agent's own.
    pub(crate) fn line(&mut self, text: impl std::fmt::Display) {
        // Writing to a log never fails.
        let _ = writeln!(self, "{text}");
    }

    /// Shows what was held back and fills the gap; the log's length.
    pub(crate) fn finish(&mut self) -> u64 {
        let mut rest = Vec::new();
        self.masker.flush(&mut rest);
        self.put(&rest);
        if self.gap.is_some() {
            self.close_gap();
        }
        self.spools.written(self.step)
    }

    fn put(&mut self, bytes: &[u8]) {
        if self.gap.as_ref().is_some_and(|gap| self.spools.has_room(gap.why)) {
            self.close_gap();
        }
        if let Some(gap) = &mut self.gap {
            return gap.push(bytes);
        }
        if let Err(stuck) = self.spools.append(self.step, bytes) {
            let mut gap = self.gap_from_here(stuck.why);
            gap.push(&bytes[stuck.taken..]);
            self.gap = Some(gap);
        }
    }

    fn gap_from_here(&self, why: Full) -> Gap {
        Gap { why, begins_at: self.spools.written(self.step), dropped: 0, tail: VecDeque::new() }
    }

    /// Over the bound if need be: by one tail and one line for each time that room came.
    fn close_gap(&mut self) {
        let Some(gap) = self.gap.take() else { return };
        let text = gap.text(self.spools.limits.most);
        if let Err(stuck) = self.spools.append_over(self.step, &text) {
            let mut rest = self.gap_from_here(stuck.why);
            rest.push(&text[stuck.taken..]);
            self.gap = Some(rest);
        }
    }
}

impl Write for StepLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.masker.is_empty() {
            self.put(bytes);
            return Ok(bytes.len());
        }
        let mut shown = std::mem::take(&mut self.shown);
        self.masker.push(bytes, &mut shown);
        self.put(&shown);
        shown.clear();
        self.shown = shown;
        Ok(bytes.len())
    }

    /// Nothing follows for now: what was held back is shown, as far as it may be.
    fn flush(&mut self) -> io::Result<()> {
        let mut rest = Vec::new();
        self.masker.release(&mut rest);
        if !rest.is_empty() {
            self.put(&rest);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{control::Control, hints::Hints, spool::Limits};
    use base64::Engine;
    use std::{
        fs::File,
        io::{Read, Seek},
        time::Duration,
    };

    const STEP: StepNumber = StepNumber(1);

    fn spools(most: u64) -> (Arc<Spools>, File) {
        spools_in(most, tempfile::tempfile().unwrap())
    }

    fn spools_in(most: u64, file: File) -> (Arc<Spools>, File) {
        let limits = Limits { most, wait: Duration::from_millis(20) };
        let (control, hints) = (Arc::new(Control::new().unwrap()), Arc::new(Hints::new().unwrap()));
        (Arc::new(Spools::new(vec![file.try_clone().unwrap()], limits, control, hints)), file)
    }

    fn text(mut file: File) -> String {
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_secret_is_masked_also_where_two_writes_share_it() {
        let (spools, file) = spools(1 << 20);
        let mut log = StepLog::new(STEP, spools, Masker::new(["hunter22".to_owned()]));
        for piece in ["the word is hun", "ter", "22, they say"] {
            log.write_all(piece.as_bytes()).unwrap();
        }
        let length = log.finish();
        let text = text(file);
        assert_eq!(text, "the word is ****, they say");
        assert_eq!(length, text.len() as u64);
    }

    /// As programs of others encode it.
    fn encoded(secret: &str, how: u8) -> String {
        let (bytes, engine) = (secret.as_bytes(), base64::engine::general_purpose::STANDARD_NO_PAD);
        match how % 6 {
            0 => secret.to_owned(),
            1 => secret.replace('\n', "\r\n"),
            // Without a last character that would also have bits of what follows.
            2 => engine.encode(bytes)[..bytes.len() * 8 / 6].to_owned(),
            3 => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            4 => serde_json::to_string(secret)
                .unwrap()
                .strip_prefix('"')
                .unwrap()
                .strip_suffix('"')
                .unwrap()
                .to_owned(),
            _ => bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" "),
        }
    }

    proptest::proptest! {
        #[test]
        fn no_secret_is_ever_in_a_spool_however_it_is_encoded_and_written(
            secrets in proptest::collection::vec("[a-zA-Z0-9 \"'\\\\%\n\u{e9}]{5,40}", 1..5),
            printed in proptest::collection::vec(("[a-z0-9 \n]{0,30}", 0..5usize, 0..6u8), 1..12),
            writes in proptest::collection::vec((1..40usize, proptest::bool::ANY), 1..30),
        ) {
            let is_exempt = |secret: &String| secret.trim().is_empty() || secret.eq_ignore_ascii_case("false");
            let secrets: Vec<String> = secrets.into_iter().filter(|secret| !is_exempt(secret)).collect();
            let (spools, file) = spools(1 << 20);
            let mut log = StepLog::new(STEP, spools, Masker::new(secrets.clone()));
            let mut output = String::new();
            for (between, which, how) in &printed {
                output += between;
                output += &secrets.get(*which).map(|secret| encoded(secret, *how)).unwrap_or_default();
            }
            let (mut rest, mut writes) = (output.as_bytes(), writes.into_iter().cycle());
            while let Some((length, waits)) = writes.next().filter(|_| !rest.is_empty()) {
                let (piece, after) = rest.split_at(length.min(rest.len()));
                log.write_all(piece).unwrap();
                rest = after;
                if waits {
                    log.flush().unwrap();
                }
            }
            log.finish();
            let text = text(file);
            for (secret, how) in secrets.iter().flat_map(|secret| (0..6).map(move |how| (secret, how))) {
                let form = encoded(secret, how);
                proptest::prop_assert!(!text.contains(&form), "{form:?} of {secret:?} is in {text:?}");
            }
        }
    }

    #[test]
    fn a_full_spool_keeps_the_beginning_and_the_end_and_says_what_is_missing() {
        let (spools, file) = spools(1000);
        let mut log = StepLog::new(STEP, spools, Masker::new([]));
        log.write_all(&[b'a'; 1000]).unwrap();
        log.write_all(&vec![b'b'; TAIL + 123]).unwrap();
        log.write_all(b"last words\n").unwrap();
        let length = log.finish();
        let text = text(file);
        let line = "\n[134 bytes of output dropped at byte 1000 of this log: 1000 bytes waited to be sent, which is logs.max_spool]\n";
        assert!(text.starts_with(&("a".repeat(1000) + line)), "{}", &text[900..1200]);
        assert!(text.ends_with("bbblast words\n"));
        assert_eq!(length, text.len() as u64);
    }

    #[test]
    fn room_that_comes_in_time_loses_nothing() {
        let (spools, file) = spools(1000);
        let mut log = StepLog::new(STEP, Arc::clone(&spools), Masker::new([]));
        for piece in 0..100u64 {
            log.write_all(&[b'x'; 500]).unwrap();
            spools.acknowledge(STEP, piece * 500);
        }
        assert_eq!(log.finish(), 50_000);
        assert_eq!(text(file), "x".repeat(50_000));
    }

    #[test]
    fn when_room_comes_late_the_log_goes_on_after_the_line() {
        let (spools, file) = spools(1000);
        let mut log = StepLog::new(STEP, Arc::clone(&spools), Masker::new([]));
        log.write_all(&vec![b'a'; 1000 + TAIL + 50]).unwrap();
        spools.acknowledge(STEP, 1000);
        log.write_all(b"goes on\n").unwrap();
        let length = log.finish();
        let text = text(file);
        assert_eq!(text.matches("[50 bytes of output dropped at byte 1000").count(), 1);
        assert!(text.ends_with("agoes on\n"));
        assert_eq!(length, text.len() as u64);
    }

    #[test]
    fn a_disk_that_stays_full_holds_nobody_up_for_ever() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let (spools, _) = spools_in(1 << 20, full);
        let mut log = StepLog::new(STEP, spools, Masker::new([]));
        log.write_all(&vec![b'a'; 3 * TAIL]).unwrap();
        log.write_all(b"lost\n").unwrap();
        assert_eq!(log.finish(), 0);
    }
}
