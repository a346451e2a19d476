//! Two who ask at once, of two control nodes that share a database, never break what must hold.

use freshet_control_plane::api::Api;
use freshet_proto::{annex::Revoked, registry::Refused};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    bench::{As, Bench, PASSWORD, Told, nobody, operator},
    databases::Place,
};

/// How many ask at once.
const CROWD: usize = 8;

/// What each of a crowd asks, and what all are told; every other one asks another control node.
async fn crowd(bench: &Bench, ask: impl Fn(usize) -> (As, &'static str, &'static str, Value)) -> Vec<Told> {
    let another = bench.another().await;
    let asked = (0..CROWD).map(|n| {
        let (api, (who, method, target, body)) = (if n % 2 == 0 { &bench.api } else { &another }, ask(n));
        async move { told(api, &who, method, target, body).await }
    });
    join_all(asked).await
}

async fn told(api: &Api, who: &As, method: &str, target: &str, body: Value) -> Told {
    crate::bench::ask(api, who, method, target, &[("content-type", "application/json")], body.to_string()).await
}

/// How many were told each status, the lowest first.
fn statuses(told: &[Told]) -> Vec<(u16, usize)> {
    let mut counts = std::collections::BTreeMap::new();
    told.iter().for_each(|told| *counts.entry(told.status).or_insert(0) += 1);
    counts.into_iter().collect()
}

fn text(told: &Told, key: &str) -> String {
    told.json()[key].as_str().unwrap_or_else(|| panic!("{key} in {}", told.json())).to_owned()
}

pub async fn of_those_who_register_a_name_at_once_one_gets_it_and_its_channel(place: Place) {
    let bench = Bench::new(place).await;
    let told = crowd(&bench, |n| {
        let new = json!({ "username": "ada", "email": format!("{n}@example.org"), "password": PASSWORD });
        (As::from(n.to_string().as_str()), "POST", "/api/auth/register", new)
    })
    .await;
    assert_eq!(statuses(&told), [(201, 1), (409, CROWD - 1)]);
    let won = told.iter().position(|told| told.status == 201).expect("one");
    assert_eq!(bench.house.publish(&text(&told[won], "stream_key")).map(String::from), Ok("ada".to_owned()));
    let me = bench.ask(&bench.bearer(&text(&told[won], "access_token")), "GET", "/api/me", Value::Null).await;
    assert_eq!(text(&me, "email"), format!("{won}@example.org"));
}

pub async fn of_those_who_take_an_address_at_once_one_gets_it(place: Place) {
    let bench = Bench::new(place).await;
    let mut people = Vec::new();
    for n in 0..CROWD {
        people.push(bench.join(&format!("person-{n}")).await);
    }
    let told = crowd(&bench, |n| (people[n].clone(), "PATCH", "/api/me", json!({ "email": "one@example.org" }))).await;
    assert_eq!(statuses(&told), [(200, 1), (409, CROWD - 1)]);
}

pub async fn of_those_who_use_a_refresh_token_at_once_one_is_answered_and_all_are_out(place: Place) {
    let bench = Bench::new(place).await;
    let ada = bench.join("ada").await;
    let told =
        crowd(&bench, |_| (nobody(), "POST", "/api/auth/refresh", json!({ "refresh_token": ada.refresh }))).await;
    assert_eq!(statuses(&told), [(200, 1), (401, CROWD - 1)]);
    let next = told.iter().find(|told| told.status == 200).map(|told| text(told, "refresh_token")).expect("one");
    let again = bench.ask(&nobody(), "POST", "/api/auth/refresh", json!({ "refresh_token": next })).await;
    assert_eq!(again.status, 401, "the session is over");
    let revoked = bench.house.revoked.lock().expect("unpoisoned").clone();
    assert_eq!(revoked, [Revoked::Login(ada.session().to_owned())]);
    let sessions = bench.ask(&ada, "GET", "/api/me/sessions", Value::Null).await;
    assert_eq!(sessions.json(), json!([]));
}

pub async fn of_resets_of_a_key_at_once_one_key_publishes_and_it_is_the_one_that_is_kept(place: Place) {
    let bench = Bench::new(place).await;
    let ada = bench.join("ada").await;
    let told = crowd(&bench, |_| (ada.clone(), "POST", "/api/me/stream-key", Value::Null)).await;
    assert_eq!(statuses(&told), [(200, CROWD)]);
    let kept = bench.ask(&ada, "GET", "/api/me/stream-keys", Value::Null).await.json();
    assert_eq!(kept.as_array().map(Vec::len), Some(1));
    let last_four = kept[0]["last_four"].as_str().expect("text");
    let keys: Vec<String> = told.iter().map(|told| text(told, "stream_key")).collect();
    let newest = keys.iter().find(|key| key.ends_with(last_four)).expect("one that was told");
    bench.carried(async || bench.house.publish(newest).is_ok()).await;
    for key in keys.iter().chain([&ada.stream_key]).filter(|key| *key != newest) {
        assert_eq!(bench.house.publish(key), Err(Refused::UnknownKey));
    }
}

pub async fn of_those_who_add_a_label_at_once_one_does(place: Place) {
    let bench = Bench::new(place).await;
    let ada = bench.join("ada").await;
    let told = crowd(&bench, |_| (ada.clone(), "POST", "/api/me/stream-keys", json!({ "label": "laptop" }))).await;
    assert_eq!(statuses(&told), [(201, 1), (409, CROWD - 1)]);
}

pub async fn of_those_who_use_a_login_link_at_once_one_is_let_in(place: Place) {
    let bench = Bench::new(place).await;
    let made = bench.ask(&operator(), "POST", "/api/admin/users", json!({ "username": "ada" })).await;
    let link = text(&made, "link");
    let told = crowd(&bench, |_| (nobody(), "POST", "/api/auth/login", json!({ "link": link }))).await;
    assert_eq!(statuses(&told), [(200, 1), (401, CROWD - 1)]);
}

pub async fn an_account_that_is_deleted_amid_its_own_changes_leaves_no_key_that_publishes(place: Place) {
    let bench = Bench::new(place).await;
    let ada = bench.join("ada").await;
    let told = crowd(&bench, |n| match n {
        3 | 4 => (ada.clone(), "DELETE", "/api/me", json!({ "password": PASSWORD })),
        5 => (ada.clone(), "PATCH", "/api/streams/ada", json!({ "title": "going" })),
        _ => (ada.clone(), "POST", "/api/me/stream-key", Value::Null),
    })
    .await;
    assert!(told.iter().all(|told| told.status < 500), "{:?}", statuses(&told));
    assert_eq!(told[3..5].iter().filter(|told| told.status == 204).count(), 1, "deleted once");
    bench.carried(async || bench.house.state("ada").is_none()).await;
    for told in told.iter().filter(|told| told.status == 200) {
        if let Some(key) = told.json()["stream_key"].as_str() {
            assert_eq!(bench.house.publish(key), Err(Refused::UnknownKey));
        }
    }
}
