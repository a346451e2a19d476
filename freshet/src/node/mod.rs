//! The roles, each as one value that is bound, then serves, then drains.

mod control;
mod edge;
mod origin;
mod papers;

use std::net::SocketAddr;

use freshet_proto::{clock::WallClock, quic::Doors, random::Random};

pub use self::{
    control::{CONSENSUS, ControlNode, ControlPlan},
    edge::{EdgeNode, EdgePlan, Member},
    origin::{OriginNode, OriginPlan, Registry},
    papers::Papers,
};

/// The system's clock and randomness, which all roles of a process share.
#[derive(Clone)]
pub struct World {
    /// The wall clock.
    pub clock: WallClock,
    /// The source of randomness.
    pub random: Random,
}

impl World {
    /// The real ones.
    pub fn system() -> Self {
        Self { clock: WallClock::system(), random: Random::system() }
    }

    fn doors(&self) -> Doors {
        Doors { clock: self.clock.clone(), random: self.random.clone() }
    }
}

/// Any free port, of the family in which the peer is reached.
pub fn any_port(peer: SocketAddr) -> SocketAddr {
    if peer.is_ipv6() { SocketAddr::from(([0u16; 8], 0)) } else { SocketAddr::from(([0, 0, 0, 0], 0)) }
}
