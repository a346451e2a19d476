//! What a request about nearness says beyond its path. Everything is optional; what makes no sense is as if it were not there.

use std::collections::BTreeMap;

use freshet_proto::{annex::Place, id::NodeId};

/// The parameters of a query that mean something here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// `rtt=fra:12,iad:95`: round trips in ms that the client has measured, by region.
    pub measured: BTreeMap<String, u32>,
    /// `_HLS_pathway`: what the player plays by now.
    pub pathway: Option<String>,
    /// `here`: whose playlist the player began with, where that was not this edge.
    pub here: Option<NodeId>,
    /// `moved`: another edge has sent this client on already.
    pub moved: bool,
}

/// How many measured round trips are heeded.
const MOST_MEASURED: usize = 16;
/// The longest that is believed, in ms.
const LONGEST_MS: u32 = 10_000;
/// The longest pathway id: a region, a dash and a number.
const LONGEST_PATHWAY: usize = Place::MAX_REGION + 21;

impl Asked {
    pub(crate) fn of(query: Option<&str>) -> Self {
        let mut asked = Self::default();
        for pair in query.unwrap_or_default().split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match key {
                "rtt" => asked.measured = measured(value),
                "_HLS_pathway" => asked.pathway = pathway(value),
                "here" => asked.here = value.parse().ok().map(NodeId),
                "moved" => asked.moved = true,
                _ => {}
            }
        }
        asked
    }
}

fn measured(text: &str) -> BTreeMap<String, u32> {
    // Browsers' `URLSearchParams` encodes both separators.
    let text = text.replace("%3A", ":").replace("%3a", ":").replace("%2C", ",").replace("%2c", ",");
    let pair = |pair: &str| {
        let (region, ms) = pair.split_once(':')?;
        let ms = ms.parse().ok().filter(|ms| (1..=LONGEST_MS).contains(ms))?;
        (region.len() <= Place::MAX_REGION).then(|| (region.to_owned(), ms))
    };
    text.split(',').take(MOST_MEASURED).filter_map(pair).collect()
}

/// With or without the quotes that the draft's examples have.
fn pathway(text: &str) -> Option<String> {
    let bare = text.replace("%22", "").replace('"', "");
    (1..=LONGEST_PATHWAY).contains(&bare.len()).then_some(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_are_heeded_as_far_as_they_make_sense() {
        let rtt = |text: &str| {
            let asked = Asked::of(Some(text));
            asked.measured.into_iter().map(|(region, ms)| format!("{region}={ms}")).collect::<Vec<_>>().join(" ")
        };
        for (query, expected) in [
            ("rtt=fra:12,iad:95", "fra=12 iad=95"),
            ("x=1&rtt=fra%3A12%2Ciad%3a95", "fra=12 iad=95"),
            ("rtt=fra:0,iad:10001,sin:-1,lon:,:5", "=5"),
            ("rtt=fra", ""),
            ("rtt=", ""),
            ("", ""),
        ] {
            assert_eq!(rtt(query), expected, "{query}");
        }
        let many: Vec<String> = (0..100).map(|n| format!("r{n}:5")).collect();
        assert_eq!(Asked::of(Some(&format!("rtt={}", many.join(",")))).measured.len(), MOST_MEASURED);
        assert!(Asked::of(Some(&format!("rtt={}:5", "x".repeat(33)))).measured.is_empty());
    }

    #[test]
    fn a_player_tells_its_pathway_and_where_it_began() {
        let asked = Asked::of(Some("_HLS_pathway=%22fra-7%22&_HLS_throughput=140000&here=12"));
        assert_eq!((asked.pathway.as_deref(), asked.here), (Some("fra-7"), Some(NodeId(12))));
        let asked = Asked::of(Some("_HLS_pathway=\"here\"&here=x&moved"));
        assert_eq!((asked.pathway.as_deref(), asked.here, asked.moved), (Some("here"), None, true));
        assert_eq!(Asked::of(Some(&format!("_HLS_pathway={}", "x".repeat(99)))), Asked::default());
        assert_eq!(Asked::of(None), Asked::default());
    }
}
