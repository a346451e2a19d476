//! Replays what fuzzing has found of playlists: nothing may panic.

#[path = "../../fuzz/harness/playlist.rs"]
mod playlist;

use std::{fs, path::Path};

fn replay(target: &str, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let inputs: Vec<_> =
        fs::read_dir(&corpus).expect("a corpus").map(|entry| entry.expect("an entry").path()).collect();
    assert!(inputs.len() >= 3, "{} has {} inputs", corpus.display(), inputs.len());
    for input in inputs {
        check(&fs::read(input).expect("an input"));
    }
}

#[test]
fn playlists_are_read_or_refused() {
    replay("m3u8", playlist::m3u8);
}

#[test]
fn lint_judges_whatever_comes() {
    replay("lint", playlist::lint);
}
