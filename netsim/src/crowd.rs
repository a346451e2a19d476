//! The encoders and viewers of a campaign's world.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use freshet_media::playlist::read::{Media, parse_media};
use tokio::time::{sleep, timeout};

use crate::{
    encoder::{Clip, publish_until},
    nodes::{HTTP, KEY, Outcome, RTMP},
    schedule::Host,
    shown::object,
    sometimes::Situation,
    stage::Stage,
    trace::Trace,
    viewer::{Reply, get, listed, next_query},
};

/// How long an encoder that was cut off waits before it comes back, and how often an idle one looks for orders.
const RETURN: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(50);
/// How long a viewer waits after a failure, and for an answer.
const PAUSE: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(6);
/// A viewer asks for a whole older segment after every so many playlists, as one that seeks does.
const SEEK_EVERY: u64 = 7;

/// What encoders are told. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Orders(Arc<Mutex<BTreeMap<Host, Order>>>);

/// What an encoder is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Publish to this origin, and come back to it when cut off.
    Publish(Host),
    /// Go on while it lasts, and do not come back.
    LastTime,
    /// Say goodbye.
    Leave,
}

impl Orders {
    /// Tells `encoder` what to do.
    pub fn give(&self, encoder: Host, order: Order) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(encoder, order);
    }

    /// What `encoder` was told last.
    pub fn of(&self, encoder: Host) -> Order {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(encoder).copied().unwrap_or(Order::Leave)
    }
}

/// An encoder that does as it is told.
///
/// # Errors
/// Never; it has the type of a host's software.
pub async fn encoder(me: Host, orders: Orders, clip: Clip, stage: Stage) -> Outcome {
    loop {
        let Order::Publish(origin) = orders.of(me) else {
            sleep(LOOK).await;
            continue;
        };
        let addr = SocketAddr::new(turmoil::lookup(origin), RTMP);
        stage.tell(|| format!("{me} begins to publish to {origin}"));
        let ended = publish_until(addr, KEY, &clip, || orders.of(me) == Order::Leave).await;
        stage.tell(|| format!("{me} stops: {}", ended.err().map_or("goodbye".to_owned(), |error| error.to_string())));
        sleep(RETURN).await;
    }
}

/// A viewer that never gives up.
pub struct Viewer {
    /// Its name.
    pub me: Host,
    /// The edge it watches.
    pub edge: Host,
    /// Where it reports what it sees.
    pub stage: Stage,
    /// Where its answers are noted.
    pub trace: Trace,
}

impl Viewer {
    /// Watches `v0` of channel `ada`: blocking reloads, then each new part; whole segments when it joins and now and then.
    ///
    /// # Errors
    /// Never; it has the type of a host's software.
    pub async fn watch(self) -> Outcome {
        let (mut query, mut last, mut rounds) = (String::new(), None, 0);
        loop {
            match self.playlist(&query).await {
                Ok(media) => {
                    rounds += 1;
                    if query.is_empty() || rounds % SEEK_EVERY == 0 {
                        self.seek(&media, rounds).await;
                    }
                    self.take_parts(&media, &mut last).await;
                    query = if media.ended { String::new() } else { next_query(&media) };
                    if media.ended {
                        sleep(PAUSE).await;
                    }
                }
                Err(_) => {
                    query = String::new();
                    sleep(PAUSE).await;
                }
            }
        }
    }

    async fn get(&self, path: &str) -> Result<Reply, String> {
        let addr = SocketAddr::new(turmoil::lookup(self.edge), HTTP);
        let reply = timeout(PATIENCE, get(addr, &format!("/live/ada/{path}"), &self.trace)).await;
        let reply = reply.map_err(|late| late.to_string())?.map_err(|error| error.to_string())?;
        if reply.status == 200 { Ok(reply) } else { Err(reply.status.to_string()) }
    }

    async fn playlist(&self, query: &str) -> Result<Media, String> {
        let reply = self.get(&format!("v0.m3u8{query}")).await?;
        let media = parse_media(&reply.body).map_err(|error| error.to_string())?;
        self.stage.playlist(self.me, &media);
        Ok(media)
    }

    /// Asks for a whole segment, the second newest or an older one, and for its init.
    async fn seek(&self, media: &Media, rounds: u64) {
        let back = 1 + (rounds / SEEK_EVERY) as usize % 3;
        let Some((_, segment)) = media.numbered().rev().nth(back).filter(|(_, segment)| !segment.gap) else { return };
        for uri in segment.start.map.as_deref().into_iter().chain([segment.uri.as_str()]) {
            self.object(uri, false).await;
        }
    }

    /// Takes the parts that are new. One that can't be had is passed over once a later one is listed.
    async fn take_parts(&self, media: &Media, last: &mut Option<(u64, usize)>) {
        for (at, part) in listed(media) {
            if !part.gap && last.is_none_or(|last| at > last) && self.object(&part.uri, true).await {
                *last = Some(at);
            }
        }
    }

    async fn object(&self, uri: &str, is_new_part: bool) -> bool {
        let (Ok(reply), Some(name)) = (self.get(uri).await, object(uri)) else { return false };
        self.stage.object(self.me, self.edge, &name, &reply.body, is_new_part);
        true
    }
}

/// Whether a viewer was shown an epoch change, for the counters.
pub fn count(stage: &Stage) {
    stage.with(|seen| {
        let changes = seen.viewers.values().map(|shown| shown.discontinuities).sum();
        seen.sometimes.add(Situation::Discontinuity, changes);
    });
}
