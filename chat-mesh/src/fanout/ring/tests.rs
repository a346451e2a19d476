use proptest::prelude::*;

use super::*;

/// A ring of at most 64 bytes and 5 frames that begins with event 10.
fn ring() -> Ring {
    Ring::new(10, 64, 5)
}

/// Appends one event with this text.
fn say(ring: &mut Ring, text: &str) -> Cursor {
    let seq = ring.head().seq;
    ring.append(text.as_bytes(), (seq, seq + 1), Instant::now(), None).expect("it fits")
}

fn read(ring: &Ring, from: Cursor, most: usize) -> (String, Vec<u64>) {
    let mut batch = Batch::default();
    ring.read(from, most, &mut batch);
    (String::from_utf8(batch.bytes.clone()).expect("text"), batch.ends.iter().map(|end| end.seq).collect())
}

#[test]
fn what_is_appended_is_read_again() {
    let mut ring = ring();
    let start = ring.head();
    say(&mut ring, "one");
    say(&mut ring, "two");
    assert_eq!(read(&ring, start, 100), ("onetwo".into(), vec![11, 12]));
    assert_eq!(read(&ring, Cursor { at: 3, seq: 11 }, 100), ("two".into(), vec![12]));
    assert_eq!(read(&ring, start, 1), ("one".into(), vec![11]), "at least one frame");
    assert_eq!(read(&ring, ring.head(), 100), (String::new(), vec![]));
}

#[test]
fn the_oldest_fall_off_by_number_and_by_size() {
    let mut ring = ring();
    for n in 0..7 {
        say(&mut ring, &n.to_string());
    }
    assert_eq!(ring.oldest(), 2, "five frames are kept");
    assert_eq!(ring.cursor_of(11), None);
    assert_eq!(ring.cursor_of(12), Some(Cursor { at: 2, seq: 12 }));
    say(&mut ring, &"x".repeat(62));
    assert_eq!(read(&ring, ring.last(9), 100).0, format!("56{}", "x".repeat(62)));
    say(&mut ring, &"y".repeat(64));
    assert_eq!(read(&ring, ring.last(9), 100).0, "y".repeat(64), "a frame as large as the ring, across its seam");
}

#[test]
fn a_cursor_is_found_by_event() {
    let mut ring = ring();
    ring.append(b"batch", (10, 14), Instant::now(), None).expect("four events");
    ring.append(b"count", (14, 14), Instant::now(), None).expect("no event");
    say(&mut ring, "14");
    ring.append(b"", (15, 20), Instant::now(), None).expect("nothing is sent of these");
    ring.append(b"after a hole", (20, 21), Instant::now(), None).expect("numbers may be left out");
    let at = |seq| ring.cursor_of(seq).map(|cursor| cursor.at);
    assert_eq!(at(9), None);
    assert_eq!(at(10), Some(0));
    assert_eq!(at(12), Some(0), "within a batch: from its beginning");
    assert_eq!(at(14), Some(5));
    assert_eq!(at(20), Some(12));
    assert_eq!(at(21), Some(24), "the head");
    assert_eq!(at(22), None);
    assert_eq!(ring.last(1).at, 12);
    assert_eq!(ring.last(0), ring.head());
    let stands = |at| ring.standing(Cursor { at, seq: 0 }).at;
    assert_eq!([stands(0), stands(5), stands(24)], [0, 5, 24]);
    assert_eq!([stands(3), stands(99)], [24, 24], "no place between two frames");
}

#[test]
fn what_can_not_be_appended_leaves_the_ring_as_it_was() {
    let mut ring = ring();
    say(&mut ring, "one");
    let now = Instant::now();
    assert_eq!(ring.append(&[0; 65], (11, 12), now, None), Err(AppendError::TooLarge { bytes: 65, most_bytes: 64 }));
    assert_eq!(ring.append(b"", (10, 11), now, None), Err(AppendError::OutOfOrder { first: 10, next: 11, wanted: 11 }));
    assert_eq!(ring.append(b"", (12, 11), now, None), Err(AppendError::OutOfOrder { first: 12, next: 11, wanted: 11 }));
    assert_eq!(read(&ring, ring.last(9), 100).0, "one");
}

#[test]
fn a_batch_goes_on_where_it_ends_unless_something_fell_off_between() {
    let mut ring = ring();
    let start = ring.head();
    say(&mut ring, "one");
    let mut batch = Batch::default();
    ring.read(start, 100, &mut batch);
    say(&mut ring, "two");
    say(&mut ring, "three");
    ring.extend(&mut batch, 1);
    assert_eq!((batch.from(0), batch.end().seq), (&b"onetwo"[..], 12), "at least one frame");
    ring.extend(&mut batch, 100);
    ring.extend(&mut batch, 100);
    assert_eq!((batch.from(3), batch.end()), (&b"twothree"[..], ring.head()));
    for n in 0..6 {
        say(&mut ring, &n.to_string());
    }
    ring.extend(&mut batch, 100);
    assert_eq!(batch.from(0), b"onetwothree");
}

#[test]
fn a_cut_frame_leaves_its_rest() {
    let mut ring = ring();
    for text in ["one", "two", "three"] {
        say(&mut ring, text);
    }
    let mut batch = Batch::default();
    ring.read(ring.last(9), 100, &mut batch);
    let taken = |at, n| {
        let (cursor, rest, frames) = batch.taken(at, n);
        (cursor.at, cursor.seq, String::from_utf8_lossy(rest).into_owned(), frames)
    };
    assert_eq!(taken(0, 0), (0, 10, String::new(), 0));
    assert_eq!(taken(0, 1), (3, 11, "ne".into(), 1));
    assert_eq!(taken(0, 3), (3, 11, String::new(), 1));
    assert_eq!(taken(0, 4), (6, 12, "wo".into(), 2));
    assert_eq!(taken(3, 4), (11, 13, "hree".into(), 2));
    assert_eq!(taken(3, 8), (11, 13, String::new(), 2));
}

proptest! {
    /// The ring against a list of everything that was ever said.
    #[test]
    fn a_ring_holds_a_suffix_of_what_was_said(lens in prop::collection::vec(1_usize..40, 1..120), most_frames in 1_usize..20) {
        let mut ring = Ring::new(0, 97, most_frames);
        let (mut all, mut starts) = (Vec::new(), Vec::new());
        for (n, len) in lens.iter().enumerate() {
            let frame: Vec<u8> = (0..*len).map(|i| (n * 7 + i) as u8).collect();
            starts.push(all.len());
            all.extend_from_slice(&frame);
            ring.append(&frame, (n as u64, n as u64 + 1), Instant::now(), None).expect("it fits");
            let first = ring.last(usize::MAX);
            let mut batch = Batch::default();
            ring.read(first, usize::MAX, &mut batch);
            prop_assert_eq!(starts[first.seq as usize] as u64, first.at);
            prop_assert_eq!(batch.from(first.at), &all[first.at as usize..]);
            prop_assert_eq!(batch.end(), ring.head());
            prop_assert!(batch.bytes.len() <= 97 && batch.ends.len() <= most_frames);
        }
    }
}
