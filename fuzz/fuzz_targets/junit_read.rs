//! Any bytes are a report or an error, and what was read is within the bounds and can be sent.

#![no_main]

use junit::{MAX_CASES, MAX_MESSAGE, MAX_NAME, read};

libfuzzer_sys::fuzz_target!(|report: &[u8]| {
    let Ok(cases) = read(report) else { return };
    assert!(cases.len() <= MAX_CASES);
    for case in &cases {
        // A mark stands where something was left out.
        assert!(case.name.len() <= MAX_NAME + 3 && case.classname.len() <= MAX_NAME + 3);
        assert!(case.message.as_ref().is_none_or(|message| message.len() <= MAX_MESSAGE + 3));
        assert!(case.run_time.is_none_or(|seconds| seconds.is_finite() && seconds >= 0.0));
    }
    let sent = serde_json::to_vec(&cases).expect("it has only string keys");
    let received: Vec<protocol::transfer::TestCase> = serde_json::from_slice(&sent).expect("it was just written");
    assert_eq!(received.len(), cases.len());
});
