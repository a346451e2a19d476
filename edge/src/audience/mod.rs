//! How viewers fare, as their players tell: `POST /api/cmcd` (CTA-5004-B, event mode), which the edge answers itself.
//!
//! ```text
//! body ──collector──▶ report ──▶ sessions ──▶ Audience of each channel ──▶ the leader
//!                                    └──▶ freshet_player_… at /metrics
//! ```
//! What players tell is what they claim: anybody may tell anything of any channel. It decides nothing here; an address may tell
//! only so much a second, and no address and no session id is kept or told.

mod collector;
mod counts;
pub mod field;
pub mod report;
pub mod session;
pub mod sessions;

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use freshet_proto::{audience::Audience, id::ChannelName, message::Report as NodeReport, random::Random};

pub(crate) use self::collector::CMCD;
use self::{counts::Counts, report::Report, sessions::Sessions};
use crate::{config::Config, gateway::Places};

/// What an edge hears of players.
pub(crate) struct Hearing {
    /// Sessions are numbered with it, so that nobody outside can make two of them meet.
    key: [u8; 16],
    sessions: Mutex<Sessions>,
    counts: Counts,
    places: Arc<Places>,
}

impl Hearing {
    pub(crate) fn new(config: &Config, random: &Random) -> Self {
        let mut key = [0; 16];
        random.fill(&mut key);
        let sessions = Sessions::new(config.audience.sessions, NodeReport::MAX_AUDIENCES);
        let places = Places::new(config.api.under_way, config.api.under_way_per_address);
        Self { key, sessions: Mutex::new(sessions), counts: Counts::new(), places }
    }

    /// How the viewers of each channel fare here.
    pub(crate) fn audiences(&self, now_ms: u64) -> BTreeMap<ChannelName, Audience> {
        let mut sessions = self.sessions();
        let all = sessions.audiences(now_ms);
        self.counts.players(sessions.players(now_ms));
        all
    }

    /// Hears reports, of channels that there are.
    fn hear<'a>(&self, now_ms: u64, reports: impl Iterator<Item = &'a Report<'a>>) {
        for report in reports {
            let number = self.number(report);
            let happened = self.sessions().hear(now_ms, number, report);
            self.counts.count(&happened, report.latency_ms);
        }
    }

    fn number(&self, report: &Report<'_>) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.key, &report.sid, &report.channel).hash(&mut hasher);
        hasher.finish()
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
