//! A node's place as its process tells it: what is configured, and what is known only once its ports are bound.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use freshet_control_plane::remote::{self, Remote};
use freshet_edge::near::Locator;
use freshet_proto::{
    annex::{Loads, Place},
    level::Level,
    message::Report,
};
use tokio::sync::watch;

use super::World;

/// Where a node is.
#[derive(Clone, Default)]
pub struct Placed {
    /// What is told to others.
    pub place: Place,
    /// Whether addresses that are not configured are those that are bound: for a platform on one machine.
    pub as_bound: bool,
    /// Tells where clients are.
    pub locator: Locator,
}

impl Placed {
    /// The place of an edge that is bound there.
    pub fn edge(&self, http: SocketAddr) -> Place {
        let mut place = self.place.clone();
        self.fill(&mut place.https, "http", Some(http));
        place
    }

    /// The place of an origin that is bound there.
    pub fn origin(&self, rtmp: SocketAddr, rtmps: Option<SocketAddr>) -> Place {
        let mut place = self.place.clone();
        self.fill(&mut place.rtmp, "rtmp", Some(rtmp));
        self.fill(&mut place.rtmps, "rtmps", rtmps);
        place
    }

    fn fill(&self, url: &mut String, scheme: &str, bound: Option<SocketAddr>) {
        if let Some(bound) = bound.filter(|_| self.as_bound && url.is_empty()) {
            *url = format!("{scheme}://{}", reachable(bound));
        }
    }
}

/// Where a socket is reached on its own machine.
fn reachable(bound: SocketAddr) -> SocketAddr {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bound.port())
}

/// Tells the control plane of `place` from now on, and what else the node says in `report`: how busy it is, how many watch
/// what, how its sessions do. Gives what it is told of all nodes. A node that is held at a version without reports tells
/// nothing and is told nothing.
pub fn report(
    remote: Remote,
    place: Place,
    report: impl Fn() -> Report + Send + 'static,
    world: &World,
) -> watch::Receiver<Arc<Loads>> {
    if world.level < Level::ANNEX {
        return watch::channel(Arc::default()).1;
    }
    remote::report(remote, move || Report { place: place.clone(), ..report() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_one_machine_addresses_are_those_that_are_bound_unless_they_are_configured() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let configured = Place { rtmp: "rtmp://tv.example".to_owned(), ..Place::default() };
        let placed = Placed { place: configured.clone(), as_bound: true, ..Placed::default() };
        assert_eq!(placed.edge(at("0.0.0.0:8080")).https, "http://127.0.0.1:8080");
        assert_eq!(placed.edge(at("[::]:8080")).https, "http://[::1]:8080");
        let origin = placed.origin(at("127.0.0.2:1935"), Some(at("127.0.0.2:1936")));
        assert_eq!((origin.rtmp.as_str(), origin.rtmps.as_str()), ("rtmp://tv.example", "rtmps://127.0.0.2:1936"));
        assert_eq!((origin.check(), placed.edge(at("[::]:8080")).check()), (Ok(()), Ok(())));
        let elsewhere = Placed { as_bound: false, ..placed };
        assert_eq!(elsewhere.origin(at("127.0.0.2:1935"), None), configured);
    }
}
