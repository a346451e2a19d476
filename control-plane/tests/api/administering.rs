//! What administrators and operators do.

use freshet_control_plane::accounts::{Config, Registration};
use serde_json::{Value, json};

use crate::{
    bench::{As, Bench, nobody, operator, pepper},
    databases::Place,
};

pub async fn a_channel_that_an_operator_made_is_nobodys_to_take(place: Place) {
    let bench = Bench::new(place).await;
    let put = freshet_control_plane::machine::Input::PutChannel {
        channel: "demo".parse().expect("a name"),
        key: pepper().hash("sk_demo"),
        policy: Default::default(),
    };
    bench.house.take(put).expect("a channel");
    let new = json!({ "username": "demo", "password": "correct horse" });
    assert_eq!(bench.ask(&nobody(), "POST", "/api/auth/register", new).await.status, 409);
    let hide = json!({ "visibility": "unlisted" });
    let hidden = bench.ask(&operator(), "PATCH", "/api/streams/demo", hide).await;
    assert_eq!((hidden.status, hidden.json()["visibility"].as_str()), (200, Some("unlisted")));
}

pub async fn administrators_administer_and_nobody_else(place: Place) {
    let bench = Bench::with(place, Config { registration: Registration::Closed, ..Config::default() }).await;
    let (_, link) = bench.accounts.first_admin().await.expect("accounts").expect("nobody has a password yet");
    let told = bench.ask(&nobody(), "POST", "/api/auth/login", json!({ "link": link.reveal() })).await;
    let admin = bench.bearer(told.json()["access_token"].as_str().expect("a token"));
    let made = bench.ask(&admin, "POST", "/api/admin/users", json!({ "username": "ada" })).await;
    assert_eq!(made.status, 201);
    let link = made.json()["link"].clone();
    let told = bench.ask(&nobody(), "POST", "/api/auth/login", json!({ "link": link })).await;
    let ada = bench.bearer(told.json()["access_token"].as_str().expect("a token"));
    assert_eq!(bench.ask(&ada, "GET", "/api/admin/audit", Value::Null).await.status, 403);
    assert_eq!(bench.ask(&admin, "PATCH", "/api/admin/users/ada", json!({ "role": "admin" })).await.status, 200);
    assert_eq!(
        bench.ask(&ada, "GET", "/api/admin/audit", Value::Null).await.status,
        200,
        "as of now, not as of the token"
    );
    assert_eq!(bench.ask(&ada, "PATCH", "/api/admin/users/admin", json!({ "disabled": true })).await.status, 200);
    assert_eq!(bench.ask(&admin, "GET", "/api/admin/users", Value::Null).await.status, 401, "shut out at once");
    let audit = bench.ask(&operator(), "GET", "/api/admin/audit", Value::Null).await.json();
    assert!(audit["items"].as_array().is_some_and(|entries| entries.len() >= 3), "{audit}");
    assert_eq!(
        bench
            .ask(&nobody(), "POST", "/api/auth/register", json!({ "username": "eve", "password": "correct horse" }))
            .await
            .status,
        403
    );
}

/// The first administrator, signed in.
async fn administrator(bench: &Bench) -> As {
    let (_, link) = bench.accounts.first_admin().await.expect("accounts").expect("nobody has a password yet");
    let told = bench.ask(&nobody(), "POST", "/api/auth/login", json!({ "link": link.reveal() })).await;
    bench.bearer(told.json()["access_token"].as_str().expect("a token"))
}

/// What the audit log says, the newest last.
async fn audited(bench: &Bench, noun: &str) -> Vec<String> {
    let audit = bench.ask(&operator(), "GET", &format!("/api/admin/audit?action={noun}"), Value::Null).await.json();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let told =
        |entry: &Value| format!("{} {} {}", text(&entry["actor_name"]), text(&entry["action"]), text(&entry["target"]));
    let mut told: Vec<_> = audit["items"].as_array().expect("entries").iter().map(told).collect();
    told.sort();
    told
}

pub async fn who_may_register_is_public_and_an_administrators_to_say(place: Place) {
    let bench = Bench::new(place).await;
    let admin = administrator(&bench).await;
    let site = async || bench.ask(&nobody(), "GET", "/api/site", Value::Null).await.json();
    assert_eq!(site().await, json!({ "registration": "open" }));
    let ada = bench.join("ada").await;
    let invite_only = json!({ "registration": "invite" });
    assert_eq!(bench.ask(&ada, "PUT", "/api/admin/registration", invite_only.clone()).await.status, 403);
    assert_eq!(bench.ask(&admin, "PUT", "/api/admin/registration", json!({ "registration": "ask" })).await.status, 422);
    assert_eq!(bench.ask(&admin, "PUT", "/api/admin/registration", invite_only.clone()).await.json(), invite_only);
    assert_eq!(site().await, invite_only);

    let terms = json!({ "uses": 3, "seconds": 3600 });
    let invite = bench.ask(&admin, "POST", "/api/admin/invites", terms).await.json()["invite"].clone();
    let new = |name: &str| json!({ "username": name, "password": "correct horse", "invite": invite });
    assert_eq!(bench.ask(&nobody(), "POST", "/api/auth/register", new("grace")).await.status, 201);
    let listed = bench.ask(&admin, "GET", "/api/admin/invites", Value::Null).await.json();
    let (listed, id) = (&listed["items"][0], listed["items"][0]["id"].as_str().expect("an id"));
    assert_eq!((&listed["uses"], &listed["uses_left"], &listed["created_by"]), (&json!(3), &json!(2), &json!("admin")));
    let here = format!("/api/admin/invites/{id}");
    assert_eq!(bench.ask(&admin, "DELETE", &here, Value::Null).await.status, 204);
    assert_eq!(bench.ask(&admin, "DELETE", &here, Value::Null).await.status, 404);
    assert_eq!(bench.ask(&nobody(), "POST", "/api/auth/register", new("hedy")).await.status, 403);
    assert_eq!(audited(&bench, "registration").await, ["admin registration.set invite"]);
    assert_eq!(
        audited(&bench, "invite").await,
        [format!("admin invite.add {id}"), format!("admin invite.revoke {id}")]
    );
}

pub async fn somebody_is_signed_out_everywhere_by_an_administrator(place: Place) {
    let bench = Bench::new(place).await;
    let (admin, ada) = (administrator(&bench).await, bench.join("ada").await);
    let sessions = bench.ask(&admin, "GET", "/api/admin/users/ada/sessions", Value::Null).await.json();
    assert_eq!((&sessions[0]["id"], &sessions[0]["current"]), (&json!(ada.session()), &json!(false)));
    assert_eq!(bench.ask(&ada, "DELETE", "/api/admin/users/admin/sessions", Value::Null).await.status, 403);
    assert_eq!(bench.ask(&admin, "DELETE", "/api/admin/users/ada/sessions", Value::Null).await.status, 204);
    let refresh = bench.ask(&nobody(), "POST", "/api/auth/refresh", json!({ "refresh_token": ada.refresh })).await;
    assert_eq!(refresh.status, 401);
    assert_eq!(bench.house.revoked.lock().expect("unpoisoned").len(), 1, "access tokens are refused too");
    assert_eq!(bench.ask(&admin, "DELETE", "/api/admin/users/eve/sessions", Value::Null).await.status, 404);
    assert_eq!(audited(&bench, "user.logout").await.len(), 1);
}

pub async fn one_session_of_somebody_is_ended_by_an_administrator(place: Place) {
    let bench = Bench::new(place).await;
    let (admin, ada) = (administrator(&bench).await, bench.join("ada").await);
    let end = async |who: &As, name: &str| {
        let here = format!("/api/admin/users/{name}/sessions/{}", ada.session());
        bench.ask(who, "DELETE", &here, Value::Null).await.status
    };
    assert_eq!((end(&ada, "ada").await, end(&admin, "admin").await, end(&admin, "eve").await), (403, 404, 404));
    assert_eq!(bench.house.revoked.lock().expect("unpoisoned").len(), 0);
    assert_eq!((end(&admin, "ada").await, end(&admin, "ada").await), (204, 404));
    assert_eq!(bench.house.revoked.lock().expect("unpoisoned").len(), 1, "access tokens are refused too");
    let refresh = bench.ask(&nobody(), "POST", "/api/auth/refresh", json!({ "refresh_token": ada.refresh })).await;
    assert_eq!(refresh.status, 401);
    assert_eq!(audited(&bench, "user.end_session").await.len(), 1);
}

pub async fn nodes_are_told_with_what_the_leader_knows_and_drained_and_removed(place: Place) {
    let bench = Bench::new(place).await;
    let (admin, ada) = (administrator(&bench).await, bench.join("ada").await);
    bench.carried(async || bench.house.publish(&ada.stream_key).is_ok()).await;
    let told = bench.ask(&admin, "GET", "/api/admin/nodes", Value::Null).await.json();
    let node = &told["nodes"][0];
    assert_eq!((&told["leader"], &told["term"], &told["last_log"]), (&json!("origin-1"), &json!(3), &json!(12)));
    assert_eq!(
        (&node["name"], &node["role"], &node["state"]),
        (&json!("origin-1"), &json!("origin"), &json!("active"))
    );
    assert_eq!((&node["lease_ms"], &node["load"]), (&json!(7000), &json!({ "clients": 2, "permille": 40 })));
    assert_eq!((&node["streams"], &node["viewers"], &node["protocol"]), (&json!(1), &json!(5), &json!(2)));
    assert_eq!(node["region"], Value::Null);

    let state =
        async || bench.ask(&admin, "GET", "/api/admin/nodes", Value::Null).await.json()["nodes"][0]["state"].clone();
    assert_eq!(bench.ask(&ada, "POST", "/api/admin/nodes/origin-1/drain", Value::Null).await.status, 403);
    assert_eq!(bench.ask(&admin, "POST", "/api/admin/nodes/origin-2/drain", Value::Null).await.status, 404);
    assert_eq!(bench.ask(&admin, "POST", "/api/admin/nodes/origin-1/drain", Value::Null).await.status, 204);
    assert_eq!(state().await, json!("draining"));
    assert_eq!(bench.ask(&admin, "POST", "/api/admin/nodes/origin-1/undrain", Value::Null).await.status, 204);
    assert_ne!(state().await, json!("draining"));
    assert_eq!(bench.ask(&admin, "DELETE", "/api/admin/nodes/origin-2", Value::Null).await.status, 404);
    assert_eq!(bench.ask(&admin, "DELETE", "/api/admin/nodes/origin-1", Value::Null).await.status, 200);
    let told = bench.ask(&admin, "GET", "/api/admin/nodes", Value::Null).await.json();
    assert_eq!(told["nodes"], json!([]));
    let written = ["node.drain", "node.remove", "node.undrain"].map(|action| format!("admin {action} origin-1"));
    assert_eq!(audited(&bench, "node").await, written);
}

pub async fn all_sessions_are_told_to_administrators(place: Place) {
    let bench = Bench::new(place).await;
    let (admin, ada) = (administrator(&bench).await, bench.join("ada").await);
    bench.join("grace").await;
    let hide = json!({ "visibility": "private" });
    assert_eq!(bench.ask(&ada, "PATCH", "/api/streams/ada", hide).await.status, 200);
    bench.carried(async || bench.house.publish(&ada.stream_key).is_ok()).await;
    assert_eq!(bench.ask(&ada, "GET", "/api/admin/streams", Value::Null).await.status, 403);
    let told = bench.ask(&admin, "GET", "/api/admin/streams?limit=1", Value::Null).await.json();
    let stream = &told["items"][0];
    assert_eq!((&stream["id"], &stream["origin"], &stream["viewers"]), (&json!("ada"), &json!("origin-1"), &json!(3)));
    assert_eq!((&stream["state"], &stream["visibility"]), (&json!("live"), &json!("private")));
    assert_eq!((told["items"].as_array().map(Vec::len), &told["next"]), (Some(1), &Value::Null));
    let after = bench.ask(&admin, "GET", "/api/admin/streams?cursor=3.ada", Value::Null).await.json();
    assert_eq!(after["items"], json!([]));
}

pub async fn keys_are_rotated_and_revoked(place: Place) {
    let bench = Bench::new(place).await;
    let (admin, ada) = (administrator(&bench).await, bench.join("ada").await);
    let told = bench.ask(&admin, "GET", "/api/admin/keys", Value::Null).await.json();
    let (key, kid) = (&told["signing"][0], bench.house.public.kid.clone());
    assert_eq!((&key["kid"], &key["stage"], &key["algorithm"]), (&json!(kid), &json!("active"), &json!("EdDSA")));
    assert_eq!(bench.ask(&ada, "POST", "/api/admin/keys/rotate", Value::Null).await.status, 403);
    assert_eq!(bench.ask(&admin, "POST", "/api/admin/keys/rotate", Value::Null).await.json(), json!({ "kid": "next" }));
    assert_eq!(bench.ask(&admin, "POST", "/api/admin/keys/nothing/revoke", Value::Null).await.status, 404);
    assert_eq!(bench.ask(&admin, "POST", &format!("/api/admin/keys/{kid}/revoke"), Value::Null).await.status, 204);
    assert_eq!(audited(&bench, "key").await, [format!("admin key.revoke {kid}"), "admin key.rotate next".to_owned()]);
}
