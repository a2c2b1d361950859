//! Any bytes are the marks of a chunk, in order and within it, which are written as they were read; or they are none.

#![no_main]

use protocol::marks::{Marks, NOTED_LENGTH, Noted};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(marks) = Marks::from_bytes(bytes) {
        assert_eq!(Marks::from_bytes(&marks.to_bytes()), Some(marks.clone()));
        let all: Vec<_> = marks.from_start(0).collect();
        assert!(all.is_sorted_by(|one, next| one.offset < next.offset && one.ms <= next.ms), "{all:?}");
    }
    for noted in bytes.as_chunks::<NOTED_LENGTH>().0 {
        assert_eq!(Noted::from_bytes(noted).to_bytes(), *noted);
    }
});
