//! Chat over the REST API, as an edge passes it on.

use bytes::Bytes;
use freshet_proto::api::{ApiReply, ApiRequest};
use serde_json::{Value, json};

use crate::house::House;

async fn ask(house: &House, method: &str, target: &str, login: &str, body: Value) -> (ApiReply, Value) {
    let mut headers = Vec::new();
    if !login.is_empty() {
        let fields = [("x-client-id", format!("id-{login}")), ("x-client-username", login.to_owned())];
        headers.extend(fields.map(|(name, value)| (name.to_owned(), value)));
        headers.extend((login == "iris").then(|| ("x-client-color".into(), 0x5a_4f_cf.to_string())));
        headers.push(("x-client-roles".into(), if login == "root" { "user,operator" } else { "user" }.into()));
    }
    let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    let request = ApiRequest { method: method.into(), target: target.into(), headers, body };
    let (reply, body) = house.hub.api(request).await;
    assert_eq!(reply.length as usize, body.len());
    (reply, serde_json::from_slice(&body).expect("JSON"))
}

async fn post(house: &House, login: &str, body: Value) -> (u16, Value) {
    let (reply, body) = ask(house, "POST", "/api/streams/ada/chat", login, body).await;
    (reply.status, body)
}

async fn get(house: &House, query: &str) -> (u16, Value) {
    let (reply, body) = ask(house, "GET", &format!("/api/streams/ada/chat{query}"), "", Value::Null).await;
    (reply.status, body)
}

#[tokio::test]
async fn what_is_posted_is_read_by_sockets_and_by_requests() {
    let house = House::open(Default::default()).await;
    let mut guest = house.guest().await;
    guest.join("ada").await;
    let (status, posted) = post(&house, "bob", json!({"text": "hello", "nonce": "n1", "pdt_ms": 5})).await;
    assert_eq!((status, &posted["position"], &posted["nonce"]), (201, &json!("3.1"), &json!("n1")));
    let message = guest.expect("message").await;
    assert_eq!((&message["id"], &message["pdt_ms"]), (&posted["id"], &json!(5)));
    let (status, again) = post(&house, "bob", json!({"text": "hello", "nonce": "n1"})).await;
    assert_eq!((status, &again["id"]), (201, &posted["id"]), "the same post");
    for n in 2..=5 {
        post(&house, "bob", json!({"text": format!("line {n}")})).await;
    }
    let texts = |body: &Value| -> Vec<String> {
        let texts = body["events"].as_array().unwrap().iter().map(|event| event["text"].as_str().unwrap().to_owned());
        texts.collect()
    };
    let (status, last) = get(&house, "?limit=2").await;
    assert_eq!((status, texts(&last), &last["position"]), (200, vec!["line 4".into(), "line 5".into()], &json!("3.5")));
    let (_, page) = get(&house, "?after=3.1&limit=3").await;
    assert_eq!((texts(&page).len(), &page["position"], &page["more"]), (3, &json!("3.4"), &json!(true)));
    let (_, rest) = get(&house, "?after=3.4&limit=3").await;
    assert_eq!((texts(&rest), &rest["more"]), (vec!["line 5".to_owned()], &json!(false)));
    let (_, nothing) = get(&house, "?after=ada.3.5").await;
    assert_eq!((texts(&nothing).len(), nothing.get("gap")), (0, None));
    assert_eq!(get(&house, "?after=1.99").await.1["gap"], json!({"missed": null}));
}

#[tokio::test]
async fn a_post_bears_the_colour_that_the_edge_says() {
    let house = House::open(Default::default()).await;
    assert_eq!(post(&house, "iris", json!({"text": "in colour"})).await.0, 201);
    assert_eq!(get(&house, "").await.1["events"][0]["user"]["color"], "#5a4fcf");
}

#[tokio::test]
async fn refusals_are_problems_with_their_codes() {
    let house = House::open(Default::default()).await;
    let (reply, problem) = ask(&house, "POST", "/api/streams/ada/chat", "", json!({"text": "hello"})).await;
    assert_eq!((reply.status, &problem["code"]), (401, &json!("msg_login_required")));
    assert!(reply.headers.iter().any(|(name, _)| name == "www-authenticate"));
    for (body, status) in [
        (json!({"text": "x".repeat(501)}), 422),
        (json!({"text": 5}), 422),
        (json!({}), 422),
        (json!({"text": "x", "nonce": ""}), 422),
        (json!({"text": "x", "nonce": "n".repeat(65)}), 422),
        (json!({"text": "x", "reply_to": "this"}), 422),
        (json!({"text": "\u{7}"}), 422),
        (json!({"text": "/ban eve"}), 403),
        (Value::Null, 400),
    ] {
        let (told, problem) = post(&house, "bob", body.clone()).await;
        assert_eq!((told, &problem["status"]), (status, &json!(status)), "{body}: {problem}");
    }
    assert_eq!(post(&house, "ada", json!({"text": "/slow 30"})).await.1["done"], "slow");
    assert_eq!(post(&house, "bob", json!({"text": "one"})).await.0, 201);
    let (reply, problem) = ask(&house, "POST", "/api/streams/ada/chat", "bob", json!({"text": "two"})).await;
    assert_eq!((reply.status, &problem["code"]), (429, &json!("msg_slowmode")));
    let wait = reply.headers.iter().find(|(name, _)| name == "retry-after").unwrap().1.parse::<u64>().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    for query in ["?limit=0", "?limit=101", "?limit=x", "?after=x"] {
        assert_eq!(get(&house, query).await.0, 422, "{query}");
    }
    for (method, target, status) in [
        ("GET", "/api/streams/nobody/chat", 404),
        ("GET", "/api/streams/NOT A NAME/chat", 404),
        ("DELETE", "/api/streams/ada/chat", 405),
        ("GET", "/api/streams/hidden/chat", 404),
    ] {
        assert_eq!(ask(&house, method, target, "bob", Value::Null).await.0.status, status, "{method} {target}");
    }
    let hidden = format!("/api/streams/hidden/chat?token={}", house.playback("hidden"));
    assert_eq!(ask(&house, "GET", &hidden, "", Value::Null).await.0.status, 200, "who may watch may read");
}

#[tokio::test(start_paused = true)]
async fn one_person_has_one_pace_over_sockets_and_requests() {
    let house = House::open(Default::default()).await;
    let mut bob = house.piped_in_ada("bob").await;
    for n in 0..19 {
        bob.said("ada", &format!("n{n}"), &format!("line {n}")).await;
    }
    assert_eq!(post(&house, "bob", json!({"text": "twenty"})).await.0, 201);
    let mut second = house.piped_in_ada("bob").await;
    assert_eq!(second.refused("ada", "x", "too much").await, "msg_ratelimit");
    assert_eq!(post(&house, "bob", json!({"text": "much too much"})).await.0, 429);
    assert_eq!(post(&house, "eve", json!({"text": "mine"})).await.0, 201);
}
