//! The API's door, over real sockets: what of a client's request reaches a control node, and what does not.

mod common;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use common::{Reply, Rig, Viewer, view};
use freshet_edge::{
    Config,
    gateway::{ApiUnavailable, ApiUpstream},
    upstream::BoxFuture,
};
use freshet_proto::{
    annex::{Algorithm, KeyState, Keyring, Revocations, Revoked, SigningKey},
    api::{ApiReply, ApiRequest},
    token::{Audience, Claims, Signer, signing_key},
    view::{Bar, ChannelState, View},
};
use tokio::{net::TcpStream, sync::Semaphore};

/// When the rig's clock begins.
const BEGIN_MS: u64 = 1_795_000_000_000;

/// Answers what it is asked with 200, and remembers it.
#[derive(Clone, Default)]
struct Control {
    asked: Arc<Mutex<Vec<ApiRequest>>>,
    /// Permits that let answers go, where there is one.
    gate: Option<Arc<Semaphore>>,
    /// What it answers besides.
    fields: Vec<(String, String)>,
}

impl ApiUpstream for Control {
    fn ask(&self, request: ApiRequest) -> BoxFuture<'static, Result<(ApiReply, Bytes), ApiUnavailable>> {
        let control = self.clone();
        Box::pin(async move {
            control.asked.lock().expect("unpoisoned").push(request);
            if let Some(gate) = &control.gate {
                gate.acquire().await.expect("open").forget();
            }
            let body = Bytes::from_static(b"{}");
            Ok((ApiReply { status: 200, headers: control.fields, length: 2 }, body))
        })
    }
}

impl Control {
    fn last(&self) -> ApiRequest {
        self.asked.lock().expect("unpoisoned").last().cloned().expect("a request")
    }

    fn count(&self) -> usize {
        self.asked.lock().expect("unpoisoned").len()
    }
}

/// A key that signs, and its public half.
fn issuer() -> (Signer, SigningKey) {
    let pair = aws_lc_rs::signature::Ed25519KeyPair::generate().expect("a key");
    let pkcs8 = pair.to_pkcs8v1().expect("its text");
    let public = signing_key(Algorithm::EdDsa, pkcs8.as_ref(), KeyState::Active).expect("its public half");
    let signer = Signer::new(Algorithm::EdDsa, public.kid.clone(), pkcs8.as_ref()).expect("a signer");
    (signer, public)
}

fn token(signer: &Signer, change: impl FnOnce(&mut Claims)) -> String {
    let mut claims = Claims {
        sub: "u1".into(),
        aud: Audience::Api,
        exp_ms: BEGIN_MS + 900_000,
        nbf_ms: BEGIN_MS,
        iat_ms: BEGIN_MS,
        jti: "j1".into(),
        sid: Some("s1".into()),
        username: "ada".into(),
        roles: vec!["user".into()],
        color: None,
        channel: None,
    };
    change(&mut claims);
    signer.sign(&claims).expect("a token")
}

/// An edge that knows the key, before `control`; and a client.
async fn before(control: &Control, config: Config, public: SigningKey) -> (Rig, Viewer<TcpStream>) {
    let mut known = View::clone(&view(1, ChannelState::Live, 1, &[(1, 1)]));
    known.annex.keys = Arc::new(Keyring { revision: 1, signing: vec![public], ..Keyring::default() });
    let mut rig = Rig::with(config, Arc::new(known));
    rig.edge = rig.edge.with_api(Arc::new(control.clone()));
    let client = Viewer::connect(rig.listen().await).await;
    (rig, client)
}

async fn post(client: &mut Viewer<TcpStream>, path: &str, fields: &str, body: &str) -> Reply {
    let length = body.len();
    client.send(&format!("POST {path} HTTP/1.1\r\nhost: edge\r\n{fields}content-length: {length}\r\n\r\n{body}")).await;
    client.reply().await
}

fn problem(reply: &Reply, status: u16) {
    assert_eq!((reply.status, reply.field("content-type")), (status, "application/problem+json"), "{}", reply.text());
    let said: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
    assert_eq!(said["status"], status);
}

#[tokio::test]
async fn a_control_node_hears_who_asks_from_the_edge_alone() {
    let (signer, public) = issuer();
    let control = Control::default();
    let (_rig, mut client) = before(&control, Config::default(), public).await;
    let smuggled = "X-Client-Id: root\r\nx-client-id: root\r\nX-CLIENT-ROLES: admin\r\nx_client_roles: admin\r\n\
                    X-Client-Username: eve\r\nx-client-address: 1.2.3.4\r\nX-Client-Anything: 1\r\n\
                    x-forwarded-for: 1.2.3.4\r\ncookie: session=1\r\n";
    let reply = client.get_with("/api/me?x=1", smuggled).await;
    assert_eq!((reply.status, reply.text()), (200, "{}".to_owned()));
    let asked = control.last();
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("GET", "/api/me?x=1"));
    assert_eq!(asked.headers, [("x-client-address".to_owned(), "127.0.0.1".to_owned())], "nobody is signed in");

    let good = token(&signer, |_| {});
    let fields = format!("{smuggled}authorization: Bearer {good}\r\naccept: application/json\r\n");
    assert_eq!(client.get_with("/api/me", &fields).await.status, 200);
    let said: Vec<String> = control.last().headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let expected = [
        "accept: application/json",
        "x-client-id: u1",
        "x-client-username: ada",
        "x-client-roles: user",
        "x-client-login: s1",
        "x-client-address: 127.0.0.1",
    ];
    assert_eq!(said, expected);
}

#[tokio::test]
async fn fields_that_connection_names_pass_no_more_than_others() {
    let (signer, public) = issuer();
    let control = Control::default();
    let (_rig, mut client) = before(&control, Config::default(), public).await;
    let good = token(&signer, |_| {});
    let fields = format!(
        "authorization: Bearer {good}\r\nconnection: keep-alive, x-client-id, authorization\r\nkeep-alive: timeout=5\r\n\
         te: trailers\r\nupgrade: h2c\r\nproxy-authorization: Basic x\r\n"
    );
    client.get_with("/api/me", &fields).await;
    let names: Vec<_> = control.last().headers.into_iter().map(|(name, _)| name).collect();
    assert!(names.iter().all(|name| name.starts_with("x-client-")), "{names:?}");
    assert!(names.contains(&"x-client-id".to_owned()), "naming a field in Connection takes no identity away");
}

#[tokio::test]
async fn fields_that_are_not_written_as_they_must_be_smuggle_no_identity() {
    let (_, public) = issuer();
    let control = Control::default();
    let (rig, _client) = before(&control, Config::default(), public).await;
    // What must not be: a folded line, space before the colon or the name, letters that are none, a line within a value.
    for bad in [
        "accept: text/html\r\n x-client-id: root\r\n",
        "accept: text/html\r\n\tx-client-id: root\r\n",
        "x-client-id : root\r\n",
        " x-client-id: root\r\n",
        "x-client-íd: root\r\n",
        "x-client-id\0: root\r\n",
        "accept: a\rx-client-id: root\r\n",
        "accept: a\0x-client-id: root\r\n",
        ": root\r\n",
        "x-client-id\r\n",
    ] {
        let mut client = Viewer::connect(rig.listen().await).await;
        client.send(&format!("GET /api/me HTTP/1.1\r\nhost: edge\r\n{bad}\r\n")).await;
        let reply = client.try_reply().await;
        assert!(reply.as_ref().is_none_or(|reply| reply.status == 400), "{bad:?}: {reply:?}");
        assert_eq!(control.count(), 0, "{bad:?}");
    }
    // A line may end without CR (RFC 9112 §2.2): these are fields like any other.
    let mut client = Viewer::connect(rig.listen().await).await;
    client.send("GET /api/me HTTP/1.1\nhost: edge\nx-client-id: root\nx-client-roles: operator\n\n").await;
    assert_eq!(client.reply().await.status, 200);
    assert_eq!(control.last().headers, [("x-client-address".to_owned(), "127.0.0.1".to_owned())]);
}

#[tokio::test]
async fn a_second_request_hidden_in_the_first_is_no_request() {
    let (_, public) = issuer();
    let control = Control::default();
    let (rig, mut client) = before(&control, Config::default(), public.clone()).await;
    let hidden = "GET /api/admin/users HTTP/1.1\r\nhost: edge\r\nx-client-roles: admin\r\n\r\n";
    let both = format!(
        "POST /api/auth/login HTTP/1.1\r\nhost: edge\r\ncontent-length: {}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
        hidden.len() + 5
    );
    client.send(&both).await;
    while client.more().await.is_some() {}
    let admin = control
        .asked
        .lock()
        .expect("unpoisoned")
        .iter()
        .any(|asked| asked.headers.iter().any(|(name, _)| name == "x-client-roles"));
    assert!(!admin, "a length and a coding at once smuggle no identity");
    for bad in
        ["content-length: 4\r\ncontent-length: 5\r\n", "content-length: +4\r\n", "transfer-encoding: chunked, gzip\r\n"]
    {
        let mut client = Viewer::connect(rig.listen().await).await;
        let before = control.count();
        client.send(&format!("POST /api/auth/login HTTP/1.1\r\nhost: edge\r\n{bad}\r\nGET /")).await;
        let reply = client.try_reply().await;
        assert!(reply.is_none_or(|reply| reply.status == 400), "{bad:?}");
        assert_eq!(control.count(), before, "{bad:?}");
    }
}

#[tokio::test]
async fn a_token_that_is_no_good_is_refused_at_the_edge() {
    let ((signer, public), (stranger, _)) = (issuer(), issuer());
    let control = Control::default();
    let (rig, mut client) = before(&control, Config::default(), public).await;
    let expired = token(&signer, |claims| claims.exp_ms = BEGIN_MS - 60_000);
    let playback = token(&signer, |claims| {
        claims.aud = Audience::Playback;
        claims.channel = Some("ada".parse().expect("a name"));
    });
    let foreign = token(&stranger, |_| {});
    let commas = token(&signer, |claims| claims.roles = vec!["user,admin".into()]);
    let lines = token(&signer, |claims| claims.username = "ada\r\nx-client-roles: admin".into());
    for bad in [expired, playback, foreign, commas, lines, "x".to_owned(), String::new()] {
        let reply = client.get_with("/api/me", &format!("authorization: Bearer {bad}\r\n")).await;
        problem(&reply, 401);
        assert!(
            reply.field("www-authenticate").starts_with("Bearer realm=\"freshet\", error=\"invalid_token\""),
            "{bad}"
        );
    }
    let reply = client.get_with("/api/me", "authorization: Basic YTpi\r\n").await;
    problem(&reply, 401);
    assert_eq!(reply.field("www-authenticate"), "Bearer realm=\"freshet\"");
    let good = token(&signer, |_| {});
    let twice = format!("authorization: Bearer {good}\r\nauthorization: Bearer {good}\r\n");
    problem(&client.get_with("/api/me", &twice).await, 400);
    let once = format!("authorization: bearer {good}\r\n");
    assert_eq!(client.get_with("/api/me", &once).await.status, 200, "the scheme is in any case");
    let mut known = View::clone(&rig.view.borrow());
    let bar = Bar { since_ms: BEGIN_MS, until_ms: BEGIN_MS + 900_000 };
    let bars = [(Revoked::Login("s1".into()), bar)].into();
    (known.revision, known.annex.revoked) = (2, Arc::new(Revocations { revision: 2, bars }));
    rig.view.send_replace(Arc::new(known));
    let refused = async { while client.get_with("/api/me", &once).await.status != 401 {} };
    tokio::time::timeout(common::BOUND, refused).await.expect("a revoked login is refused");
}

#[tokio::test]
async fn an_edge_that_knows_no_keys_signs_nobody_out() {
    let (signer, public) = issuer();
    let control = Control::default();
    let (rig, mut client) = before(&control, Config::default(), public).await;
    rig.view.send_replace(view(2, ChannelState::Live, 1, &[(1, 1)]));
    let fields = format!("authorization: Bearer {}\r\n", token(&signer, |_| {}));
    let unavailable = async {
        loop {
            let reply = client.get_with("/api/me", &fields).await;
            if reply.status == 503 {
                return reply;
            }
        }
    };
    let reply = tokio::time::timeout(common::BOUND, unavailable).await.expect("it can't tell");
    assert_eq!(reply.field("retry-after"), "1");
}

#[tokio::test]
async fn a_body_passes_whole_up_to_its_limit() {
    let (_, public) = issuer();
    let control = Control::default();
    let mut config = Config::default();
    config.api.body_bytes = 1024;
    let (rig, mut client) = before(&control, config, public).await;
    let body = "x".repeat(1024);
    let reply =
        post(&mut client, "/api/streams", "content-type: application/json\r\nidempotency-key: k1\r\n", &body).await;
    assert_eq!(reply.status, 200);
    let asked = control.last();
    assert_eq!(asked.body, body);
    let passed = [("content-type", "application/json"), ("idempotency-key", "k1"), ("x-client-address", "127.0.0.1")];
    assert_eq!(asked.headers, passed.map(|(name, value)| (name.to_owned(), value.to_owned())));

    client
        .send("POST /api/streams HTTP/1.1\r\nhost: edge\r\nexpect: 100-continue\r\ncontent-length: 1025\r\n\r\n")
        .await;
    problem(&client.reply().await, 413);
    let mut client = Viewer::connect(rig.listen().await).await;
    let chunk = format!("401\r\n{}\r\n0\r\n\r\n", "x".repeat(1025));
    client
        .send(&format!("POST /api/streams HTTP/1.1\r\nhost: edge\r\ntransfer-encoding: chunked\r\n\r\n{chunk}"))
        .await;
    problem(&client.reply().await, 413);
    assert_eq!(control.count(), 1);
    let mut client = Viewer::connect(rig.listen().await).await;
    client.send("PUT /api/me/avatar HTTP/1.1\r\nhost: edge\r\ncontent-length: 1025\r\n\r\n").await;
    client.send(&"x".repeat(1025)).await;
    assert_eq!(client.reply().await.status, 200, "a picture may be longer");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let (_, public) = issuer();
    let control = Control::default();
    let mut config = Config::default();
    config.api.body_timeout_ms = 100;
    let (_rig, mut client) = before(&control, config, public).await;
    client.send("POST /api/streams HTTP/1.1\r\nhost: edge\r\ncontent-length: 10\r\n\r\nhalf").await;
    problem(&client.reply().await, 408);
    assert_eq!(control.count(), 0);
}

#[tokio::test]
async fn beyond_so_many_requests_one_waits_for_its_turn() {
    let (_, public) = issuer();
    let gate = Arc::new(Semaphore::new(0));
    let control = Control { gate: Some(gate.clone()), ..Control::default() };
    let mut config = Config::default();
    (config.api.under_way, config.api.under_way_per_address) = (1, 1);
    let (rig, mut first) = before(&control, config, public).await;
    first.ask("/api/me", "").await;
    let asked = async {
        while control.count() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(common::BOUND, asked).await.expect("the first is under way");
    let mut second = Viewer::connect(rig.listen().await).await;
    let full = second.get("/api/me").await;
    problem(&full, 503);
    assert_eq!(full.field("retry-after"), "1");
    gate.add_permits(2);
    assert_eq!(first.reply().await.status, 200);
    let served = async { while second.get("/api/me").await.status != 200 {} };
    tokio::time::timeout(common::BOUND, served).await.expect("its place is free again");
}

#[tokio::test]
async fn of_a_reply_only_what_is_a_clients_comes_back() {
    let (_, public) = issuer();
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let fields = vec![
        field("content-type", "application/json"),
        field("location", "/api/streams/ada"),
        field("set-cookie", "a=b"),
        field("x-client-id", "u1"),
        field("content-length", "7"),
        field("access-control-allow-origin", "https://evil.example"),
    ];
    let control = Control { fields, ..Control::default() };
    let (_rig, mut client) = before(&control, Config::default(), public).await;
    let reply = client.get("/api/me").await;
    assert_eq!((reply.field("content-type"), reply.field("location")), ("application/json", "/api/streams/ada"));
    assert_eq!((reply.field("set-cookie"), reply.field("x-client-id"), reply.text()), ("", "", "{}".to_owned()));
    assert_eq!((reply.field("access-control-allow-origin"), reply.field("cache-control")), ("*", "no-store"));
    let head = client.head("/api/me").await;
    assert_eq!((head.status, head.field("content-length"), control.last().method.as_str()), (200, "2", "GET"));
}

#[tokio::test]
async fn the_edge_answers_itself_what_needs_no_control_node() {
    let (_, public) = issuer();
    let control = Control::default();
    let (_rig, mut client) = before(&control, Config::default(), public).await;
    assert_eq!(client.get("/api/time").await.status, 200);
    client.send("OPTIONS /api/me HTTP/1.1\r\nhost: edge\r\norigin: https://tv.example\r\n\r\n").await;
    let preflight = client.reply().await;
    assert_eq!((preflight.status, preflight.field("access-control-allow-origin")), (204, "*"));
    assert!(preflight.field("access-control-allow-headers").contains("authorization"));
    assert_eq!((preflight.field("access-control-allow-credentials"), preflight.field("allow")), ("", ""));
    client.send("BREW /api/me HTTP/1.1\r\nhost: edge\r\n\r\n").await;
    problem(&client.reply().await, 405);
    assert_eq!(client.get("/health").await.status, 200);
    assert_eq!(control.count(), 0);
}
