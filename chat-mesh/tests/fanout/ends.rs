//! How connections end, and what is known of it.

use freshet_chat_mesh::{
    fanout::{Ended, MAX_LOGS, MAX_ORDERS, MAX_PRIVATE_BYTES, OrderError},
    ws::{Close, CloseCode, Received},
};
use rustls::{ClientConfig, RootCertStore, ServerConfig, pki_types::PrivatePkcs8KeyDer};
use tokio::{io::split, time::timeout};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;

async fn ended(connection: &Connection) -> Ended {
    timeout(client::PATIENCE, connection.ended()).await.expect("it ends")
}

async fn until(what: impl Fn() -> bool) {
    let poll = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(client::PATIENCE, poll).await.expect("it becomes so");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_is_the_last_frame_and_comes_after_all_that_was_ordered() {
    let mut hub = Hub::new(fanout(Config::default())).await;
    let log = log(&hub.fanout);
    let (connection, mut client) = hub.connect().await;
    connection.subscribe(&log, log.head()).expect("open");
    connection.send(encode::text("one")).expect("open");
    connection.close(encode::close(CloseCode::RESTART, "again")).expect("open");
    assert_eq!(connection.send(encode::text("late")), Err(OrderError::Ended));
    assert_eq!(client.text().await, "one");
    let close = Close { code: CloseCode::RESTART, reason: "again".into() };
    assert_eq!(client.next().await, Some(Received::Close(Some(close))));
    assert_eq!(client.next().await, None, "the end of the stream");
    assert_eq!(ended(&connection).await, Ended::Closed);
    assert_eq!((log.readers(), hub.fanout.connections()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_the_handle_ends_it_but_not_before_a_close_is_sent() {
    let mut hub = Hub::new(fanout(Config::default())).await;
    let (connection, mut client) = hub.connect().await;
    connection.close(encode::close(CloseCode::NORMAL, "")).expect("open");
    drop(connection);
    assert!(matches!(client.next().await, Some(Received::Close(_))));
    assert_eq!(client.next().await, None);
    let (connection, mut client) = hub.connect().await;
    drop(connection);
    assert_eq!(client.next().await, None);
    until(|| hub.fanout.connections() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_is_noticed_and_the_others_read_on() {
    let mut hub = Hub::new(fanout(Config::default())).await;
    let log = log(&hub.fanout);
    let mut pairs = Vec::new();
    for _ in 0..20 {
        let (connection, client) = hub.connect().await;
        connection.subscribe(&log, log.head()).expect("open");
        pairs.push((connection, client));
    }
    until(|| log.readers() == 20).await;
    let mut gone = Vec::new();
    for n in [17, 11, 5, 0] {
        let (connection, client) = pairs.remove(n);
        client.socket.set_zero_linger().expect("an option"); // a reset
        drop(client);
        gone.push(connection);
    }
    let mut said = 0;
    while gone.iter().any(|connection| connection.is_ended().is_none()) {
        say(&log, "anybody there?");
        said += 1;
        for (_, client) in &mut pairs {
            assert_eq!(client.text().await, format!("{} anybody there?", said - 1));
        }
    }
    for connection in &gone {
        assert_eq!(ended(connection).await, Ended::Gone);
        assert_eq!(connection.send(encode::text("x")), Err(OrderError::Ended));
    }
    until(|| log.readers() == 16 && hub.fanout.connections() == 16).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_and_does_not_read_is_ended() {
    let mut hub = Hub::new(fanout(Config::default())).await;
    let (connection, _client) = hub.connect().await;
    let frame = encode::text(&"q".repeat(60_000));
    let mut taken = 0;
    while connection.send(frame.clone()).is_ok() {
        taken += 1;
        assert!(taken < 10_000, "somebody reads that");
        tokio::task::yield_now().await;
    }
    assert_eq!(ended(&connection).await, Ended::Overflow);
    until(|| hub.fanout.stats().overflowed == 1).await;
    let (connection, _client) = hub.connect().await;
    assert_eq!(connection.send(Bytes::from(vec![0; MAX_PRIVATE_BYTES + 1])), Err(OrderError::Ended));
}

#[tokio::test]
async fn a_queue_holds_so_many_orders() {
    let fanout = Fanout::new(Config { shards: 1, ..Config::default() });
    let (ours, _theirs) = tokio::io::duplex(1);
    let connection = fanout.connect(Sink::other(ours)).expect("room");
    // One thread: the shard takes nothing before this has given way.
    for _ in 0..MAX_ORDERS {
        connection.send(encode::text("x")).expect("it fits");
    }
    assert_eq!(connection.send(encode::text("x")), Err(OrderError::Ended));
    assert_eq!(ended(&connection).await, Ended::Overflow);
}

#[tokio::test]
async fn a_connection_reads_so_many_logs() {
    let fanout = Fanout::new(Config { shards: 1, ..Config::default() });
    let (ours, theirs) = tokio::io::duplex(4096);
    let connection = fanout.connect(Sink::other(ours)).expect("room");
    let logs: Vec<Log> = (0..=MAX_LOGS).map(|_| log(&fanout)).collect();
    for log in &logs[..MAX_LOGS] {
        connection.subscribe(log, log.head()).expect("it fits");
    }
    connection.subscribe(&logs[0], logs[0].head()).expect("it reads that already");
    assert_eq!(connection.subscribe(&logs[MAX_LOGS], logs[MAX_LOGS].head()), Err(OrderError::TooManyLogs));
    connection.unsubscribe(&logs[1]).expect("open");
    connection.subscribe(&logs[MAX_LOGS], logs[MAX_LOGS].head()).expect("there is room again");
    say(&logs[MAX_LOGS], "heard");
    assert_eq!(Client::new(theirs).text().await, "0 heard");
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_takes_nothing_is_ended() {
    let fanout = Fanout::new(Config { shards: 1, ..Config::default() });
    let log = log(&fanout);
    let (ours, _theirs) = tokio::io::duplex(16);
    let connection = fanout.connect(Sink::other(ours)).expect("room");
    connection.subscribe(&log, log.head()).expect("open");
    say(&log, "more than sixteen bytes of text");
    let start = tokio::time::Instant::now();
    // What else is sent to it does not make it a better reader.
    while connection.is_ended().is_none() {
        let _ = connection.send(encode::ping(b""));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(start.elapsed() < Duration::from_secs(40), "it is still there");
    }
    assert!(start.elapsed() >= Duration::from_secs(30));
    assert_eq!(ended(&connection).await, Ended::Stalled);
    assert_eq!(fanout.stats().stalled, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_is_room_for_so_many() {
    let mut hub = Hub::new(fanout(Config { connections: 2, ..Config::default() })).await;
    let (_first, _a) = hub.connect().await;
    let (second, _b) = hub.connect().await;
    let (ours, _theirs) = tokio::io::duplex(16);
    assert!(hub.fanout.connect(Sink::other(ours)).is_err());
    drop(second);
    until(|| hub.fanout.connections() == 1).await;
    let (third, mut client) = hub.connect().await;
    third.send(encode::text("welcome")).expect("open");
    assert_eq!(client.text().await, "welcome");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_the_fan_out_ends_all() {
    let mut hub = Hub::new(fanout(Config::default())).await;
    let (connection, mut client) = hub.connect().await;
    hub.fanout = Arc::new(fanout(Config::default()));
    assert_eq!(ended(&connection).await, Ended::Shutdown);
    assert_eq!(client.next().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_sockets_read_the_same_log() {
    let made = rcgen::generate_simple_self_signed(vec!["chat.example".into()]).expect("a certificate");
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .expect("a configuration");
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a root");
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let (acceptor, connector) = (TlsAcceptor::from(Arc::new(server)), TlsConnector::from(Arc::new(client)));

    let hub = Hub::new(fanout(Config { log_bytes: 8 << 20, ..Config::default() })).await;
    let log = log(&hub.fanout);
    let (mut kept, mut clients) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        let (near, far) = hub.pair().await;
        tune(&far).expect("options");
        let name = "chat.example".try_into().expect("a name");
        let (near, far) = tokio::join!(connector.connect(name, near), acceptor.accept(far));
        let (reader, writer) = split(far.expect("a handshake"));
        let connection = hub.fanout.connect(Sink::other(writer)).expect("room");
        connection.subscribe(&log, log.head()).expect("open");
        kept.push((connection, reader));
        clients.push(Client::new(near.expect("a handshake")));
    }
    // More than the sockets hold, so that there is something to flush later.
    let body = "t".repeat(5000);
    for _ in 0..200 {
        say(&log, &body);
    }
    for client in &mut clients {
        for seq in 0..200 {
            assert!(client.text().await == format!("{seq} {body}"));
        }
    }
    assert_eq!(kept[3].0.is_ended(), None);
    kept[3].0.close(encode::close(CloseCode::NORMAL, "")).expect("open");
    assert!(matches!(clients[3].next().await, Some(Received::Close(_))));
    assert_eq!(clients[3].next().await, None, "with a proper end of the TLS stream");
}
