//! Any bytes are a journal up to somewhere, and what was read is read again.

#![no_main]

libfuzzer_sys::fuzz_target!(|journal: &[u8]| {
    let (records, used) = protocol::journal::read(journal);
    assert!(used <= journal.len());
    assert_eq!(protocol::journal::read(&journal[..used]), (records, used));
});
