//! One accepted publish: messages become frames, frames go to the session, the registry is kept informed.
//!
//! With `?test` behind its key it is a *private test*: a session of its own, outside the house's, that nobody can watch and
//! the registry never hears of. How it does is told like that of any other.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use freshet_media::{
    flv::{Demuxer, TagKind},
    frame::{CodecConfig, Media, Metadata, TrackId},
    rtmp::server::Publish,
};
use freshet_proto::registry::{Claimed, Command, Departure, Refused};
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::{Duration, Instant, timeout},
};
use tracing::{debug, info, warn};

use super::{close::Close, told::Told};
use crate::{
    Inner,
    broadcast::{Dismissal, Pushed, Shared},
    meter, readmit,
    serve::Count,
};

/// One publish, from its claim to its departure.
pub(crate) struct Publication {
    inner: Arc<Inner>,
    key: String,
    claimed: Claimed,
    broadcast: Shared,
    dismissal: watch::Receiver<Option<Dismissal>>,
    told: Told,
    demuxer: Demuxer,
    media: Vec<Media>,
    said: Said,
    heard_at: Instant,
    /// When it ends by itself, where it is a private test.
    test_until: Option<Instant>,
    has_dropped: bool,
    _place: OwnedSemaphorePermit,
    _count: Count,
}

/// How long a private test may last: long enough for a report on half a minute, and for a second look.
const TEST_FOR: Duration = Duration::from_secs(300);

/// What the encoder said of its tracks: a new session's pipeline is told again.
#[derive(Default)]
struct Said {
    configs: BTreeMap<TrackId, Arc<CodecConfig>>,
    metadata: Option<Metadata>,
}

/// What a publication waited for.
pub(crate) enum Event {
    Dismissed(Dismissal),
    Answered(Result<(), Refused>),
}

impl Publication {
    /// Claims the channel of the key and takes the publish in.
    pub(crate) async fn begin(inner: Arc<Inner>, publish: Publish) -> Result<Self, Close> {
        let place = inner.publishers.clone().try_acquire_owned().map_err(|_| Close::NoPlace)?;
        let (sender, dismissal) = watch::channel(None);
        let test_until = is_test(&publish).then(|| Instant::now() + TEST_FOR);
        let key = publish.key;
        let (claimed, broadcast) = if test_until.is_some() {
            let claimed = inner.claim_test(&key).await?;
            let test = inner.house.try_out(&claimed, sender, inner.clock.now_ms());
            (claimed, test)
        } else {
            let claimed = inner.claim(&key).await?;
            let inherited = inner.inherit(&claimed).await;
            let entered = inner.house.enter(&claimed, inherited, sender, inner.clock.now_ms());
            (claimed, entered.ok_or(Dismissal::TakenOver)?)
        };
        Ok(Self {
            told: Told::new(claimed.channel.clone(), claimed.epoch),
            demuxer: Demuxer::new(),
            media: Vec::new(),
            said: Said::default(),
            heard_at: Instant::now(),
            test_until,
            has_dropped: false,
            _place: place,
            _count: Count::up(&inner.meters.publishers),
            inner,
            key,
            claimed,
            broadcast,
            dismissal,
        })
    }

    pub(crate) fn claimed(&self) -> &Claimed {
        &self.claimed
    }

    /// Whether it is a private test, of which the registry is told nothing.
    pub(crate) fn is_test(&self) -> bool {
        self.test_until.is_some()
    }

    /// Waits until the publication must go or the registry has answered. Cancelling loses nothing.
    pub(crate) async fn event(&mut self) -> Event {
        tokio::select! {
            biased;
            why = dismissed(&mut self.dismissal) => Event::Dismissed(why),
            answer = self.told.answered() => Event::Answered(answer),
        }
    }

    pub(crate) fn perform(&mut self, event: Event) -> Result<(), Close> {
        match event {
            Event::Dismissed(why) => return Err(why.into()),
            Event::Answered(Err(Refused::Superseded)) => return Err(Dismissal::TakenOver.into()),
            Event::Answered(Err(why)) => {
                warn!(channel = %self.claimed.channel, %why, "the registry was not told");
                self.told.back_off(Instant::now(), &self.inner.random);
            }
            Event::Answered(Ok(())) => {}
        }
        self.told.begin(&self.inner.commands, Instant::now());
        Ok(())
    }

    /// Bytes came.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard_at = now;
        self.told.heard(true);
    }

    /// There and back between the encoder and here.
    pub(crate) fn measure(&self, rtt: Option<Duration>) {
        self.broadcast.measure(self.claimed.epoch, rtt);
    }

    /// Takes one message.
    pub(crate) async fn take(&mut self, kind: TagKind, timestamp_ms: u32, payload: Bytes) -> Result<(), Close> {
        self.inner.meters.message(kind);
        match self.demuxer.parse(kind, timestamp_ms, payload, &mut self.media) {
            Ok(()) => {}
            Err(error) if error.refuses() => return Err(error.into()),
            Err(error) => self.note_dropped(&error),
        }
        let mut media = std::mem::take(&mut self.media);
        for item in media.drain(..) {
            self.push(item).await?;
        }
        self.media = media;
        Ok(())
    }

    fn note_dropped(&mut self, error: &dyn std::fmt::Display) {
        meter::dropped("unusable");
        let channel = &self.claimed.channel;
        if std::mem::replace(&mut self.has_dropped, true) {
            debug!(%channel, %error, "a message was dropped");
        } else {
            warn!(%channel, %error, "a message was dropped; further ones are logged at debug level");
        }
    }

    async fn push(&mut self, media: Media) -> Result<(), Close> {
        self.said.remember(&media);
        match self.push_once(media.clone())? {
            None => Ok(()),
            Some(why) => self.begin_another_session(why, media).await,
        }
    }

    fn push_once(&mut self, media: Media) -> Result<Option<&'static str>, Close> {
        match self.broadcast.push(self.claimed.epoch, self.inner.clock.now_ms(), media) {
            Pushed::Taken { live: true } if !self.is_test() => {
                self.told.live();
                Ok(None)
            }
            Pushed::Taken { .. } => Ok(None),
            Pushed::NewSession(why) => Ok(Some(why)),
            Pushed::Displaced => Err(self.why_displaced().into()),
        }
    }

    fn why_displaced(&self) -> Dismissal {
        (*self.dismissal.borrow()).unwrap_or(Dismissal::TakenOver)
    }

    /// What comes can't continue the session: ends it, claims the next one, and goes on there with `media`.
    async fn begin_another_session(&mut self, why: &'static str, media: Media) -> Result<(), Close> {
        info!(channel = %self.claimed.channel, session = %self.claimed.session, why, "a new session begins");
        let (sender, dismissal) = watch::channel(None);
        if self.is_test() {
            self.inner.house.forget_test(&self.broadcast);
            self.broadcast = self.inner.house.try_out(&self.claimed, sender, self.inner.clock.now_ms());
        } else {
            self.release(Departure::EndSession).await;
            self.broadcast.end(self.inner.clock.now_ms());
            self.claimed = self.inner.claim(&self.key).await?;
            let entered = self.inner.house.enter(&self.claimed, None, sender, self.inner.clock.now_ms());
            self.broadcast = entered.ok_or(Dismissal::TakenOver)?;
        }
        self.dismissal = dismissal;
        self.told = Told::new(self.claimed.channel.clone(), self.claimed.epoch);
        for again in self.said.again(&media) {
            self.push_once(again)?;
        }
        self.push_once(media).map(drop)
    }

    /// Does what time asks for.
    pub(crate) fn due(&mut self, now: Instant) -> Result<(), Close> {
        let config = &self.inner.config;
        let quiet = now.duration_since(self.heard_at);
        if quiet >= config.lost_after() {
            return Err(Close::Silent(config.lost_after()));
        }
        if self.test_until.is_some_and(|until| until <= now) {
            return Err(Close::Tested);
        }
        if quiet >= config.silent_after() && !self.is_test() {
            self.told.heard(false);
        }
        self.broadcast.tick(self.inner.clock.now_ms());
        Ok(())
    }

    /// Tells the registry what has changed; returns when [`Publication::due`] must be called at the latest.
    pub(crate) fn settle(&mut self, now: Instant) -> Instant {
        if self.inner.is_taken_for_gone(&self.claimed.channel, self.claimed.epoch) {
            self.told.is_forgotten();
        }
        self.told.begin(&self.inner.commands, now);
        let config = &self.inner.config;
        let patience =
            if self.told.is_heard() && !self.is_test() { config.silent_after() } else { config.lost_after() };
        let pipeline = self.broadcast.deadline_ms().map(|at| self.inner.instant_of(at, now));
        let deadlines = [Some(self.heard_at + patience), pipeline, self.told.deadline(), self.test_until];
        deadlines.into_iter().flatten().min().unwrap_or(now)
    }

    /// Leaves the session; the registry is told how unless the publish was superseded.
    pub(crate) async fn leave(mut self, how: Option<Departure>) {
        let now_ms = self.inner.clock.now_ms();
        let health = self.broadcast.health(now_ms).map(|(_, health)| health);
        let Claimed { channel, session, epoch, .. } = &self.claimed;
        info!(%channel, %session, %epoch, test = self.is_test(), ?how, ?health, "a publish ended");
        if self.is_test() {
            return self.inner.house.forget_test(&self.broadcast);
        }
        self.inner.house.leave(&self.broadcast, self.claimed.epoch, how, now_ms);
        let Some(how) = how else { return };
        // That media flows must not come after the farewell.
        let _ = timeout(self.inner.config.claim_timeout(), self.told.finish()).await;
        if !self.release(how).await {
            let (inner, farewell) = (Arc::downgrade(&self.inner), self.farewell(how));
            tokio::spawn(readmit::insist(inner, self.broadcast, self.claimed.epoch, farewell));
        }
    }

    /// Tells the registry that the publisher has gone; whether it knows.
    async fn release(&self, how: Departure) -> bool {
        self.inner.farewell(&self.farewell(how)).await
    }

    fn farewell(&self, how: Departure) -> Command {
        Command::Release { channel: self.claimed.channel.clone(), epoch: self.claimed.epoch, how }
    }
}

/// Whether the encoder wants nothing but to be measured: `KEY?test`.
fn is_test(publish: &Publish) -> bool {
    let mut said = publish.query.iter().flat_map(|query| query.split('&'));
    said.any(|part| matches!(part, "test" | "test=1" | "test=true"))
}

async fn dismissed(dismissal: &mut watch::Receiver<Option<Dismissal>>) -> Dismissal {
    match dismissal.wait_for(Option::is_some).await.map(|why| *why) {
        Ok(Some(why)) => why,
        // The session let go of its publisher without a word: a newer one has it.
        _ => Dismissal::TakenOver,
    }
}

impl Said {
    fn remember(&mut self, media: &Media) {
        match media {
            Media::Config(track, config) => drop(self.configs.insert(*track, config.clone())),
            Media::Metadata(metadata) => self.metadata = Some(metadata.clone()),
            Media::Frame(_) => {}
        }
    }

    /// Everything but `media` itself.
    fn again(&self, media: &Media) -> Vec<Media> {
        let metadata = self.metadata.iter().cloned().map(Media::Metadata);
        let configs = self.configs.iter().map(|(track, config)| Media::Config(*track, config.clone()));
        let is_media = |track: &TrackId| matches!(media, Media::Config(of, _) if of == track);
        let others = configs.filter(|item| !matches!(item, Media::Config(track, _) if is_media(track)));
        metadata.chain(others).collect()
    }
}
