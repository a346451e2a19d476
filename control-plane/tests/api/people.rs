//! How people are shown: to those who keep order in a channel, and in chat.

use freshet_proto::{
    annex::Keyring,
    token::{Audience, Verifier},
};
use serde_json::{Value, json};

use crate::{
    bench::{As, BEGIN_MS, Bench, PASSWORD, nobody, operator},
    databases::Place,
};

pub async fn those_who_keep_order_see_since_when_somebody_follows_and_others_do_not(place: Place) {
    let bench = Bench::new(place).await;
    let (ada, eve, moderator) = (bench.join("ada").await, bench.join("eve").await, bench.join("mod").await);
    let appointed = bench.ask(&ada, "PUT", "/api/streams/ada/members/mod", json!({ "role": "moderator" })).await;
    assert_eq!(appointed.status, 204);
    assert_eq!(bench.ask(&eve, "PUT", "/api/users/ada/follow", Value::Null).await.status, 204);
    let sees = async |who: &As, whom: &str| {
        bench.ask(who, "GET", &format!("/api/streams/ada/members/{whom}"), Value::Null).await
    };
    for who in [&ada, &moderator, &operator(), &eve] {
        let told = sees(who, "eve").await.json();
        let (here_since, follows_since) = (told["created_ms"].as_u64(), told["follows_since_ms"].as_u64());
        assert!(Some(BEGIN_MS) <= here_since && here_since <= follows_since, "{told}");
        assert_eq!((&told["username"], &told["role"]), (&json!("eve"), &Value::Null));
    }
    let told = sees(&ada, "mod").await.json();
    assert_eq!((&told["role"], &told["follows_since_ms"]), (&json!("moderator"), &Value::Null));
    assert_eq!(sees(&ada, "ada").await.json()["role"], json!("owner"));
    assert_eq!((sees(&eve, "mod").await.status, sees(&nobody(), "eve").await.status), (403, 401));
    assert_eq!(sees(&ada, "nobody").await.status, 404);
    let nowhere = bench.ask(&operator(), "GET", "/api/streams/nowhere/members/eve", Value::Null).await;
    assert_eq!(nowhere.status, 404);
}

/// What a new access token of `ada` says of the colour.
async fn told_to_chat(bench: &Bench) -> Option<u32> {
    let login = json!({ "username": "ada", "password": PASSWORD });
    let told = bench.ask(&nobody(), "POST", "/api/auth/login", login).await.json();
    let keyring = Keyring { signing: vec![bench.house.public.clone()], ..Keyring::default() };
    let token = told["access_token"].as_str().expect("a token");
    let verified = Verifier::new(&keyring).verify(token, Audience::Api, BEGIN_MS, &Default::default());
    verified.expect("a good token").color
}

pub async fn somebody_chooses_the_colour_of_their_name_and_their_tokens_say_it(place: Place) {
    let bench = Bench::new(place).await;
    let ada = bench.join("ada").await;
    let choose = async |color: Value| bench.ask(&ada, "PATCH", "/api/me", json!({ "color": color })).await;
    let me = async || bench.ask(&ada, "GET", "/api/me", Value::Null).await.json()["color"].clone();
    assert_eq!((me().await, told_to_chat(&bench).await), (Value::Null, None));
    assert_eq!(choose(json!("#1E90FF")).await.json()["color"], json!("#1e90ff"));
    let bad = choose(json!("blue")).await;
    assert_eq!((bad.status, bad.json()["field"].as_str()), (422, Some("color")));
    let named = bench.ask(&ada, "PATCH", "/api/me", json!({ "display_name": "Ada L" })).await;
    assert_eq!((named.status, me().await, told_to_chat(&bench).await), (200, json!("#1e90ff"), Some(0x1e90ff)));
    assert_eq!(choose(Value::Null).await.json()["color"], Value::Null);
    assert_eq!((me().await, told_to_chat(&bench).await), (Value::Null, None));
}
