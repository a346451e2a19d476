//! How many are there, at three hubs whose links are QUIC connections on loopback.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use freshet_chat_mesh::{
    hub::{Config, Hub, Links},
    links::MeshLinks,
    mesh::{Input, Member, Members, Message},
};
use freshet_proto::{
    clock::WallClock,
    hub::{HubMember, Hubs},
    id::NodeId,
    message::{Datagram, Request},
    quic::{Doors, Endpoint, Handler, Identity, Peer, Pool, QuicError, Responder, Tuning, serve},
    random::Random,
    view::{NodeView, Role, View},
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, PKCS_ED25519,
};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, timeout_at},
};

use crate::{
    client::Client,
    house::{House, Kept, PATIENCE},
};

/// Certificates of one platform.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate_for(&PKCS_ED25519).unwrap()).unwrap())
    }

    fn endpoint(&self, name: &str) -> Endpoint {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap().pem();
        let pems = [certificate, key.serialize_pem(), self.0.pem()];
        let identity = Identity::from_pem(pems[0].as_bytes(), pems[1].as_bytes(), pems[2].as_bytes()).unwrap();
        let doors = Doors { clock: WallClock::system(), random: Random::system() };
        // It is not silence that tells of a death here.
        let patient = Tuning { connect: PATIENCE, idle: PATIENCE, request: PATIENCE, ..Tuning::default() };
        Endpoint::bind("127.0.0.1:0".parse().unwrap(), &identity, doors, patient).unwrap()
    }
}

/// What stands before a hub in an edge.
struct Beside(MeshLinks, Hub);

impl Handler for Beside {
    async fn handle(&self, request: Request, reply: Responder) -> Result<(), QuicError> {
        self.0.answer(request, reply, &self.1).await
    }

    fn datagram(&self, peer: &Peer, header: Datagram, content: Bytes) {
        self.0.datagram(peer, header, &content, &self.1);
    }
}

/// Notes what it passes on.
struct Noting(MeshLinks, Arc<Mutex<Vec<Message>>>);

impl Links for Noting {
    fn send(&self, to: NodeId, message: Message) {
        self.1.lock().unwrap().push(message.clone());
        self.0.send(to, message);
    }
}

struct Place {
    house: House,
    endpoint: Endpoint,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

struct Platform {
    authority: Authority,
    places: BTreeMap<NodeId, Place>,
    said: Arc<Mutex<Vec<Message>>>,
    view: Arc<View>,
    _view: watch::Sender<Arc<View>>,
}

fn members() -> Members {
    let member = |n: u16| (NodeId(n.into()), Member { number: n, weight: 1 });
    Members { epoch: 5, hubs: (1..=3).map(member).collect(), ..Members::default() }
}

impl Platform {
    async fn found() -> Self {
        let authority = Authority::new();
        let endpoints: BTreeMap<_, _> =
            (1..=3).map(|n| (NodeId(n), authority.endpoint(&format!("edge-{n}")))).collect();
        let mut view = View { revision: 1, ..View::default() };
        for (node, endpoint) in &endpoints {
            let there = NodeView::new(Role::Edge, endpoint.local_addr().unwrap(), &format!("edge-{}", node.0));
            view.nodes.insert(*node, there);
        }
        let member = |n: u16| (NodeId(n.into()), HubMember { number: n, weight: 1, since: 5 });
        let hubs = Hubs { revision: 5, members: (1..=3).map(member).collect(), before: Vec::new() };
        view.annex.hubs = Arc::new(hubs);
        let view = Arc::new(view);
        let (sender, seen) = watch::channel(view.clone());
        let join_timeout_ms = u64::try_from(PATIENCE.as_millis()).unwrap();
        let config = Config { join_timeout_ms, ..Config::default() };
        let (said, kept, mut places) = (Arc::default(), Kept::default(), BTreeMap::new());
        for (me, endpoint) in endpoints {
            let links = MeshLinks::new(me, Pool::new(&endpoint), seen.clone(), Random::seeded(me.0));
            let noting = Arc::new(Noting(links.clone(), Arc::clone(&said)));
            let house = House::of_mesh(config.clone(), None, me, noting, kept.clone()).await;
            house.hub.tell(Input::Members(members())).await;
            house.hub.tell(Input::Lease { until_ms: u64::MAX / 2, epoch: 5 }).await;
            let (beside, serving) = (Arc::new(Beside(links.clone(), house.hub.clone())), endpoint.clone());
            let tasks = vec![
                tokio::spawn(async move { serve(&serving, beside, std::future::pending()).await }),
                tokio::spawn(links.run(house.hub.clone())),
            ];
            places.insert(me, Place { house, endpoint, tasks });
        }
        Self { authority, places, said, view, _view: sender }
    }

    fn house(&self, hub: NodeId) -> &House {
        &self.places[&hub].house
    }

    /// Ends a hub without a word to the others but that of its connections.
    async fn kill(&mut self, hub: NodeId) {
        let place = self.places.remove(&hub).unwrap();
        place.endpoint.close().await;
    }
}

/// Listens until it is told this count.
async fn counts(reader: &mut Client, connections: u64, users: u64) {
    let (deadline, mut last) = (Instant::now() + PATIENCE, None);
    let told = timeout_at(deadline, async {
        loop {
            let count = reader.find("count").await;
            if count["channel"] == "ada" && count["connections"] == connections && count["users"] == users {
                return;
            }
            last = Some(count);
        }
    });
    let told = told.await;
    assert!(told.is_ok(), "{connections} connections and {users} users: not within {PATIENCE:?}, but {last:?}");
}

#[tokio::test]
async fn all_hubs_know_how_many_are_at_all_of_them_and_who_dies_is_counted_no_more() {
    let mut platform = Platform::found().await;
    let home = members().home_of(&"ada".parse().unwrap()).unwrap();
    let others: Vec<NodeId> = platform.places.keys().copied().filter(|hub| *hub != home).collect();
    let (stays, dies) = (others[0], others[1]);
    let mut at_home = platform.house(home).user_in_ada("bob").await;
    let mut at_stays = platform.house(stays).user_in_ada("bob").await;
    let mut guest = platform.house(stays).guest().await;
    guest.join("ada").await;
    let mut at_dies = platform.house(dies).user_in_ada("carol").await;
    let mut another = platform.house(dies).guest().await;
    another.join("ada").await;
    for reader in [&mut at_home, &mut at_stays, &mut guest, &mut at_dies, &mut another] {
        counts(reader, 5, 2).await;
    }
    // They go on: a count has no number, so what is said comes next.
    at_dies.said("ada", "1", "hello").await;
    assert_eq!(guest.find("message").await["position"], "5.1");
    assert_eq!(at_home.find("message").await["text"], "hello");

    drop(another);
    counts(&mut at_home, 4, 2).await;
    counts(&mut at_stays, 4, 2).await;

    platform.kill(dies).await;
    counts(&mut at_home, 3, 1).await;
    counts(&mut at_stays, 3, 1).await;

    let said = platform.said.lock().unwrap();
    let told = said.iter().filter(|message| matches!(message, Message::Present { .. } | Message::Count { .. }));
    assert!(told.clone().count() > 0 && told.clone().all(|message| message.lane().is_none()));
}

#[tokio::test]
async fn who_speaks_as_another_hub_is_not_heard() {
    let platform = Platform::found().await;
    let home = members().home_of(&"ada".parse().unwrap()).unwrap();
    let mut bob = platform.house(home).user_in_ada("bob").await;
    let other = members().hubs.into_keys().find(|hub| *hub != home).unwrap();
    let liar = platform.authority.endpoint("edge-9");
    let (pool, at) = (Pool::new(&liar), &platform.view.nodes[&home]);
    let told = pool.request(at.quic, &at.server_name, &Request::Mesh { node: other, link: 1, lane: 0 }).await;
    drop(told.unwrap());
    let chunk = freshet_chat_mesh::presence::Chunk::Hashes(Vec::new());
    let lie = Message::Present { channel: "ada".parse().unwrap(), at_ms: 1, connections: 77, users: chunk };
    for _ in 0..20 {
        assert!(pool.tell(at.quic, &at.server_name, &Datagram::Mesh { node: other }, &lie));
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let count = bob.find("count").await;
    assert_eq!((&count["connections"], &count["users"]), (&1.into(), &1.into()));
}
