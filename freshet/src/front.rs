//! What there is to the page beyond its files: what it asks about the site, what it says of itself to others, and who may show it.
//!
//! view ──▶ `/site.json`: `{"channel": NAME}`, the channel that the first page plays; `null` where there is none
//! view ──▶ `connect-src`: this edge and the others, for a player that goes on elsewhere when its edge goes
//! path ──▶ `frame-ancestors`: other sites may show the player, `/embed/…`, and nothing else
//! cards ─▶ the title and `<meta>` of `/c/…` and `/u/…`; `/api/oembed`
//!
//! Of several channels the first page shows the first by name that can be watched, else the first.

mod cards;
mod links;
mod oembed;
mod opengraph;

use std::sync::Arc;

use bytes::Bytes;
use freshet_edge::{Site, config::Ancestors, gateway::ApiUpstream, upstream::BoxFuture};
use freshet_proto::{
    annex::Visibility,
    id::ChannelName,
    view::{ChannelState, View},
};
use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};
use tokio::sync::watch;

use self::{
    cards::{Cards, Found, Kind},
    links::Link,
};
use crate::site::EmbeddedSite;

/// The path of what is said about the site.
const PATH: &str = "/site.json";

/// What no page of ours asks a browser for.
const PERMISSIONS: &str = "camera=(), microphone=(), geolocation=(), payment=(), usb=()";
const PERMISSIONS_POLICY: &str = "permissions-policy";

/// The embedded page, and what there is to it.
#[derive(Clone)]
pub struct Front(Arc<Inner>);

/// What a site is of.
#[derive(Default)]
pub struct About {
    /// The channel that the first page shows while nobody streams.
    pub first: Option<ChannelName>,
    /// What the edge is said to be reached at, as in `https://fra.example.org`; empty where nothing is said.
    pub public: String,
    /// Which sites may show `/embed/…`.
    pub ancestors: Ancestors,
    /// Who tells what channels and people are like; without it their names are all that is said.
    pub api: Option<Arc<dyn ApiUpstream>>,
}

struct Inner {
    page: EmbeddedSite,
    view: watch::Receiver<Arc<View>>,
    about: About,
    cards: Cards,
}

impl Front {
    /// A site that speaks of what `view` knows.
    pub fn new(view: watch::Receiver<Arc<View>>, about: About) -> Self {
        let cards = Cards::new(about.api.clone());
        Self(Arc::new(Inner { page: EmbeddedSite::new(), view, about, cards }))
    }
}

impl Site for Front {
    fn answer(&self, request: &Parts) -> Response<Bytes> {
        match request.uri.path() {
            PATH => self.0.about(),
            oembed::PATH => json(StatusCode::NOT_FOUND, serde_json::json!({}), "no-cache"),
            path => self.0.narrowed(self.0.page.answer(request), path),
        }
    }

    fn later(&self, request: &Parts) -> Option<BoxFuture<'static, Response<Bytes>>> {
        if !matches!(request.method, Method::GET | Method::HEAD) {
            return None;
        }
        let path = request.uri.path();
        let front = self.0.clone();
        if path == oembed::PATH {
            let asked = oembed::Asked::of(request);
            let request = request.clone();
            return Some(Box::pin(async move { front.oembed(&request, asked).await }));
        }
        let link = Link::of(path).filter(|link| !links::is_embed(path) && self.0.may_tell(link))?;
        let origin = links::origin(request, &self.0.about.public)?;
        let request = request.clone();
        Some(Box::pin(async move { front.shared(&request, &origin, &link).await }))
    }
}

impl Inner {
    fn about(&self) -> Response<Bytes> {
        let channel = featured(&self.view.borrow(), self.about.first.as_ref()).cloned();
        json(StatusCode::OK, serde_json::json!({ "channel": channel }), "no-cache")
    }

    /// Whether there is such a channel and everybody may know it.
    fn may_tell(&self, link: &Link) -> bool {
        let view = self.view.borrow();
        let is_private = view.annex.marks.of(&link.name).visibility == Visibility::Private;
        view.channels.contains_key(&link.name) && (link.kind == Kind::Person || !is_private)
    }

    /// The page of a channel or a person, with what it says of itself.
    async fn shared(&self, request: &Parts, origin: &str, link: &Link) -> Response<Bytes> {
        let path = request.uri.path();
        let card = match self.cards.find(link.kind, link.name.clone()).await {
            Found::Card(card) => Some(card),
            Found::Unknown => None,
            Found::Nothing => return self.narrowed(self.page.answer(request), path),
        };
        let page = |index: &str| opengraph::page(index, origin, link, card.as_deref());
        self.narrowed(self.page.rewritten(request, page), path)
    }

    async fn oembed(&self, request: &Parts, asked: Result<oembed::Asked, oembed::Refused>) -> Response<Bytes> {
        let answer = async {
            let asked = asked?;
            let not_found = (StatusCode::NOT_FOUND, "this is the address of no channel here");
            let origin = links::origin(request, &self.about.public).ok_or(not_found)?;
            let is_ours =
                links::authority(request).is_some_and(|own| own == asked.authority) || self.is_edge(&asked.authority);
            if !is_ours || !self.may_tell(&asked.link) {
                return Err(not_found);
            }
            match self.cards.find(Kind::Channel, asked.link.name.clone()).await {
                Found::Nothing => Err(not_found),
                Found::Unknown => Ok(asked.answer(&origin, None)),
                Found::Card(card) => Ok(asked.answer(&origin, Some(&card))),
            }
        };
        let mut response = match answer.await {
            Ok(answer) => json(StatusCode::OK, answer, &format!("public, max-age={}", oembed::FRESH_S)),
            Err((status, why)) => {
                json(status, serde_json::json!({ "status": status.as_u16(), "detail": why }), "no-cache")
            }
        };
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        response
    }

    /// Whether that is where an edge of this platform is.
    fn is_edge(&self, authority: &str) -> bool {
        let view = self.view.borrow();
        let mut edges = view.annex.places.nodes.values().filter_map(|place| place.https.split_once("://"));
        edges.any(|(_, edge)| edge.trim_end_matches('/').eq_ignore_ascii_case(authority))
    }

    /// The page itself, which is the same everywhere, may ask any server and be shown by this site: this narrows the one down, and
    /// lets other sites show the player.
    fn narrowed(&self, mut response: Response<Bytes>, path: &str) -> Response<Bytes> {
        let headers = response.headers_mut();
        let Some(policy) = headers.get(header::CONTENT_SECURITY_POLICY).and_then(|policy| policy.to_str().ok()) else {
            return response;
        };
        let mut policy = with_edges(policy, &self.view.borrow());
        if links::is_embed(path) {
            let shown_by = format!("frame-ancestors {}", self.about.ancestors);
            policy = policy.replace("frame-ancestors 'self'", &shown_by);
        }
        if let Ok(policy) = HeaderValue::try_from(policy) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        headers.insert(PERMISSIONS_POLICY, HeaderValue::from_static(PERMISSIONS));
        response
    }
}

fn json(status: StatusCode, value: serde_json::Value, cache: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(value.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(cache) = HeaderValue::try_from(cache) {
        headers.insert(header::CACHE_CONTROL, cache);
    }
    response
}

/// How many edges a page is told of. Where there are more, it may ask any server with HTTPS.
const MOST_EDGES: usize = 64;

fn with_edges(policy: &str, view: &View) -> String {
    let others = policy.split(';').map(str::trim).filter(|directive| !directive.starts_with("connect-src"));
    let edges = view.annex.places.nodes.values().map(|place| place.https.as_str()).filter(|https| !https.is_empty());
    let mut edges: Vec<&str> = edges.take(MOST_EDGES + 1).collect();
    if edges.len() > MOST_EDGES {
        edges = vec!["https:"];
    }
    // Media from them, and their chat.
    let both = edges.iter().flat_map(|edge| [(*edge).to_owned(), edge.replacen("https:", "wss:", 1)]);
    let allowed = ["'self'".to_owned()].into_iter().chain(both).collect::<Vec<_>>().join(" ");
    others.chain([format!("connect-src {allowed}").as_str()]).collect::<Vec<_>>().join("; ")
}

/// The channel that the first page plays.
fn featured<'a>(view: &'a View, first: Option<&'a ChannelName>) -> Option<&'a ChannelName> {
    let watchable = |state| matches!(state, ChannelState::Starting | ChannelState::Live | ChannelState::Grace);
    let live = view.channels.iter().find(|(_, channel)| watchable(channel.state));
    let first = first.filter(|first| view.channels.contains_key(*first));
    live.map(|(name, _)| name).or(first).or_else(|| view.channels.keys().next())
}

#[cfg(test)]
mod tests {
    use freshet_proto::{
        annex::{Mark, Marks, Place, Places},
        id::NodeId,
        view::ChannelView,
    };

    use super::*;

    fn body(channels: &[(&str, ChannelState)]) -> String {
        body_of(channels, None)
    }

    fn body_of(channels: &[(&str, ChannelState)], first: Option<&str>) -> String {
        let channel = |&(name, state): &(&str, ChannelState)| {
            (name.parse().unwrap(), ChannelView { state, ..ChannelView::default() })
        };
        let view = View { channels: channels.iter().map(channel).collect(), ..View::default() };
        let about = About { first: first.map(|first| first.parse().unwrap()), ..About::default() };
        let front = Front::new(watch::channel(Arc::new(view)).1, about);
        let (parts, ()) = http::Request::get("/site.json").body(()).unwrap().into_parts();
        String::from_utf8(front.answer(&parts).into_body().to_vec()).unwrap()
    }

    #[test]
    fn the_first_page_plays_what_is_live_else_the_first_channel_else_nothing() {
        use ChannelState::{Ended, Grace, Idle, Live};
        assert_eq!(body(&[("ada", Idle), ("bob", Live), ("eve", Live)]), r#"{"channel":"bob"}"#);
        assert_eq!(body(&[("ada", Ended), ("bob", Grace)]), r#"{"channel":"bob"}"#);
        assert_eq!(body(&[("ada", Ended), ("bob", Idle)]), r#"{"channel":"ada"}"#);
        assert_eq!(body(&[]), r#"{"channel":null}"#);
        let first = |channels| body_of(channels, Some("demo"));
        assert_eq!(first(&[("admin", Idle), ("demo", Idle)]), r#"{"channel":"demo"}"#);
        assert_eq!(first(&[("admin", Live), ("demo", Idle)]), r#"{"channel":"admin"}"#);
        assert_eq!(first(&[("admin", Idle)]), r#"{"channel":"admin"}"#);
    }

    #[test]
    fn the_page_may_ask_the_edges_there_are_and_nobody_else() {
        let policy = |edges: u64| {
            let place = |n| {
                let https = if n == 2 { String::new() } else { format!("https://edge-{n}.example.org") };
                (NodeId(n), Place { https, ..Place::default() })
            };
            let places = Places { revision: 1, nodes: (1..=edges).map(place).collect() };
            let mut view = View::default();
            view.annex.places = Arc::new(places);
            with_edges("default-src 'self'; connect-src 'self' https: http:; frame-ancestors 'self'", &view)
        };
        assert_eq!(policy(0), "default-src 'self'; frame-ancestors 'self'; connect-src 'self'");
        let two = "connect-src 'self' https://edge-1.example.org wss://edge-1.example.org \
                   https://edge-3.example.org wss://edge-3.example.org";
        assert!(policy(3).ends_with(two), "{}", policy(3));
        assert!(policy(66).ends_with("connect-src 'self' https: wss:"), "{}", policy(66));
        let front = Front::new(watch::channel(Arc::default()).1, About::default());
        let (parts, ()) = http::Request::get("/").body(()).unwrap().into_parts();
        let sent = front.answer(&parts).headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        assert!(sent.ends_with("; connect-src 'self'"), "{sent}");
    }

    /// A public channel ada, a private one eve; ada alone has a card.
    fn front() -> Front {
        let mut view = View::default();
        for name in ["ada", "eve", "slow"] {
            view.channels.insert(name.parse().unwrap(), ChannelView::default());
        }
        let private = Mark { visibility: Visibility::Private, ..Mark::default() };
        view.annex.marks = Arc::new(Marks { revision: 1, channels: [("eve".parse().unwrap(), private)].into() });
        let api: Arc<dyn ApiUpstream> = Arc::new(cards::testing::Told::default());
        Front::new(watch::channel(Arc::new(view)).1, About { api: Some(api), ..About::default() })
    }

    async fn get(front: &Front, path: &str, etag: &str) -> Response<Bytes> {
        let request = http::Request::get(path).header("host", "tv.example.org").header("if-none-match", etag);
        let (parts, ()) = request.body(()).unwrap().into_parts();
        match front.later(&parts) {
            Some(later) => later.await,
            None => front.answer(&parts),
        }
    }

    fn text(response: &Response<Bytes>) -> String {
        String::from_utf8_lossy(response.body()).into_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_says_of_itself_what_everybody_may_know() {
        let front = front();
        let ada = get(&front, "/c/ada", "").await;
        assert!(text(&ada).contains("og:title\" content=\"&lt;b&gt;Looms"), "{}", text(&ada));
        assert!(ada.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().contains("frame-ancestors 'self'"));
        let etag = ada.headers()[header::ETAG].to_str().unwrap().to_owned();
        let again = get(&front, "/c/ada", &etag).await;
        assert_eq!((again.status(), again.body().len()), (StatusCode::NOT_MODIFIED, 0));
        assert!(text(&get(&front, "/c/slow", "").await).contains("og:title\" content=\"slow\""));
        for unknown in ["/c/eve", "/c/nobody", "/embed/ada", "/", "/c/ada/x"] {
            let page = get(&front, unknown, "").await;
            assert_eq!((page.status(), text(&page).contains("og:title")), (StatusCode::OK, false), "{unknown}");
        }
        assert_ne!(get(&front, "/c/eve", &etag).await.status(), StatusCode::NOT_MODIFIED);
    }

    #[tokio::test(start_paused = true)]
    async fn another_site_learns_how_to_show_a_channel() {
        let front = front();
        let status = async |query: &str| get(&front, &format!("/api/oembed?{query}"), "").await.status().as_u16();
        let ada = get(&front, "/api/oembed?url=http://tv.example.org/c/ada", "").await;
        assert_eq!(ada.status(), StatusCode::OK);
        assert_eq!(ada.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert!(text(&ada).contains("<iframe src=\\\"http://tv.example.org/embed/ada\\\""), "{}", text(&ada));
        let elsewhere = status("url=http://other.example.org/c/ada").await;
        let private = status("url=http://tv.example.org/c/eve").await;
        let xml = status("url=http://tv.example.org/c/ada&format=xml").await;
        assert_eq!((elsewhere, private, xml, status("").await), (404, 404, 501, 400));
    }

    #[tokio::test]
    async fn other_sites_may_show_the_player_and_nothing_else() {
        let ancestors = async |front: &Front, path: &str| {
            let page = get(front, path, "").await;
            let policy = page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
            policy.split("; ").find_map(|part| part.strip_prefix("frame-ancestors ")).unwrap().to_owned()
        };
        let front = front();
        assert_eq!(ancestors(&front, "/embed/ada").await, "*");
        for other in ["/", "/c/ada", "/embed", "/embedded/ada"] {
            assert_eq!(ancestors(&front, other).await, "'self'", "{other}");
        }
        let about = About { ancestors: vec!["https://a.example".to_owned()].try_into().unwrap(), ..About::default() };
        let narrow = Front::new(watch::channel(Arc::default()).1, about);
        assert_eq!(ancestors(&narrow, "/embed/ada").await, "https://a.example");
    }

    #[test]
    fn every_other_path_is_the_pages() {
        let front = Front::new(watch::channel(Arc::default()).1, About::default());
        let (parts, ()) = http::Request::get("/").body(()).unwrap().into_parts();
        assert_eq!(front.answer(&parts).headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
    }
}
