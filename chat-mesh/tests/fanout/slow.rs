//! Readers that do not keep up: a gap for them, nothing for the others.

use freshet_chat_mesh::ws::Received;
use tokio::{
    io::{AsyncReadExt, WriteHalf, split},
    net::TcpSocket,
};

use super::*;

impl Hub {
    /// A client whose kernel takes little.
    async fn connect_narrow(&mut self) -> (Connection, Client) {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(2048).expect("an option");
        let client = socket.connect(self.listener.local_addr().expect("an address"));
        let (client, server) = tokio::join!(client, self.listener.accept());
        let server = server.expect("accepted").0;
        socket2::SockRef::from(&server).set_send_buffer_size(4096).expect("an option");
        self.take(server, client.expect("connected"))
    }
}

/// What a reader got: events in order, without doubles, and every hole stated by a gap. Reads until event `last`.
async fn holes(client: &mut Client, last: u64) -> u64 {
    let (mut next, mut missed) = (0, 0);
    loop {
        let text = client.text().await;
        if let Some(gap) = text.strip_prefix("gap ") {
            let (first, after) = gap.split_once(' ').expect("two numbers");
            assert_eq!(first, next.to_string(), "a gap begins where the reader stood");
            let after: u64 = after.parse().expect("a number");
            missed += after - next;
            next = after;
        } else {
            assert!(text.starts_with(&format!("{next} ")), "{text:.20} came instead of {next}");
            next += 1;
        }
        if next > last {
            return missed;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_gets_a_gap_and_the_others_everything() {
    let config = Config { shards: 1, log_bytes: 64 << 10, ..Config::default() };
    let mut hub = Hub::new(Fanout::new(config)).await;
    let log = log(&hub.fanout);
    let (slow, mut slow_client) = hub.connect_narrow().await;
    let (quick, mut quick_client) = hub.connect().await;
    slow.subscribe(&log, log.head()).expect("open");
    quick.subscribe(&log, log.head()).expect("open");
    let body = "z".repeat(1000);
    // Twenty times what the ring holds; the quick one has read each before the next is said.
    for _ in 0..1280 {
        let seq = say(&log, &body);
        assert!(quick_client.text().await.starts_with(&format!("{seq} ")));
    }
    let last = say(&log, "last");
    assert_eq!(quick_client.text().await, format!("{last} last"));
    assert_eq!(quick.gaps(), 0);
    let missed = holes(&mut slow_client, last).await;
    assert!(missed > 1000, "it missed only {missed}");
    assert!(slow.gaps() >= 1);
    // At the head again, it is a reader like any other.
    say(&log, "after");
    assert_eq!(slow_client.text().await, format!("{} after", last + 1));
}

#[tokio::test(start_paused = true)]
async fn a_reader_three_seconds_behind_skips_to_the_head() {
    let fanout = Fanout::new(Config { shards: 1, ..Config::default() });
    let log = log(&fanout);
    let (ours, theirs) = tokio::io::duplex(16);
    let mut client = Client::new(theirs);
    let connection = fanout.connect(Sink::other(ours)).expect("room");
    connection.subscribe(&log, log.head()).expect("open");
    for text in ["a text that is longer than what the pipe holds", "one", "two"] {
        say(&log, text);
    }
    let mut first = [0; 8];
    client.socket.read_exact(&mut first).await.expect("the shard has written"); // and is blocked in frame 0
    assert_eq!(&first[2..], b"0 a te");
    tokio::time::sleep(Duration::from_secs(4)).await;
    say(&log, "three");
    let mut rest = Vec::new();
    while !rest.ends_with(b"three") && !rest.ends_with(b"gap 1 4") {
        let mut byte = [0];
        client.socket.read_exact(&mut byte).await.expect("more");
        rest.extend(byte);
    }
    let rest = String::from_utf8_lossy(&rest).into_owned();
    assert!(rest.starts_with("xt that is longer than what the pipe holds"), "frame 0 is finished first: {rest}");
    assert!(rest.ends_with("\u{7}gap 1 4") && !rest.contains("one"), "then the gap: {rest}");
    assert_eq!(connection.gaps(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_for_what_is_gone_is_told_so() {
    let mut hub = Hub::new(fanout(Config { log_frames: 10, ..Config::default() })).await;
    let log = log(&hub.fanout);
    let from = log.head();
    for _ in 0..25 {
        say(&log, "old");
    }
    assert_eq!(log.cursor_of(3), None);
    let (connection, mut client) = hub.connect().await;
    connection.subscribe(&log, from).expect("open");
    assert_eq!(client.text().await, "gap 0 25");
    say(&log, "new");
    assert_eq!(client.text().await, "25 new");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ones_own_frames_are_never_within_another_frame() {
    let mut hub = Hub::new(fanout(Config::default())).await;
    let log = log(&hub.fanout);
    let (connection, mut client) = hub.connect_narrow().await;
    connection.subscribe(&log, log.head()).expect("open");
    let body = "w".repeat(3000);
    let mut own = 0;
    for n in 0..200 {
        say(&log, &body);
        if n % 3 == 0 {
            connection.send(encode::pong(format!("{own}").as_bytes())).expect("it fits");
            own += 1;
        }
        tokio::task::yield_now().await;
    }
    let (mut next, mut pongs) = (0, 0);
    while next < 200 || pongs < own {
        match client.next().await.expect("more") {
            Received::Text(text) => {
                assert!(text == format!("{next} {body}"), "{text:.20} came instead of {next}");
                next += 1;
            }
            Received::Pong(payload) => {
                assert_eq!(payload, pongs.to_string().into_bytes());
                pongs += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(connection.gaps(), 0);
}

/// A writing half that takes at most three bytes at a time and must be flushed, as a layer of encryption may.
struct Trickle(WriteHalf<tokio::io::DuplexStream>);

impl tokio::io::AsyncWrite for Trickle {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        std::pin::Pin::new(&mut self.0).poll_write(cx, &bytes[..bytes.len().min(3)])
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn a_pipe_of_seven_bytes_gets_all_of_it() {
    let fanout = Fanout::new(Config { shards: 1, ..Config::default() });
    let log = log(&fanout);
    let (ours, theirs) = tokio::io::duplex(7);
    let mut client = Client::new(theirs);
    let connection = fanout.connect(Sink::other(Trickle(split(ours).1))).expect("room");
    connection.subscribe(&log, log.head()).expect("open");
    for n in 0..40 {
        say(&log, &"v".repeat(n));
        connection.send(frames(&["own", "frames"])).expect("it fits");
        tokio::task::yield_now().await;
    }
    let (mut next, mut own) = (0, 0);
    while next < 40 || own < 80 {
        let text = client.text().await;
        if text == ["own", "frames"][own % 2] {
            own += 1;
        } else {
            assert_eq!(text, format!("{next} {}", "v".repeat(next)));
            next += 1;
        }
    }
    assert_eq!(connection.is_ended(), None);
}
