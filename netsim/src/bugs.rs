//! Nine bugs that a campaign must find, switched on one at a time. They live in our wrappers; the nodes know nothing.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
};

use bytes::Bytes;
use freshet_edge::upstream::{BoxFuture, Chunks, Events, Fetched, Peer, Upstream, UpstreamError};
use freshet_proto::{
    id::{ChannelName, TrackName},
    message::{FetchStatus, FollowEvent, Version},
    object::ResourceName,
};

use crate::campaign::Suite;

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// An edge goes on showing what a superseded origin says.
    FencingOff,
    /// The disks that the registry is on say that they have synced when they have not.
    FsyncSkipped,
    /// A fill that ends short is taken for whole.
    ShortFillStored,
    /// Nobody tells the registry that an origin has died; on a platform somebody goes on renewing its lease.
    LeaseNeverExpires,
    /// A watch that is resumed begins at the newest revision, whatever the watcher lacks.
    WatchResumesCompacted,
    /// A publish that continues a session begins at number 0 again.
    TakeoverForgetsMsn,
    /// A signing key signs as soon as it is made, before everybody can know it.
    KeySignsAtOnce,
    /// What an edge keeps of its view for its next start lacks what is revoked.
    RevocationForgotten,
    /// An edge goes on as if nothing were ever revoked.
    RevocationIgnored,
}

impl Bug {
    /// Every one.
    pub const ALL: [Self; 9] = [
        Self::FencingOff,
        Self::FsyncSkipped,
        Self::ShortFillStored,
        Self::LeaseNeverExpires,
        Self::WatchResumesCompacted,
        Self::TakeoverForgetsMsn,
        Self::KeySignsAtOnce,
        Self::RevocationForgotten,
        Self::RevocationIgnored,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::FencingOff => "fencing-off",
            Self::FsyncSkipped => "fsync-skipped",
            Self::ShortFillStored => "short-fill-stored",
            Self::LeaseNeverExpires => "lease-never-expires",
            Self::WatchResumesCompacted => "watch-resumes-compacted",
            Self::TakeoverForgetsMsn => "takeover-forgets-msn",
            Self::KeySignsAtOnce => "key-signs-at-once",
            Self::RevocationForgotten => "revocation-forgotten",
            Self::RevocationIgnored => "revocation-ignored",
        }
    }

    /// The bug of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bug| bug.name() == name)
    }

    /// Within how many seeds of the suite, from seed 0 on, it must be found; `None` where it does no harm. With a single
    /// registry every origin that dies comes back, and lets go itself of what the registry was not told; and there are no keys.
    pub fn within(self, suite: Suite) -> Option<u64> {
        let (single, platform) = match self {
            Self::FencingOff => (Some(100), 100),
            Self::FsyncSkipped => (Some(30), 30),
            Self::ShortFillStored => (Some(10), 30),
            Self::LeaseNeverExpires => (None, 30),
            Self::WatchResumesCompacted => (Some(60), 60),
            Self::TakeoverForgetsMsn => (Some(30), 30),
            Self::KeySignsAtOnce | Self::RevocationForgotten => (None, 60),
            Self::RevocationIgnored => (None, 30),
        };
        match suite {
            Suite::Single => single,
            Suite::Platform => Some(platform),
        }
    }
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An upstream with a bug, or without.
pub struct Buggy<U> {
    inner: U,
    bug: Option<Bug>,
    fetches: AtomicU64,
    /// Follows that the edge has left and that are listened to all the same: [`Bug::FencingOff`]. At most
    /// [`MAX_STALE`].
    stale: Arc<Mutex<Stale>>,
}

#[derive(Default)]
struct Stale {
    reads: Vec<(Peer, Read)>,
    /// The newest version that was let through.
    last: Option<Version>,
}

/// How many left follows are listened to; the oldest goes first.
const MAX_STALE: usize = 4;

type Next = Result<Option<(FollowEvent, Bytes)>, UpstreamError>;
type Read = BoxFuture<'static, (Box<dyn Events>, Next)>;

impl<U> Buggy<U> {
    /// Wraps `inner`.
    pub fn new(inner: U, bug: Option<Bug>) -> Self {
        Self { inner, bug, fetches: AtomicU64::new(0), stale: Arc::default() }
    }
}

impl<U: Upstream> Upstream for Buggy<U> {
    fn fetch<'a>(
        &'a self,
        peer: &'a Peer,
        name: &'a ResourceName,
        list_parts: bool,
    ) -> BoxFuture<'a, Result<Fetched, UpstreamError>> {
        Box::pin(async move {
            let mut fetched = self.inner.fetch(peer, name, list_parts).await?;
            let short = self.bug == Some(Bug::ShortFillStored)
                && fetched.reply.status == FetchStatus::Found
                && fetched.reply.length > 1
                && self.fetches.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
            if short {
                fetched.reply.length /= 2;
                fetched.body = Box::new(Short { inner: fetched.body, left: fetched.reply.length as usize });
            }
            Ok(fetched)
        })
    }

    fn follow<'a>(
        &'a self,
        peer: &'a Peer,
        channel: &'a ChannelName,
        track: TrackName,
        after: Option<Version>,
    ) -> BoxFuture<'a, Result<Box<dyn Events>, UpstreamError>> {
        Box::pin(async move {
            let events = self.inner.follow(peer, channel, track, after).await?;
            if self.bug != Some(Bug::FencingOff) {
                return Ok(events);
            }
            let stale = self.stale.clone();
            stale.lock().unwrap_or_else(PoisonError::into_inner).reads.retain(|(other, _)| other != peer);
            Ok(Box::new(Unfenced { peer: peer.clone(), main: Some(read(events)), stale }) as Box<dyn Events>)
        })
    }
}

/// A body that ends early and cleanly.
struct Short {
    inner: Box<dyn Chunks>,
    left: usize,
}

impl Chunks for Short {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, UpstreamError>> {
        Box::pin(async move {
            let Some(mut piece) = self.inner.next().await? else { return Ok(None) };
            piece.truncate(self.left);
            self.left -= piece.len();
            Ok((!piece.is_empty()).then_some(piece))
        })
    }
}

/// A follow that lets in what earlier ones still say, as if it were the newest.
struct Unfenced {
    peer: Peer,
    main: Option<Read>,
    stale: Arc<Mutex<Stale>>,
}

impl Drop for Unfenced {
    fn drop(&mut self) {
        let mut stale = self.stale.lock().unwrap_or_else(PoisonError::into_inner);
        stale.reads.extend(self.main.take().map(|main| (self.peer.clone(), main)));
        let excess = stale.reads.len().saturating_sub(MAX_STALE);
        stale.reads.drain(..excess);
    }
}

impl Events for Unfenced {
    fn next(&mut self) -> BoxFuture<'_, Next> {
        Box::pin(std::future::poll_fn(move |cx| {
            let mut stale = self.stale.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(main) = &mut self.main else { return Poll::Ready(Ok(None)) };
            if let Poll::Ready((events, next)) = main.as_mut().poll(cx) {
                self.main = matches!(next, Ok(Some(_))).then(|| read(events));
                return Poll::Ready(next.map(|next| next.map(|(event, payload)| (stale.renew(event), payload))));
            }
            let mut at = 0;
            while at < stale.reads.len() {
                let Poll::Ready((events, next)) = stale.reads[at].1.as_mut().poll(cx) else {
                    at += 1;
                    continue;
                };
                match next {
                    Ok(Some((event @ (FollowEvent::Part { .. } | FollowEvent::Playlist(_)), payload))) => {
                        stale.reads[at].1 = read(events);
                        return Poll::Ready(Ok(Some((stale.renew(event), payload))));
                    }
                    Ok(Some(_)) => stale.reads[at].1 = read(events),
                    _ => drop(stale.reads.remove(at)),
                }
            }
            Poll::Pending
        }))
    }
}

impl Stale {
    /// Makes a version look newer than the last, whatever it is.
    fn renew(&mut self, event: FollowEvent) -> FollowEvent {
        let FollowEvent::Playlist(mut header) = event else { return event };
        if let Some(last) = self.last.filter(|last| header.version <= *last) {
            header.version = Version { edit: last.edit + 1, ..last };
        }
        self.last = Some(header.version);
        FollowEvent::Playlist(header)
    }
}

fn read(mut events: Box<dyn Events>) -> Read {
    Box::pin(async move {
        let next = events.next().await;
        (events, next)
    })
}
