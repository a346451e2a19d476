//! Who is let in.

use freshet_chat_mesh::hub::Config;
use serde_json::json;

use crate::{client::Client, house::House};

async fn status(house: &House, path: &str, fields: &[(&'static str, &str)]) -> u16 {
    Client::try_connect(house.addr, path, fields).await.err().unwrap_or(101)
}

#[tokio::test]
async fn pages_of_other_sites_are_turned_away_unless_they_are_named() {
    let named = Config { origins: vec!["https://friends.example".into()], ..Config::default() };
    let house = House::open(named).await;
    let own = format!("https://{}:9999", house.addr.ip());
    for (origin, expected) in [
        (own.as_str(), 101),
        ("https://friends.example", 101),
        ("https://evil.example", 403),
        ("https://friends.example.evil.example", 403),
        ("null", 403),
        ("", 403),
    ] {
        assert_eq!(status(&house, "/chat/ada", &[("origin", origin)]).await, expected, "{origin:?}");
    }
    assert_eq!(status(&house, "/chat/ada", &[("origin", &own), ("origin", &own)]).await, 403, "two");
    assert_eq!(house.hub.stats().turned_away_by_why()["origin"], 5);
}

#[tokio::test]
async fn what_is_no_channel_or_no_token_is_refused_before_anything_else() {
    let house = House::open(Config::default()).await;
    for path in ["/chat/nobody", "/chat/", "/chat/../ada", "/chat/ada/x"] {
        assert_eq!(status(&house, path, &[]).await, 404, "{path}");
    }
    assert_eq!(status(&house, "/chat/ada?token=x.y.z", &[]).await, 401);
    assert_eq!(status(&house, "/chat/ada", &[("sec-websocket-protocol", "bearer.x.y.z")]).await, 401);
    let answer = Client::answered(house.addr, "/chat/nobody", &[]).await;
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let mut hello = house.guest().await;
    hello.send(json!({"type": "hello", "token": "x.y.z"})).await;
    assert_eq!(hello.expect("error").await["code"], "bad_token");
    assert_eq!(hello.closed().await, Some(1008));
}

#[tokio::test]
async fn a_private_channel_is_for_who_may_watch_it_and_who_is_somebody_there() {
    let house = House::open(Config::default()).await;
    let join = json!({"type": "join", "channel": "hidden", "history": 0});
    let allowed = [house.playback("hidden"), house.token("hidden"), house.token("root")];
    let refused = [house.playback("ada"), house.token("bob")];
    for (token, expected) in allowed.iter().map(|token| (token, "ok")).chain(refused.iter().map(|t| (t, "error"))) {
        let mut client = Client::connect(house.addr, &format!("/chat/hidden?token={token}")).await;
        client.send(join.clone()).await;
        client.expect(expected).await;
    }
    let mut guest = house.guest().await;
    guest.send(join).await;
    assert_eq!(guest.expect("error").await["code"], "msg_room_not_found");
    guest.join("ada").await;
    let mut owner = house.user_in_ada("ada").await;
    house.hide("ada");
    assert_eq!(guest.expect("error").await["code"], "msg_room_not_found", "it has become private");
    owner.said("ada", "1", "alone").await;
}

#[tokio::test]
async fn one_address_has_so_many_connections() {
    let house = House::open(Config { connections_per_address: 3, ..Config::default() }).await;
    let mut kept = Vec::new();
    for _ in 0..3 {
        kept.push(house.guest().await);
    }
    assert_eq!(status(&house, "/chat/ada", &[]).await, 429);
    drop(kept.pop());
    house.until("a place is free", |house| house.hub.connections() == 2).await;
    assert_eq!(status(&house, "/chat/ada", &[]).await, 101);
}

#[tokio::test]
async fn a_hub_has_so_many_connections() {
    let house = House::open(Config { connections: 1, ..Config::default() }).await;
    let _kept = house.guest().await;
    assert_eq!(status(&house, "/chat/ada", &[]).await, 503);
}
