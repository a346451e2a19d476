//! A whole origin on loopback: registry on a disk of its own, RTMP and RTMPS listeners, QUIC with mutual TLS, and the
//! clients that tests use against it. Ports are the system's choice; everything ends with its test.
#![allow(dead_code, reason = "each test file uses its own part of this")]

pub mod encoder;
pub mod tool;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use freshet_control_plane::{
    ca::Ca,
    channel::{Policy, Times},
    local::{self, ChannelConfig, LocalError},
};
use freshet_origin::{Config, Origin};
use freshet_proto::{
    clock::WallClock,
    id::{ChannelName, NodeId, TrackName},
    message::{FetchReply, FetchStatus, FollowEvent, MAX_FRAME, Request, Version},
    object::ResourceName,
    quic::{self, Doors, Endpoint, Pool, Reader, Tuning},
    random::Random,
    view::{ChannelState, ChannelView, NodeView, Role, View},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::timeout,
};

/// No wait in these tests is longer. A bound, not an expectation: the machine may be busy.
pub const BOUND: Duration = Duration::from_secs(60);

/// The stream key of channel `ada`.
pub const KEY: &str = "ada-has-a-long-secret-key";

pub const ORIGIN: NodeId = NodeId(1);

pub struct World {
    pub origin: Origin,
    pub rtmp: SocketAddr,
    pub rtmps: SocketAddr,
    pub quic: SocketAddr,
    pub pool: Pool,
    pub view: watch::Receiver<Arc<View>>,
    pub dir: tempfile::TempDir,
    tasks: JoinSet<()>,
    registry: JoinHandle<Result<(), LocalError>>,
}

/// What a test may choose.
pub struct Plan {
    pub config: Config,
    pub times: Times,
    pub policy: Policy,
}

impl Default for Plan {
    fn default() -> Self {
        Self { config: config(), times: Times::default(), policy: Policy::Newest }
    }
}

/// Waits for an encoder for longer than a busy machine takes to make it a clip; one that has sent that says nothing either.
pub fn config() -> Config {
    let mut config = Config { lost_after_ms: 60_000, ..Config::default() };
    config.packaging.limits.stall_ms = 60_000;
    config
}

/// Nobody is lost because the machine was busy: that is for other tests.
fn patient() -> Tuning {
    Tuning { connect: BOUND, idle: BOUND, request: BOUND, ..Tuning::default() }
}

/// An origin with the channel `ada`.
pub async fn world() -> World {
    Plan::default().start().await
}

impl Plan {
    pub async fn start(self) -> World {
        let dir = tempfile::tempdir().unwrap();
        self.start_in(dir).await
    }

    /// Starts on the disk of an origin that is gone.
    pub async fn start_in(self, dir: tempfile::TempDir) -> World {
        log();
        let (clock, random) = (WallClock::system(), Random::system());
        let ca = Ca::load_or_create(&dir.path().join("ca"), &clock).unwrap();
        let bind = |name: &str| {
            let identity = ca.issue(name, &[], 1, &clock).unwrap().identity().unwrap();
            let doors = Doors { clock: clock.clone(), random: random.clone() };
            Endpoint::bind(loopback(), &identity, doors, patient()).unwrap()
        };
        let (ours, theirs) = (bind("origin-1"), bind("edge-1"));
        let quic = ours.local_addr().unwrap();
        let disk = dir.path().join("registry");
        let registry = local::spawn(&disk, self.registry(quic), clock.clone(), &random).await.unwrap();
        let view = registry.feed.view();
        let origin = Origin::new(self.config, ORIGIN, registry.commands, view.clone(), clock, random);
        let mut tasks = JoinSet::new();
        let rtmp = listen(&mut tasks, &origin, None).await;
        let rtmps = listen(&mut tasks, &origin, Some(server_tls())).await;
        let handler = Arc::new(origin.clone());
        tasks.spawn(async move { quic::serve(&ours, handler, std::future::pending()).await });
        World { origin, rtmp, rtmps, quic, pool: Pool::new(&theirs), view, dir, tasks, registry: registry.task }
    }

    fn registry(&self, quic: SocketAddr) -> local::Config {
        local::Config {
            channels: vec![ChannelConfig { name: ada(), key: KEY.into(), policy: self.policy }],
            node: ORIGIN,
            view: NodeView::new(Role::Origin, quic, "origin-1"),
            times: self.times,
        }
    }
}

async fn listen(tasks: &mut JoinSet<()>, origin: &Origin, tls: Option<Arc<rustls::ServerConfig>>) -> SocketAddr {
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let origin = origin.clone();
    tasks.spawn(async move { origin.serve_rtmp(listener, tls, std::future::pending()).await });
    addr
}

pub fn ada() -> ChannelName {
    "ada".parse().unwrap()
}

pub fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// A self-signed certificate for `localhost`.
fn server_tls() -> Arc<rustls::ServerConfig> {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(own.cert.pem().as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(own.signing_key.serialize_pem().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap())
}

fn log() {
    let _ = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_test_writer()
        .try_init();
}

impl World {
    /// Ends everything; what is left is the disk.
    pub async fn stop(self) -> tempfile::TempDir {
        let Self { origin, mut tasks, registry, dir, .. } = self;
        tasks.shutdown().await;
        origin.drain().await;
        drop(origin);
        timeout(BOUND, registry).await.expect("the registry goes on").unwrap().unwrap();
        dir
    }

    /// Where ffmpeg and its like publish to `ada`.
    pub fn publish_url(&self) -> String {
        format!("rtmp://{}/live/{KEY}", self.rtmp)
    }

    /// What others may know of `ada`, once `is_so`.
    pub async fn until(&mut self, is_so: impl Fn(&ChannelView) -> bool) -> ChannelView {
        let channel = |view: &Arc<View>| view.channels.get(&ada()).cloned().unwrap_or_default();
        let seen = timeout(BOUND, self.view.wait_for(|view| is_so(&channel(view)))).await;
        let seen = seen.map(|view| channel(&view.unwrap()));
        seen.unwrap_or_else(|_| panic!("the channel is still {:?}", channel(&self.view.borrow())))
    }

    pub async fn until_state(&mut self, state: ChannelState) -> ChannelView {
        self.until(|channel| channel.state == state).await
    }

    /// Asks for `path` as an edge does.
    pub async fn fetch(&self, path: &str) -> (FetchReply, Bytes) {
        self.fetch_listing(path, false).await
    }

    pub async fn fetch_listing(&self, path: &str, list_parts: bool) -> (FetchReply, Bytes) {
        let name: ResourceName = path.parse().unwrap();
        let request = Request::Fetch { name, list_parts };
        let fetched = async {
            let mut answer = self.pool.request(self.quic, "origin-1", &request).await.unwrap();
            let reply: FetchReply = answer.read_frame(MAX_FRAME).await.unwrap();
            let body = answer.read_payload(reply.length).await.unwrap();
            answer.expect_end().await.unwrap();
            (reply, body)
        };
        timeout(BOUND, fetched).await.unwrap_or_else(|_| panic!("{path} was not answered"))
    }

    /// The bytes of what must be there.
    pub async fn found(&self, path: &str) -> Bytes {
        let (reply, body) = self.fetch(path).await;
        assert_eq!(reply.status, FetchStatus::Found, "{path}");
        body
    }

    pub async fn text(&self, path: &str) -> String {
        String::from_utf8(self.found(path).await.to_vec()).unwrap()
    }

    pub async fn follow(&self, track: TrackName, after: Option<Version>) -> Follower {
        let request = Request::Follow { channel: ada(), track, after };
        Follower { events: self.pool.request(self.quic, "origin-1", &request).await.unwrap() }
    }
}

/// One who follows a track.
pub struct Follower {
    events: Reader,
}

/// An event and the bytes after it.
pub struct Heard {
    pub event: FollowEvent,
    pub payload: Vec<Bytes>,
}

impl Follower {
    pub async fn next(&mut self) -> Heard {
        timeout(BOUND, self.read()).await.expect("nothing came of the followed track")
    }

    async fn read(&mut self) -> Heard {
        let event: FollowEvent = self.events.read_frame(MAX_FRAME).await.unwrap();
        let lengths = match &event {
            FollowEvent::Init { length, .. } | FollowEvent::Part { length, .. } => vec![*length],
            FollowEvent::Playlist(header) => vec![header.full_gz, header.delta_gz],
            _ => Vec::new(),
        };
        let mut payload = Vec::new();
        for length in lengths {
            payload.push(self.events.read_payload(length.into()).await.unwrap());
        }
        Heard { event, payload }
    }

    /// Everything up to the first event for which `is_it` holds, that one included.
    pub async fn until(&mut self, is_it: impl Fn(&FollowEvent) -> bool) -> Vec<Heard> {
        let mut heard = Vec::new();
        loop {
            let next = self.next().await;
            let found = is_it(&next.event);
            heard.push(next);
            if found {
                return heard;
            }
        }
    }

    /// Reads on until the clean end of the stream.
    pub async fn end(mut self) {
        timeout(BOUND, self.events.expect_end()).await.unwrap().unwrap();
    }
}
