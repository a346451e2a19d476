//! Signing keys over real QUIC on loopback: made by whoever leads, known to all, signed with by whoever has the key-encryption
//! key.

#[path = "cluster/world.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod world;

use freshet_control_plane::{
    control::CannotSign,
    keys::{Kek, Keks, Plan, Settings, Source, safe::Locked},
};
use freshet_proto::{
    admin::{AdminCommand, AdminReply, KeyStage, Keys},
    annex::{KeyState, Keyring, Revoked},
    level::Level,
    message::{Denied, Request},
    random::Random,
};
use world::{ControlNode, PATIENCE, World, until};

/// Keys that live for a second or so.
fn plan(kek: &Kek) -> Plan {
    let settings = Settings { pending_ms: 200, token_ms: 300, ..Settings::default() };
    Plan { settings, source: Source::Given(Keks::new(vec![kek.clone()])) }
}

fn kek() -> Kek {
    Kek::generate(&Random::system())
}

/// What a node signs with, once it can.
async fn signs_with(node: &ControlNode) -> String {
    until("a key to sign with", async || node.control.signer().ok()).await.kid().to_owned()
}

/// What a node's view shows once it is so.
async fn shows(node: &ControlNode, what: &str, is_so: impl Fn(&Keyring) -> bool) -> Keyring {
    let mut view = node.control.feed().view();
    let shown = view.wait_for(|view| is_so(&view.annex.keys));
    let shown = tokio::time::timeout(PATIENCE, shown).await.unwrap_or_else(|_| panic!("{what}"));
    Keyring::clone(&shown.expect("the feed is open").annex.keys)
}

fn state(keys: &Keyring, kid: &str) -> Option<KeyState> {
    keys.signing_key(kid).map(|key| key.state)
}

async fn ask(node: &ControlNode, command: AdminCommand) -> Result<AdminReply, Denied> {
    node.remote.ask(&Request::Admin(command), PATIENCE).await
}

async fn rotate(node: &ControlNode, anew: bool) -> Result<String, Denied> {
    match ask(node, AdminCommand::RotateKeys { anew }).await? {
        AdminReply::NewKey(kid) => Ok(kid),
        other => panic!("{other:?}"),
    }
}

/// Asks the node itself.
async fn list(node: &ControlNode) -> Keys {
    let asked = Request::Admin(AdminCommand::Keys);
    match node.asked_itself::<AdminReply>(&asked).await.unwrap() {
        AdminReply::Keys(keys) => keys,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_key_that_was_made_before_the_leader_was_lost_signs_in_its_time_and_the_old_one_goes() {
    let kek = kek();
    let mut world = World::found_with(Level::NEWEST, Some(plan(&kek))).await;
    for name in ["control-2", "control-3"] {
        world.join_control_with(name, Level::NEWEST, Some(plan(&kek))).await;
    }
    let first = signs_with(&world.nodes[0]).await;
    for node in &world.nodes {
        assert_eq!(signs_with(node).await, first);
    }
    let next = rotate(&world.nodes[1], false).await.unwrap();
    let leader = world.leader().await;
    world.kill(leader).await;
    for node in &world.nodes {
        let keys = shows(node, "the next key signs", |keys| state(keys, &next) == Some(KeyState::Active)).await;
        assert!(matches!(state(&keys, &first), Some(KeyState::Retiring) | None), "{keys:?}");
        assert_eq!(signs_with(node).await, next);
        shows(node, "the first key goes", |keys| state(keys, &first).is_none()).await;
    }
    let stages: Vec<_> = list(&world.nodes[0]).await.signing.into_iter().map(|key| (key.kid, key.stage)).collect();
    assert_eq!(stages, [(first, KeyStage::Retired), (next, KeyStage::Active)]);
}

#[tokio::test]
async fn a_control_node_with_another_kek_says_so_signs_nothing_and_makes_no_key_unless_told_that_the_kek_is_lost() {
    let (right, wrong) = (kek(), kek());
    let mut world = World::found_with(Level::NEWEST, Some(plan(&right))).await;
    let first = signs_with(&world.nodes[0]).await;
    world.join_control_with("control-2", Level::NEWEST, Some(plan(&wrong))).await;
    let stranger = &world.nodes[1];
    shows(stranger, "the first key", |keys| state(keys, &first).is_some()).await;
    let other = CannotSign::Locked(Locked::Other(first.clone()));
    assert_eq!(stranger.control.signer().map(|signer| signer.kid().to_owned()), Err(other));
    let listed = list(stranger).await;
    assert!(listed.locked.is_some_and(|why| why.contains("copy the file `kek`")), "it says what to do");
    assert!(!listed.signing[0].unwraps && list(&world.nodes[0]).await.signing[0].unwraps);

    world.nodes[0].control.drain().await;
    until("the other leads", async || stranger.control.group().leadership().borrow().mine.then_some(())).await;
    let refused = rotate(&world.nodes[0], false).await;
    assert!(matches!(refused, Err(Denied::Forbidden(why)) if why.contains("key-encryption key")));
    let revoked = ask(&world.nodes[0], AdminCommand::RevokeKey { kid: first.clone() }).await;
    assert!(matches!(revoked, Err(Denied::Forbidden(_))), "nothing could sign: {revoked:?}");

    let anew = rotate(&world.nodes[0], true).await.unwrap();
    assert_eq!(signs_with(stranger).await, anew, "at once");
    shows(&world.nodes[0], "the key anew", |keys| state(keys, &anew) == Some(KeyState::Active)).await;
    let locked = CannotSign::Locked(Locked::Other(anew));
    assert_eq!(world.nodes[0].control.signer().map(|signer| signer.kid().to_owned()), Err(locked));
}

#[tokio::test]
async fn when_the_key_that_signs_is_revoked_another_signs_and_nothing_of_it_is_left() {
    let world = World::found_with(Level::NEWEST, Some(plan(&kek()))).await;
    let node = &world.nodes[0];
    let first = signs_with(node).await;
    assert_eq!(ask(node, AdminCommand::RevokeKey { kid: first.clone() }).await, Ok(AdminReply::Done));
    let keys = shows(node, "the key goes", |keys| state(keys, &first).is_none()).await;
    let second = signs_with(node).await;
    assert_eq!(state(&keys, &second), Some(KeyState::Active));
    assert!(keys.jwks().contains(&second) && !keys.jwks().contains(&first));
    // Whoever had no answer in time asks again.
    assert_eq!(ask(node, AdminCommand::RevokeKey { kid: first }).await, Ok(AdminReply::Done));
    assert_eq!(signs_with(node).await, second, "nothing has changed");
    let unknown = AdminCommand::RevokeKey { kid: "nothing".to_owned() };
    assert!(matches!(ask(node, unknown).await, Err(Denied::Refused(_))));
}

#[tokio::test]
async fn path_tokens_have_a_secret_from_the_start_and_another_one_once_it_is_dropped() {
    let world = World::found_with(Level::NEWEST, Some(plan(&kek()))).await;
    let node = &world.nodes[0];
    let first = shows(node, "a secret", |keys| !keys.path.is_empty()).await.path;
    assert!(first.len() == 1 && first[0].since_ms <= node.control.group().read(|registry| registry.now_ms()));
    ask(node, AdminCommand::DropPathSecrets).await.unwrap();
    let second = shows(node, "another secret", |keys| keys.path.iter().any(|secret| secret.id > first[0].id)).await;
    assert!(second.path.len() == 1 && second.path[0].secret != first[0].secret);
    ask(node, AdminCommand::Revoke(Revoked::Playback(7))).await.unwrap();
    assert!(node.control.feed().view().borrow().annex.revoked.bars.contains_key(&Revoked::Playback(7)));
}

#[tokio::test]
async fn there_are_no_keys_before_the_control_nodes_have_agreed_on_version_2() {
    let world = World::found_with(Level::FIRST, Some(plan(&kek()))).await;
    let node = &world.nodes[0];
    // What operators ask in version 2 words does not reach it either.
    world.make_channel().await;
    assert_eq!(node.control.signer().map(|signer| signer.kid().to_owned()), Err(CannotSign::NoKey));
    assert!(rotate(node, false).await.is_err());
    assert!(node.control.feed().view().borrow().annex.keys.signing.is_empty());
}
