//! What fuzzing was begun with and what it found, replayed.

#[path = "../../fuzz/harness/chat.rs"]
mod chat;
#[path = "../../fuzz/harness/irc.rs"]
mod irc;
#[path = "../../fuzz/harness/ws_frame.rs"]
mod ws_frame;

use std::path::Path;

use freshet_proto::random::Random;

#[test]
fn frames_read_alike_whole_and_in_pieces() {
    let inputs = inputs("ws_frame");
    assert!(inputs.len() >= 3, "{} inputs", inputs.len());
    for input in inputs {
        ws_frame::ws_frame(&input);
    }
}

#[test]
fn anything_that_a_chat_client_sends_is_read_or_refused() {
    let inputs = inputs("chat");
    assert!(inputs.len() >= 5, "{} inputs", inputs.len());
    for input in inputs {
        chat::chat(&input);
        mutate(&input, &[0, b'"', b'\\', b'{', b'\n'], chat::chat);
    }
}

#[test]
fn anything_that_an_irc_client_sends_is_read_or_refused() {
    let inputs = inputs("irc");
    assert!(inputs.len() >= 6, "{} inputs", inputs.len());
    for input in inputs {
        irc::irc(&input);
        mutate(&input, b"\0\r\n :@;=\\#,", irc::irc);
    }
}

/// The corpus of a fuzz target.
fn inputs(target: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    std::fs::read_dir(&dir).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect()
}

/// A poor man's fuzzing, the same each time: bytes replaced, inserted and cut; half of them `telling` ones.
fn mutate(input: &[u8], telling: &[u8], check: impl Fn(&[u8])) {
    let random = Random::seeded(input.len() as u64);
    for _ in 0..2000 {
        let mut mutant = input.to_vec();
        for _ in 0..=random.below(4) {
            let at = random.below(mutant.len() as u64 + 1) as usize;
            let byte = match telling.get(random.below(2 * telling.len() as u64) as usize) {
                Some(byte) => *byte,
                None => random.below(128) as u8,
            };
            match random.below(4) {
                0 => mutant.truncate(at),
                1 => mutant.insert(at, byte),
                _ if at < mutant.len() => mutant[at] = byte,
                _ => mutant.push(byte),
            }
        }
        check(&mutant);
    }
}
