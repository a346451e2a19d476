#![no_main]

#[path = "../harness/ws_frame.rs"]
mod ws_frame;

libfuzzer_sys::fuzz_target!(|input: &[u8]| ws_frame::ws_frame(input));
