#![no_main]

#[path = "../harness/ingest.rs"]
#[allow(dead_code)]
mod ingest;

libfuzzer_sys::fuzz_target!(|input: &[u8]| ingest::avc(input));
