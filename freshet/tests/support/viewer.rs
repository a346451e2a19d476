//! A viewer that follows low-latency HLS as a player does, and holds everything that it is shown against what is promised.
//!
//! ```text
//! blocking reload ──▶ parse_media ──▶ Shown (order, identity, progress) ──▶ each new part ──▶ the same bytes everywhere?
//! ```
//! It is shown no 5xx, no number that goes back, no epoch that returns, no end, and of one name the same bytes at every
//! edge. The first of them that it is shown all the same ends its watch. One 5xx is no broken promise and is counted: for
//! what a dead origin made last and its edge did not have yet, while another edge had (ARCHITECTURE.md, "Where we depart").

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use freshet_media::playlist::read::{Media, parse_media};
use freshet_netsim::{
    shown::Shown,
    viewer::{listed, next_query},
};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{Answer, get, wait::Wait};

/// How long an edge may take to answer before the viewer turns to another; players wait as long for a segment.
const ANSWER: Duration = Duration::from_secs(20);
/// How long a viewer waits before it asks again after an answer that was none.
const PAUSE: Duration = Duration::from_millis(200);

/// What each part is, by its URI: all viewers of a platform share it. One entry a part, for as long as a test lasts.
pub type Objects = Arc<Mutex<BTreeMap<String, u64>>>;

/// A viewer, until this is dropped.
pub struct Viewer([Watch; 2]);

/// The tracks that a viewer watches.
const TRACKS: [&str; 2] = ["v0", "a0"];

/// One track of it.
struct Watch {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

/// What was shown of one track.
struct Seen {
    shown: Shown,
    /// The newest part it has: segment and part.
    newest: Option<(u64, usize)>,
    parts: u64,
    turns: u64,
    /// When the newest part came, and the longest wait for one.
    since: Wait,
    longest: Duration,
    /// The segments of origins that have gone of which it could not have a part.
    missed: BTreeSet<u64>,
    /// The promise that was broken.
    broken: Option<String>,
}

/// Why a round led nowhere.
enum Trouble {
    /// The edge does not answer.
    Unreachable,
    /// It has nothing to show yet.
    NotYet,
    /// What must not be.
    Broken(String),
}

impl Viewer {
    /// Watches channel `ada` at the first of these edges (`http://…/live/ada`), and at the next whenever one doesn't answer.
    pub fn watch(edges: &[String], objects: &Objects) -> Self {
        Self(
            TRACKS.map(|track| Watch::begin(edges.iter().map(|edge| (edge.clone(), track)).collect(), objects.clone())),
        )
    }

    /// How many parts it got of each track, at least.
    ///
    /// # Panics
    /// When it was shown what must not be.
    pub fn parts(&self) -> u64 {
        self.least(|seen| {
            if let Some(broken) = &seen.broken {
                panic!("a viewer that has turned {} times was shown {broken}", seen.turns);
            }
            seen.parts
        })
    }

    /// At how many edges it found nobody.
    pub fn turns(&self) -> u64 {
        self.each(|seen| seen.turns).into_iter().max().unwrap_or_default()
    }

    /// How many changes of epoch it was shown in each track, at least.
    pub fn discontinuities(&self) -> u64 {
        self.least(|seen| seen.shown.discontinuities)
    }

    /// Of how many segments of origins that have gone it could not have a part, in the track where they were more.
    pub fn missed(&self) -> usize {
        self.each(|seen| seen.missed.len()).into_iter().max().unwrap_or_default()
    }

    /// Forgets how long it has waited for parts so far.
    pub fn forget_waits(&self) {
        self.0.iter().for_each(|watch| lock(&watch.seen).longest = Duration::ZERO);
    }

    /// The longest wait for a part since then, the one for the next included.
    pub fn longest_wait(&self) -> Duration {
        self.each(|seen| seen.longest.max(seen.since.elapsed())).into_iter().max().unwrap_or_default()
    }

    fn least(&self, of: impl Fn(&Seen) -> u64) -> u64 {
        self.each(of).into_iter().min().unwrap_or_default()
    }

    fn each<T>(&self, of: impl Fn(&Seen) -> T) -> [T; 2] {
        self.0.each_ref().map(|watch| of(&lock(&watch.seen)))
    }
}

impl Watch {
    fn begin(places: Vec<(String, &'static str)>, objects: Objects) -> Self {
        let seen = Arc::new(Mutex::new(Seen {
            shown: Shown::default(),
            newest: None,
            parts: 0,
            turns: 0,
            since: Wait::begin(),
            longest: Duration::ZERO,
            missed: BTreeSet::new(),
            broken: None,
        }));
        let task = tokio::spawn(watch(places, Arc::clone(&seen), objects));
        Self { seen, task }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn watch(places: Vec<(String, &'static str)>, seen: Arc<Mutex<Seen>>, objects: Objects) {
    let (mut query, mut turned) = (String::new(), true);
    for place in places.iter().cycle() {
        loop {
            match round(place, &query, turned, &seen, &objects).await {
                Ok(Some(next)) => (query, turned) = (next, false),
                // An edge that was not watched so far may be a little behind.
                Ok(None) => sleep(PAUSE).await,
                Err(Trouble::NotYet) => {
                    query.clear();
                    sleep(PAUSE).await;
                }
                Err(Trouble::Unreachable) => break,
                Err(Trouble::Broken(what)) => {
                    lock(&seen).broken = Some(format!("{what}, at {place:?}"));
                    return;
                }
            }
        }
        turned = true;
        lock(&seen).turns += 1;
        sleep(PAUSE).await;
    }
}

/// One reload and the parts that are new by it. Gives the next reload's query; `None` where the edge is behind what the
/// viewer saw at another.
async fn round(
    (edge, track): &(String, &'static str),
    query: &str,
    turned: bool,
    seen: &Mutex<Seen>,
    objects: &Objects,
) -> Result<Option<String>, Trouble> {
    let answer = ask(&format!("{edge}/{track}.m3u8{query}")).await?;
    let begun = lock(seen).newest.is_some();
    match answer.status {
        200 => {}
        400..500 if turned || !begun => return Err(Trouble::NotYet),
        status => return Err(Trouble::Broken(format!("{status} for {query:?}: {}", answer.text()))),
    }
    let media = parse_media(&answer.body).map_err(|why| Trouble::Broken(format!("{why:?}: {}", answer.text())))?;
    if turned && is_behind(&media, lock(seen).newest) {
        return Ok(None);
    }
    if let Err((rule, what)) = lock(seen).shown.playlist(&media, 0) {
        return Err(Trouble::Broken(format!("what breaks {rule:?}: {what}\n{}", answer.text())));
    }
    if media.ended {
        return Err(Trouble::Broken(format!("an end\n{}", answer.text())));
    }
    take_parts(edge, &media, seen, objects).await?;
    Ok(Some(next_query(&media)))
}

fn is_behind(media: &Media, newest: Option<(u64, usize)>) -> bool {
    let last = listed(media).last().map(|(at, _)| *at);
    last < newest
}

/// Gets what is new; when it joins, only the newest.
async fn take_parts(edge: &str, media: &Media, seen: &Mutex<Seen>, objects: &Objects) -> Result<(), Trouble> {
    let parts = listed(media);
    let current = parts.last().and_then(|(_, part)| epoch(&part.uri));
    let newest = lock(seen).newest;
    let from = newest.map_or(parts.len().saturating_sub(1), |newest| parts.partition_point(|(at, _)| *at <= newest));
    for (at, part) in parts.into_iter().skip(from).filter(|(_, part)| !part.gap) {
        let answer = ask(&format!("{edge}/{}", part.uri)).await?;
        if answer.status >= 500 && epoch(&part.uri) < current {
            lock(seen).missed.insert(at.0);
            continue;
        }
        if answer.status != 200 {
            return Err(Trouble::Broken(format!("{} for {}, which is listed", answer.status, part.uri)));
        }
        let mut hasher = DefaultHasher::new();
        answer.body.hash(&mut hasher);
        let now = hasher.finish();
        let before = *lock(objects).entry(part.uri.clone()).or_insert(now);
        if before != now {
            return Err(Trouble::Broken(format!("other bytes of {} than another viewer", part.uri)));
        }
        lock(seen).takes(at);
    }
    Ok(())
}

/// The epoch in a URI like `17/v0/3.1.m4s`.
fn epoch(uri: &str) -> Option<u64> {
    uri.split('/').next()?.parse().ok()
}

impl Seen {
    fn takes(&mut self, at: (u64, usize)) {
        self.longest = self.longest.max(self.since.elapsed());
        (self.newest, self.since) = (Some(at), Wait::begin());
        self.parts += 1;
    }
}

async fn ask(url: &str) -> Result<Answer, Trouble> {
    match timeout(ANSWER, get(url)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) | Err(_) => Err(Trouble::Unreachable),
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
