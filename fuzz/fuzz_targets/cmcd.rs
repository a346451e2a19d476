#![no_main]

#[path = "../harness/players.rs"]
mod players;

libfuzzer_sys::fuzz_target!(|input: &[u8]| players::cmcd(input));
