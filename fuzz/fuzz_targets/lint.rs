#![no_main]

#[path = "../harness/playlist.rs"]
#[allow(dead_code)]
mod playlist;

libfuzzer_sys::fuzz_target!(|input: &[u8]| playlist::lint(input));
