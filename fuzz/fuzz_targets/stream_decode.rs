//! Any body is items that are written as they were read, or an error.

#![no_main]

use protocol::stream::{decode, encode};

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    if let Ok(items) = decode(body) {
        let mut again = Vec::new();
        items.iter().for_each(|item| encode(item, &mut again));
        assert_eq!(decode(&again), Ok(items));
    }
});
