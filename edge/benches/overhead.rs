//! What the edge costs per request beyond bare hyper, for bodies of the sizes that it serves.
//!
//! One server thread, one client thread; CPU time of the server's thread alone, so that a busy machine disturbs less.
//! `cargo bench -p freshet-edge --bench overhead`

use std::{
    convert::Infallible,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, mpsc},
    thread,
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
    view::{ChannelState, ChannelView, EpochView, NodeView, Role, View},
};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

/// Connections kept busy at once, each with one request on its way.
const CONNECTIONS: usize = 32;

/// An origin that has a segment of any size: its number is its length in bytes.
struct Origin;

struct Once(Option<Bytes>);

impl Chunks for Once {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, UpstreamError>> {
        Box::pin(async move { Ok(self.0.take()) })
    }
}

/// A 2 KB playlist, and then nothing.
struct Newest(Vec<(FollowEvent, Bytes)>);

impl Events for Newest {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<(FollowEvent, Bytes)>, UpstreamError>> {
        Box::pin(async move {
            match self.0.pop() {
                Some(event) => Ok(Some(event)),
                None => std::future::pending().await,
            }
        })
    }
}

impl Upstream for Origin {
    fn fetch<'a>(
        &'a self,
        _peer: &'a Peer,
        name: &'a ResourceName,
        _list_parts: bool,
    ) -> BoxFuture<'a, Result<Fetched, UpstreamError>> {
        let length = name.to_string().rsplit('/').next().and_then(|file| file.split('.').next()?.parse().ok());
        let length: u64 = length.unwrap_or(0);
        let (status, content_type) = (FetchStatus::Found, ContentType::VideoMp4);
        let reply = FetchReply { status, length, content_type, age_ms: 0, fresh_ms: u64::MAX, parts: Vec::new() };
        let body = Box::new(Once(Some(Bytes::from(vec![b'x'; length as usize]))));
        Box::pin(async move { Ok(Fetched { reply, body }) })
    }

    fn follow<'a>(
        &'a self,
        _peer: &'a Peer,
        _channel: &'a ChannelName,
        _track: TrackName,
        _after: Option<Version>,
    ) -> BoxFuture<'a, Result<Box<dyn Events>, UpstreamError>> {
        let (session, part) = (SessionId(1), 0);
        let constants = Constants { session, target_duration_ms: 4000, part_target_ms: 500, keep_ms: 30_000 };
        let header = PlaylistHeader {
            version: Version { epoch: Epoch(1), msn: Msn(5), part, edit: 0 },
            complete: Some(Msn(4)),
            complete_parts: 4,
            age_ms: 0,
            body: 2048,
            ended: false,
            full_gz: 2048,
            delta_gz: 0,
        };
        let events = vec![
            (FollowEvent::Playlist(header), Bytes::from(vec![b'x'; 2048])),
            (FollowEvent::Constants(constants), Bytes::new()),
        ];
        Box::pin(async move { Ok(Box::new(Newest(events)) as Box<dyn Events>) })
    }
}

fn edge() -> Edge {
    let epochs = vec![EpochView { epoch: Epoch(1), origin: NodeId(1) }];
    let channel = ChannelView { state: ChannelState::Live, session: Some(SessionId(1)), epochs };
    let quic = SocketAddr::from(([127, 0, 0, 1], 1));
    let node = NodeView::new(Role::Origin, quic, "origin");
    let channels = [("ada".parse().expect("a name"), channel)].into();
    let view = View { revision: 1, channels, nodes: [(NodeId(1), node)].into(), ..View::default() };
    let (sender, view) = watch::channel(Arc::new(view));
    std::mem::forget(sender);
    let mut config = Config::default();
    config.follow.silence_ms = 3_600_000;
    Edge::new(config, view, Origin, WallClock::system(), Random::system())
}

/// Serves on a thread of its own; returns its address and its thread's id.
fn serve(edge: bool) -> (SocketAddr, i32) {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let task = std::fs::read_link("/proc/thread-self").expect("a thread");
            let tid = task.file_name().and_then(|tid| tid.to_str()?.parse().ok()).expect("its id");
            sender.send((listener.local_addr().expect("an address"), tid)).expect("a reader");
            match edge {
                true => self::edge().serve_http(listener, CancellationToken::new()).await,
                false => bare(listener).await,
            }
        });
    });
    receiver.recv().expect("a server")
}

/// hyper as it comes, with bodies that are there.
async fn bare(listener: TcpListener) {
    let sizes: Vec<(String, Bytes)> =
        PATHS.iter().map(|(path, size)| ((*path).to_owned(), vec![b'x'; *size].into())).collect();
    let sizes = Arc::new(sizes);
    loop {
        let Ok((socket, _)) = listener.accept().await else { return };
        let _ = socket.set_nodelay(true);
        let sizes = Arc::clone(&sizes);
        let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let body = sizes.iter().find(|(path, _)| path == request.uri().path()).map(|(_, body)| body.clone());
            std::future::ready(Ok::<_, Infallible>(http::Response::new(Full::new(body.unwrap_or_default()))))
        });
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service));
    }
}

const PATHS: [(&str, usize); 4] = [
    ("/live/ada/v0.m3u8", 2048),
    ("/live/ada/1/v0/40000.m4s", 40_000),
    ("/live/ada/1/v0/200000.m4s", 200_000),
    ("/live/ada/1/v0/1000000.m4s", 1_000_000),
];

/// CPU time that a thread has used, in nanoseconds.
fn spent_ns(tid: i32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{tid}/schedstat")).expect("schedstat");
    stat.split(' ').next().expect("a field").parse().expect("nanoseconds")
}

/// Nanoseconds of the server's CPU per request.
fn measure(address: SocketAddr, tid: i32, path: &str, size: usize, requests: usize) -> f64 {
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\naccept-encoding: gzip\r\naccept: */*\r\n\r\n");
    let mut sockets: Vec<_> = (0..CONNECTIONS).map(|_| TcpStream::connect(address).expect("a connection")).collect();
    let mut space = vec![0; 1 << 20];
    let mut round = |times: usize| {
        for _ in 0..times {
            for socket in &mut sockets {
                socket.write_all(request.as_bytes()).expect("a request");
            }
            for socket in &mut sockets {
                read(socket, size, &mut space);
            }
        }
    };
    round(20);
    let before = spent_ns(tid);
    round(requests / CONNECTIONS);
    let spent = spent_ns(tid) - before;
    spent as f64 / (requests / CONNECTIONS * CONNECTIONS) as f64
}

fn read(socket: &mut TcpStream, size: usize, space: &mut [u8]) {
    let mut head = 0;
    let mut got = 0;
    while head == 0 || got < head + size {
        let n = socket.read(&mut space[if head == 0 { got } else { 0 }..]).expect("a reply");
        assert!(n > 0, "the server closed");
        got += n;
        if head == 0 {
            head = space[..got].windows(4).position(|bytes| bytes == b"\r\n\r\n").map_or(0, |at| at + 4);
        }
    }
}

fn main() {
    let servers = [serve(false), serve(true)];
    println!("{:>10} {:>12} {:>12} {:>8}", "bytes", "hyper µs", "edge µs", "ratio");
    for (path, size) in PATHS {
        let requests = if size > 100_000 { 6_000 } else { 60_000 };
        let mut runs: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
        for _ in 0..5 {
            for (run, (address, tid)) in runs.iter_mut().zip(servers) {
                run.push(measure(address, tid, path, size, requests));
            }
        }
        let [hyper, edge] = runs.map(|mut run| {
            run.sort_by(f64::total_cmp);
            run[2] / 1000.0
        });
        println!("{size:>10} {hyper:>12.2} {edge:>12.2} {:>8.2}", edge / hyper);
    }
}
