//! What must hold for any bytes that another node may send or a disk may return. Called by the fuzz targets, and by
//! `control-plane/tests/corpora.rs` for every committed input.

use std::fmt::Debug;

use freshet_control_plane::log;
use freshet_proto::{
    message::{FetchReply, FollowEvent, Request, WatchEvent},
    object::ResourceName,
    quic::{decode, frame},
};
use serde::{Serialize, de::DeserializeOwned};

/// `input[0]` says what the rest is: one of the protocol's frames, or a name in a path.
pub fn node(input: &[u8]) {
    let Some((kind, input)) = input.split_first() else { return };
    match kind % 5 {
        0 => message::<Request>(input),
        1 => message::<FetchReply>(input),
        2 => message::<FollowEvent>(input),
        3 => message::<WatchEvent>(input),
        _ => name(input),
    }
}

/// Numbers may be written in more ways than one, so it is what was read that must be read again.
fn message<T: Serialize + DeserializeOwned + PartialEq + Debug>(input: &[u8]) {
    let Ok(message) = decode::<T>(input) else { return };
    let written = frame(&message).expect("what was read can be written");
    let (length, payload) = written.split_at(4);
    assert_eq!(length, (payload.len() as u32).to_be_bytes());
    assert_eq!(decode::<T>(payload).expect("what was written can be read"), message);
}

/// A name has one spelling.
fn name(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(name) = text.parse::<ResourceName>() {
        assert_eq!(name.to_string(), text);
        assert_eq!(text.split('/').next(), Some(name.channel().as_str()));
    }
}

/// A log that is taken gives a registry that can be written and is then the same.
pub fn registry_log(input: &[u8]) {
    let Ok(replayed) = log::replay(input) else { return };
    let again = log::replay(&log::snapshot(&replayed.registry).expect("a snapshot")).expect("our own snapshot");
    assert_eq!(again.registry, replayed.registry);
    assert!(replayed.torn <= input.len() as u64);
}
