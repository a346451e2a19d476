//! How the leader is found, over QUIC on loopback, where control nodes are silent for a while.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use freshet_control_plane::{ca::Ca, remote::Remote};
use freshet_proto::{
    clock::WallClock,
    id::NodeId,
    message::{Denied, Lease, Request},
    quic::{Doors, Endpoint, Handler, Pool, QuicError, Responder, Tuning, serve},
    random::Random,
    view::{NodeView, Role},
};

const LEASE: Lease = Lease { ttl_ms: 10_000, draining: false };

/// Names another one whatever it is asked.
struct Follower(NodeView);

impl Handler for Follower {
    async fn handle(&self, _: Request, mut reply: Responder) -> Result<(), QuicError> {
        reply.write_frame(&Err::<Lease, Denied>(Denied::Elsewhere(Some(self.0.clone())))).await?;
        reply.finish().await
    }
}

/// Hears nothing of the first thing that it is asked.
#[derive(Default)]
struct SlowLeader(AtomicU64);

impl Handler for SlowLeader {
    async fn handle(&self, _: Request, mut reply: Responder) -> Result<(), QuicError> {
        if self.0.fetch_add(1, SeqCst) == 0 {
            return std::future::pending().await;
        }
        reply.write_frame(&Ok::<Lease, Denied>(LEASE)).await?;
        reply.finish().await
    }
}

fn endpoint(ca: &Ca, name: &str) -> (Endpoint, NodeView) {
    let clock = WallClock::system();
    let identity = ca.issue(name, &[], 1, &clock).unwrap().identity().unwrap();
    let doors = Doors { clock, random: Random::system() };
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let endpoint = Endpoint::bind(any, &identity, doors, Tuning::default()).unwrap();
    let view = NodeView::new(Role::Control, endpoint.local_addr().unwrap(), name);
    (endpoint, view)
}

#[tokio::test]
async fn a_leader_that_was_silent_once_is_asked_again_while_others_go_on_naming_it() {
    let dir = tempfile::tempdir().unwrap();
    let ca = Ca::create(dir.path(), &WallClock::system()).unwrap();
    let (leading, leader) = endpoint(&ca, "control-1");
    let (following, follower) = endpoint(&ca, "control-2");
    let (asking, me) = endpoint(&ca, "edge-1");
    let slow = Arc::new(SlowLeader::default());
    let (led, named) = (slow.clone(), Arc::new(Follower(leader)));
    tokio::spawn(async move { serve(&leading, led, std::future::pending()).await });
    tokio::spawn(async move { serve(&following, named, std::future::pending()).await });

    let remote = Remote::new(Pool::new(&asking), vec![follower], None, Random::seeded(1));
    let renew = Request::Renew { node: NodeId(3), view: me, life: 1 };
    assert_eq!(remote.ask::<Lease>(&renew, Duration::from_secs(14)).await, Ok(LEASE));
    assert_eq!(slow.0.load(SeqCst), 2, "it is not asked at once again");
}
