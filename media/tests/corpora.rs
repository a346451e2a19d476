//! Every committed input of the fuzz targets, replayed: what fuzzing once found stays found without a fuzzer.

#[path = "../../fuzz/harness/ingest.rs"]
mod ingest;

use std::{fs, path::Path};

/// Runs `check` over the corpus of a target; there must be one.
fn replay(target: &str, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let inputs: Vec<_> =
        fs::read_dir(&corpus).expect("a corpus").map(|entry| entry.expect("an entry").path()).collect();
    assert!(inputs.len() >= 3, "{} has {} inputs", corpus.display(), inputs.len());
    for path in inputs {
        check(&fs::read(&path).expect("an input"));
    }
}

#[test]
fn chunk_streams_read_alike_whole_and_in_pieces() {
    replay("rtmp_chunk", ingest::rtmp_chunk);
}

#[test]
fn sessions_take_anything() {
    replay("rtmp_session", ingest::rtmp_session);
}

#[test]
fn amf0_decoding_ends() {
    replay("amf0", ingest::amf0);
}

#[test]
fn flv_messages_give_well_formed_media() {
    replay("flv", ingest::flv);
}

#[test]
fn avc_records_say_the_same_when_read_again() {
    replay("avc", ingest::avc);
}

#[test]
fn aac_records_give_possible_sound() {
    replay("aac", ingest::aac);
}
