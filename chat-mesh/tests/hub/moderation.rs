//! What moderators do, as clients see it.

use freshet_proto::chat::Role;
use serde_json::json;

use crate::{
    client::Client,
    house::{House, PATIENCE},
};

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
async fn a_role_of_nobody_is_refused_at_once_and_nothing_else_waits_for_it() {
    let house = House::open(Default::default()).await;
    let mut ada = house.user_in_ada("ada").await;
    assert_eq!(ada.refused("ada", "g", "/mod ghost").await, "not_stored");
    assert_eq!(ada.said("ada", "m", "/mod mo").await["done"], "mod");
    assert_eq!(ada.refused("ada", "h", "/vip ghost").await, "not_stored");
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

/// What waits by a moderator's connection, which is told nothing else: texts, oldest first.
async fn waits(moderator: &mut Client) -> Vec<String> {
    let waiting = moderator.find("notice").await;
    assert_eq!(waiting["note"], "waiting", "{waiting}");
    let mut texts = Vec::new();
    for _ in 0..waiting["follow"].as_u64().unwrap() {
        let held = moderator.expect("notice").await;
        assert_eq!(held["note"], "held");
        texts.push(held["message"]["text"].as_str().unwrap().to_owned());
    }
    texts
}

#[tokio::test]
async fn a_moderator_who_comes_later_finds_what_still_waits() {
    let house = House::open(Default::default()).await;
    let (mut ada, mut bob) = (house.user_in_ada("ada").await, house.user_in_ada("bob").await);
    ada.said("ada", "t", "/hold maybe").await;
    ada.said("ada", "m", "/mod mo").await;
    let mut mo = house.user_in_ada("mo").await;
    for text in ["maybe one", "maybe two"] {
        assert_eq!(bob.refused("ada", text, text).await, "msg_rejected");
    }
    // Whoever runs the platform, and a moderator on a page that is loaded again and resumes.
    let mut root = house.user_in_ada("root").await;
    assert_eq!(waits(&mut root).await, ["maybe one", "maybe two"]);
    let mut again = house.user("mo").await;
    again.send(json!({"type": "join", "channel": "ada", "resume": "ada.3.1"})).await;
    assert_eq!(waits(&mut again).await, ["maybe one", "maybe two"]);
    // The decision of one is everybody's.
    let id = ada.find("notice").await["message"]["id"].as_str().unwrap().to_owned();
    ada.said("ada", "a", &format!("/deny {id}")).await;
    for moderator in [&mut root, &mut again] {
        let decided = moderator.find("notice").await;
        assert_eq!(
            (&decided["note"], &decided["id"], &decided["approved"]),
            (&json!("decided"), &json!(id), &json!(false))
        );
    }
    assert_eq!(ada.refused("ada", "b", &format!("/approve {id}")).await, "bad_delete_message_error");
    // Who becomes a moderator finds it too, and who is none nothing.
    let (mut eve, mut zoe) = (house.user_in_ada("eve").await, house.user_in_ada("zoe").await);
    ada.said("ada", "v", "/mod eve").await;
    assert_eq!(waits(&mut eve).await, ["maybe two"]);
    ada.said("ada", "s", "that is all").await;
    assert_eq!((&zoe.next().await["type"], &zoe.next().await["text"]), (&json!("user"), &json!("that is all")));
    drop(mo.find("notice").await);
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
