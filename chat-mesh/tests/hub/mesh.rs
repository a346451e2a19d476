//! Several hubs, whose links are queues of this process.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use freshet_chat_mesh::{
    hub::{Config, Hub, Links},
    mesh::{Earlier, Input, Member, Members, Message},
};
use freshet_proto::id::NodeId;
use serde_json::json;
use tokio::sync::mpsc;

use crate::house::{House, Kept};

/// Queues to the hubs that are there.
#[derive(Clone, Default)]
struct Wires(Arc<Mutex<BTreeMap<NodeId, Wire>>>);

/// Where one hub hears the others.
type Wire = mpsc::UnboundedSender<(NodeId, Message)>;

/// One hub's ends of them.
struct Ends(NodeId, Wires);

impl Links for Ends {
    fn send(&self, to: NodeId, message: Message) {
        if let Some(wire) = self.1.0.lock().unwrap().get(&to) {
            let _ = wire.send((self.0, message));
        }
    }
}

struct Mesh {
    wires: Wires,
    houses: BTreeMap<NodeId, House>,
}

impl Mesh {
    async fn open(count: u64) -> Self {
        let (wires, kept) = (Wires::default(), Kept::default());
        let mut houses = BTreeMap::new();
        for me in (1..=count).map(NodeId) {
            let links = Arc::new(Ends(me, wires.clone()));
            let house = House::of_mesh(Config::default(), None, me, links, kept.clone()).await;
            let (wire, said) = mpsc::unbounded_channel();
            wires.0.lock().unwrap().insert(me, wire);
            tokio::spawn(deliver(house.hub.clone(), said));
            houses.insert(me, house);
        }
        let mesh = Self { wires, houses };
        mesh.tell(5, Vec::new()).await;
        for (me, house) in &mesh.houses {
            for peer in mesh.houses.keys().filter(|peer| *peer != me) {
                house.hub.tell(Input::LinkUp(*peer)).await;
            }
        }
        mesh
    }

    fn members(&self) -> BTreeMap<NodeId, Member> {
        let member = |me: &NodeId| (*me, Member { number: u16::try_from(me.0).unwrap(), weight: 1 });
        self.houses.keys().map(member).collect()
    }

    /// Tells all who they are at `epoch`.
    async fn tell(&self, epoch: u64, before: Vec<Earlier>) {
        for house in self.houses.values() {
            let members = Members { epoch, hubs: self.members(), before: before.clone(), former: None };
            house.hub.tell(Input::Members(members)).await;
            house.hub.tell(Input::Lease { until_ms: u64::MAX / 2, epoch }).await;
        }
    }

    /// Cuts a hub off, and tells the others that it is a member no more.
    async fn kill(&mut self, hub: NodeId) -> House {
        let before = vec![Earlier { epoch: 5, hubs: self.members() }];
        self.wires.0.lock().unwrap().remove(&hub);
        let dead = self.houses.remove(&hub).unwrap();
        for house in self.houses.values() {
            house.hub.tell(Input::LinkDown(hub)).await;
        }
        self.tell(9, before).await;
        dead
    }

    fn home_of(&self, channel: &str) -> NodeId {
        let members = Members { epoch: 5, hubs: self.members(), ..Members::default() };
        members.home_of(&channel.parse().unwrap()).unwrap()
    }
}

async fn deliver(hub: Hub, mut said: mpsc::UnboundedReceiver<(NodeId, Message)>) {
    while let Some((from, message)) = said.recv().await {
        hub.tell(Input::Message { from, message }).await;
    }
}

#[tokio::test]
async fn what_is_said_at_one_hub_is_read_at_all_in_one_order() {
    let mesh = Mesh::open(3).await;
    let (mut readers, mut writers) = (Vec::new(), Vec::new());
    for (me, house) in &mesh.houses {
        let mut reader = house.guest().await;
        reader.join("ada").await;
        readers.push(reader);
        writers.push((me, house.user_in_ada(&format!("user{}", me.0)).await));
    }
    for n in 0..5 {
        for (me, writer) in &mut writers {
            writer.said("ada", &format!("n{n}"), &format!("{n} from {}", me.0)).await;
        }
    }
    let mut first = Vec::new();
    for reader in &mut readers {
        let mut seen = Vec::new();
        for _ in 0..15 {
            let message = reader.expect("message").await;
            seen.push((message["position"].clone(), message["text"].clone()));
        }
        if first.is_empty() {
            first = seen.clone();
        }
        assert_eq!(seen, first);
    }
}

#[tokio::test]
async fn a_moderator_at_one_hub_silences_somebody_at_another_and_is_told_of_what_is_held() {
    let mesh = Mesh::open(3).await;
    let hubs: Vec<_> = mesh.houses.values().collect();
    let (mut ada, mut bob) = (hubs[0].user_in_ada("ada").await, hubs[1].user_in_ada("bob").await);
    ada.said("ada", "h", "/hold maybe").await;
    assert_eq!(bob.refused("ada", "1", "maybe").await, "msg_rejected");
    assert_eq!(ada.find("notice").await["note"], "held");
    ada.said("ada", "b", "/ban bob spam").await;
    assert_eq!(bob.find("notice").await["note"], "decided", "what was held is not said any more");
    assert_eq!(bob.find("notice").await["note"], "silenced");
    assert_eq!(bob.refused("ada", "2", "but").await, "msg_banned");
}

#[tokio::test]
async fn the_home_dies_and_readers_and_writers_elsewhere_go_on_where_they_were() {
    let mut mesh = Mesh::open(3).await;
    let home = mesh.home_of("ada");
    let others: Vec<NodeId> = mesh.houses.keys().copied().filter(|hub| *hub != home).collect();
    let mut bob = mesh.houses[&others[0]].user_in_ada("bob").await;
    let mut reader = mesh.houses[&others[1]].guest().await;
    reader.join("ada").await;
    let mut moved = mesh.houses[&home].guest().await;
    let resume = moved.join("ada").await["resume"].clone();
    bob.said("ada", "1", "before").await;
    let dead = mesh.kill(home).await;
    // It is sent again by its hub until the new home takes it.
    bob.said("ada", "2", "after").await;
    let (before, after) = (reader.expect("message").await, reader.expect("message").await);
    assert_eq!((&before["text"], &after["text"]), (&json!("before"), &json!("after")));
    assert_eq!(after["position"], "9.2", "numbers go on in the new epoch");
    drop((moved, dead));
    let mut again = mesh.houses[&others[1]].guest().await;
    again.send(json!({"type": "join", "channel": "ada", "resume": resume})).await;
    let joined = again.expect("ok").await;
    assert_eq!((&joined["follow"], joined.get("gap")), (&json!(2), None));
    assert_eq!(again.expect("message").await["text"], "before");
    assert_eq!(again.expect("message").await["text"], "after");
}

#[tokio::test]
async fn what_waits_for_moderators_outlives_the_home_and_they_are_told_anew() {
    let mut mesh = Mesh::open(3).await;
    let home = mesh.home_of("ada");
    let others: Vec<NodeId> = mesh.houses.keys().copied().filter(|hub| *hub != home).collect();
    let mut ada = mesh.houses[&others[0]].user_in_ada("ada").await;
    let mut bob = mesh.houses[&others[1]].user_in_ada("bob").await;
    ada.said("ada", "h", "/hold maybe").await;
    assert_eq!(bob.refused("ada", "1", "maybe so").await, "msg_rejected");
    let held = ada.find("notice").await;
    // One that comes to another hub than the first is told by the home, wherever that is.
    let mut root = mesh.houses[&others[1]].user_in_ada("root").await;
    assert_eq!(root.find("notice").await["follow"], 1);
    assert_eq!(root.expect("notice").await["message"], held["message"]);
    let dead = mesh.kill(home).await;
    for moderator in [&mut ada, &mut root] {
        let waiting = moderator.find("notice").await;
        assert_eq!((&waiting["note"], &waiting["follow"]), (&json!("waiting"), &json!(1)));
        assert_eq!(moderator.expect("notice").await["message"], held["message"]);
    }
    root.said("ada", "a", &format!("/approve {}", held["message"]["id"].as_str().unwrap())).await;
    assert_eq!(ada.find("notice").await["note"], "decided");
    assert_eq!(bob.find("message").await["text"], "maybe so");
    drop(dead);
}
