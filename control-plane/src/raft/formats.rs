//! What version 1 wrote, byte by byte, and that it is still read and written so; and what it can't read, which it is told.

use std::io::Read;

use freshet_proto::{
    annex::PathSecret,
    id::NodeId,
    level::Level,
    view::{Bar, NodeView, Role},
};
use openraft::EntryPayload;

use super::{
    codec,
    snapshot::Snapshot,
    types::{self, Command, Entry, LogId, OpenError, Proposal, SnapshotMeta, StoredMembership, Types},
};
use crate::{
    channel::{Policy, Times},
    key::Pepper,
    keys::ring::tests::key,
    machine::{Input, Registry},
};

/// Entry 7 of a log, as version 1 has it on disk.
const ENTRY: &str = "01fb23c36e0307010180d095ffbc31070501007f000001ce2206656467652d3101";

/// A snapshot, as version 1 has it on disk and sends it.
const SNAPSHOT: &str = "4652534e4150018f9e198d780163646662606060e0646ab830f5ff1ec30ef50daf181f2c17626060644e4c4964dc317d9e5d\
     6aab5290a0d27f5fcf103fcd8ea9ff4d93ca3b14cfaf59f1a470f3e9230c8c20dd20ccc8cac850cfc0c0784e892d35253d55\
     d7909101006fb61c0c";

const NOW_MS: u64 = 1_700_000_000_000;

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn log_id(index: u64) -> LogId {
    openraft::testing::log_id::<Types>(3, 1, index)
}

fn put_node() -> Input {
    let view = NodeView::new(Role::Edge, ([127, 0, 0, 1], 4430).into(), "edge-1");
    Input::PutNode { node: NodeId(5), view }
}

fn entry(input: Input) -> Entry {
    let proposal = Proposal { now_ms: NOW_MS, input };
    Entry { log_id: log_id(7), payload: EntryPayload::Normal(Command::Propose(proposal)) }
}

fn record(entry: &Entry) -> Vec<u8> {
    codec::record(types::since(entry), &7u64.to_be_bytes(), entry).unwrap()
}

fn read(record: &[u8]) -> Result<Entry, OpenError> {
    codec::open(&7u64.to_be_bytes(), record)
}

/// An edge and a channel.
fn snapshot() -> Snapshot {
    let mut registry = Registry::new(9, Times::default());
    let put_channel = Input::PutChannel {
        channel: "ada".parse().unwrap(),
        key: Pepper([7; 32]).hash("sk_ada"),
        policy: Policy::Newest,
    };
    take(&mut registry, put_node());
    take(&mut registry, put_channel);
    let meta = SnapshotMeta { last_log_id: Some(log_id(2)), last_membership: StoredMembership::default() };
    Snapshot { meta, registry }
}

fn take(registry: &mut Registry, input: Input) {
    registry.handle(registry.revision() + 1, NOW_MS, input, &mut vec![]);
}

fn cut_off() -> Input {
    Input::CutOff { node: NodeId(5), bar: Bar { since_ms: NOW_MS, until_ms: NOW_MS + 9 } }
}

/// Everything but the checksum and the compression, which may change without harm.
fn inflated(snapshot: &[u8]) -> (u8, Vec<u8>) {
    let mut body = Vec::new();
    flate2::read::ZlibDecoder::new(&snapshot[11..]).read_to_end(&mut body).unwrap();
    (snapshot[6], body)
}

#[test]
fn a_log_entry_of_version_1_is_read_and_written_as_ever() {
    assert_eq!(read(&bytes(ENTRY)).unwrap(), entry(put_node()));
    assert_eq!(record(&entry(put_node())), bytes(ENTRY));
}

#[test]
fn a_snapshot_of_version_1_is_read_and_written_as_ever_until_another_version_is_agreed_on() {
    let read = Snapshot::decode(&bytes(SNAPSHOT)).unwrap();
    assert_eq!((read.registry.level(), &read.meta), (Level::FIRST, &snapshot().meta));
    assert_eq!(read.registry.view(), snapshot().registry.view());
    assert_eq!(inflated(&snapshot().encode().unwrap()), inflated(&bytes(SNAPSHOT)));
}

#[test]
fn what_version_2_brought_says_so_to_those_who_cannot_read_it() {
    let record = record(&entry(cut_off()));
    assert_eq!(read(&record).unwrap(), entry(cut_off()));
    let mut snapshot = snapshot();
    take(&mut snapshot.registry, Input::Rise { level: Level(2) });
    take(&mut snapshot.registry, cut_off());
    let encoded = snapshot.encode().unwrap();
    let decoded = Snapshot::decode(&encoded).unwrap();
    assert_eq!(decoded.registry, snapshot.registry);
    assert_eq!(decoded.registry.view().removed.nodes.len(), 1);
    // Version 1 looks at these bytes first and says: run the version that wrote it.
    assert_eq!((record[0], encoded[6]), (2, 2));
}

#[test]
fn keys_are_of_version_2_and_their_wrapped_halves_come_back_from_a_snapshot_and_are_in_no_view() {
    let secret = PathSecret { id: 1, secret: [7; 32], since_ms: NOW_MS, until_ms: u64::MAX };
    let path = Input::PutPathSecret { secret, older_until_ms: NOW_MS };
    let mut snapshot = snapshot();
    take(&mut snapshot.registry, Input::Rise { level: Level(2) });
    for input in [Input::PutKey(key("kid-1")), Input::PutKey(key("kid-2")), path] {
        let record = record(&entry(input.clone()));
        assert_eq!((record[0], read(&record).unwrap()), (2, entry(input.clone())));
        take(&mut snapshot.registry, input);
    }
    let decoded = Snapshot::decode(&snapshot.encode().unwrap()).unwrap().registry;
    assert_eq!((decoded.ring(), decoded.annex()), (snapshot.registry.ring(), snapshot.registry.annex()));
    let private = decoded.ring().keys().iter().map(|key| key.made.private.as_ref().map(|half| half.sealed.len()));
    assert_eq!(private.collect::<Vec<_>>(), [Some(9), Some(9)]);
    let told = postcard::to_stdvec(&decoded.view().annex).unwrap();
    assert!(!told.windows(9).any(|nine| nine == [2; 9]), "not even wrapped");
}

#[test]
fn what_a_later_version_wrote_is_refused_by_name() {
    let mut later = bytes(ENTRY);
    later[0] = 3;
    let told = read(&later).unwrap_err().to_string();
    assert!(told.contains("format 3, this program reads up to 2; run the version that wrote it"), "{told}");
    let mut later = bytes(SNAPSHOT);
    later[6] = 3;
    assert!(Snapshot::decode(&later).unwrap_err().contains("version 3, this program reads up to 2"));
}
