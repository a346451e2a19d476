//! What administrators and operators do.

use freshet_control_plane::accounts::{Config, Registration};
use serde_json::{Value, json};

use crate::{
    bench::{Bench, nobody, operator, pepper},
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
