//! Any bytes are a journal up to somewhere, what was read is read again, and it is the same read in two goes.

#![no_main]

use protocol::journal::{Record, read, read_from};

libfuzzer_sys::fuzz_target!(|input: (usize, &[u8])| {
    let (cut, journal) = input;
    let (records, used) = read(journal);
    assert!(used <= journal.len());
    assert_eq!(read(&journal[..used]), (records.clone(), used));
    let lines: String = records.iter().map(Record::to_line).collect();
    assert_eq!(read(lines.as_bytes()).0, records, "a record changed on its way");
    let (mut first, begin) = read(&journal[..cut % (journal.len() + 1)]);
    first.extend(read_from(&journal[begin..], first.len() as u64).0);
    assert_eq!(first, records, "a cut changed what is read");
});
