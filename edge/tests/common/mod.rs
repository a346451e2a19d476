//! An edge over an origin that does as the test says, and viewers that speak raw HTTP/1.1.
#![allow(dead_code)]

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use freshet_edge::{
    Config, Edge,
    upstream::{BoxFuture, Chunks, Events, Fetched, Peer, Upstream, UpstreamError},
};
use freshet_proto::{
    clock::WallClock,
    id::{ChannelName, Epoch, Msn, NodeId, SessionId, TrackName},
    message::{Constants, ContentType, FetchReply, FetchStatus, FollowEvent, PlaylistHeader, Version},
    object::ResourceName,
    random::Random,
    view::{ChannelState, ChannelView, EpochView, NodeState, NodeView, Role, View},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Nothing in a test takes this long unless it hangs.
pub const BOUND: Duration = Duration::from_secs(60);

/// What the origin does when an object is fetched.
#[derive(Clone)]
pub struct Object {
    pub bytes: Bytes,
    /// How many of the bytes really come.
    pub sent: usize,
    /// Permits that let the transfer go on, one before each half of the bytes.
    pub gate: Option<Arc<Semaphore>>,
    /// Lengths of parts, told to whom asks for them.
    pub parts: Vec<u32>,
    pub fresh_ms: u64,
    pub age_ms: u64,
}

impl Object {
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { sent: bytes.len(), bytes, gate: None, parts: Vec::new(), fresh_ms: u64::MAX, age_ms: 0 }
    }

    /// An object that comes only when permits are added to the semaphore: one for its first half, one for the rest.
    pub fn gated(bytes: impl Into<Bytes>) -> (Self, Arc<Semaphore>) {
        let gate = Arc::new(Semaphore::new(0));
        (Self { gate: Some(Arc::clone(&gate)), ..Self::new(bytes) }, gate)
    }
}

#[derive(Clone)]
pub struct Origin(Arc<OriginState>);

struct OriginState {
    objects: Mutex<BTreeMap<String, Object>>,
    /// What nodes other than origins have, by their names.
    elsewhere: Mutex<BTreeMap<(String, String), Object>>,
    /// What nodes do who do not answer as they should.
    odd: Mutex<BTreeMap<String, Odd>>,
    fetched: Mutex<Vec<String>>,
    following: mpsc::UnboundedSender<Following>,
}

/// What a node does that does not answer as it should.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Odd {
    /// It can't be reached.
    Dead,
    /// It takes what is asked and says nothing.
    Silent,
    /// It says that it can't answer now.
    Unavailable,
}

/// A follow as the origin sees it.
pub struct Following {
    pub peer: Peer,
    pub track: TrackName,
    pub after: Option<Version>,
    events: mpsc::UnboundedSender<(FollowEvent, Bytes)>,
}

impl Origin {
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Following>) {
        let (following, follows) = mpsc::unbounded_channel();
        let (objects, fetched) = (Mutex::default(), Mutex::default());
        let (elsewhere, odd) = (Mutex::default(), Mutex::default());
        let state = OriginState { objects, elsewhere, odd, fetched, following };
        (Self(Arc::new(state)), follows)
    }

    pub fn has(&self, path: &str, object: Object) {
        self.0.objects.lock().unwrap().insert(path.to_owned(), object);
    }

    /// The edge of that name has an object, and none that origins have.
    pub fn edge_has(&self, edge: &str, path: &str, object: Object) {
        self.0.elsewhere.lock().unwrap().insert((edge.to_owned(), path.to_owned()), object);
    }

    /// From now on the node of that name does this.
    pub fn lets(&self, node: &str, odd: Odd) {
        self.0.odd.lock().unwrap().insert(node.to_owned(), odd);
    }

    /// What has been fetched, in order.
    pub fn fetched(&self) -> Vec<String> {
        self.0.fetched.lock().unwrap().clone()
    }
}

struct Body {
    pieces: std::vec::IntoIter<Bytes>,
    gate: Option<Arc<Semaphore>>,
}

impl Chunks for Body {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, UpstreamError>> {
        Box::pin(async move {
            let Some(piece) = self.pieces.next() else { return Ok(None) };
            if let Some(gate) = &self.gate {
                gate.acquire().await.expect("an open gate").forget();
            }
            Ok(Some(piece))
        })
    }
}

impl Upstream for Origin {
    fn fetch<'a>(
        &'a self,
        peer: &'a Peer,
        name: &'a ResourceName,
        list_parts: bool,
    ) -> BoxFuture<'a, Result<Fetched, UpstreamError>> {
        Box::pin(async move {
            let (name, node) = (name.to_string(), &peer.server_name);
            let is_edge = node.starts_with("edge");
            let object = match is_edge {
                true => self.0.elsewhere.lock().unwrap().get(&(node.clone(), name.clone())).cloned(),
                false => self.0.objects.lock().unwrap().get(&name).cloned(),
            };
            let lists = list_parts && object.as_ref().is_some_and(|object| !object.parts.is_empty());
            let asked = if lists { format!("parts of {name}") } else { name.clone() };
            self.0.fetched.lock().unwrap().push(if is_edge { format!("{asked} at {node}") } else { asked });
            let odd = self.0.odd.lock().unwrap().get(node).copied();
            match odd {
                None => {}
                Some(Odd::Dead) => return Err(UpstreamError("connection refused".to_owned())),
                Some(Odd::Silent) => std::future::pending().await,
                Some(Odd::Unavailable) => {
                    return Ok(Fetched { reply: reply(FetchStatus::Unavailable, 0), body: nothing() });
                }
            }
            let Some(object) = object else {
                return Ok(Fetched { reply: reply(FetchStatus::NotFound, 0), body: nothing() });
            };
            let content_type = if name.ends_with("m3u8") { ContentType::Playlist } else { ContentType::VideoMp4 };
            let length = if lists { 0 } else { object.bytes.len() as u64 };
            let parts = if lists { object.parts.clone() } else { Vec::new() };
            let (fresh_ms, age_ms) = (object.fresh_ms, object.age_ms);
            let reply = FetchReply { content_type, parts, fresh_ms, age_ms, ..reply(FetchStatus::Found, length) };
            let half = object.sent / 2;
            let pieces = match lists {
                true => vec![],
                false => vec![object.bytes.slice(..half), object.bytes.slice(half..object.sent)],
            };
            Ok(Fetched { reply, body: Box::new(Body { pieces: pieces.into_iter(), gate: object.gate }) })
        })
    }

    fn follow<'a>(
        &'a self,
        peer: &'a Peer,
        _channel: &'a ChannelName,
        track: TrackName,
        after: Option<Version>,
    ) -> BoxFuture<'a, Result<Box<dyn Events>, UpstreamError>> {
        Box::pin(async move {
            let (events, received) = mpsc::unbounded_channel();
            let _ = self.0.following.send(Following { peer: peer.clone(), track, after, events });
            Ok(Box::new(Received(received)) as Box<dyn Events>)
        })
    }
}

struct Received(mpsc::UnboundedReceiver<(FollowEvent, Bytes)>);

impl Events for Received {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<(FollowEvent, Bytes)>, UpstreamError>> {
        Box::pin(async move { Ok(self.0.recv().await) })
    }
}

fn reply(status: FetchStatus, length: u64) -> FetchReply {
    let content_type = ContentType::VideoMp4;
    FetchReply { status, length, content_type, age_ms: 0, fresh_ms: u64::MAX, parts: Vec::new() }
}

fn nothing() -> Box<dyn Chunks> {
    Box::new(Body { pieces: Vec::new().into_iter(), gate: None })
}

pub const TARGET_MS: u32 = 4000;
pub const PART_MS: u32 = 500;

/// A target duration so long that nobody who waits is answered because nothing comes.
pub const HOUR_MS: u32 = 3_600_000;

impl Following {
    pub fn send(&self, event: FollowEvent, payload: impl Into<Bytes>) {
        let _ = self.events.send((event, payload.into()));
    }

    /// Whether the edge still listens.
    pub fn is_heard(&self) -> bool {
        !self.events.is_closed()
    }

    pub async fn closed(&self) {
        timeout(BOUND, self.events.closed()).await.expect("the edge stops following");
    }

    pub fn constants(&self, session: u64) {
        self.constants_with(session, TARGET_MS);
    }

    pub fn constants_with(&self, session: u64, target_duration_ms: u32) {
        let (session, keep_ms) = (SessionId(session), 30_000);
        let constants = Constants { session, target_duration_ms, part_target_ms: PART_MS, keep_ms };
        self.send(FollowEvent::Constants(constants), Bytes::new());
    }

    /// A part whose bytes say which it is.
    pub fn part(&self, epoch: u64, msn: u64, part: u32) {
        let payload = part_bytes(epoch, msn, part);
        let length = payload.len() as u32;
        self.send(FollowEvent::Part { epoch: Epoch(epoch), msn: Msn(msn), part, age_ms: 0, length }, payload);
    }

    /// A playlist up to that part; `complete` is the newest whole segment and its parts.
    pub fn playlist(&self, epoch: u64, msn: u64, part: u32, complete: Option<(u64, u32)>) {
        let body = playlist_body(epoch, msn, part);
        let full = gzip(format!("{body}#EXT-X-PRELOAD-HINT:TYPE=PART\n").as_bytes());
        let delta = gzip(format!("#EXTM3U\n#EXT-X-SKIP:SKIPPED-SEGMENTS=7\n#{epoch}.{msn}.{part}\n").as_bytes());
        let header = PlaylistHeader {
            version: Version { epoch: Epoch(epoch), msn: Msn(msn), part, edit: 0 },
            complete: complete.map(|(msn, _)| Msn(msn)),
            complete_parts: complete.map_or(0, |(_, parts)| parts),
            age_ms: 0,
            body: body.len() as u32,
            ended: false,
            full_gz: full.len() as u32,
            delta_gz: delta.len() as u32,
        };
        self.send(FollowEvent::Playlist(header), [full, delta].concat());
    }

    /// A part and the playlist that names it. Segments have 4 parts.
    pub fn publish(&self, epoch: u64, msn: u64, part: u32) {
        self.part(epoch, msn, part);
        self.playlist(epoch, msn, part, msn.checked_sub(1).map(|msn| (msn, 4)));
    }
}

pub fn part_bytes(epoch: u64, msn: u64, part: u32) -> String {
    format!("<part {part} of segment {msn} in epoch {epoch}>")
}

pub fn playlist_body(epoch: u64, msn: u64, part: u32) -> String {
    format!("#EXTM3U\n#{epoch}.{msn}.{part}\n")
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn gunzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Read;
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).expect("gzip");
    out
}

pub fn node(n: u64) -> (NodeId, NodeView) {
    let quic = SocketAddr::from(([127, 0, 0, 1], 4430 + n as u16));
    (NodeId(n), NodeView::new(Role::Origin, quic, &format!("origin-{n}")))
}

/// Channel `ada` in `state`, with its epochs and their origins.
pub fn view(revision: u64, state: ChannelState, session: u64, epochs: &[(u64, u64)]) -> Arc<View> {
    let epochs = epochs.iter().map(|(epoch, origin)| EpochView { epoch: Epoch(*epoch), origin: NodeId(*origin) });
    let channel = ChannelView { state, session: Some(SessionId(session)), epochs: epochs.collect() };
    let channels = [("ada".parse().expect("a name"), channel)].into();
    Arc::new(View { revision, channels, nodes: [node(1), node(2)].into(), ..View::default() })
}

/// The same with edges of these numbers beside the origins; `lost` are the nodes whose leases have run out.
pub fn with_edges(view: &View, edges: impl IntoIterator<Item = u64>, lost: &[u64]) -> Arc<View> {
    let mut view = view.clone();
    for n in edges {
        let quic = SocketAddr::from(([127, 0, 0, 2], 4430 + n as u16));
        view.nodes.insert(NodeId(n), NodeView::new(Role::Edge, quic, &format!("edge-{n}")));
    }
    for n in lost {
        view.nodes.get_mut(&NodeId(*n)).expect("a node").state = NodeState::Lost;
    }
    Arc::new(view)
}

/// An edge, its origin, and what the test holds of both.
pub struct Rig {
    pub edge: Edge,
    pub origin: Origin,
    pub follows: mpsc::UnboundedReceiver<Following>,
    pub view: watch::Sender<Arc<View>>,
}

impl Rig {
    /// `ada` is live in session 1, epoch 1, at origin 1.
    pub fn live() -> Self {
        let mut config = Config::default();
        // A busy machine must not make the edge give up an origin that has merely nothing to say.
        config.follow.silence_ms = u64::from(HOUR_MS);
        Self::with(config, view(1, ChannelState::Live, 1, &[(1, 1)]))
    }

    /// The same for a crowd that needs longer to come than viewers and origins are waited for.
    pub fn crowded() -> Self {
        let (mut config, hour) = (Config::default(), u64::from(HOUR_MS));
        (config.follow.silence_ms, config.cache.fill_timeout_ms) = (hour, hour);
        (config.http.open_timeout_ms, config.http.head_timeout_ms) = (hour, hour);
        Self::with(config, view(1, ChannelState::Live, 1, &[(1, 1)]))
    }

    pub fn with(config: Config, view: Arc<View>) -> Self {
        let (origin, follows) = Origin::new();
        let (view, views) = watch::channel(view);
        let clock = WallClock::anchored(Duration::from_secs(1_795_000_000));
        let edge = Edge::new(config, views, origin.clone(), clock, Random::seeded(1));
        Self { edge, origin, follows, view }
    }

    /// A viewer over a pipe in memory: no sockets, so that there may be many, and time may be paused.
    pub fn viewer(&self) -> Viewer<DuplexStream> {
        self.viewer_from(SocketAddr::from(([10, 0, 0, 1], 1)), 64 << 10)
    }

    pub fn viewer_from(&self, peer: SocketAddr, pipe: usize) -> Viewer<DuplexStream> {
        let (near, far) = duplex(pipe);
        let edge = self.edge.clone();
        tokio::spawn(async move { edge.serve_connection(far, peer).await });
        Viewer { io: near, ahead: Vec::new() }
    }

    /// The address of a plain HTTP listener.
    pub async fn listen(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let edge = self.edge.clone();
        tokio::spawn(async move { edge.serve_http(listener, CancellationToken::new()).await });
        address
    }

    pub async fn followed(&mut self) -> Following {
        timeout(BOUND, self.follows.recv()).await.expect("a follow in time").expect("a follow")
    }

    /// As `following`, and whoever waits then waits for as long as the test likes.
    pub async fn patient(&mut self, msn: u64, part: u32) -> Following {
        self.following_with(HOUR_MS, msn, part).await
    }

    /// Makes the edge follow `v0` and brings it up to `msn.part`, all of it published.
    pub async fn following(&mut self, msn: u64, part: u32) -> Following {
        self.following_with(TARGET_MS, msn, part).await
    }

    pub async fn following_with(&mut self, target_ms: u32, msn: u64, part: u32) -> Following {
        let mut viewer = self.viewer();
        viewer.send("GET /live/ada/v0.m3u8 HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let follow = self.followed().await;
        follow.constants_with(1, target_ms);
        for before in 0..4 {
            follow.part(1, msn - 1, before);
        }
        for before in 0..=part {
            follow.publish(1, msn, before);
        }
        assert_eq!(viewer.reply().await.status, 200);
        // The viewer is answered by the first version; see that the last has come too.
        let query = format!("/live/ada/v0.m3u8?_HLS_msn={msn}&_HLS_part={part}");
        assert_eq!(self.viewer().get(&query).await.status, 200);
        follow
    }

    /// Waits until `holds` are held.
    pub async fn held(&self, holds: u64) {
        self.until(|edge| edge.stats().held.get() == holds).await;
    }

    pub async fn until(&self, what: impl Fn(&Edge) -> bool) {
        let seen = async {
            while !what(&self.edge) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(BOUND, seen).await.expect("what is waited for");
    }
}

pub struct Viewer<S> {
    pub io: S,
    ahead: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub fields: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("text")
    }
}

impl Viewer<TcpStream> {
    pub async fn connect(address: SocketAddr) -> Self {
        Self { io: TcpStream::connect(address).await.expect("a connection"), ahead: Vec::new() }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Viewer<S> {
    pub fn over(io: S) -> Self {
        Self { io, ahead: Vec::new() }
    }

    pub async fn send(&mut self, text: &str) {
        self.io.write_all(text.as_bytes()).await.expect("the edge reads");
    }

    pub async fn ask(&mut self, path: &str, fields: &str) {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: edge\r\n{fields}\r\n")).await;
    }

    pub async fn get(&mut self, path: &str) -> Reply {
        self.ask(path, "").await;
        self.reply().await
    }

    pub async fn get_with(&mut self, path: &str, fields: &str) -> Reply {
        self.ask(path, fields).await;
        self.reply().await
    }

    pub async fn head(&mut self, path: &str) -> Reply {
        self.send(&format!("HEAD {path} HTTP/1.1\r\nhost: edge\r\n\r\n")).await;
        timeout(BOUND, self.read(true)).await.expect("a reply in time").expect("a reply")
    }

    pub async fn reply(&mut self) -> Reply {
        timeout(BOUND, self.read(false)).await.expect("a reply in time").expect("a reply")
    }

    /// The next reply, or `None` when the connection ends before it is whole.
    pub async fn try_reply(&mut self) -> Option<Reply> {
        timeout(BOUND, self.read(false)).await.expect("a reply or an end in time")
    }

    async fn read(&mut self, bodiless: bool) -> Option<Reply> {
        let end = loop {
            if let Some(end) = self.ahead.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            self.more().await?;
        };
        let head = String::from_utf8(self.ahead.drain(..end).collect()).expect("a head of text");
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().expect("a status");
        let mut fields: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            // Repeated fields are one list (RFC 9110 §5.3).
            let joined = fields.get(name).map(|before| format!("{before}, {value}"));
            fields.insert(name.to_owned(), joined.unwrap_or_else(|| value.to_owned()));
        }
        let length = fields.get("content-length").map_or(0, |length| length.parse().expect("a length"));
        let length = if bodiless { 0 } else { length };
        while self.ahead.len() < length {
            self.more().await?;
        }
        Some(Reply { status, fields, body: self.ahead.drain(..length).collect() })
    }

    /// Reads whatever comes next; `None` at the end.
    pub async fn more(&mut self) -> Option<()> {
        let mut space = [0; 16 << 10];
        let n = self.io.read(&mut space).await.unwrap_or(0);
        self.ahead.extend_from_slice(&space[..n]);
        (n > 0).then_some(())
    }

    /// What has been read and is no reply yet.
    pub fn ahead(&self) -> &[u8] {
        &self.ahead
    }
}
