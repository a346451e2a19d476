//! Nothing secret in what nodes write, whatever happens to them: a platform that logs all there is, lived in by people who do
//! things right and wrong.

mod support;

use std::{cell::RefCell, collections::BTreeMap, fs, path::Path};

use serde_json::{Value, json};
use support::{
    Encoder, get,
    platform::{Node, Platform},
    run, text_with, until,
};
use tokio::process::Command;

const PASSWORD: &str = "correct horse battery";

/// What must not be found, by what it is.
#[derive(Default)]
struct Secrets(BTreeMap<String, &'static str>);

impl Secrets {
    fn keep(&mut self, what: &'static str, secret: &str) -> String {
        assert!(secret.len() >= 8, "{what} is too short to be looked for: {secret:?}");
        self.0.insert(secret.to_owned(), what);
        secret.to_owned()
    }

    /// The bytes of a file in the ways in which programs print bytes.
    fn keep_bytes(&mut self, what: &'static str, bytes: &[u8]) {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let list: Vec<_> = bytes.iter().map(u8::to_string).collect();
        self.keep(what, &hex);
        self.keep(what, &list.join(", "));
    }

    /// Every line of a private key but its first and last.
    fn keep_pem(&mut self, what: &'static str, pem: &str) {
        for line in pem.lines().filter(|line| !line.starts_with("-----") && line.len() >= 8) {
            self.keep(what, line);
        }
    }

    fn look_for_all_in(&self, place: &str, text: &str) {
        for (secret, what) in &self.0 {
            let line = text.lines().find(|line| line.contains(secret.as_str()));
            assert!(line.is_none(), "{what} in {place}: {}", line.unwrap_or_default());
        }
    }
}

/// An edge as a client sees it, and all that it answered which was no success.
struct Client<'a> {
    edge: &'a Node,
    errors: RefCell<String>,
}

impl Client<'_> {
    async fn ask(&self, method: &str, path: &str, token: &str, body: &str) -> (u16, Value) {
        let url = format!("http://{}{path}", self.edge.field("http"));
        let mut curl = Command::new("curl");
        curl.args(["-sSi", "-X", method, "-H", "content-type: application/json"]).kill_on_drop(true);
        if !token.is_empty() {
            curl.args(["-H", &format!("authorization: Bearer {token}")]);
        }
        if !body.is_empty() {
            curl.args(["-d", body]);
        }
        let output = curl.arg(url).output().await.expect("curl is installed");
        let text = String::from_utf8(output.stdout).expect("text");
        let status = text.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("{text}"));
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let json = serde_json::from_str(body).unwrap_or(Value::Null);
        if status >= 400 {
            *self.errors.borrow_mut() += &text;
        }
        (status, json)
    }

    /// The same, until there is the answer that is waited for: what one node was told reaches the others a moment later.
    async fn ask_until(&self, wanted: u16, method: &str, path: &str, token: &str, body: &str) -> Value {
        until(path, async || {
            let (status, json) = self.ask(method, path, token, body).await;
            (status == wanted).then_some(json)
        })
        .await
    }
}

fn text(json: &Value, key: &str) -> String {
    json[key].as_str().unwrap_or_else(|| panic!("{key} in {json}")).to_owned()
}

#[tokio::test]
async fn no_node_writes_a_secret_into_its_log_its_errors_or_its_metrics() {
    let mut secrets = Secrets::default();
    let mut platform = Platform::found(1).await;
    platform.control[0].log_all().await;
    let mut origin = platform.join("origin", "origin-1").await;
    origin.log_all().await;
    origin.ready().await;
    let mut edge = platform.join("edge", "edge-1").await;
    edge.log_all().await;
    let printed = live_through(&platform, &origin, &edge, &mut secrets).await;

    secrets.look_for_all_in("answers to what was asked wrongly", &printed);
    for (node, name) in [(&platform.control[0], "control-1"), (&origin, "origin-1"), (&edge, "edge-1")] {
        let log = node.logs();
        assert!(log.contains("\"TRACE\"") && log.lines().count() > 100, "{name} logs all there is");
        secrets.look_for_all_in(&format!("the log of {name}"), &log);
        for page in ["metrics", "readyz"] {
            let answer = get(&format!("http://{}/{page}", node.field("admin"))).await.unwrap();
            secrets.look_for_all_in(&format!("/{page} of {name}"), &answer.text());
        }
        let (_, out, error) = run(&["config", "print", "--config", node.config()], &[]).await;
        secrets.look_for_all_in(&format!("the configuration of {name}"), &(out + &error));
    }
}

/// Does what people and operators do with a platform. Returns what was answered where it was asked wrongly.
async fn live_through(platform: &Platform, origin: &Node, edge: &Node, secrets: &mut Secrets) -> String {
    let client = Client { edge, errors: RefCell::default() };
    let mut errors = String::new();
    keep_files(secrets, platform.dir.path());
    join_wrongly(platform, secrets, &mut errors).await;

    let new =
        json!({ "username": "ada", "email": "ada@example.org", "password": secrets.keep("a password", PASSWORD) });
    let registered = client.ask_until(201, "POST", "/api/auth/register", "", &new.to_string()).await;
    secrets.keep("an address", "ada@example.org");
    let key = secrets.keep("a stream key", &text(&registered, "stream_key"));
    let login = json!({ "username": "ada", "password": PASSWORD }).to_string();
    let tokens = client.ask_until(200, "POST", "/api/auth/login", "", &login).await;
    let access = secrets.keep("an access token", &text(&tokens, "access_token"));
    let refresh = secrets.keep("a refresh token", &text(&tokens, "refresh_token"));
    client.ask_until(200, "GET", "/api/me", &access, "").await;

    let private = json!({ "visibility": "private" }).to_string();
    client.ask_until(200, "PATCH", "/api/streams/ada", &access, &private).await;
    let playback = client.ask_until(200, "POST", "/api/streams/ada/playback-token", &access, "").await;
    let playback = secrets.keep("a playback token", &text(&playback, "token"));
    let _encoder = Encoder::publish(&format!("rtmp://{}/live/{key}", origin.field("rtmp")));
    watch(edge, &playback, secrets).await;

    let refresh_once = json!({ "refresh_token": refresh }).to_string();
    let next = client.ask_until(200, "POST", "/api/auth/refresh", "", &refresh_once).await;
    secrets.keep("a refresh token", &text(&next, "refresh_token"));
    secrets.keep("an access token", &text(&next, "access_token"));
    let made: Value =
        serde_json::from_str(&platform.operate(&["user", "add", "bob", "--output", "json"]).await).unwrap();
    secrets.keep("a login link", &text(&made, "link"));
    secrets.keep("a stream key", &platform.operate(&["channel", "put", "eve"]).await);

    ask_wrongly(&client, secrets, &access, &playback, &refresh_once).await;
    publish_wrongly(origin, secrets).await;
    open_wrongly(platform, secrets, &mut errors).await;
    errors + &client.errors.into_inner()
}

/// What nodes keep on disk and nobody else may have.
fn keep_files(secrets: &mut Secrets, dir: &Path) {
    let kek = fs::read_to_string(dir.join("control-1/kek")).expect("a key-encryption key");
    secrets.keep("the key-encryption key", kek.trim());
    let mut keys = 0;
    for node in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        for file in fs::read_dir(node).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
            let bytes = fs::read(&file).unwrap();
            match String::from_utf8(bytes) {
                Ok(pem) if pem.contains("PRIVATE KEY") => {
                    keys += 1;
                    secrets.keep_pem("a private key", &pem);
                }
                _ => {}
            }
        }
    }
    assert!(keys >= 3, "each node has a private key: {keys}");
    secrets.keep_bytes("the key-encryption key", &kek.trim().as_bytes()[..16]);
}

/// A join token that was used, and one that nobody made.
async fn join_wrongly(platform: &Platform, secrets: &mut Secrets, errors: &mut String) {
    let token = platform.operate(&["node", "token", "--role", "edge"]).await;
    secrets.keep("a join token", &token);
    let spoilt = secrets.keep("a join token", &spoilt(&token));
    for (n, token) in [token, spoilt].into_iter().enumerate() {
        for again in ["a", "b"] {
            let data = support::arg(&platform.dir.path().join(format!("joins-{n}-{again}")));
            let name = format!("edge-{n}-{again}");
            let join = ["node", "join", "--name", &name, "--data", &data];
            let (_, out, error) = run(&join, &[("FRESHET_JOIN_TOKEN", &token)]).await;
            *errors += &(out + &error);
        }
    }
}

/// Plays a private channel: trades the token, and keeps what is in the path from then on.
async fn watch(edge: &Node, playback: &str, secrets: &mut Secrets) {
    let index = format!("http://{}/live/ada/index.m3u8?token={playback}", edge.field("http"));
    text_with(&index, "#EXT-X-STREAM-INF").await;
    let place = until("a path token", async || get_place(&index).await).await;
    let path_token = place.strip_prefix("/p/").and_then(|rest| rest.split('/').next()).expect("a path token");
    secrets.keep("a path token", path_token);
    let media = format!("http://{}/p/{path_token}/live/ada/v0.m3u8", edge.field("http"));
    text_with(&media, "#EXTINF").await;
    let wrong = format!("http://{}/p/{}/live/ada/v0.m3u8", edge.field("http"), spoilt(path_token));
    assert_eq!(get(&wrong).await.unwrap().status, 403);
}

async fn get_place(url: &str) -> Option<String> {
    let output =
        Command::new("curl").args(["-sS", "-o", "/dev/null", "-w", "%{redirect_url}", url]).output().await.ok()?;
    let url = String::from_utf8(output.stdout).ok()?;
    Some(url[url.find("/p/")?..].to_owned())
}

/// What clients send that is no good: each a mistake in which a program might repeat what it was told.
async fn ask_wrongly(client: &Client<'_>, secrets: &mut Secrets, access: &str, playback: &str, used: &str) {
    let wrong = secrets.keep("a wrong password", "hunter2 hunter2");
    let broken = secrets.keep("a password", "swordfish!!");
    let spoilt_access = secrets.keep("a spoilt access token", &spoilt(access));
    let spoilt_playback = spoilt(playback);
    let index = format!("/live/ada/index.m3u8?token={spoilt_playback}");
    secrets.keep("a spoilt playback token", &spoilt_playback);
    let nobody = json!({ "username": "nobody", "password": wrong }).to_string();
    let ada = json!({ "username": "ada", "password": wrong }).to_string();
    let cut = format!("{{\"username\":\"ada\",\"password\":\"{broken}");
    let typed = json!({ "username": "ada", "password": [broken] }).to_string();
    let unknown = json!({ "username": "ada", "pasword": broken }).to_string();
    let short = json!({ "username": "x", "email": "no address", "password": broken }).to_string();
    let link = json!({ "link": secrets.keep("a wrong link", "fll_0123456789abcdefghij") }).to_string();
    for (method, path, token, body) in [
        ("POST", "/api/auth/login", "", nobody.as_str()),
        ("POST", "/api/auth/login", "", &ada),
        ("POST", "/api/auth/login", "", &cut),
        ("POST", "/api/auth/login", "", &typed),
        ("POST", "/api/auth/login", "", &unknown),
        ("POST", "/api/auth/login", "", &link),
        ("POST", "/api/auth/register", "", &short),
        ("GET", "/api/me", &spoilt_access, ""),
        ("GET", "/api/me", playback, ""),
        ("GET", "/api/admin/users", access, ""),
        ("GET", index.as_str(), "", ""),
        // The last one: it ends the session.
        ("POST", "/api/auth/refresh", "", used),
    ] {
        let (status, answer) = client.ask(method, path, token, body).await;
        assert!((400..500).contains(&status), "{method} {path}: {status} {answer}");
    }
}

/// A stream key that nobody has.
async fn publish_wrongly(origin: &Node, secrets: &mut Secrets) {
    let key = secrets.keep("a wrong stream key", "live_0123456789abcdef0123456789");
    let mut encoder = Encoder::publish(&format!("rtmp://{}/live/{key}", origin.field("rtmp")));
    assert!(!encoder.ended().await.success(), "nobody publishes with that");
}

/// A database that does not answer.
async fn open_wrongly(platform: &Platform, secrets: &mut Secrets, errors: &mut String) {
    let password = secrets.keep("a database's password", "hunter2+postgres");
    let data = support::arg(&platform.dir.path().join("another"));
    let url = format!("accounts.database_url=postgres://freshet:{password}@127.0.0.1:1/freshet");
    let listen = ["listen.quic=127.0.0.1:0", "listen.admin=127.0.0.1:0", &url, "log.filter=trace"];
    let set = listen.iter().flat_map(|set| ["--set", set]);
    let arguments: Vec<_> = ["control", "--bootstrap", "--data", &data].into_iter().chain(set).collect();
    let mut node = support::Freshet::start(&arguments);
    let said = node.logged(&["PostgreSQL at 127.0.0.1:1"]).await;
    *errors += &(said + &node.log());
    let print: Vec<_> = ["config", "print", "--set", &url].to_vec();
    let (code, out, error) = run(&print, &[]).await;
    assert!(code == 0 && out.contains("postgres://freshet:***@127.0.0.1:1/freshet"), "{out}{error}");
    *errors += &(out + &error);
}

/// The same, with another character in the middle.
fn spoilt(secret: &str) -> String {
    let at = secret.len() / 2;
    let other = if secret.as_bytes()[at] == b'x' { "y" } else { "x" };
    format!("{}{other}{}", &secret[..at], &secret[at + 1..])
}
