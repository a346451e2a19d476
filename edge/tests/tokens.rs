//! Who may watch: path tokens, playback tokens, private and purged channels, the public keys, and how many watch.

mod common;

use std::{collections::BTreeSet, sync::Arc};

use common::{HOUR_MS, Object, Reply, Rig, part_bytes, view};
use freshet_edge::{Config, Site};
use freshet_proto::{
    annex::{Algorithm, KeyState, Keyring, Mark, Marks, PathSecret, Revocations, Revoked, SigningKey, Visibility},
    id::{ChannelName, Epoch},
    token::{
        Audience, Claims, PATH_TOKEN_LEN, PATH_TOKEN_MS, PathKeys, PathPass, Signer, playback_session, signing_key,
    },
    view::{Bar, ChannelState, View},
};

/// When the rig's clock begins.
const BEGIN_MS: u64 = 1_795_000_000_000;

const INDEX: &str = "/live/ada/index.m3u8";

fn ada() -> ChannelName {
    "ada".parse().expect("a name")
}

/// A key that signs, and its public half.
struct Issuer {
    signer: Signer,
    public: SigningKey,
}

impl Issuer {
    fn new() -> Self {
        let pair = aws_lc_rs::signature::Ed25519KeyPair::generate().expect("a key");
        let pkcs8 = pair.to_pkcs8v1().expect("its text");
        let public = signing_key(Algorithm::EdDsa, pkcs8.as_ref(), KeyState::Active).expect("its public half");
        let signer = Signer::new(Algorithm::EdDsa, public.kid.clone(), pkcs8.as_ref()).expect("a signer");
        Self { signer, public }
    }

    fn token(&self, change: impl FnOnce(&mut Claims)) -> String {
        let mut claims = Claims {
            sub: "u1".into(),
            aud: Audience::Playback,
            exp_ms: BEGIN_MS + 600_000,
            nbf_ms: BEGIN_MS,
            iat_ms: BEGIN_MS,
            jti: "j1".into(),
            sid: None,
            username: String::new(),
            roles: Vec::new(),
            color: None,
            channel: Some(ada()),
        };
        change(&mut claims);
        self.signer.sign(&claims).expect("a token")
    }
}

fn secret(id: u32) -> PathSecret {
    PathSecret { id, secret: [id as u8; 32], since_ms: 0, until_ms: u64::MAX }
}

fn keyring(signing: &[&Issuer], secrets: &[u32]) -> Arc<Keyring> {
    let signing = signing.iter().map(|issuer| issuer.public.clone()).collect();
    Arc::new(Keyring { revision: 1, signing, path: secrets.iter().map(|id| secret(*id)).collect() })
}

fn marked(visibility: Visibility, purged: u64) -> Arc<Marks> {
    let mark = Mark { visibility, purged: Epoch(purged) };
    Arc::new(Marks { revision: 1, channels: [(ada(), mark)].into() })
}

fn barred(what: Revoked) -> Arc<Revocations> {
    let bar = Bar { since_ms: BEGIN_MS + u64::from(HOUR_MS), until_ms: u64::MAX };
    Arc::new(Revocations { revision: 1, bars: [(what, bar)].into() })
}

impl Rig {
    fn change(&self, change: impl FnOnce(&mut View)) {
        self.view.send_modify(|view| {
            let view = Arc::make_mut(view);
            change(view);
            view.revision += 1;
        });
    }

    /// `ada` has that visibility; there is one path secret, and `issuer` signs.
    fn of(issuer: &Issuer, visibility: Visibility) -> Self {
        let rig = Self::live();
        rig.change(|view| {
            view.annex.keys = keyring(&[issuer], &[1]);
            view.annex.marks = marked(visibility, 0);
        });
        rig.origin.has("ada/index.m3u8", Object::new("#EXTM3U\nv0.m3u8\n"));
        rig.origin.has("ada/thumb.mp4", Object::new("<thumb>"));
        rig.origin.has("ada/1/v0/7.0.m4s", Object::new(part_bytes(1, 7, 0)));
        rig
    }

    async fn private() -> (Self, Issuer) {
        let issuer = Issuer::new();
        (Self::of(&issuer, Visibility::Private), issuer)
    }

    async fn get(&self, path: &str) -> Reply {
        self.viewer().get(path).await
    }

    /// Where a viewer with this playback token is sent.
    async fn traded(&self, token: &str) -> String {
        let reply = self.get(&format!("{INDEX}?token={token}")).await;
        assert_eq!(reply.status, 302, "{}", reply.text());
        reply.field("location").to_owned()
    }
}

/// Everything under a channel that a viewer may ask for.
const PATHS: [&str; 8] = [
    "index.m3u8",
    "v0.m3u8",
    "v0.m3u8?_HLS_msn=7&_HLS_part=0",
    "thumb.mp4",
    "1/v0/init-0.mp4",
    "1/v0/7.m4s",
    "1/v0/7.0.m4s",
    "99/a0/7.0.m4s",
];

fn refused(reply: &Reply, words: &str) {
    assert_eq!((reply.status, reply.field("cache-control")), (403, "no-store"));
    assert_eq!(reply.field("content-type"), "application/problem+json");
    let problem: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
    let detail = problem["detail"].as_str().expect("words");
    assert!(problem["status"] == 403 && problem["title"] == "Forbidden" && detail.contains(words), "{problem}");
}

/// A path token of the rig's secret, minted at will.
fn minted(pass: PathPass, channel: &str, at_ms: u64, secret: u32) -> String {
    let keys = PathKeys::new(&keyring(&[], &[secret]));
    keys.mint(pass, &channel.parse().expect("a name"), at_ms).expect("a token")
}

const GRANTED: PathPass = PathPass { session: 7, granted: true };

#[tokio::test]
async fn each_new_viewer_of_a_public_or_unlisted_channel_is_sent_on_under_a_token_of_its_own() {
    for visibility in [Visibility::Public, Visibility::Unlisted] {
        let rig = Rig::of(&Issuer::new(), visibility);
        let mut places = BTreeSet::new();
        for _ in 0..3 {
            let reply = rig.get(INDEX).await;
            assert_eq!((reply.status, reply.field("cache-control")), (302, "no-store"));
            let place = reply.field("location").to_owned();
            assert_eq!(place.len(), "/p/".len() + PATH_TOKEN_LEN + INDEX.len(), "{place}");
            assert_eq!(rig.get(&place).await.text(), "#EXTM3U\nv0.m3u8\n");
            places.insert(place);
        }
        assert_eq!(places.len(), 3);
    }
}

#[tokio::test]
async fn public_channels_are_watched_without_a_token_too() {
    let mut rig = Rig::of(&Issuer::new(), Visibility::Public);
    rig.following(7, 1).await;
    assert_eq!(rig.get("/live/ada/v0.m3u8").await.status, 200);
    assert_eq!(rig.get("/live/ada/1/v0/7.1.m4s").await.text(), part_bytes(1, 7, 1));
    assert_eq!(rig.get("/live/ada/thumb.mp4").await.text(), "<thumb>");
}

#[tokio::test]
async fn where_there_is_no_path_secret_nobody_is_sent_on() {
    let rig = Rig::of(&Issuer::new(), Visibility::Public);
    rig.change(|view| view.annex.keys = keyring(&[], &[]));
    assert_eq!(rig.get(INDEX).await.text(), "#EXTM3U\nv0.m3u8\n");
}

#[tokio::test]
async fn nobody_is_sent_on_to_a_channel_that_is_offline_or_unknown() {
    let rig = Rig::of(&Issuer::new(), Visibility::Public);
    assert_eq!(rig.get("/live/nobody/index.m3u8").await.status, 404);
    rig.change(|view| view.channels.get_mut(&ada()).expect("ada").state = ChannelState::Idle);
    assert_eq!(rig.get(INDEX).await.status, 404);
}

#[tokio::test]
async fn a_private_channel_shows_nothing_to_who_has_no_token() {
    let (rig, _) = Rig::private().await;
    for path in PATHS {
        refused(&rig.get(&format!("/live/ada/{path}")).await, "private");
    }
    let head = rig.viewer().head(INDEX).await;
    assert_eq!((head.status, head.body.len()), (403, 0));
    assert!(rig.origin.fetched().is_empty());
}

#[tokio::test]
async fn of_a_private_channel_nobody_learns_whether_it_is_live_or_has_ever_been() {
    let (rig, issuer) = Rig::private().await;
    let foreign = Issuer::new().token(|_| {});
    let seen = async |rig: &Rig| {
        let mut seen = Vec::new();
        for path in PATHS.map(str::to_owned).into_iter().chain([format!("index.m3u8?token={foreign}")]) {
            let mut reply = rig.get(&format!("/live/ada/{path}")).await;
            reply.fields.remove("date");
            seen.push(reply);
        }
        seen
    };
    let live = seen(&rig).await;
    for state in [ChannelState::Idle, ChannelState::Starting, ChannelState::Grace, ChannelState::Ended] {
        rig.change(|view| view.channels.get_mut(&ada()).expect("ada").state = state);
        assert_eq!(seen(&rig).await, live, "{state:?}");
    }
    rig.change(|view| view.channels.clear());
    assert_eq!(seen(&rig).await, live);
    let reply = rig.get(&format!("{INDEX}?token={}", issuer.token(|_| {}))).await;
    assert_eq!(reply.status, 404, "who may watch is told");
}

#[tokio::test]
async fn a_playback_token_is_traded_once_for_a_path_under_which_all_of_a_private_channel_is_open() {
    let (mut rig, issuer) = Rig::private().await;
    let place = rig.traded(&issuer.token(|_| {})).await;
    let dir = place.strip_suffix("index.m3u8").expect("the same playlist").to_owned();
    assert_eq!(rig.get(&place).await.text(), "#EXTM3U\nv0.m3u8\n");
    assert_eq!(rig.get(&format!("{dir}thumb.mp4")).await.text(), "<thumb>");
    let mut viewer = rig.viewer();
    viewer.ask(&format!("{dir}v0.m3u8"), "").await;
    let follow = rig.followed().await;
    follow.constants_with(1, HOUR_MS);
    follow.publish(1, 7, 0);
    assert_eq!(viewer.reply().await.status, 200);
    let reload = format!("{dir}v0.m3u8?_HLS_msn=7&_HLS_part=1");
    viewer.ask(&reload, "").await;
    rig.held(1).await;
    follow.publish(1, 7, 1);
    assert_eq!(viewer.reply().await.status, 200, "a held request is released under a token too");
    assert_eq!(rig.get(&format!("{dir}1/v0/7.1.m4s")).await.text(), part_bytes(1, 7, 1));
}

#[tokio::test]
async fn a_playback_token_stands_for_one_session_wherever_it_is_traded() {
    let (rig, issuer) = Rig::private().await;
    let token = issuer.token(|_| {});
    let keys = PathKeys::new(&keyring(&[], &[1]));
    for _ in 0..2 {
        let place = rig.traded(&token).await;
        let path_token = &place[3..3 + PATH_TOKEN_LEN];
        let pass = keys.check(&Revocations::default(), path_token, &ada(), BEGIN_MS);
        assert_eq!(pass, Ok(PathPass { session: playback_session("j1"), granted: true }));
    }
}

#[tokio::test]
async fn a_playback_token_in_the_query_of_anything_but_the_multivariant_playlist_opens_nothing() {
    let (rig, issuer) = Rig::private().await;
    let token = issuer.token(|_| {});
    for path in ["v0.m3u8", "thumb.mp4", "1/v0/7.0.m4s"] {
        refused(&rig.get(&format!("/live/ada/{path}?token={token}")).await, "private");
    }
}

async fn trade_is_refused(rig: &Rig, token: &str, words: &str) {
    refused(&rig.get(&format!("{INDEX}?token={token}")).await, words);
}

#[tokio::test]
async fn an_expired_playback_token_is_refused() {
    let (rig, issuer) = Rig::private().await;
    let token = issuer.token(|claims| claims.exp_ms = BEGIN_MS - 60_000);
    trade_is_refused(&rig, &token, "expired").await;
}

#[tokio::test]
async fn a_playback_token_that_is_not_valid_yet_is_refused() {
    let (rig, issuer) = Rig::private().await;
    let token = issuer.token(|claims| claims.nbf_ms = BEGIN_MS + u64::from(HOUR_MS));
    trade_is_refused(&rig, &token, "not valid yet").await;
}

#[tokio::test]
async fn a_playback_token_of_a_foreign_key_is_refused() {
    let (rig, _) = Rig::private().await;
    trade_is_refused(&rig, &Issuer::new().token(|_| {}), "unknown key").await;
}

#[tokio::test]
async fn a_playback_token_for_another_channel_is_refused() {
    let (rig, issuer) = Rig::private().await;
    let token = issuer.token(|claims| claims.channel = Some("bob".parse().expect("a name")));
    trade_is_refused(&rig, &token, "another channel").await;
}

#[tokio::test]
async fn an_access_token_is_no_playback_token() {
    let (rig, issuer) = Rig::private().await;
    trade_is_refused(&rig, &issuer.token(|claims| claims.aud = Audience::Api), "another purpose").await;
}

#[tokio::test]
async fn a_playback_token_that_is_none_is_refused() {
    let (rig, _) = Rig::private().await;
    for token in ["", "x", "a.b.c", "%22", "eyJhbGciOiJub25lIn0.e30."] {
        trade_is_refused(&rig, token, "get").await;
    }
}

#[tokio::test]
async fn a_playback_token_of_a_revoked_account_channel_or_session_is_refused() {
    let revoked = [Revoked::User("u1".into()), Revoked::Channel(ada()), Revoked::Playback(playback_session("j1"))];
    for what in revoked {
        let (rig, issuer) = Rig::private().await;
        rig.change(|view| view.annex.revoked = barred(what));
        trade_is_refused(&rig, &issuer.token(|_| {}), "revoked").await;
    }
}

#[tokio::test]
async fn a_playback_token_is_refused_once_its_key_has_gone_and_a_new_key_counts_at_once() {
    let (rig, old) = Rig::private().await;
    rig.traded(&old.token(|_| {})).await;
    let new = Issuer::new();
    rig.change(|view| view.annex.keys = keyring(&[&new], &[1]));
    trade_is_refused(&rig, &old.token(|_| {}), "unknown key").await;
    rig.traded(&new.token(|_| {})).await;
}

#[tokio::test(start_paused = true)]
async fn trades_are_limited_per_address_for_each_costs_a_signature() {
    let issuer = Issuer::new();
    let mut config = Config::default();
    config.http.misses_per_address = 1;
    let rig = Rig::with(config, view(1, ChannelState::Live, 1, &[(1, 1)]));
    rig.change(|view| {
        view.annex.keys = keyring(&[&issuer], &[1]);
        view.annex.marks = marked(Visibility::Private, 0);
    });
    let mut viewer = rig.viewer();
    let mut statuses = Vec::new();
    for _ in 0..12 {
        statuses.push(viewer.get(&format!("{INDEX}?token=a.b.c")).await.status);
    }
    assert_eq!(statuses, [[403; 10].as_slice(), &[429; 2]].concat(), "ten seconds' worth");
    assert_eq!(viewer.get("/live/ada/v0.m3u8").await.status, 403, "what costs nothing is still answered");
}

async fn path_is_refused(rig: &Rig, token: &str, words: &str) {
    for path in PATHS {
        refused(&rig.get(&format!("/p/{token}/live/ada/{path}")).await, words);
    }
}

#[tokio::test]
async fn a_forged_path_token_is_refused() {
    let rig = Rig::of(&Issuer::new(), Visibility::Public);
    let mut token = minted(GRANTED, "ada", BEGIN_MS, 1);
    token.replace_range(50..51, if &token[50..51] == "A" { "B" } else { "A" });
    path_is_refused(&rig, &token, "not one of this channel's").await;
    path_is_refused(&rig, "x", "not one of this channel's").await;
}

#[tokio::test]
async fn a_path_token_of_another_channel_is_refused() {
    let rig = Rig::of(&Issuer::new(), Visibility::Private);
    path_is_refused(&rig, &minted(GRANTED, "bob", BEGIN_MS, 1), "not one of this channel's").await;
}

#[tokio::test]
async fn an_expired_path_token_is_refused() {
    let rig = Rig::of(&Issuer::new(), Visibility::Public);
    path_is_refused(&rig, &minted(GRANTED, "ada", BEGIN_MS - PATH_TOKEN_MS, 1), "expired").await;
}

#[tokio::test]
async fn a_path_token_whose_secret_has_gone_is_refused() {
    let rig = Rig::of(&Issuer::new(), Visibility::Public);
    path_is_refused(&rig, &minted(GRANTED, "ada", BEGIN_MS, 2), "secret is unknown").await;
}

#[tokio::test]
async fn a_path_token_that_was_got_without_a_playback_token_opens_nothing_private() {
    let rig = Rig::of(&Issuer::new(), Visibility::Public);
    let place = rig.get(INDEX).await.field("location").to_owned();
    assert_eq!(rig.get(&place).await.status, 200);
    rig.change(|view| view.annex.marks = marked(Visibility::Private, 0));
    path_is_refused(&rig, &place[3..3 + PATH_TOKEN_LEN], "private").await;
}

#[tokio::test]
async fn a_viewer_is_stopped_as_soon_as_its_session_or_the_channel_is_revoked() {
    for what in [Revoked::Playback(playback_session("j1")), Revoked::Channel(ada())] {
        let (rig, issuer) = Rig::private().await;
        let place = rig.traded(&issuer.token(|_| {})).await;
        assert_eq!(rig.get(&place).await.status, 200);
        rig.change(|view| view.annex.revoked = barred(what));
        path_is_refused(&rig, &place[3..3 + PATH_TOKEN_LEN], "revoked").await;
    }
}

#[tokio::test]
async fn before_the_first_path_secret_has_begun_who_may_watch_is_asked_to_come_again() {
    let (rig, issuer) = Rig::private().await;
    let later = PathSecret { since_ms: BEGIN_MS + u64::from(HOUR_MS), ..secret(1) };
    rig.change(|view| Arc::make_mut(&mut view.annex.keys).path = vec![later]);
    let reply = rig.get(&format!("{INDEX}?token={}", issuer.token(|_| {}))).await;
    assert_eq!((reply.status, reply.field("retry-after")), (503, "1"));
}

struct AnyPage;

impl Site for AnyPage {
    fn answer(&self, _: &http::request::Parts) -> http::Response<bytes::Bytes> {
        http::Response::new("<page>".into())
    }
}

#[tokio::test]
async fn nothing_but_live_is_served_under_a_path_token() {
    let mut rig = Rig::of(&Issuer::new(), Visibility::Public);
    rig.edge = rig.edge.clone().with_site(Arc::new(AnyPage));
    let token = minted(GRANTED, "ada", BEGIN_MS, 1);
    for rest in ["", "/", "/live", "/live/", "/api/time", "/p/x/live/ada/index.m3u8", "/live/ada/../bob/index.m3u8"] {
        assert_eq!(rig.get(&format!("/p/{token}{rest}")).await.status, 404, "{rest:?}");
    }
    assert_eq!(rig.get("/p/").await.status, 404);
    assert_eq!(rig.get("/page").await.text(), "<page>");
}

#[tokio::test]
async fn an_object_is_transferred_and_kept_once_for_all_tokens_and_none() {
    let rig = Rig::of(&Issuer::new(), Visibility::Public);
    let mut paths = vec!["/live/ada/1/v0/7.0.m4s".to_owned()];
    for session in 0..20 {
        let token = minted(PathPass { session, granted: session % 2 == 0 }, "ada", BEGIN_MS, 1);
        paths.push(format!("/p/{token}/live/ada/1/v0/7.0.m4s"));
    }
    let replies = tokio::task::JoinSet::from_iter(paths.into_iter().map(|path| {
        let mut viewer = rig.viewer();
        async move { viewer.get(&path).await }
    }));
    for reply in replies.join_all().await {
        assert_eq!((reply.status, reply.text()), (200, part_bytes(1, 7, 0)));
    }
    assert_eq!(rig.origin.fetched(), ["ada/1/v0/7.0.m4s"]);
}

#[tokio::test]
async fn the_public_keys_are_told_to_everybody_and_may_be_kept_for_five_minutes() {
    let rig = Rig::of(&Issuer::new(), Visibility::Private);
    let (one, two) = (Issuer::new(), Issuer::new());
    rig.change(|view| view.annex.keys = keyring(&[&one, &two], &[1]));
    let reply = rig.get("/.well-known/jwks.json").await;
    assert_eq!((reply.status, reply.field("cache-control")), (200, "public, max-age=300"));
    assert_eq!(reply.field("content-type"), "application/jwk-set+json");
    assert_eq!(reply.field("access-control-allow-origin"), "*");
    let set: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
    let jwk = |issuer: &Issuer| serde_json::from_str::<serde_json::Value>(&issuer.public.jwk).expect("JSON");
    assert_eq!(set, serde_json::json!({ "keys": [jwk(&one), jwk(&two)] }));
    assert!(!reply.text().contains("\"d\""), "no private half");
    rig.change(|view| view.annex.keys = Arc::default());
    assert_eq!(rig.get("/.well-known/jwks.json").await.text(), r#"{"keys":[]}"#);
}

#[tokio::test]
async fn what_is_purged_is_refused_and_dropped_and_what_is_published_later_is_served() {
    let mut rig = Rig::of(&Issuer::new(), Visibility::Public);
    rig.change(|view| view.annex.keys = Arc::default());
    let follow = rig.following(7, 1).await;
    for path in ["1/v0/7.0.m4s", "v0.m3u8", "index.m3u8", "thumb.mp4"] {
        assert_eq!(rig.get(&format!("/live/ada/{path}")).await.status, 200, "{path}");
    }
    let fetched = rig.origin.fetched().len();
    rig.change(|view| view.annex.marks = marked(Visibility::Public, 1));
    for (path, status) in
        [("1/v0/7.0.m4s", 410), ("1/v0/99.m4s", 410), ("v0.m3u8", 404), ("index.m3u8", 404), ("thumb.mp4", 404)]
    {
        assert_eq!(rig.get(&format!("/live/ada/{path}")).await.status, status, "{path}");
    }
    follow.closed().await;
    // Were it still in the cache, it would be there again when the mark has gone.
    rig.change(|view| view.annex.marks = marked(Visibility::Public, 0));
    assert_eq!(rig.get("/live/ada/1/v0/7.0.m4s").await.status, 200);
    assert_eq!(rig.origin.fetched().len(), fetched + 1);
    rig.change(|view| {
        view.annex.marks = marked(Visibility::Public, 1);
        let channel = view.channels.get_mut(&ada()).expect("ada");
        channel.epochs.push(freshet_proto::view::EpochView { epoch: Epoch(2), origin: freshet_proto::id::NodeId(2) });
    });
    rig.origin.has("ada/2/v0/8.0.m4s", Object::new("<later>"));
    assert_eq!(rig.get("/live/ada/2/v0/8.0.m4s").await.text(), "<later>");
    assert_eq!(rig.get("/live/ada/1/v0/7.0.m4s").await.status, 410);
}

#[tokio::test]
async fn who_waits_for_what_is_then_purged_is_told_at_once() {
    let mut rig = Rig::of(&Issuer::new(), Visibility::Public);
    let _follow = rig.patient(7, 0).await;
    let mut viewers = [rig.viewer(), rig.viewer()];
    viewers[0].ask("/live/ada/v0.m3u8?_HLS_msn=7&_HLS_part=1", "").await;
    viewers[1].ask("/live/ada/1/v0/7.1.m4s", "").await;
    rig.held(2).await;
    rig.change(|view| view.annex.marks = marked(Visibility::Public, 1));
    for viewer in &mut viewers {
        assert_eq!(viewer.reply().await.status, 404);
    }
}

#[tokio::test]
async fn distinct_sessions_are_counted_by_their_requests_for_playlists_and_media() {
    let mut rig = Rig::of(&Issuer::new(), Visibility::Public);
    rig.change(|view| view.annex.marks = marked(Visibility::Unlisted, 0));
    let mut places = Vec::new();
    for _ in 0..5 {
        places.push(rig.get(INDEX).await.field("location").replace("index.m3u8", ""));
    }
    rig.get(&format!("{}index.m3u8", places[0])).await;
    rig.get(&format!("{}thumb.mp4", places[1])).await;
    assert!(rig.edge.viewers().is_empty(), "who looks at a thumbnail does not watch");
    let mut first = rig.viewer();
    first.ask(&format!("{}v0.m3u8", places[0]), "").await;
    let follow = rig.followed().await;
    follow.constants_with(1, HOUR_MS);
    follow.publish(1, 7, 0);
    assert_eq!(first.reply().await.status, 200);
    for place in &places {
        for path in ["v0.m3u8", "1/v0/7.0.m4s"] {
            assert_eq!(rig.get(&format!("{place}{path}")).await.status, 200);
        }
    }
    assert_eq!(rig.edge.viewers(), [(ada(), 5)].into());
    for _ in 0..3 {
        assert_eq!(rig.get("/live/ada/v0.m3u8").await.status, 200);
    }
    assert_eq!(rig.edge.viewers(), [(ada(), 6)].into(), "a household without tokens counts once");
}

#[tokio::test]
async fn who_asks_for_an_offline_or_a_forbidden_channel_is_no_viewer() {
    let (rig, issuer) = Rig::private().await;
    rig.get("/live/ada/v0.m3u8").await;
    let place = rig.traded(&issuer.token(|_| {})).await.replace("index.m3u8", "v0.m3u8");
    rig.change(|view| view.channels.get_mut(&ada()).expect("ada").state = ChannelState::Idle);
    assert_eq!(rig.get(&place).await.status, 404);
    assert!(rig.edge.viewers().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_session_is_over_after_thirty_seconds_without_a_request() {
    let rig = Rig::of(&Issuer::new(), Visibility::Public);
    let token = minted(GRANTED, "ada", BEGIN_MS, 1);
    assert_eq!(rig.get(&format!("/p/{token}/live/ada/1/v0/7.0.m4s")).await.status, 200);
    assert_eq!(rig.edge.viewers(), [(ada(), 1)].into());
    tokio::time::advance(std::time::Duration::from_millis(30_001)).await;
    assert!(rig.edge.viewers().is_empty());
}
