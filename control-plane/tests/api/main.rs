//! The REST API, asked as an edge asks it.

mod bench;

use bench::{As, Bench, operator};
use freshet_control_plane::accounts::{Config, Registration};
use freshet_proto::{annex::Revoked, registry::Refused, view::ChannelState};
use serde_json::{Value, json};

fn nobody() -> As {
    As::from("nobody")
}

#[tokio::test]
async fn whoever_registers_is_signed_in_and_may_publish() {
    let bench = Bench::new().await;
    let ada = bench.join("ada").await;
    let me = bench.ask(&ada, "GET", "/api/me", Value::Null).await.json();
    assert_eq!((me["username"].as_str(), me["email"].as_str()), (Some("ada"), Some("ada@example.org")));
    assert_eq!(bench.house.publish(&ada.stream_key).map(String::from), Ok("ada".to_owned()));
    let stream = bench.ask(&nobody(), "GET", "/api/streams/ada", Value::Null).await.json();
    assert_eq!((stream["state"].as_str(), stream["viewers"].as_u64()), (Some("live"), Some(3)));
}

#[tokio::test]
async fn refreshing_goes_on_and_a_token_used_twice_ends_it_for_both() {
    let bench = Bench::new().await;
    let ada = bench.join("ada").await;
    let refresh =
        async |token: &str| bench.ask(&nobody(), "POST", "/api/auth/refresh", json!({ "refresh_token": token })).await;
    let told = refresh(&ada.refresh).await;
    assert_eq!((told.status, told.json()["expires_in"].as_u64()), (200, Some(900)));
    let next = told.json()["refresh_token"].as_str().expect("a token").to_owned();
    assert_eq!(refresh(&ada.refresh).await.status, 401, "used before");
    assert_eq!(refresh(&next).await.status, 401, "the session is over");
}

#[tokio::test]
async fn logging_out_refuses_access_tokens_too() {
    let bench = Bench::new().await;
    let ada = bench.join("ada").await;
    assert_eq!(bench.ask(&ada, "POST", "/api/auth/logout", json!({})).await.status, 204);
    assert_eq!(bench.ask(&ada, "POST", "/api/auth/logout", json!({ "everywhere": true })).await.status, 204);
    let revoked = bench.house.revoked.lock().expect("unpoisoned").clone();
    assert!(matches!(&revoked[..], [Revoked::Login(_), Revoked::User(_)]), "{revoked:?}");
}

#[tokio::test]
async fn nothing_tells_an_unknown_account_from_a_wrong_password() {
    let bench = Bench::new().await;
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

#[tokio::test]
async fn what_is_wrong_is_said_as_problem_details_everywhere() {
    let bench = Bench::new().await;
    let ada = bench.join("ada").await;
    let cases: &[(&As, &str, &str, &[(&str, &str)], &str, u16)] = &[
        (&ada, "GET", "/api/nothing", &[], "", 404),
        (&ada, "PATCH", "/api/auth/login", &[], "", 405),
        (&ada, "POST", "/api/auth/login", &[], "{}", 415),
        (&ada, "POST", "/api/auth/login", &[("content-type", "application/json")], "{", 400),
        (&ada, "POST", "/api/auth/login", &[("content-type", "application/json")], "{\"x\":1}", 422),
        (&ada, "GET", "/api/streams/live?limit=many", &[], "", 400),
        (&ada, "GET", "/api/users/%ff", &[], "", 400),
        (&ada, "GET", "/api/users/eve", &[], "", 404),
        (&ada, "GET", "/api/admin/users", &[], "", 403),
        (&nobody(), "GET", "/api/me", &[], "", 401),
    ];
    for (who, method, target, fields, body, status) in cases {
        let told = bench.raw(who, method, target, fields, *body).await;
        assert_eq!(told.status, *status, "{method} {target}: {:?}", told.json());
        assert_eq!(told.header("content-type"), "application/problem+json", "{method} {target}");
        assert_eq!(told.json()["status"].as_u64(), Some((*status).into()));
        assert!(told.json()["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
        assert_eq!(told.header("www-authenticate").is_empty(), *status != 401);
    }
}

#[tokio::test]
async fn a_key_that_is_reset_stops_its_publisher_and_others_go_on() {
    let bench = Bench::new().await;
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

#[tokio::test]
async fn a_change_that_is_asked_twice_under_one_key_happens_once() {
    let bench = Bench::new().await;
    let ada = bench.join("ada").await;
    let fields = [("content-type", "application/json"), ("idempotency-key", "k1")];
    let ask =
        |label: &str| bench.raw(&ada, "POST", "/api/me/stream-keys", &fields, json!({ "label": label }).to_string());
    let (one, two) = tokio::join!(ask("laptop"), ask("laptop"));
    assert_eq!((one.status, &one.body), (201, &two.body));
    assert_eq!(ask("phone").await.status, 422, "the same key for something else");
    let keys = bench.ask(&ada, "GET", "/api/me/stream-keys", Value::Null).await.json();
    assert_eq!(keys.as_array().map(Vec::len), Some(2), "the first, and the laptop's");
}

#[tokio::test]
async fn a_session_is_started_and_ended_by_its_owner_alone() {
    let bench = Bench::new().await;
    let (ada, eve) = (bench.join("ada").await, bench.join("eve").await);
    let manual = bench.ask(&ada, "PATCH", "/api/streams/ada", json!({ "go_live": "manual" })).await;
    assert_eq!((manual.status, manual.json()["go_live"].as_str()), (200, Some("manual")));
    assert_eq!(bench.house.publish(&ada.stream_key), Err(Refused::NotStarted));
    assert_eq!(bench.ask(&eve, "POST", "/api/streams/ada/start", Value::Null).await.status, 403);
    assert_eq!(bench.ask(&ada, "POST", "/api/streams/ada/start", Value::Null).await.status, 204);
    assert!(bench.house.publish(&ada.stream_key).is_ok());
    assert_eq!(bench.ask(&eve, "POST", "/api/streams/ada/end", Value::Null).await.status, 403);
    assert_eq!(bench.ask(&ada, "POST", "/api/streams/ada/end", Value::Null).await.status, 204);
    assert_eq!(bench.house.state("ada"), Some(ChannelState::Ended));
}

#[tokio::test]
async fn a_private_channel_is_for_its_owner_and_whom_they_let_in() {
    let bench = Bench::new().await;
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

#[tokio::test]
async fn live_channels_are_found_by_what_they_are_and_come_in_pages() {
    let bench = Bench::new().await;
    for name in ["ada", "bob", "eve"] {
        let who = bench.join(name).await;
        bench.house.publish(&who.stream_key).expect("a publish");
        let settings =
            json!({ "title": format!("{name} plays"), "category": if name == "eve" { "Chess" } else { "Go" } });
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
    let first = live("?limit=2").await;
    let next = first["next"].as_str().expect("more");
    let second = live(&format!("?limit=2&cursor={next}")).await;
    assert_eq!((ids(&first), ids(&second)), (vec!["ada".to_owned(), "bob".to_owned()], vec!["eve".to_owned()]));
    assert!(second["next"].is_null());
}

#[tokio::test]
async fn a_channel_that_an_operator_made_is_nobodys_to_take() {
    let bench = Bench::new().await;
    let put = freshet_control_plane::machine::Input::PutChannel {
        channel: "demo".parse().expect("a name"),
        key: bench::pepper().hash("sk_demo"),
        policy: Default::default(),
    };
    bench.house.take(put).expect("a channel");
    let new = json!({ "username": "demo", "password": "correct horse" });
    assert_eq!(bench.ask(&nobody(), "POST", "/api/auth/register", new).await.status, 409);
    let hide = json!({ "visibility": "unlisted" });
    let hidden = bench.ask(&operator(), "PATCH", "/api/streams/demo", hide).await;
    assert_eq!((hidden.status, hidden.json()["visibility"].as_str()), (200, Some("unlisted")));
}

#[tokio::test]
async fn what_the_registry_did_not_hear_it_hears_later() {
    let bench = Bench::new().await;
    let ada = bench.join("ada").await;
    *bench.house.silent.lock().expect("unpoisoned") = true;
    let reset = bench.ask(&ada, "POST", "/api/me/stream-key", Value::Null).await;
    let key = reset.json()["stream_key"].as_str().expect("a key").to_owned();
    assert_eq!(bench.house.publish(&key), Err(Refused::UnknownKey));
    *bench.house.silent.lock().expect("unpoisoned") = false;
    let (closing, api) = (tokio_util::sync::CancellationToken::new(), bench.api.clone());
    let until = closing.clone();
    let carrier = tokio::spawn(async move { api.carry(until).await });
    let heard = async {
        while bench.house.publish(&key).is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), heard).await.expect("the registry hears");
    closing.cancel();
    carrier.await.expect("it ends");
}

#[tokio::test]
async fn administrators_administer_and_nobody_else() {
    let bench = Bench::with(Config { registration: Registration::Closed, ..Config::default() }).await;
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

#[tokio::test]
async fn an_account_is_deleted_with_its_channel_by_whoever_knows_the_password() {
    let bench = Bench::new().await;
    let ada = bench.join("ada").await;
    bench.house.publish(&ada.stream_key).expect("a publish");
    assert_eq!(bench.ask(&ada, "DELETE", "/api/me", json!({ "password": "wrong" })).await.status, 403);
    assert_eq!(bench.ask(&ada, "DELETE", "/api/me", json!({ "password": "correct horse" })).await.status, 204);
    assert_eq!((bench.house.state("ada"), bench.house.publish(&ada.stream_key)), (None, Err(Refused::UnknownKey)));
    let again = json!({ "username": "ada", "password": "correct horse" });
    assert_eq!(bench.ask(&nobody(), "POST", "/api/auth/register", again).await.status, 409, "the name stays taken");
}

#[tokio::test]
async fn people_follow_channels_and_are_shown_without_what_is_theirs() {
    let bench = Bench::new().await;
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

#[tokio::test]
async fn the_document_describes_every_operation_and_its_problems() {
    let bench = Bench::new().await;
    let document = bench.ask(&nobody(), "GET", "/api/openapi.json", Value::Null).await.json();
    let paths = document["paths"].as_object().expect("paths");
    for path in ["/api/auth/login", "/api/me", "/api/streams/live", "/api/streams/{id}/end", "/api/admin/keys"] {
        assert!(paths.contains_key(path), "{path}");
    }
    for (path, item) in paths {
        for (method, operation) in item.as_object().expect("operations") {
            let problem = &operation["responses"]["default"]["content"]["application/problem+json"];
            assert!(problem.is_object(), "{method} {path}");
        }
    }
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
}

#[tokio::test]
async fn players_are_sent_to_where_a_channel_is_watched() {
    let bench = Bench::new().await;
    let master = bench.ask(&nobody(), "GET", "/api/streams/ada/master.m3u8", Value::Null).await;
    assert_eq!((master.status, master.header("location")), (307, "/live/ada/index.m3u8"));
    let track = bench.ask(&nobody(), "GET", "/api/streams/ada/v0/playlist.m3u8", Value::Null).await;
    assert_eq!((track.status, track.header("location")), (307, "/live/ada/v0.m3u8"));
    assert_eq!(bench.ask(&nobody(), "GET", "/api/streams/ada/..%2f/playlist.m3u8", Value::Null).await.status, 404);
}
