//! Sketches of users.

use std::collections::BTreeSet;

use freshet_chat_mesh::{
    mesh::Message,
    presence::{Chunk, Sketch, hash},
};
use freshet_proto::{
    id::NodeId,
    message::Datagram,
    quic::{decode, frame},
};
use proptest::prelude::*;

/// Some users that are nowhere else.
fn users(town: u32, count: u32) -> impl Iterator<Item = u64> {
    (0..count).map(move |n| hash(&format!("town{town}user{n}").parse().unwrap()))
}

#[test]
fn a_user_is_the_same_at_every_hub_for_all_time() {
    let hashes = ["ada", "bob"].map(|login| hash(&login.parse().unwrap()));
    assert_eq!(hashes, [0x21a5_12b9_376a_50e9, 0xf649_3629_e565_4ae0]);
}

#[test]
fn below_a_thousand_the_count_is_exact() {
    let mut sketch = Sketch::default();
    assert_eq!(sketch.count(), 0);
    for (n, user) in (1..).zip(users(1, 999)) {
        sketch.insert(user);
        sketch.insert(user);
        assert_eq!(sketch.count(), n);
    }
    assert_eq!(sketch.chunks().len(), 8);
    sketch.insert(hash(&"one_more".parse().unwrap()));
    assert_eq!(sketch.chunks().len(), 4);
}

/// Relative errors of 40 sets of so many users.
fn errors(count: u32) -> Vec<f64> {
    let sketches = (0..40).map(|town| users(town, count).collect::<Sketch>());
    sketches.map(|sketch| sketch.count() as f64 / f64::from(count) - 1.0).collect()
}

#[test]
fn beyond_the_count_is_an_estimate_without_bias_within_what_registers_can_tell() {
    for count in [1_000, 3_000, 10_000, 30_000, 100_000] {
        let errors = errors(count);
        let n = errors.len() as f64;
        let mean = errors.iter().sum::<f64>() / n;
        let deviation = (errors.iter().map(|error| error * error).sum::<f64>() / n).sqrt();
        let within = errors.iter().filter(|error| error.abs() < 0.03).count();
        // 1.04 / √4096 = 1.6 %: of 40, two or three are farther away than 3 %.
        assert!(deviation < 0.020 && mean.abs() < 0.008, "{count}: {mean} ± {deviation}");
        assert!(within >= 34 && errors.iter().all(|error| error.abs() < 0.065), "{count}: {errors:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn pieces_in_any_order_doubled_and_merged_are_the_whole(
        (parts, order) in prop::collection::vec((0u32..6_000, 0u32..1_500), 1..4).prop_flat_map(|parts| {
            let pieces: usize = parts.iter().map(|(from, count)| piece_count(*from, *count)).sum();
            (Just(parts), prop::collection::vec(0..pieces, 2 * pieces))
        }),
    ) {
        let all: BTreeSet<u32> = parts.iter().flat_map(|(from, count)| *from..from + count).collect();
        let whole: Sketch = all.iter().map(|n| user(*n)).collect();
        let sketches: Vec<Sketch> = parts.iter().map(|(from, count)| (*from..from + count).map(user).collect()).collect();
        let mut merged = Sketch::default();
        sketches.iter().rev().for_each(|sketch| merged.merge(sketch));
        prop_assert_eq!(&merged.count(), &whole.count());

        let pieces: Vec<Chunk> = sketches.iter().flat_map(Sketch::chunks).collect();
        let mut taken = Sketch::default();
        order.iter().for_each(|n| taken.take(&pieces[*n]));
        prop_assert!(taken.count() <= whole.count() || all.len() >= Sketch::EXACT);
        pieces.iter().rev().for_each(|piece| taken.take(piece));
        prop_assert_eq!(taken, merged);
    }

    #[test]
    fn whatever_a_hub_tells_is_taken(part: u8, values in prop::collection::vec(any::<u8>(), 0..2_000),
                                     hashes in prop::collection::vec(any::<[u8; 8]>(), 0..300)) {
        let mut sketch = Sketch::default();
        sketch.take(&Chunk::Hashes(hashes.clone()));
        prop_assert!(sketch.count() <= Chunk::HASHES as u64);
        sketch.take(&Chunk::Registers { part, values });
        prop_assert!(sketch.chunks().len() == 4);
        let _ = sketch.count();
    }
}

fn user(n: u32) -> u64 {
    hash(&format!("user{n}").parse().unwrap())
}

fn piece_count(from: u32, count: u32) -> usize {
    (from..from + count).map(user).collect::<Sketch>().chunks().len()
}

#[test]
fn registers_that_are_all_full_are_a_number_still() {
    let mut sketch = Sketch::default();
    for part in 0..4 {
        sketch.take(&Chunk::Registers { part, values: vec![255; 1_024] });
    }
    assert!(sketch.count() > 1 << 60);
}

#[test]
fn every_piece_fits_a_datagram() {
    for count in [0, 1, 128, 999, 1_000, 100_000] {
        let sketch: Sketch = users(7, count).collect();
        for users in sketch.chunks() {
            let channel = "a".repeat(32).parse().unwrap();
            let message = Message::Present { channel, at_ms: u64::MAX, connections: u32::MAX, users };
            let bytes = frame(&(Datagram::Mesh { node: NodeId(u64::MAX) }, &message)).unwrap();
            assert!(bytes.len() - 4 <= Datagram::MAX, "{count} users: {} bytes", bytes.len() - 4);
            let (_, read): (Datagram, Message) = decode(&bytes[4..]).unwrap();
            assert_eq!(read, message);
        }
    }
}
