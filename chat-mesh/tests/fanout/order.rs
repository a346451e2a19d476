//! Who gets what, and in which order.

use super::*;

/// Reads events `from` up to `to` and nothing else.
async fn all_in_order(mut client: Client, from: u64, to: u64) {
    for seq in from..to {
        let text = client.text().await;
        assert!(text.starts_with(&format!("{seq} ")), "{text} came instead of {seq}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_reader_gets_every_event_once_and_in_order() {
    let mut hub = Hub::new(fanout(Config::default())).await;
    let log = log(&hub.fanout);
    let (mut kept, mut readers) = (Vec::new(), Vec::new());
    let appender = {
        let log = log.clone();
        async move {
            for n in 0..2000_u64 {
                say(&log, &"x".repeat((n * 37 % 300) as usize));
                if n % 7 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        }
    };
    // Half of them come while the appender is at work.
    let appender = {
        for _ in 0..MANY / 2 {
            let (connection, client) = hub.connect().await;
            connection.subscribe(&log, log.head()).expect("open");
            readers.push(tokio::spawn(all_in_order(client, 0, 2000)));
            kept.push(connection);
        }
        tokio::spawn(appender)
    };
    for _ in 0..MANY / 2 {
        let (connection, client) = hub.connect().await;
        let from = log.last(usize::MAX);
        connection.subscribe(&log, from).expect("open");
        readers.push(tokio::spawn(all_in_order(client, from.next_seq(), 2000)));
        kept.push(connection);
    }
    appender.await.expect("appended");
    for reader in readers {
        reader.await.expect("in order");
    }
    assert_eq!(log.readers(), MANY);
    assert_eq!(hub.fanout.connections(), MANY);
    assert!(kept.iter().all(|connection| connection.gaps() == 0));
}

// On one thread, so that what was read has been counted.
#[tokio::test]
async fn a_burst_is_one_write() {
    let mut hub = Hub::new(fanout(Config { shards: 1, ..Config::default() })).await;
    let log = log(&hub.fanout);
    let (connection, mut client) = hub.connect().await;
    connection.subscribe(&log, log.head()).expect("open");
    say(&log, "first");
    client.text().await;
    let before = hub.fanout.stats();
    // Held, so that the shard can't look before all are there.
    let burst: Bytes = (1..=50).flat_map(|seq| encode::text(&format!("{seq} burst"))).collect();
    log.append(&burst, 1, 51, Haste::Batched).expect("it fits");
    client.texts(50).await;
    let after = hub.fanout.stats();
    assert_eq!((after.deliveries - before.deliveries, after.writes - before.writes), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn frames_within_a_tick_leave_together_and_hasty_ones_at_once() {
    let hour = tokio::time::Duration::from_secs(3600);
    let fanout = Fanout::new(Config { shards: 1, tick: hour, ..Config::default() });
    let log = log(&fanout);
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let mut client = Client::new(theirs);
    let connection = fanout.connect(Sink::other(ours)).expect("room");
    connection.subscribe(&log, log.head()).expect("open");
    connection.send(encode::text("ready")).expect("open");
    assert_eq!(client.text().await, "ready");
    let start = tokio::time::Instant::now();
    say(&log, "opens the tick");
    assert_eq!(client.text().await, "0 opens the tick");
    assert!(start.elapsed() < hour);
    say(&log, "waits");
    say(&log, "too");
    connection.send(encode::text("one's own does not wait")).expect("open");
    assert_eq!(client.text().await, "one's own does not wait");
    say_hastily(&log, "ban", Haste::Now);
    assert_eq!(client.texts(3).await, ["1 waits", "2 too", "3 ban"]);
    assert!(start.elapsed() < hour);
    let stats = fanout.stats();
    assert_eq!((stats.deliveries, stats.writes), (4, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_channels_share_a_socket() {
    let mut hub = Hub::new(fanout(Config::default())).await;
    let logs: Vec<Log> = (0..3).map(|_| log(&hub.fanout)).collect();
    let (connection, mut client) = hub.connect().await;
    for log in &logs {
        connection.subscribe(log, log.head()).expect("open");
    }
    for n in 0..300 {
        say(&logs[n % 3], &format!("in {}", n % 3));
    }
    let mut next = [0; 3];
    for text in client.texts(300).await {
        let (seq, log) = text.split_once(" in ").expect("ours");
        let log: usize = log.parse().expect("a number");
        assert_eq!(seq, next[log].to_string());
        next[log] += 1;
    }
    assert_eq!(next, [100; 3]);
    connection.unsubscribe(&logs[1]).expect("open");
    connection.send(encode::text("done")).expect("open");
    assert_eq!(client.text().await, "done");
    assert_eq!([logs[0].readers(), logs[1].readers(), logs[2].readers()], [1, 0, 1]);
    say(&logs[1], "unheard");
    say(&logs[2], "heard");
    assert_eq!(client.text().await, "100 heard");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_comes_after_what_was_ordered_before_and_before_what_is_new() {
    let mut hub = Hub::new(fanout(Config::default())).await;
    let log = log(&hub.fanout);
    for _ in 0..500 {
        say(&log, "old");
    }
    let (connection, mut client) = hub.connect().await;
    connection.send(frames(&["welcome", "joined"])).expect("open");
    connection.subscribe(&log, log.last(100)).expect("open");
    say(&log, "new");
    assert_eq!(client.texts(2).await, ["welcome", "joined"]);
    let texts = client.texts(101).await;
    assert_eq!((texts[0].as_str(), texts[100].as_str()), ("400 old", "500 new"));
    connection.subscribe(&log, log.cursor_of(499).expect("still there")).expect("open");
    assert_eq!(client.texts(2).await, ["499 old", "500 new"], "moved back");
    assert_eq!(log.readers(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_goes_round_its_ring_many_times_without_loss() {
    let mut hub = Hub::new(fanout(Config { log_bytes: 9_973, log_frames: 100, ..Config::default() })).await;
    let log = log(&hub.fanout);
    let (connection, mut client) = hub.connect().await;
    connection.subscribe(&log, log.head()).expect("open");
    for round in 0..200_u64 {
        for n in 0..20 {
            say(&log, &"y".repeat((round * 31 + n * 17) as usize % 400));
        }
        for text in client.texts(20).await {
            let (seq, body) = text.split_once(' ').expect("ours");
            let seq: u64 = seq.parse().expect("a number");
            assert_eq!(seq / 20, round);
            assert_eq!(body.len() as u64, (round * 31 + seq % 20 * 17) % 400);
        }
    }
    assert_eq!(connection.gaps(), 0);
}

#[tokio::test]
async fn what_comes_during_a_round_goes_with_it() {
    const READERS: usize = 300;
    let fanout = Fanout::new(Config { shards: 1, ..Config::default() });
    let log = log(&fanout);
    let mut kept = Vec::new();
    for _ in 0..READERS {
        let (ours, theirs) = tokio::io::duplex(1 << 10);
        let connection = fanout.connect(Sink::other(ours)).expect("room");
        connection.subscribe(&log, log.head()).expect("open");
        kept.push((connection, theirs));
    }
    until(|| log.readers() == READERS).await;
    say(&log, "first");
    until(|| fanout.stats().writes > 0).await;
    let served = fanout.stats().writes;
    assert!(served < READERS as u64, "the shard gives way during its round");
    say(&log, "second");
    until(|| fanout.stats().deliveries == 2 * READERS as u64).await;
    assert_eq!(
        fanout.stats().writes,
        READERS as u64 + served,
        "only who was served before it came is written to again"
    );
}

/// Lets the other tasks of the thread go on until something is so.
async fn until(is_so: impl Fn() -> bool) {
    for _ in 0..100_000 {
        if is_so() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never was so");
}
