//! A hub's way to what is kept of chats, over real QUIC on loopback: with accounts, and without.

#[path = "cluster/world.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod world;

use std::{sync::Arc, time::Duration};

use freshet_control_plane::{
    accounts::{Accounts, ChannelRole, Config, Cost, Database, NewAccount},
    api::Api,
    remote::{ChatError, ChatRemote, OpenedChat, Standing, StoredChat},
};
use freshet_proto::{
    chat::{Ban, Change, ChatReply, ChatRequest, Durable, Login, Reason, Role as ChatRole},
    clock::WallClock,
    message::{Denied, Request},
    random::Random,
    view::Role,
};
use world::{PATIENCE, World, ada};

fn login(name: &str) -> Login {
    name.parse().unwrap()
}

fn ban() -> Change {
    let ban = Ban { until_ms: None, at_ms: 1, by: login("grace"), reason: Reason::cut("why") };
    Change::Ban(login("eve"), ban)
}

/// Lets a control node keep accounts: of grace, who moderates hedy's channel.
async fn keep_accounts(world: &World, node: usize) -> (Accounts, tempfile::TempDir) {
    let (dir, control) = (tempfile::tempdir().unwrap(), &world.nodes[node].control);
    let database = Database::Sqlite(dir.path().join("accounts.db"));
    let config = Config { cost: Cost { memory_kib: 8, passes: 1, lanes: 1 }, ..Config::default() };
    let (pepper, clock) = (control.pepper().unwrap(), WallClock::system());
    let accounts = Accounts::open(&database, config, pepper, clock, Random::system()).await.unwrap();
    let new = |name: &str| {
        let (username, password) = (name.to_owned(), "correct horse".to_owned());
        NewAccount { username, email: None, password, invite: None }
    };
    let [hedy, grace] = ["hedy", "grace"].map(|name| accounts.register("192.0.2.1".parse().unwrap(), new(name)));
    let (hedy, grace) = (hedy.await.unwrap(), grace.await.unwrap());
    accounts.set_channel_role(&hedy.username, &grace.id, Some(ChannelRole::Moderator)).await.unwrap();
    control.serve_api(Api::new(accounts.clone(), Arc::new(control.seat())));
    (accounts, dir)
}

#[tokio::test]
async fn a_hub_opens_stores_and_asks_wherever_there_are_accounts() {
    let mut world = World::found().await;
    world.join_control("control-2").await;
    world.make_channel().await;
    let (_accounts, _dir) = keep_accounts(&world, 1).await;
    let edge = world.join("edge-1", Role::Edge).await;
    let chats = ChatRemote::new(edge.remote.clone());

    let opened = chats.open(login("hedy"), PATIENCE).await.unwrap();
    let roles = [(login("grace"), ChatRole::Moderator)].into();
    assert_eq!(opened, OpenedChat { owner: login("hedy"), durable: Durable { roles, ..Durable::default() } });
    let store = |epoch| chats.store(login("hedy"), epoch, vec![(1, ban())], vec![], PATIENCE);
    assert_eq!(store(7).await, Ok(StoredChat { version: 1, unstored: vec![] }));
    assert_eq!(store(6).await, Err(ChatError::Stale { epoch: 7 }));
    assert!(chats.open(login("hedy"), PATIENCE).await.unwrap().durable.bans.contains_key(&login("eve")));
    let standing = chats.standing(login("hedy"), login("grace"), PATIENCE).await;
    assert_eq!(standing, Ok(Standing { role: Some(ChatRole::Moderator), ..Standing::default() }));

    // A channel that an operator made is its own owner; one that nobody made is none.
    assert_eq!(chats.open(ada(), PATIENCE).await, Ok(OpenedChat::unkept(&ada())));
    let stored = chats.store(ada(), 7, vec![(1, ban())], vec![], PATIENCE).await;
    assert_eq!(stored, Ok(StoredChat { version: 1, unstored: vec![] }));
    assert_eq!(chats.open(ada(), PATIENCE).await.unwrap().durable.bans.len(), 1);
    assert_eq!(chats.open(login("nowhere"), PATIENCE).await, Err(ChatError::NoSuchChannel));
    let nowhere = chats.store(login("nowhere"), 7, vec![(1, ban())], vec![], PATIENCE).await;
    assert_eq!(nowhere, Err(ChatError::NoSuchChannel));
}

#[tokio::test]
async fn where_nobody_keeps_accounts_a_hub_is_told_so_with_the_remedy() {
    let mut world = World::found().await;
    world.join_control("control-2").await;
    world.make_channel().await;
    let edge = world.join("edge-1", Role::Edge).await;
    let chats = ChatRemote::new(edge.remote.clone());
    let told = chats.open(ada(), PATIENCE).await.unwrap_err();
    assert_eq!(told, ChatError::NoAccounts);
    assert!(told.to_string().contains("configure [accounts]"), "{told}");
    assert_eq!(chats.store(ada(), 1, vec![(1, ban())], vec![], PATIENCE).await, Err(ChatError::NoAccounts));
    // One that can't be asked may keep them.
    world.nodes[1].fall_silent();
    let limit = Duration::from_secs(5);
    assert_ne!(chats.open(ada(), limit).await, Err(ChatError::NoAccounts));
}

#[tokio::test]
async fn only_edges_ask_and_only_what_can_be_read() {
    let world = World::found().await;
    let (_accounts, _dir) = keep_accounts(&world, 0).await;
    let (edge, origin) = (world.join("edge-1", Role::Edge).await, world.join("origin-1", Role::Origin).await);
    let ask = async |asker: &world::Node, body: Vec<u8>| {
        let request = Request::Chat { length: u32::try_from(body.len()).unwrap() };
        match asker.remote.ask_with::<ChatReply>(&request, body.into(), PATIENCE).await {
            Err(Denied::Forbidden(why)) => why,
            other => panic!("{other:?}"),
        }
    };
    let open = postcard::to_stdvec(&ChatRequest::Open { channel: login("hedy") }).unwrap();
    assert_eq!(ask(&origin, open).await, "origin-1 is no edge: chat hubs are at edges");
    assert_eq!(ask(&edge, vec![0xff; 9]).await, "edge-1 asks of a chat what can't be read");
    let changes = (1..=ChatRequest::MAX_CHANGES as u64 + 1).map(|version| (version, ban())).collect();
    let store = ChatRequest::Store { channel: login("hedy"), epoch: 1, changes, log: vec![] };
    let told = ask(&edge, postcard::to_stdvec(&store).unwrap()).await;
    assert_eq!(told, "edge-1 stores more than 256 changes at once");
}
