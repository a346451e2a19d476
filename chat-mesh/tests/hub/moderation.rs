//! What moderators do, as clients see it.

use freshet_proto::chat::Role;
use serde_json::json;

use crate::house::{House, PATIENCE};

#[tokio::test]
async fn what_is_deleted_is_never_served_again() {
    let house = House::open(Default::default()).await;
    let (mut ada, mut bob) = (house.user_in_ada("ada").await, house.user_in_ada("bob").await);
    let mut guest = house.guest().await;
    let resume = guest.join("ada").await["resume"].clone();
    let id = bob.said("ada", "1", "secret").await["id"].as_str().unwrap().to_owned();
    ada.said("ada", "d", &format!("/delete {id}")).await;
    assert_eq!(guest.expect("message").await["text"], "secret");
    let delete = guest.expect("delete").await;
    assert_eq!((&delete["id"], &delete["login"]), (&json!(id), &json!("bob")));
    for join in [json!({"type": "join", "channel": "ada"}), json!({"type": "join", "channel": "ada", "resume": resume})]
    {
        let mut late = house.guest().await;
        late.send(join).await;
        late.expect("ok").await;
        let message = late.expect("message").await;
        assert_eq!((&message["text"], &message["deleted"]), (&json!(""), &json!(true)));
    }
}

#[tokio::test]
async fn a_moderator_is_one_at_once_and_it_is_stored() {
    let house = House::open(Default::default()).await;
    let (mut ada, mut mo, mut bob) =
        (house.user_in_ada("ada").await, house.user_in_ada("mo").await, house.user_in_ada("bob").await);
    assert_eq!(mo.refused("ada", "1", "/timeout bob 60").await, "no_permission");
    house.kept.0.lock().unwrap().failures = 2;
    let ack = ada.said("ada", "m", "/mod mo").await;
    assert_eq!(ack["done"], "mod");
    assert_eq!(
        house.kept.0.lock().unwrap().durable[&"ada".parse().unwrap()].roles.len(),
        1,
        "acknowledged once stored"
    );
    mo.said("ada", "2", "/timeout bob 60 spam").await;
    let notice = bob.find("notice").await;
    assert_eq!((&notice["note"], &notice["reason"]), (&json!("silenced"), &json!("spam")));
    assert_eq!(bob.refused("ada", "3", "but").await, "msg_timedout");
    let logged = async {
        while house.kept.0.lock().unwrap().log.len() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, logged).await.expect("the log is kept");
}

#[tokio::test]
async fn a_role_that_was_given_outside_of_chat_counts_when_its_holder_comes() {
    let house = House::open(Default::default()).await;
    let (mut bob, mut guest) = (house.user_in_ada("bob").await, house.guest().await);
    guest.join("ada").await;
    let (ada, mo) = ("ada".parse().unwrap(), "mo".parse().unwrap());
    house.kept.0.lock().unwrap().durable.entry(ada).or_default().roles.insert(mo, Role::Moderator);
    let mut mo = house.user_in_ada("mo").await;
    let told = guest.find("user").await;
    assert_eq!((&told["login"], &told["role"]), (&json!("mo"), &json!("moderator")));
    mo.said("ada", "1", "/timeout bob 60").await;
    assert_eq!(bob.refused("ada", "2", "but").await, "msg_timedout");
}

#[tokio::test]
async fn what_is_held_is_shown_to_moderators_alone_until_one_approves() {
    let house = House::open(Default::default()).await;
    let (mut ada, mut bob, mut eve) =
        (house.user_in_ada("ada").await, house.user_in_ada("bob").await, house.user_in_ada("eve").await);
    let mut root = house.user_in_ada("root").await;
    ada.said("ada", "t", "/hold maybe").await;
    assert_eq!(bob.refused("ada", "1", "maybe so").await, "msg_rejected");
    let held = ada.find("notice").await;
    assert_eq!((&held["note"], &held["message"]["text"]), (&json!("held"), &json!("maybe so")));
    assert_eq!(root.find("notice").await["note"], "held", "the platform's operator is told too");
    let id = held["message"]["id"].as_str().unwrap();
    ada.said("ada", "a", &format!("/approve {id}")).await;
    let seen = eve.next().await;
    assert_eq!((&seen["type"], &seen["text"]), (&json!("message"), &json!("maybe so")), "eve was told nothing before");
}

#[tokio::test]
async fn a_revoked_account_is_gone_and_others_are_not() {
    let house = House::open(Default::default()).await;
    let (mut bob, mut eve) = (house.user_in_ada("bob").await, house.user_in_ada("eve").await);
    house.revoke("bob");
    assert_eq!(bob.find("error").await["code"], "bad_token");
    assert_eq!(bob.closed().await, Some(1008));
    eve.said("ada", "1", "still here").await;
    let path = format!("/chat/ada?token={}", house.token("bob"));
    let refused = crate::client::Client::try_connect(house.addr, &path, &[]).await;
    assert_eq!(refused.err(), Some(401));
}
