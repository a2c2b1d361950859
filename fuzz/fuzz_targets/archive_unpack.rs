//! Any tar is unpacked below its root or refused, and nothing appears beside the root.

#![no_main]

use std::{collections::BTreeMap, fs};

libfuzzer_sys::fuzz_target!(|tar: &[u8]| {
    let top = tempfile::tempdir().expect("there is room for a directory");
    let roots = BTreeMap::from([("work".to_owned(), top.path().join("root"))]);
    let packed = zstd::encode_all(tar, 1).expect("memory takes what is written to it");
    let _ = archive::unpack(packed.as_slice(), &roots);
    let _ = archive::unpack(tar, &roots);
    assert!(fs::read_dir(top.path()).expect("it is there").count() <= 1, "something left its root");
});
