#![no_main]

#[path = "../harness/nodes.rs"]
#[allow(dead_code)]
mod nodes;

libfuzzer_sys::fuzz_target!(|input: &[u8]| nodes::registry_log(input));
