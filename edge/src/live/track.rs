//! One track with viewers: what its window shows, and who watches.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
};

use freshet_proto::{
    id::{ChannelName, TrackKind, TrackName},
    message::ContentType,
    object::ObjectName,
    ordered,
};
use tokio::time::Instant;

use super::{
    Live,
    playlist::Newest,
    window::{Out, Over, Window},
};
use crate::cache::{Entry, Key};

pub(crate) struct Track {
    pub channel: ChannelName,
    pub name: TrackName,
    began: Instant,
    window: Mutex<Window>,
    /// The newest version.
    pub newest: ordered::Sender<Newest>,
    /// Changes with each part, and when the track goes.
    pub moved: ordered::Sender<()>,
    gone: AtomicBool,
    visitors: AtomicUsize,
    /// Milliseconds from `began` to the last visit.
    last_visit_ms: AtomicU64,
}

/// Someone watches a track, until this is dropped.
pub(crate) struct Visit(Arc<Track>);

impl std::ops::Deref for Visit {
    type Target = Track;

    fn deref(&self) -> &Track {
        &self.0
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.touch();
        self.0.visitors.fetch_sub(1, SeqCst);
    }
}

impl Track {
    pub(super) fn new(live: &Live, channel: ChannelName, name: TrackName) -> Self {
        let config = &live.config.follow;
        Self {
            channel,
            name,
            began: Instant::now(),
            window: Mutex::new(Window::new(config.segments, config.max_playlist_bytes)),
            newest: ordered::Sender::new(None),
            moved: ordered::Sender::new(()),
            gone: AtomicBool::new(false),
            visitors: AtomicUsize::new(0),
            last_visit_ms: AtomicU64::new(0),
        }
    }

    /// Must be called under the lock of the map of tracks.
    pub(super) fn visit(self: &Arc<Self>) -> Visit {
        self.visitors.fetch_add(1, SeqCst);
        Visit(Arc::clone(self))
    }

    fn touch(&self) {
        self.last_visit_ms.store(self.began.elapsed().as_millis() as u64, SeqCst);
    }

    /// Whether nobody has watched for a while.
    pub(super) fn is_unwatched(&self, live: &Live) -> bool {
        let since = (self.began.elapsed().as_millis() as u64).saturating_sub(self.last_visit_ms.load(SeqCst));
        self.visitors.load(SeqCst) == 0 && since >= live.config.follow.linger_ms
    }

    /// Whether nobody is waiting at this moment.
    pub(super) fn is_empty(&self) -> bool {
        self.visitors.load(SeqCst) == 0
    }

    /// Whether the origin has no such track, or none any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(SeqCst)
    }

    pub(super) fn set_gone(&self, gone: bool) {
        if self.gone.swap(gone, SeqCst) != gone {
            self.moved.send_replace(());
            self.newest.send_if_modified(|_| true);
        }
    }

    pub(crate) fn read<T>(&self, look: impl FnOnce(&Window) -> T) -> T {
        look(&self.window.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the window and does what follows from it.
    pub(super) fn update(&self, live: &Live, change: impl FnOnce(&mut Window, &mut Vec<Out>)) -> Option<Over> {
        let mut outs = Vec::new();
        change(&mut self.window.lock().unwrap_or_else(PoisonError::into_inner), &mut outs);
        let mut over = None;
        for out in outs {
            match out {
                Out::Store { epoch, object, bytes, made } => {
                    let name = ObjectName { channel: self.channel.clone(), epoch, track: self.name, object };
                    let entry = Entry::object(&name, self.content_type(), vec![bytes], made);
                    live.cache.put(Key::from(name), Arc::new(entry));
                }
                Out::Moved => self.moved.send_replace(()),
                Out::Release(newest) => {
                    self.newest.send_replace(newest);
                    self.moved.send_replace(());
                }
                Out::Over(how) => over = Some(how),
            }
        }
        over
    }

    pub(crate) fn content_type(&self) -> ContentType {
        match self.name.kind {
            TrackKind::Video => ContentType::VideoMp4,
            TrackKind::Audio => ContentType::AudioMp4,
        }
    }
}
