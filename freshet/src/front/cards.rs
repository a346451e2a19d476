//! What may be said of a channel or a person to whom has a link to them: asked of the API, as nobody, and kept for a moment.
//!
//! ```text
//! name ──▶ kept for 15 s ──▶ the API, asked once however many wait ──▶ Card, or nothing to be told
//!              └── who waits does so for 400 ms at most: a page never comes late because of it
//! ```
//! What the API tells nobody of, a private channel above all, has no card.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use freshet_edge::gateway::ApiUpstream;
use freshet_proto::{api::ApiRequest, id::ChannelName};
use serde::Deserialize;
use tokio::{
    sync::watch,
    time::{Duration, Instant, timeout},
};

/// For how long an answer is good.
const FRESH: Duration = Duration::from_secs(15);

/// How long a page waits for one.
const PATIENCE: Duration = Duration::from_millis(400);

/// How many are kept; beyond them nothing is asked until some are stale. About 1 KiB each.
const MOST: usize = 4096;

/// What a link is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A channel: `/c/ada`.
    Channel,
    /// A person: `/u/ada`.
    Person,
}

/// What may be said of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Card {
    /// What its owner is called.
    pub display_name: String,
    /// What is on, of a channel.
    pub title: String,
    /// What they say of themselves, of a person.
    pub bio: String,
    /// The path of the owner's picture.
    pub avatar_url: Option<String>,
}

/// What was found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It may be told.
    Card(Arc<Card>),
    /// There is no such thing, for whoever asks as nobody.
    Nothing,
    /// Nobody knows by now.
    Unknown,
}

/// What was asked. Cheap to clone; clones are one.
#[derive(Clone)]
pub struct Cards {
    api: Option<Arc<dyn ApiUpstream>>,
    kept: Arc<Mutex<HashMap<(Kind, ChannelName), Kept>>>,
}

struct Kept {
    since: Instant,
    found: watch::Receiver<Option<Found>>,
}

impl Cards {
    /// Asks `api`; without one nobody knows anything.
    pub fn new(api: Option<Arc<dyn ApiUpstream>>) -> Self {
        Self { api, kept: Arc::default() }
    }

    /// What there is to tell. Waits for [`PATIENCE`] at most; who asks next may find what came later.
    pub async fn find(&self, kind: Kind, name: ChannelName) -> Found {
        let Some(mut found) = self.asked(kind, name) else { return Found::Unknown };
        let found = timeout(PATIENCE, found.wait_for(Option::is_some)).await;
        found.ok().and_then(Result::ok).and_then(|found| found.clone()).unwrap_or(Found::Unknown)
    }

    fn asked(&self, kind: Kind, name: ChannelName) -> Option<watch::Receiver<Option<Found>>> {
        let api = self.api.clone()?;
        let now = Instant::now();
        let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (kind, name);
        if let Some(kept) = all.get(&key).filter(|kept| kept.is_fresh(now)) {
            return Some(kept.found.clone());
        }
        if all.len() >= MOST {
            all.retain(|_, kept| kept.is_fresh(now));
            if all.len() >= MOST {
                return None;
            }
        }
        let (sender, found) = watch::channel(None);
        let asking = ask(api, kind, key.1.clone());
        tokio::spawn(async move { sender.send(Some(asking.await)) });
        all.insert(key, Kept { since: now, found: found.clone() });
        Some(found)
    }
}

impl Kept {
    /// A failure is not kept: it may be over.
    fn is_fresh(&self, now: Instant) -> bool {
        now < self.since + FRESH && *self.found.borrow() != Some(Found::Unknown)
    }
}

async fn ask(api: Arc<dyn ApiUpstream>, kind: Kind, name: ChannelName) -> Found {
    let target = match kind {
        Kind::Channel => format!("/api/streams/{name}"),
        Kind::Person => format!("/api/users/{name}"),
    };
    let request = ApiRequest { method: "GET".to_owned(), target, headers: Vec::new(), body: bytes::Bytes::new() };
    match api.ask(request).await {
        Ok((head, body)) if head.status == 200 => {
            serde_json::from_slice(&body).map_or(Found::Unknown, |card| Found::Card(Arc::new(card)))
        }
        Ok((head, _)) if head.status == 404 => Found::Nothing,
        Ok(_) | Err(_) => Found::Unknown,
    }
}

#[cfg(test)]
pub mod testing {
    use freshet_edge::{gateway::ApiUnavailable, upstream::BoxFuture};
    use freshet_proto::api::ApiReply;

    use super::*;

    /// Tells of ada and of nobody else; of `slow` it never tells, of `broken` that it can't. Remembers what it was asked.
    #[derive(Clone, Default)]
    pub struct Told(pub Arc<Mutex<Vec<String>>>);

    impl ApiUpstream for Told {
        fn ask(&self, asked: ApiRequest) -> BoxFuture<'static, Result<(ApiReply, bytes::Bytes), ApiUnavailable>> {
            self.0.lock().unwrap().push(asked.target.clone());
            Box::pin(async move {
                let (status, body) = match asked.target.rsplit('/').next() {
                    Some("ada") => (
                        200,
                        r#"{"id":"ada","display_name":"Ada \"L\"","title":"<b>Looms & more</b>","avatar_url":"/api/users/ada/avatar?v=1"}"#,
                    ),
                    Some("slow") => std::future::pending().await,
                    Some("broken") => return Err(ApiUnavailable("it is".to_owned())),
                    _ => (404, "{}"),
                };
                Ok((ApiReply { status, headers: vec![], length: 0 }, bytes::Bytes::from_static(body.as_bytes())))
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{testing::Told, *};

    async fn find(cards: &Cards, name: &str) -> Found {
        cards.find(Kind::Channel, name.parse().unwrap()).await
    }

    #[tokio::test(start_paused = true)]
    async fn the_api_is_asked_once_in_a_while_however_many_ask() {
        let told = Told::default();
        let cards = Cards::new(Some(Arc::new(told.clone())));
        let both = tokio::join!(find(&cards, "ada"), find(&cards, "ada"));
        let Found::Card(card) = &both.0 else { panic!("{both:?}") };
        assert_eq!((card.title.as_str(), &both.0), ("<b>Looms & more</b>", &both.1));
        assert_eq!((find(&cards, "eve").await, find(&cards, "eve").await), (Found::Nothing, Found::Nothing));
        assert_eq!(*told.0.lock().unwrap(), ["/api/streams/ada", "/api/streams/eve"]);
        tokio::time::advance(FRESH).await;
        find(&cards, "ada").await;
        assert_eq!(told.0.lock().unwrap().len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_long_and_a_failure_is_not_kept() {
        let told = Told::default();
        let cards = Cards::new(Some(Arc::new(told.clone())));
        let began = Instant::now();
        assert_eq!((find(&cards, "slow").await, find(&cards, "broken").await), (Found::Unknown, Found::Unknown));
        assert_eq!(began.elapsed(), PATIENCE);
        find(&cards, "broken").await;
        assert_eq!(told.0.lock().unwrap().len(), 3);
        assert_eq!(find(&Cards::new(None), "ada").await, Found::Unknown);
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_a_limit_to_what_is_kept() {
        let cards = Cards::new(Some(Arc::new(Told::default())));
        for n in 0..MOST {
            assert_eq!(find(&cards, &format!("c{n}")).await, Found::Nothing);
        }
        assert_eq!(find(&cards, "ada").await, Found::Unknown);
        tokio::time::advance(FRESH).await;
        assert!(matches!(find(&cards, "ada").await, Found::Card(_)));
    }
}
