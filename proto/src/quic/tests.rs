//! Whole conversations over UDP on loopback.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, PKCS_ED25519,
};
use tokio::sync::{Semaphore, oneshot};

use super::*;
use crate::{
    clock::WallClock,
    message::{ContentType, FetchReply, FetchStatus, Request, WatchEvent},
    random::Random,
};

mod datagrams;
mod skew;

pub(super) type Authority = CertifiedIssuer<'static, KeyPair>;

pub(super) fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    CertifiedIssuer::self_signed(params, KeyPair::generate_for(&PKCS_ED25519).unwrap()).unwrap()
}

pub(super) fn identity(authority: &Authority, name: &str) -> Identity {
    identity_trusting(authority, name, authority)
}

fn identity_trusting(authority: &Authority, name: &str, trusted: &Authority) -> Identity {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let pem = |text: String| text.into_bytes();
    Identity::from_pem(&pem(certificate.pem()), &pem(key.serialize_pem()), &pem(trusted.pem())).unwrap()
}

fn endpoint_at(addr: SocketAddr, identity: &Identity, tuning: Tuning) -> Endpoint {
    let doors = Doors { clock: WallClock::system(), random: Random::system() };
    Endpoint::bind(addr, identity, doors, tuning).unwrap()
}

pub(super) fn endpoint(identity: &Identity, tuning: Tuning) -> Endpoint {
    endpoint_at("127.0.0.1:0".parse().unwrap(), identity, tuning)
}

/// Answers a fetch of `ada/17/v0/N.m4s` with N bytes, with what `Script` says, and holds every other request.
struct Origin {
    script: Script,
    peers: Mutex<Vec<Peer>>,
    held: AtomicUsize,
    release: Semaphore,
}

#[derive(Clone, Copy, PartialEq)]
enum Script {
    Whole,
    BreakOff,
    FinishEarly,
    SayMore,
}

impl Origin {
    fn new(script: Script) -> Arc<Self> {
        Arc::new(Self { script, peers: Mutex::default(), held: AtomicUsize::new(0), release: Semaphore::new(0) })
    }
}

impl Handler for Origin {
    async fn handle(&self, request: Request, mut reply: Responder) -> Result<(), QuicError> {
        self.peers.lock().unwrap().push(reply.peer().clone());
        let Request::Fetch { name, .. } = request else {
            self.held.fetch_add(1, Ordering::SeqCst);
            self.release.acquire().await.unwrap().forget();
            reply.write_frame(&WatchEvent::Bookmark(7)).await?;
            return reply.finish().await;
        };
        let path = name.to_string();
        let length: usize = path.rsplit('/').next().unwrap().trim_end_matches(".m4s").parse().unwrap();
        reply.write_frame(&found(length as u64)).await?;
        let sent = if self.script == Script::Whole { length } else { length / 2 };
        reply.write_payload(Bytes::from(vec![7; sent])).await?;
        match self.script {
            Script::BreakOff => return Err(QuicError::ShuttingDown),
            Script::SayMore => reply.write_payload(Bytes::from(vec![7; length])).await?,
            Script::Whole | Script::FinishEarly => {}
        }
        reply.finish().await
    }
}

fn found(length: u64) -> FetchReply {
    FetchReply {
        status: FetchStatus::Found,
        length,
        content_type: ContentType::VideoMp4,
        age_ms: 3,
        fresh_ms: u64::MAX,
        parts: vec![],
    }
}

fn fetch(length: usize) -> Request {
    Request::Fetch { name: format!("ada/17/v0/{length}.m4s").parse().unwrap(), list_parts: false }
}

const WATCH: Request = Request::Watch { after: None };

async fn fetched(pool: &Pool, addr: SocketAddr, length: usize) -> Result<Bytes, QuicError> {
    let mut reader = pool.request(addr, "origin", &fetch(length)).await?;
    let reply: FetchReply = reader.read_frame(1024).await?;
    let payload = reader.read_payload(reply.length).await?;
    reader.expect_end().await?;
    Ok(payload)
}

/// One origin and one asker of the same platform.
struct World {
    authority: Authority,
    origin: Arc<Origin>,
    server: Endpoint,
    pool: Pool,
    addr: SocketAddr,
    shutdown: Option<oneshot::Sender<()>>,
    served: tokio::task::JoinHandle<()>,
}

impl World {
    fn new(script: Script, tuning: Tuning) -> Self {
        let authority = authority();
        let origin = Origin::new(script);
        let server = endpoint(&identity(&authority, "origin"), tuning.clone());
        let addr = server.local_addr().unwrap();
        let (shutdown, down) = oneshot::channel::<()>();
        let (serving, handler) = (server.clone(), origin.clone());
        let served = tokio::spawn(async move { serve(&serving, handler, async { drop(down.await) }).await });
        let pool = Pool::new(&endpoint(&identity(&authority, "edge-1"), tuning));
        Self { authority, origin, server, pool, addr, shutdown: Some(shutdown), served }
    }

    async fn until_held(&self, count: usize) {
        let held = async {
            while self.origin.held.load(Ordering::SeqCst) < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), held).await.expect("requests to arrive");
    }
}

#[tokio::test]
async fn an_asker_gets_what_it_asked_for_and_the_origin_knows_who_asked() {
    let world = World::new(Script::Whole, Tuning::default());
    for length in [0, 1, 1199, 65_536, 3_000_001] {
        assert_eq!(fetched(&world.pool, world.addr, length).await.unwrap(), vec![7; length]);
    }
    let peers = world.origin.peers.lock().unwrap().clone();
    assert!(peers.iter().all(|peer| peer.name == "edge-1" && peer.addr == peers[0].addr), "{peers:?}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_never_taken_for_a_whole_one() {
    let world = World::new(Script::BreakOff, Tuning::default());
    let error = fetched(&world.pool, world.addr, 1000).await.unwrap_err();
    assert!(matches!(error, QuicError::Reset(StreamCode::Failed)), "{error}");

    let world = World::new(Script::FinishEarly, Tuning::default());
    let error = fetched(&world.pool, world.addr, 1000).await.unwrap_err();
    assert!(matches!(error, QuicError::Short { missing: 500 }), "{error}");

    let world = World::new(Script::SayMore, Tuning::default());
    let error = fetched(&world.pool, world.addr, 1000).await.unwrap_err();
    assert!(matches!(error, QuicError::Trailing), "{error}");
}

#[tokio::test]
async fn frames_have_a_limit_that_the_reader_sets() {
    let world = World::new(Script::Whole, Tuning::default());
    let mut reader = world.pool.request(world.addr, "origin", &fetch(1)).await.unwrap();
    let error = reader.read_frame::<FetchReply>(3).await.unwrap_err();
    assert!(matches!(error, QuicError::TooLong { limit: 3, .. }), "{error}");
}

#[tokio::test]
async fn a_node_of_another_authority_is_refused_and_asks_nothing() {
    let world = World::new(Script::Whole, Tuning::default());
    // It trusts our origin, so that only the origin's own check stands in its way.
    let trusting = identity_trusting(&authority(), "edge-1", &world.authority);
    let pool = Pool::new(&endpoint(&trusting, Tuning::default()));
    let first = fetched(&pool, world.addr, 1).await.unwrap_err();
    assert!(matches!(first, QuicError::Lost(_) | QuicError::Unreachable { .. }), "{first}");
    let second = fetched(&pool, world.addr, 1).await.unwrap_err();
    assert!(matches!(&second, QuicError::Unreachable { why, .. } if why.contains("refused us")), "{second}");
    assert_eq!(world.origin.peers.lock().unwrap().len(), 0);
    assert_eq!(fetched(&world.pool, world.addr, 5).await.unwrap().len(), 5, "others are served");
}

#[tokio::test]
async fn a_node_that_is_not_who_it_should_be_is_not_asked() {
    let world = World::new(Script::Whole, Tuning::default());
    let error = world.pool.request(world.addr, "origin-2", &fetch(1)).await.unwrap_err();
    assert!(matches!(error, QuicError::Unreachable { .. }), "{error}");
    assert_eq!(world.origin.peers.lock().unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_requests_share_one_connection_and_its_streams_grow_with_them() {
    let world = World::new(Script::Whole, Tuning { request: Duration::from_secs(30), ..Tuning::default() });
    let count = 1000;
    assert!(count > 4 * Tuning::STREAMS_AT_FIRST as usize);
    let asking: Vec<_> = (0..count)
        .map(|_| {
            let (pool, addr) = (world.pool.clone(), world.addr);
            tokio::spawn(async move {
                let mut reader = pool.request(addr, "origin", &WATCH).await?;
                reader.read_frame::<WatchEvent>(64).await
            })
        })
        .collect();
    world.until_held(count).await;
    world.origin.release.add_permits(count);
    for asked in asking {
        assert_eq!(asked.await.unwrap().unwrap(), WatchEvent::Bookmark(7));
    }
    let peers = world.origin.peers.lock().unwrap().clone();
    assert!(peers.iter().all(|peer| peer.addr == peers[0].addr));
    assert_eq!(world.server.quic.open_connections(), 1);
}

#[tokio::test]
async fn followers_leave_a_quarter_of_the_streams_to_fetches() {
    let world = World::new(Script::Whole, Tuning { streams: 8, ..Tuning::default() });
    let mut following = Vec::new();
    for _ in 0..6 {
        following.push(world.pool.request(world.addr, "origin", &WATCH).await.unwrap());
    }
    world.until_held(6).await;
    let mut seventh = world.pool.request(world.addr, "origin", &WATCH).await.unwrap();
    let error = seventh.read_frame::<WatchEvent>(64).await.unwrap_err();
    assert!(matches!(error, QuicError::Reset(StreamCode::Busy)), "{error}");
    assert_eq!(fetched(&world.pool, world.addr, 10).await.unwrap().len(), 10);

    world.origin.release.add_permits(1);
    assert_eq!(following[0].read_frame::<WatchEvent>(64).await.unwrap(), WatchEvent::Bookmark(7));
    following[0].expect_end().await.unwrap();
    drop(following.remove(0));
    let mut again = world.pool.request(world.addr, "origin", &WATCH).await.unwrap();
    world.until_held(7).await;
    world.origin.release.add_permits(6);
    assert_eq!(again.read_frame::<WatchEvent>(64).await.unwrap(), WatchEvent::Bookmark(7), "the place is free again");
}

#[tokio::test]
async fn a_dead_peer_costs_one_attempt_and_the_next_askers_nothing() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = silent.local_addr().unwrap();
    let tuning = Tuning {
        connect: Duration::from_millis(300),
        backoff_min: Duration::from_secs(60),
        backoff_max: Duration::from_secs(60),
        ..Tuning::default()
    };
    let pool = Pool::new(&endpoint(&identity(&authority(), "edge-1"), tuning));
    let asking: Vec<_> = (0..50)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { fetched(&pool, addr, 1).await.unwrap_err() })
        })
        .collect();
    for asked in asking {
        let error = asked.await.unwrap();
        assert!(
            matches!(&error, QuicError::Unreachable { retry_in, .. } if *retry_in > Duration::from_secs(25)),
            "{error}"
        );
    }
    let sources = datagram_sources(&silent);
    assert_eq!(sources, 1, "one socket, and by its ids one connection, tried");
}

/// How many different destination connection ids the datagrams that wait at `socket` carry.
fn datagram_sources(socket: &std::net::UdpSocket) -> usize {
    socket.set_nonblocking(true).unwrap();
    let (mut ids, mut datagram) = (std::collections::BTreeSet::new(), [0; 2048]);
    while let Ok(length) = socket.recv(&mut datagram) {
        assert!(length >= 1200, "an Initial is padded (RFC 9000 §14.1)");
        ids.insert(datagram[6..6 + usize::from(datagram[5])].to_vec());
    }
    ids.len()
}

/// An address of this process alone: no other test takes a port of it while nobody listens there.
fn own_address() -> SocketAddr {
    let [_, b, c, d] = std::process::id().to_be_bytes();
    ([127, 64 | (b % 64), c, d], 0).into()
}

#[tokio::test]
async fn a_connection_is_made_again_after_the_peer_was_killed_and_started_anew() {
    let authority = authority();
    let origin = identity(&authority, "origin");
    let start = |addr: SocketAddr| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let guard = runtime.enter();
        let server = endpoint_at(addr, &origin, Tuning::default());
        drop(guard);
        let addr = server.local_addr().unwrap();
        runtime.spawn(async move { serve(&server, Origin::new(Script::Whole), std::future::pending()).await });
        (runtime, addr)
    };
    let (first, addr) = start(own_address());
    // A day of idle time: only the reset tells.
    let tuning = Tuning { idle: Duration::from_secs(86_400), backoff_max: Duration::ZERO, ..Tuning::default() };
    let pool = Pool::new(&endpoint(&identity(&authority, "edge-1"), tuning));
    assert_eq!(fetched(&pool, addr, 9).await.unwrap().len(), 9);
    first.shutdown_background();
    let free = async {
        while std::net::UdpSocket::bind(addr).is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), free).await.expect("the socket to close");
    let second = start(addr).0;
    let asked = async {
        loop {
            if let Ok(Ok(bytes)) = tokio::time::timeout(Duration::from_secs(5), fetched(&pool, addr, 9)).await {
                return bytes.len();
            }
        }
    };
    assert_eq!(tokio::time::timeout(Duration::from_secs(20), asked).await, Ok(9));
    second.shutdown_background();
}

#[tokio::test]
async fn a_peer_that_sends_nonsense_costs_only_its_own_connection() {
    let world = World::new(Script::Whole, Tuning::default());
    let mad = endpoint(&identity(&world.authority, "edge-2"), Tuning::default());
    let connection = mad.quic.connect_with(mad.client(), world.addr, "origin").unwrap().await.unwrap();
    let nonsense: [&[u8]; 4] = [&[0, 0, 0, 2, 99, 99], &[255; 4], &[0, 0, 0, 9, 1], &[]];
    let mut codes = Vec::new();
    for bytes in nonsense.iter().cycle().take(16) {
        let Ok((mut send, receive)) = connection.open_bi().await else { break };
        let _ = send.write_all(bytes).await;
        let _ = send.finish();
        codes.push(Reader::new(receive, connection.clone()).read_frame::<WatchEvent>(64).await.unwrap_err());
    }
    assert!(matches!(codes[0], QuicError::Reset(StreamCode::BadRequest)), "{}", codes[0]);
    assert!(matches!(connection.closed().await, quinn::ConnectionError::ApplicationClosed(_)));
    assert_eq!(fetched(&world.pool, world.addr, 5).await.unwrap().len(), 5, "others are served");
}

#[tokio::test]
async fn a_request_with_something_behind_it_is_no_request() {
    let world = World::new(Script::Whole, Tuning::default());
    let peer = endpoint(&identity(&world.authority, "edge-2"), Tuning::default());
    let connection = peer.quic.connect_with(peer.client(), world.addr, "origin").unwrap().await.unwrap();
    let (mut send, receive) = connection.open_bi().await.unwrap();
    send.write_chunk(frame(&fetch(3)).unwrap()).await.unwrap();
    send.write_all(b"!").await.unwrap();
    let error = Reader::new(receive, connection).read_frame::<FetchReply>(64).await.unwrap_err();
    assert!(matches!(error, QuicError::Reset(StreamCode::BadRequest)), "{error}");
}

#[tokio::test]
async fn an_asker_that_leaves_is_noticed() {
    struct Waits(Mutex<Option<oneshot::Sender<()>>>);
    impl Handler for Waits {
        async fn handle(&self, _: Request, mut reply: Responder) -> Result<(), QuicError> {
            reply.write_frame(&WatchEvent::Bookmark(1)).await?;
            reply.left().await;
            let noticed = self.0.lock().unwrap().take();
            noticed.map(|noticed| noticed.send(()));
            Ok(())
        }
    }
    let authority = authority();
    let server = endpoint(&identity(&authority, "origin"), Tuning::default());
    let addr = server.local_addr().unwrap();
    let (noticed, notice) = oneshot::channel();
    let handler = Arc::new(Waits(Mutex::new(Some(noticed))));
    tokio::spawn(async move { serve(&server, handler, std::future::pending()).await });
    let pool = Pool::new(&endpoint(&identity(&authority, "edge-1"), Tuning::default()));
    let mut reader = pool.request(addr, "origin", &WATCH).await.unwrap();
    reader.read_frame::<WatchEvent>(64).await.unwrap();
    drop(reader);
    tokio::time::timeout(Duration::from_secs(10), notice).await.expect("the origin to notice").unwrap();
}

#[tokio::test]
async fn a_node_that_shuts_down_lets_open_streams_end_and_takes_no_more() {
    let mut world = World::new(Script::Whole, Tuning { drain: Duration::from_secs(20), ..Tuning::default() });
    let mut open = world.pool.request(world.addr, "origin", &WATCH).await.unwrap();
    world.until_held(1).await;
    world.shutdown.take().unwrap().send(()).unwrap();
    let other = Pool::new(&endpoint(&identity(&world.authority, "edge-2"), Tuning::default()));
    let refused = async {
        while fetched(&other, world.addr, 1).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), refused).await.expect("new connections to be refused");
    world.origin.release.add_permits(1);
    assert_eq!(open.read_frame::<WatchEvent>(64).await.unwrap(), WatchEvent::Bookmark(7));
    open.expect_end().await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), world.served).await.expect("the node to be done").unwrap();
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_it() {
    let holder = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = holder.local_addr().unwrap();
    let doors = Doors { clock: WallClock::system(), random: Random::system() };
    let error = Endpoint::bind(addr, &identity(&authority(), "n"), doors, Tuning::default()).unwrap_err();
    assert!(error.to_string().contains(&addr.to_string()), "{error}");
}

#[tokio::test]
async fn a_peer_that_died_without_a_word_is_given_up() {
    let authority = authority();
    let origin = identity(&authority, "origin");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let guard = runtime.enter();
    let server = endpoint(&origin, Tuning::default());
    drop(guard);
    let addr = server.local_addr().unwrap();
    let handler = Origin::new(Script::Whole);
    let serving = handler.clone();
    runtime.spawn(async move { serve(&server, serving, std::future::pending()).await });
    let pool = Pool::new(&endpoint(&identity(&authority, "edge-1"), Tuning::default()));
    let mut reader = pool.request(addr, "origin", &WATCH).await.unwrap();
    runtime.shutdown_background();
    let read = reader.read_frame::<WatchEvent>(64);
    let error = tokio::time::timeout(Duration::from_secs(30), read).await.expect("an end").unwrap_err();
    assert!(matches!(error, QuicError::Lost(quinn::ConnectionError::TimedOut)), "{error}");
}
