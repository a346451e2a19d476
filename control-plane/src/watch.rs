//! Carries the view to other nodes: a snapshot where need be, then changes, and a bookmark every [`BOOKMARK`] so that
//! silence means loss.
//!
//! A follower keeps its last view whatever happens to the registry, on disk too, and never goes back: within one
//! registry's history revisions only rise; a view of another registry replaces it.

use std::{
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use freshet_proto::{
    annex::{self, Annex},
    level::Level,
    message::{MAX_FRAME, Request, WatchEvent},
    quic::{Pool, QuicError, Reader, Responder, within},
    random::Random,
    view::{Delta, NodeView, Position, Removed, Role, View},
};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval, sleep},
};
use tracing::{debug, info, warn};

use crate::feed::{Feed, Since};

/// How often a watcher hears something.
pub const BOOKMARK: Duration = Duration::from_secs(5);

/// After how long without a word the registry counts as lost: two bookmarks and a half.
pub const SILENCE: Duration = Duration::from_millis(12_500);

/// How long a follower waits before it asks again, drawn between half and whole; a peer's own pause may be longer.
pub const PAUSE: Duration = Duration::from_millis(500);

/// How often the view is written to disk at most.
pub const KEEP_EVERY: Duration = Duration::from_secs(1);

/// Answers [`Request::Watch`] of a node until it leaves or the registry goes. Of keys it is told once its role is known, and
/// then no secret that its role does not need. While `is_current` says no, because the node that answers has lost touch, there
/// are no bookmarks, so that watchers turn elsewhere. Who speaks version 1 is told neither who was removed nor of the annex.
///
/// # Errors
/// See [`QuicError`].
pub async fn serve(
    feed: &Feed,
    after: Option<Position>,
    role: impl Fn() -> Option<Role>,
    mut reply: Responder,
    is_current: impl Fn() -> bool,
) -> Result<(), QuicError> {
    let (mut at, mut told) = (after, Told::default());
    let is_new = reply.peer().level >= Level::ANNEX;
    let mut bookmark = interval(BOOKMARK);
    bookmark.set_missed_tick_behavior(MissedTickBehavior::Delay);
    bookmark.reset();
    let left = reply.left();
    tokio::pin!(left);
    loop {
        let moved = feed.moved();
        at = Some(catch_up(feed, at, &mut reply).await?);
        if is_new {
            told.catch_up(feed, role(), &mut reply).await?;
        }
        if feed.is_closed() {
            return reply.finish().await;
        }
        tokio::select! {
            biased;
            () = &mut left => return Ok(()),
            () = moved => {}
            _ = bookmark.tick() => if is_current() {
                let revision = at.map_or(0, |at| at.revision);
                reply.write_frame(&WatchEvent::Bookmark(revision)).await?;
            }
        }
    }
}

async fn catch_up(feed: &Feed, at: Option<Position>, reply: &mut Responder) -> Result<Position, QuicError> {
    match (feed.since(at), at) {
        (Since::Deltas(deltas), Some(mut at)) => {
            for delta in deltas {
                at.revision = delta.revision;
                reply.write_frame(&WatchEvent::Delta(delta)).await?;
            }
            Ok(at)
        }
        (Since::Snapshot(view), _) => {
            reply.write_frame(&WatchEvent::Snapshot(View::clone(&view))).await?;
            Ok(view.position())
        }
        (Since::Deltas(_), None) => Err(QuicError::ShuttingDown),
    }
}

/// What a watcher has been told of that travels whole, first and whenever it changes: what it has may come from a node that
/// did not tell it.
#[derive(Default)]
struct Told {
    removed: Option<u64>,
    annex: [Option<u64>; Annex::PARTS],
}

impl Told {
    async fn catch_up(&mut self, feed: &Feed, role: Option<Role>, reply: &mut Responder) -> Result<(), QuicError> {
        let (removed, annex) = {
            let view = feed.view();
            let view = view.borrow();
            (view.removed.clone(), view.annex.clone())
        };
        if self.removed.replace(removed.revision) != Some(removed.revision) {
            reply.write_frame(&WatchEvent::Removed(Removed::clone(&removed))).await?;
        }
        for (told, part) in self.annex.iter_mut().zip(annex.parts()) {
            // Who it is that asks may be read only after it has asked.
            if role.is_none() && matches!(part, annex::Part::Keys(_)) {
                continue;
            }
            let revision = part.revision();
            if told.replace(revision) != Some(revision) {
                reply.write_frame(&WatchEvent::Annex(part.for_role(role))).await?;
            }
        }
        Ok(())
    }
}

/// Follows the registry's view until every receiver is dropped: at one of `seeds` or of the control nodes that the view
/// names, and at the next one whenever that one is lost or falls silent. Starts with the view kept in `dir` if there is
/// one, else with an empty one, whose `cluster` is 0.
pub fn follow(pool: Pool, seeds: Vec<NodeView>, dir: Option<&Path>, random: Random) -> watch::Receiver<Arc<View>> {
    let path = dir.map(|dir| dir.join(KEPT));
    let kept = path.as_deref().and_then(read_kept).unwrap_or_default();
    let receiver = follow_from(kept, pool, seeds, random);
    if let Some(path) = path {
        tokio::spawn(keep(path, receiver.clone()));
    }
    receiver
}

/// The same, with the view that the node had before; whoever calls keeps what comes.
pub fn follow_from(kept: View, pool: Pool, seeds: Vec<NodeView>, random: Random) -> watch::Receiver<Arc<View>> {
    let (sender, receiver) = watch::channel(Arc::new(kept));
    let turn = random.below(1 + seeds.len() as u64) as usize;
    let follower = Follower { pool, seeds, turn, random, view: sender };
    tokio::spawn(follower.run());
    receiver
}

struct Follower {
    pool: Pool,
    seeds: Vec<NodeView>,
    /// Whose turn it is among the candidates: at first anybody's, so that watchers spread.
    turn: usize,
    random: Random,
    view: watch::Sender<Arc<View>>,
}

impl Follower {
    async fn run(mut self) {
        let (mut was_up, mut misses) = (true, 0);
        loop {
            let candidates = candidates(&self.seeds, &self.view.borrow());
            let Some(registry) = candidates.get(self.turn % candidates.len().max(1)).cloned() else { return };
            let mut heard = false;
            let error = tokio::select! {
                biased;
                () = self.view.closed() => return,
                error = self.attend(&registry, &mut heard) => error,
            };
            self.turn = self.turn.wrapping_add(1);
            misses = if heard { 0 } else { misses + 1 };
            if heard || was_up {
                warn!(registry = %registry.quic, %error, "lost the registry; going on with what is known");
                was_up = false;
            } else {
                debug!(registry = %registry.quic, %error, "the registry is still lost");
            }
            // Another one may be there at once; when all have been asked, there is time.
            if misses == 0 || misses % candidates.len() == 0 {
                sleep(self.pause(&error)).await;
            }
        }
    }

    fn pause(&self, error: &QuicError) -> Duration {
        let half = PAUSE / 2;
        let drawn = half + Duration::from_micros(self.random.below(half.as_micros() as u64));
        match error {
            QuicError::Unreachable { retry_in, .. } => drawn.max(*retry_in),
            _ => drawn,
        }
    }

    /// Watches until something goes wrong.
    async fn attend(&self, registry: &NodeView, heard: &mut bool) -> QuicError {
        let mut events = match self.watch(registry).await {
            Ok(events) => events,
            Err(error) => return error,
        };
        loop {
            match within(SILENCE, next(&mut events)).await {
                Ok(event) => self.take(event),
                Err(error) => return error,
            }
            if !*heard {
                info!(registry = %registry.quic, "following the registry");
            }
            *heard = true;
        }
    }

    async fn watch(&self, registry: &NodeView) -> Result<Reader, QuicError> {
        let after = Some(self.view.borrow().position()).filter(|at| at.cluster != 0);
        self.pool.request(registry.quic, &registry.server_name, &Request::Watch { after }).await
    }

    fn take(&self, event: WatchEvent) {
        match event {
            WatchEvent::Snapshot(view) => self.replace(view),
            WatchEvent::Delta(delta) => self.apply(delta),
            WatchEvent::Removed(removed) => self.remove(removed),
            WatchEvent::Annex(part) => self.annex(part),
            _ => {}
        }
    }

    /// Who was removed stays so until the list comes, and so does the annex; those of another registry are then the right
    /// ones, however young.
    fn replace(&self, mut view: View) {
        self.view.send_if_modified(|current| {
            let another = view.cluster != current.cluster;
            let newer = another || view.revision > current.revision;
            if newer {
                (view.removed, view.annex) = (current.removed.clone(), current.annex.clone());
                if another {
                    Arc::make_mut(&mut view.removed).revision = 0;
                    view.annex.forget_revisions();
                }
                *current = Arc::new(view);
            }
            newer
        });
    }

    fn remove(&self, removed: Removed) {
        self.view.send_if_modified(|current| {
            let newer = removed.revision >= current.removed.revision && removed != *current.removed;
            if newer {
                Arc::make_mut(current).removed = Arc::new(removed);
            }
            newer
        });
    }

    fn annex(&self, part: annex::Part) {
        self.view.send_if_modified(|current| {
            let mut annex = current.annex.clone();
            let newer = annex.put_newer(part);
            if newer {
                Arc::make_mut(current).annex = annex;
            }
            newer
        });
    }

    fn apply(&self, delta: Delta) {
        self.view.send_if_modified(|current| {
            let newer = delta.revision > current.revision;
            if newer {
                Arc::make_mut(current).apply(delta);
            }
            newer
        });
    }
}

/// Whom to ask: the control nodes that the view names, then the seeds that are none of them. No address twice.
pub(crate) fn candidates(seeds: &[NodeView], view: &View) -> Vec<NodeView> {
    let reachable = |node: &&NodeView| node.role == Role::Control && node.quic.port() != 0;
    let mut all: Vec<NodeView> = view.nodes.values().filter(reachable).cloned().collect();
    for seed in seeds {
        if all.iter().all(|known| known.quic != seed.quic) {
            all.push(seed.clone());
        }
    }
    all
}

async fn next(events: &mut Reader) -> Result<WatchEvent, QuicError> {
    events.read_frame(MAX_FRAME).await
}

/// The kept view's file: crc32, then postcard: the view, and who was removed and the annex, which version 1 neither writes nor misses.
const KEPT: &str = "view";

fn read_kept(path: &Path) -> Option<View> {
    let bytes = std::fs::read(path).ok()?;
    let (check, payload) = bytes.split_at_checked(4)?;
    let sound = crc32fast::hash(payload).to_be_bytes() == check;
    let view = sound.then(|| parse_kept(payload)).flatten();
    if view.is_none() {
        warn!(path = %path.display(), "the kept view can't be read; starting without one");
    }
    view
}

fn parse_kept(payload: &[u8]) -> Option<View> {
    let (view, rest) = postcard::take_from_bytes::<View>(payload).ok()?;
    let (removed, annex) = if rest.is_empty() { Default::default() } else { postcard::from_bytes(rest).ok()? };
    Some(View { removed: Arc::new(removed), annex, ..view })
}

async fn keep(path: PathBuf, mut views: watch::Receiver<Arc<View>>) {
    while views.changed().await.is_ok() {
        let view = views.borrow_and_update().clone();
        let path = path.clone();
        let written = tokio::task::spawn_blocking(move || write_kept(&path, &view)).await;
        if let Ok(Err(error)) = written {
            warn!(%error, "the view can't be kept on disk");
        }
        sleep(KEEP_EVERY).await;
    }
}

fn write_kept(path: &Path, view: &View) -> std::io::Result<()> {
    let payload =
        postcard::to_stdvec(view).and_then(|bytes| postcard::to_extend(&(&*view.removed, &view.annex), bytes));
    let payload = payload.map_err(std::io::Error::other)?;
    let mut bytes = crc32fast::hash(&payload).to_be_bytes().to_vec();
    bytes.extend(payload);
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let fresh = path.with_extension("new");
    // At edges it has the secrets of path tokens. A mode is given to new files alone.
    let _ = std::fs::remove_file(&fresh);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(&bytes)?;
    std::fs::rename(fresh, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use freshet_proto::{id::NodeId, view::Bar};

    use super::*;

    /// A view with an edge and a channel, as version 1 keeps it.
    const VERSION_1: &str = "a016aa8709020103616461000000010501007f000001ce2206656467652d3101";

    #[test]
    fn a_view_that_version_1_kept_is_read_and_one_of_ours_is_read_by_version_1() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(KEPT);
        let hex = |at: usize| u8::from_str_radix(&VERSION_1[at..at + 2], 16).unwrap();
        let old: Vec<u8> = (0..VERSION_1.len()).step_by(2).map(hex).collect();
        std::fs::write(&path, &old).unwrap();
        let mut view = read_kept(&path).unwrap();
        assert_eq!((view.nodes[&NodeId(5)].server_name.as_str(), view.channels.len()), ("edge-1", 1));
        assert_eq!(*view.removed, Removed::default());

        Arc::make_mut(&mut view.removed).add("edge-2".into(), Bar { since_ms: 1, until_ms: 2 });
        write_kept(&path, &view).unwrap();
        assert_eq!(read_kept(&path), Some(view), "who was removed stays so over a restart");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        // Version 1 checks the sum of the whole file, reads the view and leaves the rest.
        let new = std::fs::read(&path).unwrap();
        assert_eq!(crc32fast::hash(&new[4..]).to_be_bytes(), new[..4]);
        assert!(new[4..].starts_with(&old[4..]));
    }
}
