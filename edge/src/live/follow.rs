//! Follows one track for as long as it has viewers: the shell around [`Window`].
//!
//! ```text
//! view ──▶ where to ──▶ upstream.follow(after the last version) ──▶ Window ──▶ cache · viewers
//! ```
//! A lost follow is begun again at the origin that the view then names. Once the view names another origin, the old
//! one is not listened to any more, so nothing that it still says can be shown.

use std::sync::Arc;

use bytes::Bytes;
use freshet_proto::{
    id::SessionId,
    message::FollowEvent,
    ordered,
    view::{ChannelState, View},
};
use tokio::time::{Duration, Instant, sleep, sleep_until};

use super::{Known, Live, peer, track::Track, window::Over};
use crate::{
    config::ms,
    upstream::{BoxFuture, Events, Peer, UpstreamError},
};

/// How often a follow looks whether it still has viewers.
const LOOK: Duration = Duration::from_millis(500);

/// How long an origin may take to say that a session is over when the view has said so.
const LAST_WORD: Duration = Duration::from_secs(1);

/// How long the view may take to say that a session is over when its origin has nothing of it any more.
const LAST_VIEW: Duration = Duration::from_secs(3);

/// How long a track that the origin does not have stays known as such.
const GONE: Duration = Duration::from_secs(1);

/// What the view wants of a track.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wish {
    /// Follow it there.
    Follow { session: Option<SessionId>, peer: Peer, over: bool },
    /// It can't be followed now: its origin is unknown.
    Wait,
    /// Nothing is to be shown.
    Nothing,
}

/// Follows `track` until it has had no viewers for a while, or nothing is left of it.
pub(super) async fn run(live: Arc<Live>, track: Arc<Track>) {
    live.stats.follows.up();
    let follower = Follower { view: live.view.clone(), backoff: Backoff::new(&live), live: &live, track: &track };
    follower.run().await;
    live.stats.follows.down();
}

struct Follower<'a> {
    live: &'a Arc<Live>,
    track: &'a Arc<Track>,
    view: ordered::Receiver<Arc<View>>,
    backoff: Backoff,
}

/// Why a stretch of following ended.
enum Pause {
    /// The view wants something else, or the stream broke: see again.
    Again,
    /// Nobody watches.
    Unwatched,
}

impl Follower<'_> {
    async fn run(mut self) {
        loop {
            let wish = self.wish();
            let pause = match wish {
                Wish::Nothing => {
                    self.track.update(self.live, |window, out| window.forget(out));
                    self.track.set_gone(true);
                    sleep(GONE).await;
                    Pause::Unwatched
                }
                Wish::Wait => self.back_off().await,
                Wish::Follow { .. } => self.follow(wish).await,
            };
            // Only who asks under the map's lock may enter, so nobody is left behind.
            if matches!(pause, Pause::Unwatched) && self.live.leave(self.track) {
                return;
            }
        }
    }

    fn wish(&mut self) -> Wish {
        let view = Arc::clone(&self.view.borrow_and_update());
        wish(&view, self.track)
    }

    async fn follow(&mut self, wish: Wish) -> Pause {
        let Wish::Follow { session, ref peer, over } = wish else { return Pause::Again };
        self.track.update(self.live, |window, out| {
            if window.session().is_some_and(|known| session.is_some_and(|session| known < session)) {
                window.forget(out);
            }
        });
        let (ended, after) = self.track.read(|window| (window.has_ended(), window.version()));
        if ended {
            return self.keep().await;
        }
        self.live.stats.followed.add(1);
        let opening = self.live.upstream.follow(peer, &self.track.channel, self.track.name, after);
        let opened = tokio::select! {
            biased;
            opened = opening => opened,
            () = sleep(ms(self.live.config.cache.fill_timeout_ms)) => Err(UpstreamError("no answer in time".to_owned())),
            pause = self.unwatched_or_not(&wish) => return pause,
        };
        let failed = match opened {
            Ok(events) => self.listen(events, &wish).await,
            Err(error) => Err(error),
        };
        match failed {
            Ok(pause) => pause,
            Err(error) => {
                tracing::debug!(channel = %self.track.channel, track = %self.track.name, %error, "follow lost");
                if over {
                    self.track.update(self.live, |window, out| window.end(out));
                    self.track.set_gone(!self.track.read(super::window::Window::has_ended));
                }
                self.back_off().await
            }
        }
    }

    /// Takes events until the stream ends, or the wish for this origin does.
    async fn listen(&mut self, events: Box<dyn Events>, begun: &Wish) -> Result<Pause, UpstreamError> {
        let mut next = read(events);
        let mut heard = Instant::now();
        let mut over_since: Option<Instant> = None;
        loop {
            let wish = self.wish();
            let over = match (&wish, begun) {
                (Wish::Follow { peer: now, over, .. }, Wish::Follow { peer: then, .. }) if now == then => *over,
                _ => return Ok(Pause::Again),
            };
            let last_word = *over_since.filter(|_| over).get_or_insert_with(Instant::now) + LAST_WORD;
            over_since = over.then_some(last_word - LAST_WORD);
            let silent = heard + ms(self.live.config.follow.silence_ms);
            let is_live = self.is_live();
            let (events, event) = tokio::select! {
                biased;
                read = &mut next => read,
                pause = self.unwatched_or_not(&wish) => match pause {
                    Pause::Again => continue,
                    Pause::Unwatched => return Ok(pause),
                },
                () = sleep_until(last_word), if over => {
                    self.track.update(self.live, |window, out| window.end(out));
                    return Err(UpstreamError("over, and no last word".to_owned()));
                }
                () = sleep_until(silent), if is_live => {
                    return Err(UpstreamError("silent for too long".to_owned()));
                }
            };
            heard = Instant::now();
            let Some((event, payload)) = event? else { return Err(UpstreamError("the stream ended".to_owned())) };
            self.backoff.reset(self.live);
            next = read(events);
            match self.take(begun, event, payload) {
                // Events may come oftener than the looks do.
                None if self.track.is_unwatched(self.live) => return Ok(Pause::Unwatched),
                None => {}
                Some(Over::Ended) => return Ok(Pause::Again),
                Some(Over::Moved) => return Err(UpstreamError("moved".to_owned())),
                Some(Over::Gone) => return Ok(self.gone().await),
            }
        }
    }

    /// Takes an event, unless the view has named another origin meanwhile. That is looked at under the window's lock: an
    /// origin that is told what the window shows, once the view names it, is told the last of its predecessor.
    fn take(&self, begun: &Wish, event: FollowEvent, payload: Bytes) -> Option<Over> {
        self.live.stats.upstream_bytes.add(payload.len() as u64);
        self.track.set_gone(false);
        self.track.update(self.live, |window, out| {
            if self.is_wanted(begun) {
                window.handle(Instant::now(), event, payload, out);
            }
        })
    }

    fn is_wanted(&self, begun: &Wish) -> bool {
        let Wish::Follow { peer: then, .. } = begun else { return false };
        matches!(wish(&self.view.borrow(), self.track), Wish::Follow { peer, .. } if peer == *then)
    }

    /// The origin has nothing of the track. One that started anew knows nothing of what it published before, and may say
    /// so before the view says that the session is over: then what is here is shown with its end.
    async fn gone(&mut self) -> Pause {
        if self.track.read(|window| window.newest.is_some()) {
            self.wait(LAST_VIEW).await;
            if matches!(self.wish(), Wish::Follow { over: true, .. }) {
                self.track.update(self.live, |window, out| window.end(out));
                return self.wait(GONE).await;
            }
        }
        self.track.update(self.live, |window, out| window.forget(out));
        self.track.set_gone(true);
        self.wait(GONE).await
    }

    fn is_live(&self) -> bool {
        let view = self.view.borrow();
        view.channels.get(&self.track.channel).is_some_and(|channel| channel.state == ChannelState::Live)
    }

    /// Keeps an ended playlist for as long as its objects are kept, or until another session begins.
    async fn keep(&mut self) -> Pause {
        let keep = self.track.read(|window| window.constants).map_or(0, |constants| constants.keep_ms);
        let until = Instant::now() + ms(keep.into());
        let session = self.track.read(|window| window.session());
        while Instant::now() < until {
            match self.wish() {
                Wish::Follow { session: now, .. } if now > session => return Pause::Again,
                Wish::Nothing => return Pause::Again,
                _ => self.view_changed_or(until).await,
            }
        }
        self.track.update(self.live, |window, out| window.forget(out));
        self.track.set_gone(true);
        sleep(GONE).await;
        Pause::Unwatched
    }

    async fn back_off(&mut self) -> Pause {
        let rest = self.backoff.next(self.live);
        self.wait(rest).await
    }

    /// Waits for `rest`, or until the view changes or nobody watches.
    async fn wait(&mut self, rest: Duration) -> Pause {
        let wish = self.wish();
        tokio::select! {
            biased;
            () = sleep(rest) => Pause::Again,
            pause = self.unwatched_or_not(&wish) => pause,
        }
    }

    /// Returns when nobody watches, or as soon as the view wants something else than `wish`.
    async fn unwatched_or_not(&mut self, wish: &Wish) -> Pause {
        while self.wish() == *wish {
            self.view_changed_or(Instant::now() + LOOK).await;
            if self.track.is_unwatched(self.live) {
                return Pause::Unwatched;
            }
        }
        Pause::Again
    }

    /// Waits until the view changes, `until` at the longest. Once nobody keeps the view any more it stays as it is.
    async fn view_changed_or(&mut self, until: Instant) {
        tokio::select! {
            biased;
            changed = self.view.changed() => if changed.is_err() { sleep_until(until).await },
            () = sleep_until(until) => {}
        }
    }
}

fn wish(view: &View, track: &Track) -> Wish {
    let known = Known::of(view, &track.channel).zip(view.channels.get(&track.channel));
    let Some((known, channel)) = known else { return Wish::Nothing };
    match known.state {
        ChannelState::Idle => Wish::Nothing,
        state => match channel.current().and_then(|current| peer(view, current.origin)) {
            Some(peer) => Wish::Follow { session: channel.session, peer, over: state == ChannelState::Ended },
            None => Wish::Wait,
        },
    }
}

type Read = BoxFuture<'static, (Box<dyn Events>, Result<Option<(FollowEvent, Bytes)>, UpstreamError>)>;

/// The next event, with its stream given back: the read goes on while other things are looked at.
fn read(mut events: Box<dyn Events>) -> Read {
    Box::pin(async move {
        let event = events.next().await;
        (events, event)
    })
}

/// Waits that double after each failure, jittered, and begin anew after a success.
struct Backoff(Duration);

impl Backoff {
    fn new(live: &Live) -> Self {
        Self(ms(live.config.follow.retry_min_ms))
    }

    fn reset(&mut self, live: &Live) {
        *self = Self::new(live);
    }

    fn next(&mut self, live: &Live) -> Duration {
        let wait = self.0;
        self.0 = (wait * 2).min(ms(live.config.follow.retry_max_ms));
        wait / 2 + Duration::from_millis(live.random.below(wait.as_millis() as u64 / 2 + 1))
    }
}
