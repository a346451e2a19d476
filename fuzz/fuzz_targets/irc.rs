#![no_main]

#[path = "../harness/irc.rs"]
mod irc;

libfuzzer_sys::fuzz_target!(|input: &[u8]| irc::irc(input));
