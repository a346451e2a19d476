//! The roles, each as one value that is bound, then serves, then drains.

mod api;
mod chat;
mod control;
mod edge;
mod irc;
mod origin;
mod papers;
mod placed;

use std::{net::SocketAddr, sync::Arc};

use freshet_proto::{
    clock::WallClock,
    level::Level,
    quic::{Doors, Endpoint},
    random::Random,
    view::View,
};
use tokio::sync::watch;

pub use self::{
    api::{AccountsPlan, ApiNode},
    control::{CONSENSUS, ControlNode, ControlPlan},
    edge::{EdgeNode, EdgePlan, Member},
    irc::{IrcAddresses, IrcPlan},
    origin::{OriginNode, OriginPlan, Registry},
    papers::Papers,
    placed::Placed,
};

/// The system's clock and randomness, and the node protocol's newest version, which all roles of a process share.
#[derive(Clone)]
pub struct World {
    /// The wall clock.
    pub clock: WallClock,
    /// The source of randomness.
    pub random: Random,
    /// The newest version that is spoken.
    pub level: Level,
}

impl World {
    /// The real ones.
    pub fn system() -> Self {
        Self { clock: WallClock::system(), random: Random::system(), level: Level::NEWEST }
    }

    /// The same, for a node that is held at an older version.
    pub fn at_most(self, level: Level) -> Self {
        Self { level, ..self }
    }

    fn doors(&self) -> Doors {
        Doors { clock: self.clock.clone(), random: self.random.clone() }
    }
}

/// Any free port, of the family in which the peer is reached.
pub fn any_port(peer: SocketAddr) -> SocketAddr {
    if peer.is_ipv6() { SocketAddr::from(([0u16; 8], 0)) } else { SocketAddr::from(([0, 0, 0, 0], 0)) }
}

/// Talks to no node that was removed from the platform, as the view has it, until the view goes.
fn shut_out_the_removed(endpoint: Endpoint, mut view: watch::Receiver<Arc<View>>) {
    tokio::spawn(async move {
        loop {
            let removed = view.borrow_and_update().removed.clone();
            endpoint.shut_out(removed);
            if view.changed().await.is_err() {
                return;
            }
        }
    });
}
