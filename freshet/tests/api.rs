//! The life of an account, through a real edge over HTTPS, in one process with the control node that keeps it.

mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::{Encoder, Freshet, until};
use tokio::process::Command;

const FREE_PORTS: &str =
    "--http-port 0 --https-port 0 --rtmp-port 0 --rtmps-port 0 --quic-port 0 --admin-port 0 --log-format json";

const PASSWORD: &str = "correct horse battery";

/// `freshet dev`, and a client that believes its authority alone.
struct House {
    freshet: Freshet,
    told: Value,
    ca: String,
}

impl House {
    /// Logs everything, so that what must not be logged is looked for where it would be.
    async fn open(data: &Path) -> Self {
        let data_arg = support::arg(data);
        // An encoder that is stopped for a while is not lost, however busy the machine is.
        let more = ["--log", "debug", "--set", "registry.end_grace_ms=500", "--set", "origin.lost_after_ms=60000"];
        let arguments: Vec<&str> =
            ["dev", "--data", &data_arg].into_iter().chain(FREE_PORTS.split(' ')).chain(more).collect();
        let mut freshet = Freshet::start(&arguments);
        // First, for it tells the log of a process that does not come so far.
        freshet.logged(&["following the registry"]).await;
        let file = data.join("dev.json");
        let told = until("dev.json", async || {
            let told: Value = serde_json::from_str(&std::fs::read_to_string(&file).ok()?).expect("JSON");
            (told["pid"] == freshet.id()).then_some(told)
        })
        .await;
        // Sooner it would send encoders away.
        let readyz = format!("{}/readyz", told["admin_url"].as_str().expect("an address"));
        support::text_with(&readyz, "\"status\":\"ready\"").await;
        Self { freshet, told, ca: support::arg(&data.join("ca").join("ca.pem")) }
    }

    /// Asks the API; the status and the JSON.
    async fn ask(&self, method: &str, path: &str, token: &str, body: Value) -> (u16, Value) {
        self.ask_with(&["-X", method], path, token, body).await
    }

    async fn ask_with(&self, more: &[&str], path: &str, token: &str, body: Value) -> (u16, Value) {
        let url = format!("{}{path}", self.told["https_url"].as_str().expect("an address"));
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--cacert", &self.ca, "-w", "\n%{http_code}"]).args(more).arg(url).kill_on_drop(true);
        if !token.is_empty() {
            curl.args(["-H", &format!("authorization: Bearer {token}")]);
        }
        if !body.is_null() {
            curl.args(["-H", "content-type: application/json", "-d", &body.to_string()]);
        }
        let output = curl.output().await.expect("curl is installed");
        let text = String::from_utf8(output.stdout).expect("text");
        let (body, status) = text.rsplit_once('\n').unwrap_or_else(|| panic!("{:?}", output.stderr));
        (status.parse().expect("a status"), serde_json::from_str(body).unwrap_or(Value::Null))
    }

    /// The same, until a control node has heard of the edge, and the edge of the keys.
    async fn ask_patiently(&self, method: &str, path: &str, token: &str, body: Value) -> (u16, Value) {
        until(path, async || {
            Some(self.ask(method, path, token, body.clone()).await).filter(|(status, _)| *status != 503)
        })
        .await
    }
}

/// Four at once.
async fn four<F: Future>(ask: impl Fn(usize) -> F) -> [F::Output; 4] {
    tokio::join!(ask(0), ask(1), ask(2), ask(3)).into()
}

fn text(json: &Value, key: &str) -> String {
    json[key].as_str().unwrap_or_else(|| panic!("{key} in {json}")).to_owned()
}

#[tokio::test]
async fn an_account_lives_its_life_through_an_edge_and_leaves_no_secret_in_the_log() {
    let dir = support::tempdir();
    let house = House::open(dir.path()).await;
    let new = json!({ "username": "ada", "email": "ada@example.org", "password": PASSWORD });
    let (status, registered) = house.ask_patiently("POST", "/api/auth/register", "", new).await;
    assert_eq!(status, 201, "{registered}");
    let (status, signed_in) =
        house.ask("POST", "/api/auth/login", "", json!({ "username": "ada@example.org", "password": PASSWORD })).await;
    assert_eq!(status, 200, "{signed_in}");
    let (token, refresh) = (text(&signed_in, "access_token"), text(&signed_in, "refresh_token"));
    let (status, me) = house.ask_patiently("GET", "/api/me", &token, Value::Null).await;
    assert_eq!((status, text(&me, "username")), (200, "ada".to_owned()));

    // Who says who they are is somebody to the edge alone.
    let smuggled = ["-H", "X-Client-Roles: admin", "-H", "X-Client-Id: root", "-H", "x_client_roles: operator"];
    assert_eq!(house.ask_with(&smuggled, "/api/admin/users", "", Value::Null).await.0, 401);
    assert_eq!(house.ask_with(&smuggled, "/api/admin/users", &token, Value::Null).await.0, 403);

    // Publishing with the key that was told, and ending it.
    let key = text(&registered, "stream_key");
    let mut encoder = Encoder::publish(&format!("{}/{key}", text(&house.told, "rtmp_url")));
    until("the channel to be live", async || {
        let (_, live) = house.ask("GET", "/api/streams/live", "", Value::Null).await;
        (live["items"][0]["id"] == "ada").then_some(())
    })
    .await;
    assert_eq!(house.ask("POST", "/api/streams/ada/end", &token, Value::Null).await.0, 204);
    encoder.ended().await;
    let (_, stream) = house.ask("GET", "/api/streams/ada", "", Value::Null).await;
    assert_eq!(text(&stream, "state"), "ended");

    // A refresh token works once.
    let again = |token: String| json!({ "refresh_token": token });
    let (status, refreshed) = house.ask("POST", "/api/auth/refresh", "", again(refresh.clone())).await;
    assert_eq!(status, 200, "{refreshed}");
    assert_eq!(house.ask("POST", "/api/auth/refresh", "", again(refresh.clone())).await.0, 401);
    let next = text(&refreshed, "refresh_token");
    assert_eq!(house.ask("POST", "/api/auth/refresh", "", again(next.clone())).await.0, 401, "for both");
    let latest = text(&refreshed, "access_token");
    for of_that_session in [&token, &latest] {
        until("the access tokens of that session to be refused", async || {
            (house.ask("GET", "/api/me", of_that_session, Value::Null).await.0 == 401).then_some(())
        })
        .await;
    }

    // Signing out refuses the access token as soon as the edge has heard of it.
    let first = text(&registered, "access_token");
    assert_eq!(house.ask("POST", "/api/auth/logout", &first, json!({ "everywhere": true })).await.0, 204);
    until("the token to be refused", async || {
        (house.ask("GET", "/api/me", &first, Value::Null).await.0 == 401).then_some(())
    })
    .await;

    let link = text(&house.told, "admin_link");
    let (status, admin) = house.ask("POST", "/api/auth/login", "", json!({ "link": link })).await;
    assert_eq!(status, 200, "{admin}");
    let nodes = house.ask("GET", "/api/admin/nodes", &text(&admin, "access_token"), Value::Null).await;
    assert_eq!((nodes.0, nodes.1["nodes"].as_array().map(Vec::len)), (200, Some(3)));
    let log = house.freshet.log();
    for secret in [PASSWORD, &token, &latest, &first, &refresh, &next, &key, &link, "ada@example.org"] {
        assert!(!log.contains(secret), "in the log: {}", log.lines().find(|line| line.contains(secret)).unwrap_or(""));
    }
    assert!(log.contains("/api/") || log.lines().count() > 20, "there is a log");
}

#[tokio::test]
async fn of_those_who_ask_at_once_one_gets_what_only_one_may_have() {
    let dir = support::tempdir();
    let house = House::open(dir.path()).await;
    house.ask_patiently("POST", "/api/auth/login", "", json!({ "link": house.told["admin_link"] })).await;
    let statuses = |told: &[(u16, Value)]| {
        let mut statuses: Vec<u16> = told.iter().map(|(status, _)| *status).collect();
        statuses.sort_unstable();
        statuses
    };
    let told = four(|n| {
        let new = json!({ "username": "ada", "email": format!("{n}@example.org"), "password": PASSWORD });
        house.ask("POST", "/api/auth/register", "", new)
    })
    .await;
    assert_eq!(statuses(&told), [201, 409, 409, 409]);
    let (_, ada) = told.into_iter().find(|(status, _)| *status == 201).expect("one");

    let refresh = json!({ "refresh_token": ada["refresh_token"] });
    let told = four(|_| house.ask("POST", "/api/auth/refresh", "", refresh.clone())).await;
    assert_eq!(statuses(&told), [200, 401, 401, 401]);

    let again = json!({ "username": "ada", "password": PASSWORD });
    let (_, signed_in) = house.ask("POST", "/api/auth/login", "", again).await;
    let token = text(&signed_in, "access_token");
    house.ask_patiently("GET", "/api/me", &token, Value::Null).await;
    let told = four(|_| house.ask("POST", "/api/me/stream-key", &token, Value::Null)).await;
    assert_eq!(statuses(&told), [200; 4]);
    let (_, keys) = house.ask("GET", "/api/me/stream-keys", &token, Value::Null).await;
    let kept: Vec<&Value> = keys.as_array().expect("a list").iter().map(|key| &key["last_four"]).collect();
    let good = told.iter().filter(|(_, key)| kept == [&key["last_four"]]).count();
    assert!(good >= 1, "the key that is kept is one that was told: {keys}");
}

#[tokio::test]
async fn operators_make_accounts_from_the_command_line() {
    let dir = support::tempdir();
    let house = House::open(dir.path()).await;
    let data = support::arg(&dir.path().join("control"));
    let seeds = format!("listen.quic={}", control_address(&house).await);
    let run = async |arguments: &[&str]| {
        let all: Vec<&str> = arguments.iter().copied().chain(["--data", &data, "--set", &seeds]).collect();
        let (code, output, error) = support::run(&all, &[]).await;
        assert_eq!(code, 0, "{arguments:?}: {error}");
        output
    };
    let made: Value = serde_json::from_str(&run(&["user", "add", "bob", "--output", "json"]).await).expect("JSON");
    let (status, signed_in) = house.ask_patiently("POST", "/api/auth/login", "", json!({ "link": made["link"] })).await;
    assert_eq!((status, text(&signed_in, "username")), (200, "bob".to_owned()));
    run(&["user", "role", "bob", "admin"]).await;
    let users: Value = serde_json::from_str(&run(&["user", "ls", "--output", "json"]).await).expect("JSON");
    let bob = users.as_array().and_then(|users| users.iter().find(|user| user["username"] == "bob"));
    assert_eq!(bob.map(|bob| text(bob, "role")), Some("admin".to_owned()), "{users}");
    run(&["channel", "set", "demo", "--visibility", "unlisted"]).await;
    assert_eq!(run(&["stream", "ls", "--output", "json"]).await.trim(), "[]");
    run(&["channel", "purge", "bob"]).await;
}

#[tokio::test]
async fn who_streams_is_told_how_the_stream_does_and_what_to_mend() {
    let dir = support::tempdir();
    let house = House::open(dir.path()).await;
    let new = json!({ "username": "ada", "password": PASSWORD });
    let (status, ada) = house.ask_patiently("POST", "/api/auth/register", "", new).await;
    assert_eq!(status, 201, "{ada}");
    let token = text(&ada, "access_token");
    let path = "/api/streams/ada/health";
    let offline = house.ask_patiently("GET", path, &token, Value::Null).await;
    assert_eq!(
        offline,
        (200, json!({ "id": "ada", "state": "offline", "session": null, "health": null, "audience": null }))
    );
    assert_eq!(house.ask("GET", path, "", Value::Null).await.0, 401);

    let rtmp = format!("{}/{}", text(&house.told, "rtmp_url"), text(&ada, "stream_key"));
    let encoder = Encoder::with_keyframes(&rtmp, 240);
    let told = async |what: &str, is_so: &dyn Fn(&Value) -> bool| {
        until(what, async || {
            let (status, told) = house.ask("GET", path, &token, Value::Null).await;
            (status == 200 && is_so(&told["health"])).then(|| told["health"].clone())
        })
        .await
    };
    let alert = |health: &Value, kind: &str| -> Option<String> {
        let found = health["alerts"].as_array()?.iter().find(|alert| alert["kind"] == kind)?;
        Some(text(found, "advice"))
    };
    let second_keyframe = |health: &Value| health["video"]["keyframe_interval_ms"].as_u64() > Some(0);
    let health = told("a second keyframe", &second_keyframe).await;
    let advice = alert(&health, "long_key_frame_interval");
    assert_eq!(advice.as_deref(), Some("keyframes are 8.0 s apart: set a keyframe interval of 2 s in the encoder"));
    let (video, audio, uplink) = (&health["video"], &health["audio"], &health["uplink"]);
    assert_eq!(
        (text(video, "profile"), &video["width"], &video["height"]),
        ("Baseline".into(), &320.into(), &180.into())
    );
    assert!(text(video, "codec").starts_with("avc1.42"), "{video}");
    assert_eq!((text(audio, "codec"), &audio["sample_rate"]), ("mp4a.40.2".into(), &44_100.into()));
    let number = |of: &Value, key: &str| of[key].as_f64().unwrap_or_else(|| panic!("{key} in {of}"));
    assert_eq!(number(video, "frame_rate").round(), 30.0);
    assert!(
        (50e3..10e6).contains(&number(video, "bitrate")) && (20e3..200e3).contains(&number(audio, "bitrate")),
        "{health}"
    );
    let bitrate = number(&health, "bitrate");
    assert_eq!(bitrate, number(video, "bitrate") + number(audio, "bitrate"));
    assert!((bitrate / 4.0..bitrate * 4.0).contains(&number(uplink, "bitrate")), "{health}");
    assert!(number(&health, "skew_ms").abs() < 1000.0, "{health}");

    // Its network stands still, and goes on.
    let before = number(uplink, "stalls");
    encoder.signal("STOP").await;
    told("a stall", &|health| health["uplink"]["stalls"].as_f64() > Some(before)).await;
    encoder.signal("CONT").await;
    let health = told("that it is over", &|health| alert(health, "uplink_stalls").is_some()).await;
    assert!(number(&health["uplink"], "longest_stall_ms") >= 1500.0, "{health}");
    assert!(alert(&health, "uplink_stalls").is_some_and(|advice| advice.contains("set a lower bitrate")), "{health}");

    // The same for whoever has the machine.
    let (data, seeds) = (support::arg(&dir.path().join("control")), control_address(&house).await);
    let (data, seeds) = (["--data", &data], ["--set", &format!("listen.quic={seeds}")]);
    let run = async |more: &[&str]| {
        let all = [&["stream", "health", "ada"], more, &data, &seeds].concat();
        let (code, output, error) = support::run(&all, &[]).await;
        assert_eq!(code, 0, "{more:?}: {error}");
        output
    };
    let json: Value = serde_json::from_str(&run(&["--output", "json"]).await).expect("JSON");
    assert_eq!((text(&json, "state"), text(&json["health"]["video"], "profile")), ("live".into(), "Baseline".into()));
    let table = run(&[]).await;
    assert!(table.contains("TO MEND      keyframes are 8.0 s apart"), "{table}");

    assert_eq!(house.ask("POST", "/api/streams/ada/end", &token, Value::Null).await.0, 204);
    drop(encoder);
    until("the end", async || {
        let (_, told) = house.ask("GET", path, &token, Value::Null).await;
        (told["state"] == "ended" && told["health"].is_null()).then_some(())
    })
    .await;
}

/// Where the control node of `freshet dev` is reached.
async fn control_address(house: &House) -> String {
    let (_, admin) =
        house.ask_patiently("POST", "/api/auth/login", "", json!({ "link": house.told["admin_link"] })).await;
    let (_, nodes) = house.ask_patiently("GET", "/api/admin/nodes", &text(&admin, "access_token"), Value::Null).await;
    let control = nodes["nodes"].as_array().and_then(|nodes| nodes.iter().find(|node| node["role"] == "control"));
    text(control.unwrap_or_else(|| panic!("{nodes}")), "quic")
}
