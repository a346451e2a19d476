#![no_main]

#[path = "../harness/chat.rs"]
mod chat;

libfuzzer_sys::fuzz_target!(|input: &[u8]| chat::chat(input));
