//! Every committed input of the fuzz target, replayed: what fuzzing once found stays found without a fuzzer.

#[path = "../../fuzz/harness/chat.rs"]
mod chat;

use std::{fs, path::Path};

#[test]
fn frames_read_alike_whole_and_in_pieces() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/ws_frame");
    let inputs: Vec<_> =
        fs::read_dir(&corpus).expect("a corpus").map(|entry| entry.expect("an entry").path()).collect();
    assert!(inputs.len() >= 3, "{} has {} inputs", corpus.display(), inputs.len());
    for path in inputs {
        chat::ws_frame(&fs::read(&path).expect("an input"));
    }
}
