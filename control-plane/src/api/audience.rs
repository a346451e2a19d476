//! How a channel's viewers fare, as its health shows it.

use std::collections::BTreeMap;

use freshet_proto::audience::{self, Histogram};
use serde::Serialize;
use utoipa::ToSchema;

/// How viewers fare, as their players tell. What happened is counted over the last five minutes; what is, is of the players that
/// report now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Audience {
    /// All of them together.
    all: Fare,
    /// The same by the region of the edges that serve them.
    regions: BTreeMap<String, Fare>,
}

/// How some viewers fare.
#[derive(Debug, Serialize, ToSchema)]
struct Fare {
    /// How many players report now.
    players: u32,
    /// How long those took to begin that did, in ms.
    startup_ms: Spread,
    /// How far each is behind the camera, in ms, or behind the origin where it does not know the camera's clock.
    latency_ms: Spread,
    /// What a player plays, in bits a second: the mean of those that tell; null where none does.
    bitrate: Option<u64>,
    /// For how long pictures moved, in ms, all players together.
    played_ms: u64,
    /// For how long they stood because nothing was there to play.
    stalled_ms: u64,
    /// How often.
    stalls: u64,
    /// Which part of the time they stood, 0 to 1; null where nothing was played.
    rebuffering_ratio: Option<f64>,
    /// How many errors players told.
    errors: u64,
    /// Frames that came and were not shown.
    dropped_frames: u64,
}

/// How times are spread; each is off by 1/16 at most, and none is shown above 127 s.
#[derive(Debug, Serialize, ToSchema)]
struct Spread {
    /// Of how many.
    count: u64,
    /// Half of them are not longer; null where there is none.
    median: Option<u64>,
    /// 19 of 20 are not longer.
    p95: Option<u64>,
}

impl Audience {
    /// Of what the leader knows; `None` where no player has told anything.
    pub(super) fn of(regions: BTreeMap<String, audience::Audience>) -> Option<Self> {
        let mut all = audience::Audience::default();
        regions.values().for_each(|region| all.merge(region));
        let regions = regions.iter().map(|(name, region)| (name.clone(), Fare::from(region)));
        (!all.is_empty()).then(|| Self { all: Fare::from(&all), regions: regions.collect() })
    }
}

impl From<&audience::Audience> for Fare {
    fn from(told: &audience::Audience) -> Self {
        let watched_ms = told.played_ms.saturating_add(told.stalled_ms);
        Self {
            players: told.players,
            startup_ms: Spread::from(&told.startup),
            latency_ms: Spread::from(&told.latency),
            bitrate: told.bitrate.checked_div(told.bitrates.into()),
            played_ms: told.played_ms,
            stalled_ms: told.stalled_ms,
            stalls: told.stalls,
            rebuffering_ratio: (watched_ms > 0).then(|| told.stalled_ms as f64 / watched_ms as f64),
            errors: told.errors,
            dropped_frames: told.dropped_frames,
        }
    }
}

impl From<&Histogram> for Spread {
    fn from(times: &Histogram) -> Self {
        Self { count: times.count(), median: times.quantile(500), p95: times.quantile(950) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn regions_are_shown_and_all_of_them_together() {
        let told = |players, times: &[u64], stalled_ms| {
            let mut told = audience::Audience { players, stalled_ms, played_ms: 900, ..audience::Audience::default() };
            times.iter().for_each(|ms| told.latency.see(*ms));
            told
        };
        let regions = [("fra".to_owned(), told(2, &[1000, 2000], 100)), ("iad".to_owned(), told(1, &[4100], 0))];
        let shown = serde_json::to_value(Audience::of(regions.into())).unwrap();
        let of = |shown: &serde_json::Value| {
            json!([shown["players"], shown["latency_ms"], shown["stalled_ms"], shown["rebuffering_ratio"]])
        };
        let both = json!([3, { "count": 3, "median": 1984, "p95": 4352 }, 100, 100.0 / 1900.0]);
        assert_eq!(of(&shown["all"]), both);
        assert_eq!(of(&shown["regions"]["fra"]), json!([2, { "count": 2, "median": 992, "p95": 1984 }, 100, 0.1]));
        assert_eq!(of(&shown["regions"]["iad"]), json!([1, { "count": 1, "median": 4352, "p95": 4352 }, 0, 0.0]));
        assert_eq!(shown["all"]["startup_ms"], json!({ "count": 0, "median": null, "p95": null }));
        assert!(Audience::of(BTreeMap::new()).is_none());
    }
}
