//! Who watches: distinct sessions of playback per channel. A machine: time is an argument.
//!
//! ```text
//! each request for a playlist or for media ── seen(viewer, channel, now) ──▶ 64 shards ── viewers(now) ──▶ channel → count
//! ```
//! A session counts from its first such request until it has made none for [`QUIET_MS`]: a blocking reload is held for a few
//! seconds, so whoever plays is heard far more often. Whose requests they are is what their path token says. Requests without
//! one, which public channels answer too, count once per household (an IPv4 address or an IPv6 /64) and channel, however many
//! sit there: whoever asks for the multivariant playlist gets a token, so few come without.
//!
//! At [`Watching::MOST`] sessions nobody is added until others have gone quiet; those who watch are served all the same, and
//! the count stays at what it was.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher},
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use freshet_proto::{id::ChannelName, random::Random};

/// After how many milliseconds without a request a session is over.
pub const QUIET_MS: u64 = 30_000;

/// How many parts the table has, each with a lock of its own, so that threads seldom meet.
const SHARDS: usize = 64;

/// How long a full shard is not searched for the quiet again.
const SEARCH_MS: u64 = 1000;

/// The table.
pub struct Watching {
    /// Addresses are hashed with it, so that nobody outside can make two of them meet.
    key: [u8; 16],
    most_per_shard: usize,
    shards: Vec<Mutex<Shard>>,
}

#[derive(Default)]
struct Shard {
    sessions: HashMap<u64, Seen, BuildHasherDefault<AsItIs>>,
    searched_ms: u64,
}

struct Seen {
    channel: ChannelName,
    last_ms: u64,
}

/// Whose requests they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Viewer {
    /// A session of playback, from its path token.
    Session(u64),
    /// Whoever is behind an address.
    Household(IpAddr),
}

impl Watching {
    /// How many sessions are kept apart: about 10 MB.
    pub const MOST: usize = 200_000;

    /// An empty table.
    pub fn new(random: &Random) -> Self {
        Self::with_limit(random, Self::MOST)
    }

    fn with_limit(random: &Random, most: usize) -> Self {
        let mut key = [0; 16];
        random.fill(&mut key);
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { key, most_per_shard: most.div_ceil(SHARDS), shards }
    }

    /// `viewer` has asked for something of `channel`.
    pub fn seen(&self, viewer: Viewer, channel: &ChannelName, now_ms: u64) {
        let session = self.number(viewer, channel);
        // The table in a shard goes by the lowest and the highest bits.
        let shard = &self.shards[(session >> 32) as usize % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner).seen(session, channel, now_ms, self.most_per_shard);
    }

    /// How many watch each channel; channels without viewers are left out. Forgets who has gone quiet. Costs some
    /// nanoseconds for each session.
    pub fn viewers(&self, now_ms: u64) -> BTreeMap<ChannelName, u32> {
        let mut count = BTreeMap::<ChannelName, u32>::new();
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.forget_quiet(now_ms);
            for seen in shard.sessions.values() {
                match count.get_mut(&seen.channel) {
                    Some(count) => *count += 1,
                    None => drop(count.insert(seen.channel.clone(), 1)),
                }
            }
        }
        count
    }

    fn number(&self, viewer: Viewer, channel: &ChannelName) -> u64 {
        match viewer {
            Viewer::Session(session) => session,
            Viewer::Household(address) => {
                let mut hasher = DefaultHasher::new();
                (self.key, address, channel).hash(&mut hasher);
                hasher.finish()
            }
        }
    }
}

impl Shard {
    fn seen(&mut self, session: u64, channel: &ChannelName, now_ms: u64, most: usize) {
        if self.sessions.len() >= most && now_ms >= self.searched_ms + SEARCH_MS {
            self.searched_ms = now_ms;
            self.forget_quiet(now_ms);
        }
        let full = self.sessions.len() >= most;
        match self.sessions.entry(session) {
            Entry::Occupied(mut seen) => seen.get_mut().last_ms = now_ms,
            Entry::Vacant(_) if full => {}
            Entry::Vacant(place) => drop(place.insert(Seen { channel: channel.clone(), last_ms: now_ms })),
        }
    }

    fn forget_quiet(&mut self, now_ms: u64) {
        self.sessions.retain(|_, seen| now_ms < seen.last_ms + QUIET_MS);
        if self.sessions.capacity() > 4 * self.sessions.len().max(64) {
            self.sessions.shrink_to_fit();
        }
    }
}

/// Sessions are drawn at random or hashed already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ChannelName {
        text.parse().unwrap()
    }

    fn watching(most: usize) -> Watching {
        Watching::with_limit(&Random::seeded(1), most)
    }

    /// Sessions spread as random numbers are.
    fn session(n: u64) -> Viewer {
        Viewer::Session(n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn counted(watching: &Watching, now_ms: u64) -> Vec<(String, u32)> {
        watching.viewers(now_ms).into_iter().map(|(channel, count)| (channel.to_string(), count)).collect()
    }

    #[test]
    fn sessions_are_counted_once_each_and_per_channel() {
        let watching = watching(1000);
        for n in 0..100 {
            for now_ms in [0, 500, 1000] {
                watching.seen(session(n), &name(if n < 70 { "ada" } else { "bob" }), now_ms);
            }
        }
        assert_eq!(counted(&watching, 1000), [("ada".into(), 70), ("bob".into(), 30)]);
    }

    #[test]
    fn a_session_ends_after_thirty_seconds_without_a_request_and_each_request_prolongs_it() {
        let watching = watching(1000);
        watching.seen(session(1), &name("ada"), 0);
        watching.seen(session(2), &name("ada"), 0);
        watching.seen(session(2), &name("ada"), 20_000);
        assert_eq!(counted(&watching, 29_999), [("ada".into(), 2)]);
        assert_eq!(counted(&watching, 30_000), [("ada".into(), 1)]);
        assert!(counted(&watching, 50_000).is_empty());
    }

    #[test]
    fn a_household_without_tokens_counts_once_for_each_channel() {
        let watching = watching(1000);
        for address in ["10.0.0.1", "10.0.0.1", "10.0.0.2"] {
            let viewer = Viewer::Household(address.parse().unwrap());
            watching.seen(viewer, &name("ada"), 0);
            watching.seen(viewer, &name("bob"), 0);
        }
        assert_eq!(counted(&watching, 0), [("ada".into(), 2), ("bob".into(), 2)]);
    }

    #[test]
    fn the_table_grows_no_further_than_its_limit_and_takes_others_when_some_have_gone() {
        let watching = watching(640);
        for n in 0..10_000 {
            watching.seen(session(n), &name("ada"), 0);
        }
        assert_eq!(counted(&watching, 0), [("ada".into(), 640)]);
        for n in 10_000..20_000 {
            watching.seen(session(n), &name("bob"), QUIET_MS);
        }
        assert_eq!(counted(&watching, QUIET_MS), [("bob".into(), 640)]);
    }

    #[test]
    fn a_full_table_still_prolongs_those_it_has() {
        let watching = watching(SHARDS);
        for n in 0..10_000 {
            watching.seen(session(n), &name("ada"), 0);
        }
        let before = counted(&watching, 0);
        for n in 0..10_000 {
            watching.seen(session(n), &name("ada"), QUIET_MS - 1);
        }
        assert_eq!(counted(&watching, QUIET_MS + 1), before);
    }
}
