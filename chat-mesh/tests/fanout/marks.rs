//! Frames that are not for everybody.

use tokio::io::DuplexStream;

use super::*;

/// Whom each event is not for: nobody, `a`, `b`, nobody, `a`, …
fn but(seq: u64) -> Option<Mark> {
    [None, Some("a"), Some("b")][(seq % 3) as usize].map(Mark::new)
}

/// A reader under this mark, over a pipe that takes so many bytes at a time.
fn reader(fanout: &Fanout, log: &Log, mark: Option<&str>, width: usize) -> (Connection, Client<DuplexStream>) {
    let (ours, theirs) = tokio::io::duplex(width);
    let connection = fanout.connect(Sink::other(ours)).expect("room");
    connection.subscribe_as(log, log.head(), mark.map(Mark::new)).expect("open");
    (connection, Client::new(theirs))
}

#[tokio::test(start_paused = true)]
async fn a_frame_is_for_all_but_those_under_its_mark() {
    let fanout =
        Fanout::new(Config { shards: 1, patience: tokio::time::Duration::from_secs(3600), ..Config::default() });
    let log = log(&fanout);
    let mut readers = Vec::new();
    for mark in [None, Some("a"), Some("b"), Some("c")] {
        // Whole bursts in one write, and frames cut anywhere.
        for width in [1 << 16, 40, 7, 1] {
            readers.push((mark.map(Mark::new), reader(&fanout, &log, mark, width)));
        }
    }
    for seq in 0..300 {
        let frame = encode::text(&format!("{seq} {}", "x".repeat((seq * 37 % 100) as usize)));
        log.append_but(&frame, (seq, seq + 1), Haste::Batched, but(seq)).expect("it fits");
        if seq % 11 == 0 {
            tokio::task::yield_now().await;
        }
    }
    for (mark, (connection, mut client)) in readers {
        for seq in (0..300).filter(|seq| mark.is_none() || but(*seq) != mark) {
            let text = client.text().await;
            assert!(text.starts_with(&format!("{seq} ")), "{text:.8} came instead of {seq} to {mark:?}");
        }
        assert_eq!(connection.gaps(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn who_subscribes_again_under_another_mark_gets_what_it_would() {
    let fanout = Fanout::new(Config { shards: 1, ..Config::default() });
    let log = log(&fanout);
    let (connection, mut client) = reader(&fanout, &log, Some("a"), 1 << 16);
    for seq in 0..6 {
        log.append_but(&encode::text(&seq.to_string()), (seq, seq + 1), Haste::Batched, but(seq)).expect("it fits");
    }
    assert_eq!(client.texts(4).await, ["0", "2", "3", "5"]);
    connection.subscribe_as(&log, log.last(6), Some(Mark::new("b"))).expect("open");
    assert_eq!(client.texts(4).await, ["0", "1", "3", "4"]);
}
