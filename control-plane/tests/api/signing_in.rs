//! Registering, signing in, staying signed in and signing out.

use freshet_proto::{annex::Revoked, registry::Refused};
use serde_json::{Value, json};

use crate::{
    bench::{As, Bench, PASSWORD, nobody},
    databases::Place,
};

pub async fn whoever_registers_is_signed_in_and_may_publish(place: Place) {
    let bench = Bench::new(place).await;
    let ada = bench.join("ada").await;
    let me = bench.ask(&ada, "GET", "/api/me", Value::Null).await.json();
    assert_eq!((me["username"].as_str(), me["email"].as_str()), (Some("ada"), Some("ada@example.org")));
    assert_eq!(bench.house.publish(&ada.stream_key).map(String::from), Ok("ada".to_owned()));
    let stream = bench.ask(&nobody(), "GET", "/api/streams/ada", Value::Null).await.json();
    assert_eq!((stream["state"].as_str(), stream["viewers"].as_u64()), (Some("live"), Some(3)));
}

pub async fn refreshing_goes_on_and_a_token_used_twice_ends_it_for_both(place: Place) {
    let bench = Bench::new(place).await;
    let ada = bench.join("ada").await;
    let refresh =
        async |token: &str| bench.ask(&nobody(), "POST", "/api/auth/refresh", json!({ "refresh_token": token })).await;
    let told = refresh(&ada.refresh).await;
    assert_eq!((told.status, told.json()["expires_in"].as_u64()), (200, Some(900)));
    let next = told.json()["refresh_token"].as_str().expect("a token").to_owned();
    assert_eq!(*bench.house.revoked.lock().expect("unpoisoned"), [], "nothing is amiss");
    assert_eq!(refresh(&ada.refresh).await.status, 401, "used before");
    let revoked = bench.house.revoked.lock().expect("unpoisoned").clone();
    assert_eq!(revoked, [Revoked::Login(ada.session().to_owned())], "its access tokens too, at every edge");
    assert_eq!(refresh(&next).await.status, 401, "the session is over");
}

pub async fn logging_out_refuses_access_tokens_too(place: Place) {
    let bench = Bench::new(place).await;
    let ada = bench.join("ada").await;
    assert_eq!(bench.ask(&ada, "POST", "/api/auth/logout", json!({})).await.status, 204);
    assert_eq!(bench.ask(&ada, "POST", "/api/auth/logout", json!({ "everywhere": true })).await.status, 204);
    let revoked = bench.house.revoked.lock().expect("unpoisoned").clone();
    assert!(matches!(&revoked[..], [Revoked::Login(_), Revoked::User(_)]), "{revoked:?}");
}

pub async fn a_new_password_ends_all_other_sessions_and_their_access_tokens(place: Place) {
    let bench = Bench::new(place).await;
    let ada = bench.join("ada").await;
    let login = json!({ "username": "ada", "password": PASSWORD });
    let told = bench.ask(&nobody(), "POST", "/api/auth/login", login).await.json();
    let other = bench.bearer(told["access_token"].as_str().expect("a token"));
    let change = json!({ "current_password": PASSWORD, "new_password": "staple and horse" });
    assert_eq!(bench.ask(&ada, "PUT", "/api/me/password", change).await.status, 204);
    let revoked = bench.house.revoked.lock().expect("unpoisoned").clone();
    assert_eq!(revoked, [Revoked::Login(other.session().to_owned())], "not the one that asked");
}

pub async fn one_session_is_ended_by_whose_it_is_and_its_access_tokens_with_it(place: Place) {
    let bench = Bench::new(place).await;
    let (ada, eve) = (bench.join("ada").await, bench.join("eve").await);
    let login = json!({ "username": "ada", "password": PASSWORD });
    let told = bench.ask(&nobody(), "POST", "/api/auth/login", login).await.json();
    let other = bench.bearer(told["access_token"].as_str().expect("a token"));
    let here = format!("/api/me/sessions/{}", other.session());
    assert_eq!(bench.ask(&eve, "DELETE", &here, Value::Null).await.status, 404, "it is not hers");
    assert_eq!(*bench.house.revoked.lock().expect("unpoisoned"), []);
    assert_eq!(bench.ask(&ada, "DELETE", &here, Value::Null).await.status, 204);
    let revoked = bench.house.revoked.lock().expect("unpoisoned").clone();
    assert_eq!(revoked, [Revoked::Login(other.session().to_owned())], "its access tokens too, at every edge");
    let refresh = async |token: &Value| {
        bench.ask(&nobody(), "POST", "/api/auth/refresh", json!({ "refresh_token": token })).await.status
    };
    assert_eq!((refresh(&told["refresh_token"]).await, refresh(&json!(ada.refresh)).await), (401, 200));
    let left = bench.ask(&ada, "GET", "/api/me/sessions", Value::Null).await.json();
    assert_eq!((left.as_array().map(Vec::len), &left[0]["current"]), (Some(1), &json!(true)));
    assert_eq!(bench.ask(&ada, "DELETE", &here, Value::Null).await.status, 404, "it is over");
}

pub async fn nothing_tells_an_unknown_account_from_a_wrong_password(place: Place) {
    let bench = Bench::new(place).await;
    bench.join("ada").await;
    let login = async |name: &str| {
        let told =
            bench.ask(&nobody(), "POST", "/api/auth/login", json!({ "username": name, "password": "wrong" })).await;
        (told.status, told.json())
    };
    let known = login("ada").await;
    assert_eq!((known.0, &known), (401, &login("eve").await));
    assert_eq!(known, login("ada@example.org").await);
    let mut said = Vec::new();
    for (username, email) in [("ada", "new@example.org"), ("new", "ada@example.org")] {
        let new = json!({ "username": username, "email": email, "password": "correct horse" });
        let told = bench.ask(&As::from(username), "POST", "/api/auth/register", new).await;
        said.push((told.status, told.json()));
    }
    assert_eq!((said[0].0, &said[0]), (409, &said[1]), "a taken name and a taken address look alike");
}

pub async fn an_account_is_deleted_with_its_channel_by_whoever_knows_the_password(place: Place) {
    let bench = Bench::new(place).await;
    let ada = bench.join("ada").await;
    bench.house.publish(&ada.stream_key).expect("a publish");
    assert_eq!(bench.ask(&ada, "DELETE", "/api/me", json!({ "password": "wrong" })).await.status, 403);
    assert_eq!(bench.ask(&ada, "DELETE", "/api/me", json!({ "password": "correct horse" })).await.status, 204);
    assert_eq!((bench.house.state("ada"), bench.house.publish(&ada.stream_key)), (None, Err(Refused::UnknownKey)));
    let again = json!({ "username": "ada", "password": "correct horse" });
    assert_eq!(bench.ask(&nobody(), "POST", "/api/auth/register", again).await.status, 409, "the name stays taken");
}
