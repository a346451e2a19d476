//! Channels, their keys and their sessions.

use freshet_control_plane::{api::Platform, machine::Input};
use freshet_proto::{
    id::ChannelName,
    registry::{Departure, Refused},
    view::ChannelState,
};
use serde_json::{Value, json};

use crate::{
    bench::{As, BEGIN_MS, Bench, nobody},
    databases::Place,
};

pub async fn a_key_that_is_reset_stops_its_publisher_and_others_go_on(place: Place) {
    let bench = Bench::new(place).await;
    let ada = bench.join("ada").await;
    let made = bench.ask(&ada, "POST", "/api/me/stream-keys", json!({ "label": "laptop" })).await;
    let laptop = made.json()["stream_key"].as_str().expect("a key").to_owned();
    assert!(bench.house.publish(&laptop).is_ok());
    let reset = bench.ask(&ada, "POST", "/api/me/stream-key", Value::Null).await;
    assert_eq!((reset.status, bench.house.state("ada")), (200, Some(ChannelState::Live)), "another key's publisher");
    assert_eq!(bench.house.publish(&ada.stream_key), Err(Refused::UnknownKey));
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    let told = bench.ask(&ada, "DELETE", &format!("/api/me/stream-keys/{id}"), Value::Null).await;
    assert_eq!((told.status, bench.house.state("ada")), (204, Some(ChannelState::Ended)));
    let keys = bench.ask(&ada, "GET", "/api/me/stream-keys", Value::Null).await;
    assert_eq!(keys.json().as_array().map(Vec::len), Some(1));
    assert!(!String::from_utf8_lossy(&keys.body).contains("sk_"), "a key is told once");
}

pub async fn a_session_is_started_and_ended_by_its_owner_alone(place: Place) {
    let bench = Bench::new(place).await;
    let (ada, eve) = (bench.join("ada").await, bench.join("eve").await);
    let manual = bench.ask(&ada, "PATCH", "/api/streams/ada", json!({ "go_live": "manual" })).await;
    assert_eq!((manual.status, manual.json()["go_live"].as_str()), (200, Some("manual")));
    let awaits = async || {
        let told = bench.ask(&nobody(), "GET", "/api/streams/ada", Value::Null).await.json();
        (told["state"].clone(), told["awaits_encoder"].clone())
    };
    assert_eq!(bench.house.publish(&ada.stream_key), Err(Refused::NotStarted));
    assert_eq!(awaits().await, (json!("offline"), json!(false)));
    assert_eq!(bench.ask(&eve, "POST", "/api/streams/ada/start", Value::Null).await.status, 403);
    assert_eq!(bench.ask(&ada, "POST", "/api/streams/ada/start", Value::Null).await.status, 204);
    assert_eq!(awaits().await, (json!("offline"), json!(true)));
    assert!(bench.house.publish(&ada.stream_key).is_ok());
    assert_eq!(awaits().await, (json!("live"), json!(false)));
    assert_eq!(bench.ask(&eve, "POST", "/api/streams/ada/end", Value::Null).await.status, 403);
    assert_eq!(bench.ask(&ada, "POST", "/api/streams/ada/end", Value::Null).await.status, 204);
    assert_eq!(awaits().await, (json!("ended"), json!(false)));
}

pub async fn a_private_channel_is_for_its_owner_and_whom_they_let_in(place: Place) {
    let bench = Bench::new(place).await;
    let (ada, eve) = (bench.join("ada").await, bench.join("eve").await);
    let private = json!({ "visibility": "private", "title": "secret" });
    assert_eq!(bench.ask(&ada, "POST", "/api/streams", private).await.status, 201);
    bench.house.publish(&ada.stream_key).expect("a publish");
    let token = async |who: &As| bench.ask(who, "POST", "/api/streams/ada/playback-token", Value::Null).await.status;
    let sees = async |who: &As| bench.ask(who, "GET", "/api/streams/ada", Value::Null).await.status;
    assert_eq!((token(&ada).await, token(&eve).await, token(&nobody()).await), (200, 403, 401));
    assert_eq!((sees(&ada).await, sees(&eve).await, sees(&nobody()).await), (200, 404, 404));
    let vip = bench.ask(&ada, "PUT", "/api/streams/ada/members/eve", json!({ "role": "vip" })).await;
    assert_eq!((vip.status, token(&eve).await, sees(&eve).await), (204, 200, 200));
    let live = bench.ask(&eve, "GET", "/api/streams/live", Value::Null).await.json();
    assert_eq!(live["items"], json!([]), "and it is listed nowhere");
}

pub async fn live_channels_are_found_by_what_they_are_and_come_in_pages(place: Place) {
    let bench = Bench::new(place).await;
    for name in ["ada", "bob", "eve"] {
        let who = bench.join(name).await;
        bench.house.publish(&who.stream_key).expect("a publish");
        let (category, tags) = if name == "eve" { ("Chess", ["live"]) } else { ("Go", ["live-coding"]) };
        let settings = json!({ "title": format!("{name} plays"), "category": category, "tags": tags });
        bench.ask(&who, "PATCH", &format!("/api/streams/{name}"), settings).await;
    }
    let live =
        async |query: &str| bench.ask(&nobody(), "GET", &format!("/api/streams/live{query}"), Value::Null).await.json();
    let ids = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().expect("items").iter();
        items.map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
    };
    assert_eq!(ids(&live("").await), ["ada", "bob", "eve"]);
    assert_eq!(ids(&live("?category=chess").await), ["eve"]);
    assert_eq!(ids(&live("?search=BOB").await), ["bob"]);
    assert_eq!((ids(&live("?tag=LIVE").await), ids(&live("?search=live").await).len()), (vec!["eve".to_owned()], 3));
    assert_eq!(ids(&live("?tag=live-coding&search=ada").await), ["ada"]);
    assert_eq!(ids(&live("?tag=liv").await).len() + ids(&live("?tag=").await).len(), 0, "whole ones alone");
    let first = live("?limit=2").await;
    let next = first["next"].as_str().expect("more");
    let second = live(&format!("?limit=2&cursor={next}")).await;
    assert_eq!((ids(&first), ids(&second)), (vec!["ada".to_owned(), "bob".to_owned()], vec!["eve".to_owned()]));
    assert!(second["next"].is_null());
}

pub async fn viewers_are_told_since_when_it_is_live_and_until_when_it_may_come_back(place: Place) {
    let bench = Bench::new(place).await;
    let ada = bench.join("ada").await;
    let told = async || {
        let told = bench.ask(&nobody(), "GET", "/api/streams/ada", Value::Null).await.json();
        (told["state"].clone(), told["started_ms"].clone(), told["reconnect_until_ms"].clone())
    };
    assert_eq!(told().await, (json!("offline"), Value::Null, Value::Null));
    bench.house.publish(&ada.stream_key).expect("a publish");
    assert_eq!(told().await, (json!("live"), json!(BEGIN_MS), Value::Null));
    let live = bench.ask(&nobody(), "GET", "/api/streams/live", Value::Null).await.json();
    assert_eq!(live["items"][0]["started_ms"], json!(BEGIN_MS));
    let channel: ChannelName = "ada".parse().expect("a name");
    let epoch = bench.house.view().channels[&channel].current().expect("a publish").epoch;
    bench.house.take(Input::Release { channel, epoch, how: Departure::Lost }).expect("it is lost");
    assert_eq!(told().await, (json!("reconnecting"), json!(BEGIN_MS), json!(BEGIN_MS + 30_000)));
    bench.house.publish(&ada.stream_key).expect("a publish");
    assert_eq!(told().await, (json!("live"), json!(BEGIN_MS), Value::Null));
    bench.ask(&ada, "POST", "/api/streams/ada/end", Value::Null).await;
    assert_eq!(told().await, (json!("ended"), Value::Null, Value::Null));
}

pub async fn what_the_registry_did_not_hear_it_hears_later(place: Place) {
    let bench = Bench::new(place).await;
    let ada = bench.join("ada").await;
    *bench.house.silent.lock().expect("unpoisoned") = true;
    let reset = bench.ask(&ada, "POST", "/api/me/stream-key", Value::Null).await;
    let key = reset.json()["stream_key"].as_str().expect("a key").to_owned();
    assert_eq!(bench.house.publish(&key), Err(Refused::UnknownKey));
    *bench.house.silent.lock().expect("unpoisoned") = false;
    bench.carried(async || bench.house.publish(&key).is_ok()).await;
}

pub async fn players_are_sent_to_where_a_channel_is_watched(place: Place) {
    let bench = Bench::new(place).await;
    let master = bench.ask(&nobody(), "GET", "/api/streams/ada/master.m3u8", Value::Null).await;
    assert_eq!((master.status, master.header("location")), (307, "/live/ada/index.m3u8"));
    let track = bench.ask(&nobody(), "GET", "/api/streams/ada/v0/playlist.m3u8", Value::Null).await;
    assert_eq!((track.status, track.header("location")), (307, "/live/ada/v0.m3u8"));
    assert_eq!(bench.ask(&nobody(), "GET", "/api/streams/ada/..%2f/playlist.m3u8", Value::Null).await.status, 404);
}

pub async fn people_follow_channels_and_are_shown_without_what_is_theirs(place: Place) {
    let bench = Bench::new(place).await;
    let (ada, eve) = (bench.join("ada").await, bench.join("eve").await);
    assert_eq!(bench.ask(&eve, "PUT", "/api/users/ada/follow", Value::Null).await.status, 204);
    let seen = bench.ask(&eve, "GET", "/api/users/ada", Value::Null).await;
    assert_eq!((seen.json()["followers"].as_u64(), seen.json()["following"].as_bool()), (Some(1), Some(true)));
    assert!(!String::from_utf8_lossy(&seen.body).contains("example.org"), "an address is its owner's");
    assert_eq!(bench.ask(&ada, "PUT", "/api/users/ada/follow", Value::Null).await.status, 409);
    let following = bench.ask(&eve, "GET", "/api/me/following", Value::Null).await.json();
    assert_eq!(following["items"], json!(["ada"]));
    assert_eq!(bench.ask(&eve, "DELETE", "/api/users/ada/follow", Value::Null).await.status, 204);
}
