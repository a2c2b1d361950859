//! Whatever strangers send the control plane is read or refused: webhooks of each provider, searches of runs, ranges of bytes.

#![no_main]

use control_plane::fuzzed::{range, search, webhook};
use protocol::webhook::Provider;

libfuzzer_sys::fuzz_target!(|sent: (u8, &str, &str, u64)| {
    let (kind, head, text, size) = sent;
    match kind % 6 {
        0 => webhook(Provider::Github, head, text),
        1 => webhook(Provider::Gitlab, head, text),
        2 => webhook(Provider::Bitbucket, head, text),
        3 => webhook(Provider::Gitea, head, text),
        4 => search(text),
        _ => {
            let range = range(head, size);
            assert!(range.start <= range.end && range.end <= size, "{range:?} of {size}");
        }
    }
});
