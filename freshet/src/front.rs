//! What the page asks about the site as a whole: `/site.json`, before the embedded files.
//!
//! view ──▶ `{"channel": NAME}`, the channel that the first page plays; `null` where there is none
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
}

impl Front {
    /// A site that speaks of what `view` knows.
    pub fn new(view: watch::Receiver<Arc<View>>) -> Self {
        Self { page: EmbeddedSite::new(), view }
    }
}

impl Site for Front {
    fn answer(&self, request: &Parts) -> Response<Bytes> {
        if request.uri.path() != PATH {
            return self.page.answer(request);
        }
        let body = serde_json::json!({ "channel": featured(&self.view.borrow()) }).to_string();
        let mut response = Response::new(body.into());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }
}

/// The channel that the first page plays.
fn featured(view: &View) -> Option<&ChannelName> {
    let watchable = |state| matches!(state, ChannelState::Starting | ChannelState::Live | ChannelState::Grace);
    let live = view.channels.iter().find(|(_, channel)| watchable(channel.state));
    live.or_else(|| view.channels.first_key_value()).map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use freshet_proto::view::ChannelView;

    use super::*;

    fn body(channels: &[(&str, ChannelState)]) -> String {
        let channel = |&(name, state): &(&str, ChannelState)| {
            (name.parse().unwrap(), ChannelView { state, ..ChannelView::default() })
        };
        let view = View { channels: channels.iter().map(channel).collect(), ..View::default() };
        let front = Front::new(watch::channel(Arc::new(view)).1);
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
    }

    #[test]
    fn every_other_path_is_the_pages() {
        let front = Front::new(watch::channel(Arc::default()).1);
        let (parts, ()) = http::Request::get("/").body(()).unwrap().into_parts();
        assert_eq!(front.answer(&parts).headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
    }
}
