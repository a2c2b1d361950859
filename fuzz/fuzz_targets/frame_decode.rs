//! Any packet is a frame that is written as it was read, or an error.

#![no_main]

use protocol::frame::{ToLaunchAgent, ToTaskAgent, decode, encode};

libfuzzer_sys::fuzz_target!(|packet: &[u8]| {
    if let Ok(frame) = decode::<ToLaunchAgent>(packet) {
        let again =
            encode(&frame).map(|packet| decode::<ToLaunchAgent>(&packet).is_ok_and(|again| again == frame));
        assert!(again.unwrap_or(true), "a frame changed on its way");
    }
    if let Ok(frame) = decode::<ToTaskAgent>(packet) {
        let again =
            encode(&frame).map(|packet| decode::<ToTaskAgent>(&packet).is_ok_and(|again| again == frame));
        assert!(again.unwrap_or(true), "a frame changed on its way");
    }
});
