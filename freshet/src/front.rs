//! What the page asks about the site as a whole: `/site.json`, before the embedded files; and whom the page may ask.
//!
//! view ──▶ `{"channel": NAME}`, the channel that the first page plays; `null` where there is none
//! view ──▶ `connect-src`: this edge and the others, for a player that goes on elsewhere when its edge goes
//!
//! Of several channels it is the first by name that can be watched, else the first: a site of one streamer, which is
//! what there is until channels have owners, always shows theirs.

use std::sync::Arc;

use bytes::Bytes;
use freshet_edge::Site;
use freshet_proto::{
    id::ChannelName,
    view::{ChannelState, View},
};
use http::{HeaderValue, Response, header, request::Parts};
use tokio::sync::watch;

use crate::site::EmbeddedSite;

/// The path of what is said about the site.
const PATH: &str = "/site.json";

/// The embedded page, and what it asks about the site.
pub struct Front {
    page: EmbeddedSite,
    view: watch::Receiver<Arc<View>>,
    first: Option<ChannelName>,
}

impl Front {
    /// A site that speaks of what `view` knows. Its first page shows `first` while nobody streams.
    pub fn new(view: watch::Receiver<Arc<View>>, first: Option<ChannelName>) -> Self {
        Self { page: EmbeddedSite::new(), view, first }
    }
}

impl Site for Front {
    fn answer(&self, request: &Parts) -> Response<Bytes> {
        if request.uri.path() != PATH {
            return self.narrowed(self.page.answer(request));
        }
        let body = serde_json::json!({ "channel": featured(&self.view.borrow(), self.first.as_ref()) }).to_string();
        let mut response = Response::new(body.into());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }
}

/// How many edges a page is told of. Where there are more, it may ask any server with HTTPS.
const MOST_EDGES: usize = 64;

impl Front {
    /// The page itself, which is the same everywhere, allows any server: this narrows it down.
    fn narrowed(&self, mut response: Response<Bytes>) -> Response<Bytes> {
        let headers = response.headers_mut();
        let Some(policy) = headers.get(header::CONTENT_SECURITY_POLICY).and_then(|policy| policy.to_str().ok()) else {
            return response;
        };
        if let Ok(policy) = HeaderValue::try_from(with_edges(policy, &self.view.borrow())) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        response
    }
}

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
        annex::{Place, Places},
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
        let front = Front::new(watch::channel(Arc::new(view)).1, first.map(|first| first.parse().unwrap()));
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
        let front = Front::new(watch::channel(Arc::default()).1, None);
        let (parts, ()) = http::Request::get("/").body(()).unwrap().into_parts();
        let sent = front.answer(&parts).headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        assert!(sent.ends_with("; connect-src 'self'"), "{sent}");
    }

    #[test]
    fn every_other_path_is_the_pages() {
        let front = Front::new(watch::channel(Arc::default()).1, None);
        let (parts, ()) = http::Request::get("/").body(()).unwrap().into_parts();
        assert_eq!(front.answer(&parts).headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
    }
}
