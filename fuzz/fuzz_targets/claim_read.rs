//! Any text is a claim, or an invitation, that is written as it was read, or an error.

#![no_main]

use protocol::{frame::Invitation, http::Claimed};
use serde::{Serialize, de::DeserializeOwned};

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    stays_itself::<Claimed>(text);
    stays_itself::<Invitation>(text);
});

fn stays_itself<T: Serialize + DeserializeOwned + PartialEq>(text: &[u8]) {
    if let Ok(read) = serde_json::from_slice::<T>(text) {
        let written = serde_json::to_vec(&read).expect("what was read can be written");
        assert!(
            serde_json::from_slice::<T>(&written).is_ok_and(|again| again == read),
            "it changed on its way"
        );
    }
}
