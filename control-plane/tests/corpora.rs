//! What fuzzing was begun with and what it found, replayed.

#[path = "../../fuzz/harness/nodes.rs"]
mod nodes;

use std::path::Path;

use freshet_proto::random::Random;

fn replay(target: &str, check: fn(&[u8])) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut inputs = 0;
    for entry in std::fs::read_dir(&dir).unwrap() {
        let input = std::fs::read(entry.unwrap().path()).unwrap();
        check(&input);
        mutate(&input, check);
        inputs += 1;
    }
    assert!(inputs >= 5, "{inputs} inputs in {}", dir.display());
}

#[test]
fn any_frame_of_another_node_is_read_or_refused() {
    replay("node", nodes::node);
}

#[test]
fn any_log_is_read_or_refused() {
    replay("registry_log", nodes::registry_log);
}

/// Seeds that nothing is read from any more would teach a fuzzer nothing.
#[test]
fn the_seeds_of_the_log_are_of_the_format_that_is_read() {
    for seed in ["life", "snapshot", "torn", "zeros"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/registry_log").join(seed);
        let replayed = freshet_control_plane::log::replay(&std::fs::read(path).unwrap());
        assert!(replayed.is_ok(), "{seed}: {:?}", replayed.err());
    }
}

/// A poor man's fuzzing, the same each time: bytes replaced, inserted and cut.
fn mutate(input: &[u8], check: fn(&[u8])) {
    let random = Random::seeded(input.len() as u64);
    for _ in 0..2000 {
        let mut mutant = input.to_vec();
        for _ in 0..=random.below(4) {
            let at = random.below(mutant.len() as u64 + 1) as usize;
            let byte = [0, 1, 0x7f, 0x80, 0xff, random.below(256) as u8][random.below(6) as usize];
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
