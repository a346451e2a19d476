//! The ways between hubs: QUIC streams that each hub asks of each other one, ten for a link.
//!
//! ```text
//! this hub ──MESH link, lane──▶ another: writes there all that it has to say ──▶ incoming ──▶ Mesh
//! Mesh ──send──▶ outgoing: a queue for each lane ──▶ the streams that the other one asked for
//! ```
//! A hub asks for the lanes on which it listens, so a link has two halves that come and go by themselves. Lanes of one half
//! live and die together: where one breaks, or its hearer does not keep up, all are closed and asked for anew, and both
//! hubs are told ([`Input::LinkDown`], [`Input::LinkUp`]): what was on its way is lost, and said again.
//!
//! Within a lane there is order; between lanes, priority: what hubs agree on goes before posts, and posts before what homes
//! relay. What may be lost ([`Message::lane`]) goes beside them, by datagrams on the connection on which a hub asks. A relay
//! lane waits [`BATCH`] for company, or for [`BATCH_BYTES`], unless something in it is urgent.

mod former;
mod incoming;
mod outgoing;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use freshet_proto::{
    id::NodeId,
    message::{Datagram, Request},
    quic::{Peer as Teller, Pool, QuicError, Responder, StreamCode, decode},
    random::Random,
    view::{Role, View},
};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Duration, Instant, timeout},
};
use tracing::{debug, info};

pub use self::former::Former;
use self::outgoing::Outgoing;
use crate::{
    hub::{Hub, Links},
    mesh::{Input, Lane, Message},
};

/// How long what a home relays waits for company.
pub const BATCH: Duration = Duration::from_millis(5);

/// With so many bytes it waits no longer.
pub const BATCH_BYTES: usize = 16 << 10;

/// How many bytes may wait for one hub in one lane; with more, the link ends, and the hub is told what it missed. What it
/// asked for at once (histories) does not count.
pub const MAX_LANE_BYTES: usize = 2 << 20;

/// How many bytes may wait in one lane whatever they are.
pub const MAX_BULK_BYTES: usize = 128 << 20;

/// How many bytes are written at once: a lane may be slow, but must not stand still.
pub const WRITE_BYTES: usize = 256 << 10;

/// How long a lane may take nothing while there is something for it, before the link ends.
pub const STALL: Duration = Duration::from_secs(5);

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct MeshLinks(Arc<Shared>);

struct Shared {
    me: NodeId,
    pool: Pool,
    view: watch::Receiver<Arc<View>>,
    random: Random,
    peers: Mutex<BTreeMap<NodeId, Peer>>,
}

/// A link's two halves.
#[derive(Default)]
struct Peer {
    /// Where this hub speaks.
    outgoing: Option<Arc<Outgoing>>,
    /// Whether this hub hears it.
    hears: bool,
}

impl MeshLinks {
    /// Those of the hub of node `me`, over connections of `pool`.
    pub fn new(me: NodeId, pool: Pool, view: watch::Receiver<Arc<View>>, random: Random) -> Self {
        Self(Arc::new(Shared { me, pool, view, random, peers: Mutex::default() }))
    }

    /// Keeps links to all members of the mesh, those of the set before, and for a while those from before the control nodes
    /// began anew, for as long as the view lasts; tells `hub` what they say.
    pub async fn run(self, hub: Hub) {
        let mut view = self.0.view.clone();
        let mut asking: BTreeMap<NodeId, JoinHandle<()>> = BTreeMap::new();
        let mut former = Former::default();
        loop {
            let wanted = self.wanted(&view.borrow_and_update(), &mut former);
            asking.retain(|node, task| {
                let stays = wanted.contains(node);
                if !stays {
                    task.abort();
                }
                stays
            });
            for node in wanted {
                let task = || tokio::spawn(incoming::listen(self.clone(), node, hub.clone()));
                asking.entry(node).or_insert_with(task);
            }
            if let Ok(Err(_)) = timeout(former::KEEP, view.changed()).await {
                asking.values().for_each(JoinHandle::abort);
                return;
            }
        }
    }

    fn wanted(&self, view: &View, former: &mut Former) -> BTreeSet<NodeId> {
        let hubs = &view.annex.hubs;
        let before = hubs.before.last().into_iter().chain(former.of(view, Instant::now()));
        let before = before.flat_map(|set| set.members.keys());
        hubs.members.keys().chain(before).copied().filter(|node| *node != self.0.me).collect()
    }

    /// Where a hub is, by the view.
    fn whereabouts(&self, node: NodeId) -> Option<(SocketAddr, String)> {
        let view = self.0.view.borrow();
        let known = view.nodes.get(&node).filter(|known| known.role == Role::Edge)?;
        Some((known.quic, known.server_name.clone()))
    }

    /// Answers [`Request::Mesh`]: writes what this hub has to say, until the link ends.
    ///
    /// # Errors
    /// That of the stream. Who asks for another than itself is refused.
    pub async fn answer(&self, request: Request, reply: Responder, hub: &Hub) -> Result<(), QuicError> {
        let Request::Mesh { node, link, lane } = request else {
            reply.refuse(StreamCode::BadRequest);
            return Ok(());
        };
        let lane = Lane::all().nth(lane.into());
        let is_it = self.whereabouts(node).is_some_and(|(_, name)| name == reply.peer().name);
        let Some(lane) = lane.filter(|_| is_it) else {
            reply.refuse(StreamCode::BadRequest);
            return Ok(());
        };
        let (outgoing, is_whole) = self.open(node, link, lane);
        if is_whole {
            self.tell_if_up(node, hub).await;
        }
        let result = outgoing.write(lane, reply).await;
        if outgoing.close() {
            self.lost(node, Some(&outgoing));
            hub.tell(Input::LinkDown(node)).await;
        }
        result
    }

    /// Says by a datagram what has no lane. It is lost where that can't be done now.
    fn tell(&self, to: NodeId, message: &Message) {
        let Some((addr, name)) = self.whereabouts(to) else { return };
        if !self.0.pool.tell(addr, &name, &Datagram::Mesh { node: self.0.me }, message) {
            debug!(hub = %to, "a datagram to a hub was not sent");
        }
    }

    /// Takes a datagram: what another hub says that has no lane. Who speaks as another than itself, or says what belongs in
    /// a lane, is not heard; nor is anybody while the hub has too much to do.
    pub fn datagram(&self, peer: &Teller, header: Datagram, content: &[u8], hub: &Hub) {
        let Datagram::Mesh { node: from } = header else { return };
        let is_it = self.whereabouts(from).is_some_and(|(_, name)| name == peer.name);
        match decode::<Message>(content) {
            Ok(message) if is_it && message.lane().is_none() => hub.mention(Input::Message { from, message }),
            _ => debug!(peer = peer.name, "a datagram was not taken"),
        }
    }

    /// The half in which a lane is opened, and whether it has all its lanes now.
    fn open(&self, node: NodeId, link: u64, lane: Lane) -> (Arc<Outgoing>, bool) {
        let mut peers = self.peers();
        let peer = peers.entry(node).or_default();
        let outgoing = match &peer.outgoing {
            Some(outgoing) if outgoing.link() == link => outgoing.clone(),
            former => {
                if let Some(former) = former {
                    former.close();
                }
                peer.outgoing.insert(Arc::new(Outgoing::new(link))).clone()
            }
        };
        let is_whole = outgoing.open(lane);
        (outgoing, is_whole)
    }

    /// Tells the hub that both ways to another are open, if they are.
    async fn tell_if_up(&self, node: NodeId, hub: &Hub) {
        let is_up = {
            let peers = self.peers();
            peers.get(&node).is_some_and(|peer| peer.hears && peer.outgoing.as_ref().is_some_and(|out| out.is_whole()))
        };
        if is_up {
            info!(hub = %node, "a link to a hub is up");
            hub.tell(Input::LinkUp(node)).await;
        }
    }

    fn hears(&self, node: NodeId, hears: bool) {
        self.peers().entry(node).or_default().hears = hears;
    }

    fn lost(&self, node: NodeId, outgoing: Option<&Arc<Outgoing>>) {
        let mut peers = self.peers();
        let Some(peer) = peers.get_mut(&node) else { return };
        peer.outgoing.take_if(|known| outgoing.is_some_and(|outgoing| Arc::ptr_eq(known, outgoing)));
    }

    fn peers(&self) -> MutexGuard<'_, BTreeMap<NodeId, Peer>> {
        self.0.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Links for MeshLinks {
    fn send(&self, to: NodeId, message: Message) {
        let Some(lane) = message.lane() else { return self.tell(to, &message) };
        let outgoing = self.peers().get(&to).and_then(|peer| peer.outgoing.clone());
        if let Some(outgoing) = outgoing {
            outgoing.push(lane, &message);
        }
    }
}
