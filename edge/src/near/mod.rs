//! The nodes nearest to a client, as this edge knows them: from its own view, so that it answers with the control plane gone.
//!
//! ```text
//! address ──locate──▶ Client ─┐
//! view, places, loads ──▶ Atlas ──rank──▶ faces: /api/ingests, /api/watch/{channel}, /go/{channel},
//!                                               /live/{channel}/steer.json, index.m3u8 where this edge is full
//! ```

mod answers;
mod asked;
mod countries;
mod faces;
mod locate;
mod rank;

use std::sync::{Arc, Mutex, PoisonError};

use freshet_proto::{
    annex::{Load, Loads, Place},
    id::NodeId,
    view::{NodeState, Role, View},
};
use tokio::sync::watch;

pub use self::locate::{LocateError, Locator, position};
use self::rank::{Atlas, Client, Whereabouts};

/// What an edge knows of places besides the view.
#[derive(Clone)]
pub struct Near {
    /// Its own number; `None` where there are no control nodes.
    pub me: Option<NodeId>,
    /// Its own place.
    pub place: Place,
    /// How busy all nodes are, as the leader told last.
    pub loads: watch::Receiver<Arc<Loads>>,
    /// Where clients are.
    pub locator: Locator,
}

impl Default for Near {
    /// Knows nothing.
    fn default() -> Self {
        Self { me: None, place: Place::default(), loads: watch::channel(Arc::default()).1, locator: Locator::none() }
    }
}

/// How busy `clients` make a node that is meant for `capacity`.
pub fn load(clients: u64, capacity: u64) -> Load {
    rank::load(clients, capacity)
}

/// [`Near`], and what was made of the view.
#[derive(Default)]
pub(crate) struct Nearness {
    near: Near,
    made: Mutex<Option<Made>>,
}

/// Both atlases, and what they were made of.
#[derive(Clone)]
struct Made {
    view: Arc<View>,
    loads: Arc<Loads>,
    edges: Arc<Atlas>,
    origins: Arc<Atlas>,
}

impl Nearness {
    pub(crate) fn new(near: Near) -> Self {
        Self { near, made: Mutex::default() }
    }

    /// Made anew only when the view or the loads have changed.
    fn made(&self, view: &Arc<View>) -> Made {
        let loads = self.near.loads.borrow().clone();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let is_good = |made: &Made| Arc::ptr_eq(&made.view, view) && Arc::ptr_eq(&made.loads, &loads);
        if let Some(made) = made.as_ref().filter(|made| is_good(made)) {
            return made.clone();
        }
        let edges = Arc::new(Atlas::of(view, &loads, Role::Edge));
        let origins = Arc::new(Atlas::of(view, &loads, Role::Origin));
        made.insert(Made { view: Arc::clone(view), loads, edges, origins }).clone()
    }

    /// Who asks from `address`. Whose place nobody knows is taken to be near this edge: something has led it here.
    fn client(&self, address: std::net::IpAddr, measured: std::collections::BTreeMap<String, u32>) -> Client {
        let place = &self.near.place;
        let own = || match place.position {
            Some((lat, lon)) => Whereabouts::At(lat, lon),
            None => Whereabouts::In(place.region.clone()),
        };
        let located = self.near.locator.position(address).map(|(lat, lon)| Whereabouts::At(lat, lon));
        Client { whereabouts: located.unwrap_or_else(own), measured }
    }
}

/// Whether an operator drains `node`.
fn drains(view: &View, node: NodeId) -> bool {
    view.nodes.get(&node).is_some_and(|node| node.state == NodeState::Draining)
}
