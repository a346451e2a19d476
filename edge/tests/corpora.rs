//! What fuzzing was begun with and what it found, replayed.

#[path = "../../fuzz/harness/players.rs"]
mod players;

use std::path::Path;

use freshet_proto::random::Random;

#[test]
fn any_report_of_a_player_is_read_or_refused() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/cmcd");
    let mut inputs = 0;
    for entry in std::fs::read_dir(&dir).expect("the corpus") {
        let input = std::fs::read(entry.expect("an entry").path()).expect("an input");
        players::cmcd(&input);
        mutate(&input);
        inputs += 1;
    }
    assert!(inputs >= 5, "{inputs} inputs in {}", dir.display());
}

/// A poor man's fuzzing, the same each time: bytes replaced, inserted and cut.
fn mutate(input: &[u8]) {
    let random = Random::seeded(input.len() as u64);
    for _ in 0..5000 {
        let mut mutant = input.to_vec();
        for _ in 0..=random.below(3) {
            let at = random.below(mutant.len() as u64 + 1) as usize;
            let byte = b"0(),;=\"\\?9-.\n"[random.below(13) as usize];
            match random.below(6) {
                0 => mutant.truncate(at),
                1 | 2 => mutant.insert(at, byte),
                _ if at < mutant.len() => mutant[at] = byte,
                _ => mutant.push(byte),
            }
        }
        players::cmcd(&mutant);
    }
}
