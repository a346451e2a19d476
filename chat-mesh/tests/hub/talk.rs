//! Reading and writing.

use serde_json::json;

use crate::{client::Client, house::House};

#[tokio::test]
async fn a_guest_reads_what_a_user_says() {
    let house = House::open(Default::default()).await;
    let mut guest = house.guest().await;
    let joined = guest.join("ada").await;
    assert_eq!((&joined["role"], &joined["position"], &joined["follow"]), (&json!("guest"), &json!("0.0"), &json!(0)));
    let mut bob = house.user_in_ada("bob").await;
    let ack = bob.said("ada", "n1", "hello").await;
    assert_eq!((&ack["position"], &ack["channel"]), (&json!("3.1"), &json!("ada")));
    let message = guest.expect("message").await;
    assert_eq!((&message["text"], &message["id"], &message["nonce"]), (&json!("hello"), &ack["id"], &json!("n1")));
    assert_eq!((&message["user"]["login"], &message["user"]["roles"]), (&json!("bob"), &json!(["plain"])));
    guest.send(json!({"type": "msg", "channel": "ada", "nonce": "g", "text": "me too"})).await;
    assert_eq!(guest.expect("nack").await["code"], "msg_login_required");
}

#[tokio::test]
async fn a_token_comes_by_query_by_subprotocol_or_with_hello() {
    let house = House::open(Default::default()).await;
    let token = house.token("bob");
    let query = Client::connect(house.addr, &format!("/chat/ada?x=1&token={token}")).await;
    let named = [("sec-websocket-protocol", format!("freshet.chat.v1, bearer.{token}"))];
    let named: Vec<_> = named.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = Client::answered(house.addr, "/chat/ada", &named).await;
    assert_eq!(answer.headers()["sec-websocket-protocol"], "freshet.chat.v1");
    let subprotocol = Client::try_connect(house.addr, "/chat/ada", &named).await.unwrap();
    let mut hello = house.guest().await;
    hello.send(json!({"type": "hello", "proto": 1, "token": token})).await;
    assert_eq!(hello.expect("welcome").await["user"]["login"], "bob");
    for (n, mut client) in [query, subprotocol, hello].into_iter().enumerate() {
        client.send(json!({"type": "join", "channel": "ada", "history": 0})).await;
        let joined = client.next().await;
        assert_eq!(joined["role"], "plain", "{joined}");
        client.said("ada", &format!("n{n}"), &format!("by way {n}")).await;
    }
}

#[tokio::test]
async fn the_colour_that_a_token_says_is_shown_with_the_name() {
    let house = House::open(Default::default()).await;
    let mut guest = house.guest().await;
    guest.join("ada").await;
    house.user_in_ada("iris").await.said("ada", "n1", "hello").await;
    house.user_in_ada("bob").await.said("ada", "n2", "hello").await;
    let colours =
        [guest.expect("message").await, guest.expect("message").await].map(|said| said["user"]["color"].clone());
    assert_eq!(colours, [json!("#5a4fcf"), json!(null)]);
}

#[tokio::test]
async fn a_socket_is_in_several_channels_until_it_parts() {
    let house = House::open(Default::default()).await;
    let mut reader = house.guest().await;
    reader.join("ada").await;
    reader.join("zoe").await;
    let mut bob = house.user("bob").await;
    bob.join("ada").await;
    bob.join("zoe").await;
    bob.said("ada", "a", "to ada").await;
    bob.said("zoe", "z", "to zoe").await;
    assert_eq!(reader.expect("message").await["channel"], "ada");
    assert_eq!(reader.expect("message").await["channel"], "zoe");
    reader.send(json!({"type": "part", "channel": "ada"})).await;
    reader.expect("parted").await;
    bob.said("ada", "a2", "unheard").await;
    bob.said("zoe", "z2", "heard").await;
    assert_eq!(reader.expect("message").await["text"], "heard");
    reader.send(json!({"type": "join", "channel": "nobody"})).await;
    assert_eq!(reader.expect("error").await["code"], "msg_room_not_found");
    bob.send(json!({"type": "msg", "channel": "nobody", "nonce": "x", "text": "?"})).await;
    assert_eq!(bob.find("nack").await["code"], "msg_room_not_found");
}

#[tokio::test]
async fn who_comes_gets_the_history_then_all_that_follows() {
    let house = House::open(Default::default()).await;
    let mut bob = house.user_in_ada("bob").await;
    for n in 1..=5 {
        bob.said("ada", &format!("n{n}"), &format!("line {n}")).await;
    }
    let mut late = house.guest().await;
    late.send(json!({"type": "hello"})).await;
    late.expect("welcome").await;
    late.send(json!({"type": "join", "channel": "ada", "history": 3})).await;
    let joined = late.expect("joined").await;
    assert_eq!((&joined["follow"], &joined["resume"]), (&json!(3), &json!("ada.3.5")));
    bob.said("ada", "n6", "line 6").await;
    for n in 3..=6 {
        assert_eq!(late.expect("message").await["text"], format!("line {n}"));
    }
}

#[tokio::test]
async fn a_post_that_comes_again_is_said_once() {
    let house = House::open(Default::default()).await;
    let (mut bob, mut guest) = (house.user_in_ada("bob").await, house.guest().await);
    guest.join("ada").await;
    let first = bob.said("ada", "same", "once").await;
    let mut elsewhere = house.user_in_ada("bob").await;
    assert_eq!(elsewhere.said("ada", "same", "twice").await["id"], first["id"]);
    bob.said("ada", "next", "after").await;
    assert_eq!(guest.expect("message").await["text"], "once");
    assert_eq!(guest.expect("message").await["text"], "after");
}

#[tokio::test]
async fn the_simple_verbs_need_no_nonce_and_no_channel() {
    let house = House::open(Default::default()).await;
    let mut bob = house.user_in_ada("bob").await;
    bob.send(json!({"type": "shout", "text": "hello"})).await;
    let (first, second) = (bob.next().await, bob.next().await);
    let mut types = [first["type"].as_str().unwrap(), second["type"].as_str().unwrap()];
    types.sort_unstable();
    assert_eq!(types, ["ack", "message"]);
}

#[tokio::test]
async fn who_follows_may_write_where_followers_alone_may() {
    let house = House::open(Default::default()).await;
    let mut ada = house.user_in_ada("ada").await;
    ada.said("ada", "c", "/followers 0").await;
    let mut bob = house.user_in_ada("bob").await;
    assert_eq!(bob.refused("ada", "1", "may I?").await, "msg_followersonly");
    let mut eve = {
        house.kept.0.lock().unwrap().follows.insert("eve".into(), crate::house::NOW_MS - 1);
        house.user("eve").await
    };
    assert_eq!(eve.join("ada").await["role"], "follower");
    eve.said("ada", "2", "I may").await;
    // Who begins to follow while they are there may soon after they have tried.
    house.kept.0.lock().unwrap().follows.insert("bob".into(), crate::house::NOW_MS - 1);
    let mut n = 3;
    while {
        bob.say("ada", &n.to_string(), "now?").await;
        loop {
            let object = bob.next().await;
            match object["type"].as_str() {
                Some("ack") => break false,
                Some("nack") => break true,
                _ => {}
            }
        }
    } {
        n += 1;
        assert!(n < 15, "bob follows, and may not write");
        house.hub.settled().await;
    }
}
