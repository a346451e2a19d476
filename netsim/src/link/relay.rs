//! The sockets of a link: the shell around [`Way`].
//!
//! Each peer has a socket of its own toward the node, so that the node's answers find their way back.

use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc};

use tokio::{
    net::UdpSocket,
    task::{AbortHandle, JoinSet},
    time::{Duration, Instant, sleep, sleep_until},
};

use super::{Shared, Side};

/// How many peers a link keeps apart; the one not heard for longest makes room for another. Each costs a socket and a
/// buffer.
const MAX_PEERS: usize = 1024;

/// The largest datagram that UDP carries, in bytes.
const LARGEST: usize = 65_535;

/// How long to wait after the system has refused a datagram for lack of something.
const REST: Duration = Duration::from_millis(1);

/// A datagram on its way, and how it gets there.
#[derive(Debug)]
pub(super) struct Parcel {
    bytes: Box<[u8]>,
    socket: Arc<UdpSocket>,
    /// Whom it is for; `None` where the socket is connected.
    to: Option<SocketAddr>,
}

impl Parcel {
    /// Sends it. What the system doesn't take at once is lost, as it would be on a wire.
    fn send(self) {
        let send = || match self.to {
            Some(to) => self.socket.try_send_to(&self.bytes, to),
            None => self.socket.try_send(&self.bytes),
        };
        // That nobody listened is told of a datagram before this one.
        if send().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
            let _ = send();
        }
    }
}

/// A peer's way to the node.
struct Flow {
    socket: Arc<UdpSocket>,
    heard: Instant,
    answers: AbortHandle,
}

/// Takes what peers send to `front`, for ever.
pub(super) async fn take(front: Arc<UdpSocket>, node: SocketAddr, shared: Arc<Shared>) {
    let mut buffer = vec![0; LARGEST];
    let (mut flows, mut tasks) = (BTreeMap::new(), JoinSet::new());
    loop {
        let Ok((length, peer)) = front.recv_from(&mut buffer).await else {
            sleep(REST).await;
            continue;
        };
        if !flows.contains_key(&peer) {
            make_room(&mut flows);
            while tasks.try_join_next().is_some() {}
            let Ok(socket) = connect(front.local_addr().ok(), node).await else { continue };
            let answers = tasks.spawn(give_back(socket.clone(), front.clone(), peer, shared.clone()));
            flows.insert(peer, Flow { socket, heard: Instant::now(), answers });
        }
        let Some(flow) = flows.get_mut(&peer) else { continue };
        flow.heard = Instant::now();
        let parcel = Parcel { bytes: buffer[..length].into(), socket: flow.socket.clone(), to: None };
        shared.send(Side::Toward, peer, parcel);
    }
}

fn make_room(flows: &mut BTreeMap<SocketAddr, Flow>) {
    if flows.len() < MAX_PEERS {
        return;
    }
    let oldest = flows.iter().min_by_key(|(_, flow)| flow.heard).map(|(peer, _)| *peer);
    if let Some(flow) = oldest.and_then(|peer| flows.remove(&peer)) {
        flow.answers.abort();
    }
}

/// A socket toward the node, from the address that peers use, so that what leaves one host stays on its interface.
async fn connect(front: Option<SocketAddr>, node: SocketAddr) -> io::Result<Arc<UdpSocket>> {
    let any = SocketAddr::new(if node.is_ipv4() { [0, 0, 0, 0].into() } else { [0; 16].into() }, 0);
    let from =
        front.filter(|front| front.is_ipv4() == node.is_ipv4()).map_or(any, |front| SocketAddr::new(front.ip(), 0));
    let socket = UdpSocket::bind(from).await?;
    socket.connect(node).await?;
    // Until the system has said so once, what is tried at once is refused.
    socket.writable().await?;
    Ok(Arc::new(socket))
}

/// Takes what the node answers to one peer, for as long as the peer is kept.
async fn give_back(socket: Arc<UdpSocket>, front: Arc<UdpSocket>, peer: SocketAddr, shared: Arc<Shared>) {
    let mut buffer = vec![0; LARGEST];
    loop {
        match socket.recv(&mut buffer).await {
            Ok(length) => {
                let parcel = Parcel { bytes: buffer[..length].into(), socket: front.clone(), to: Some(peer) };
                shared.send(Side::From, peer, parcel);
            }
            // Nobody listens there at this moment: the node may come again.
            Err(_) => sleep(REST).await,
        }
    }
}

/// Sends on what is due, for ever.
pub(super) async fn deliver(shared: Arc<Shared>) {
    loop {
        let (due, next) = shared.due();
        due.into_iter().for_each(Parcel::send);
        let timer = async {
            match next {
                Some(at) => sleep_until(shared.began + at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = shared.sent.notified() => {}
            () = timer => {}
        }
    }
}

impl Shared {
    fn send(&self, side: Side, peer: SocketAddr, parcel: Parcel) {
        let now = self.now();
        let mut lines = self.lines();
        if lines.is_cut(side, peer) {
            return lines.way(side).refuse();
        }
        let length = parcel.bytes.len();
        lines.way(side).send(now, length, parcel);
        drop(lines);
        self.sent.notify_one();
    }

    /// What is due now, and when there will be more.
    fn due(&self) -> (Vec<Parcel>, Option<Duration>) {
        let now = self.now();
        let mut lines = self.lines();
        let mut due = Vec::new();
        for side in Side::BOTH {
            due.extend(std::iter::from_fn(|| lines.way(side).due(now)));
        }
        let next = Side::BOTH.into_iter().filter_map(|side| lines.way(side).deadline()).min();
        (due, next)
    }
}
