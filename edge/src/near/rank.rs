//! Which nodes suit a client best. A machine: no I/O, no clock, no chance; the same question has the same answer everywhere.
//!
//! ```text
//! view (who is there) + places (where) + loads (how busy) ──▶ Atlas ──rank(client, channel)──▶ nodes, the best first
//! ```
//! - **Who counts.** Nodes of the role that are active and have an address for clients. Nodes that drain, that have joined and
//!   were not heard yet, and that are lost or removed are not there at all.
//! - **Between regions** the round trip decides: what the client has measured, else 4 ms + 15 ms for each 1,000 km of great
//!   circle (light needs 10 ms for these both ways in glass; cables go half as far again). A region that is fuller than 70 %
//!   counts as up to 100 ms farther: 1 ms for each 3 ‰ beyond.
//! - **Inside a region** a channel's viewers are to be on few edges: rendezvous hashing of (channel, node), bounded: a node
//!   that is busier than 5/4 of its region's mean, and 5 % more, yields to the next. Without a channel the idlest comes first.
//! - **A full node** (1,000 ‰) comes after all others, wherever it is.

use std::collections::BTreeMap;

use freshet_proto::{
    annex::{Load, Loads, Place},
    id::{ChannelName, NodeId},
    view::{NodeState, Role, View},
};

/// Where a client is, and what it knows of the way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Client {
    pub whereabouts: Whereabouts,
    /// Round trips in ms that the client has measured, by region.
    pub measured: BTreeMap<String, u32>,
}

/// Where a client is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Whereabouts {
    /// Latitude and longitude in ten-thousandths of a degree.
    At(i32, i32),
    /// In that region, or near it.
    In(String),
    /// Nobody knows.
    #[default]
    Unknown,
}

/// One node of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ranked {
    pub node: NodeId,
    /// The round trip, as far as one can tell.
    pub est_ms: u32,
    /// What decides between regions: the round trip and what its region's load adds.
    pub score: u32,
    /// Whether it takes nobody more.
    pub full: bool,
}

/// How many nodes are wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub most: usize,
    pub per_region: usize,
}

/// The nodes of one role that take clients, by region.
#[derive(Debug, Default)]
pub(crate) struct Atlas {
    regions: Vec<Region>,
}

#[derive(Debug)]
struct Region {
    name: String,
    at: Option<(i32, i32)>,
    nodes: Vec<(NodeId, u32)>,
    /// The mean load, in thousandths.
    mean: u32,
}

/// The round trip inside a region, in ms.
const LOCAL_MS: u32 = 4;
/// What each kilometre adds, in ms.
const MS_PER_KM: f64 = 0.015;
/// The round trip to where nobody knows how far it is, in ms: half around the world.
const UNKNOWN_MS: u32 = 300;
/// From which load on a region counts as farther.
const BUSY: u32 = 700;
/// How much fuller, in thousandths, makes a region one ms farther.
const PER_MS: u32 = 3;
/// A node this full takes nobody more.
const FULL: u32 = 1000;
/// A node may be this much busier, in thousandths, than 5/4 of its region's mean.
const SLACK: u32 = 50;

impl Atlas {
    /// Of the nodes of `role` that `view` knows.
    pub(crate) fn of(view: &View, loads: &Loads, role: Role) -> Self {
        let mut regions = BTreeMap::<&str, Region>::new();
        for (id, place) in &view.annex.places.nodes {
            let Some(node) = view.nodes.get(id) else { continue };
            if node.role != role || node.state != NodeState::Active || !has_address(role, place) {
                continue;
            }
            let new = || Region { name: place.region.clone(), at: None, nodes: Vec::new(), mean: 0 };
            let region = regions.entry(&place.region).or_insert_with(new);
            region.at = region.at.or(place.position);
            let load = loads.nodes.get(id).copied().unwrap_or_default();
            region.nodes.push((*id, load.permille.into()));
        }
        let mut regions: Vec<Region> = regions.into_values().collect();
        for region in &mut regions {
            let sum: u64 = region.nodes.iter().map(|(_, load)| u64::from(*load)).sum();
            region.mean = (sum / region.nodes.len().max(1) as u64) as u32;
        }
        Self { regions }
    }

    /// The nodes that suit `client` best, the best first.
    pub(crate) fn rank(&self, client: &Client, channel: Option<&ChannelName>, wanted: Wanted) -> Vec<Ranked> {
        let mut regions: Vec<(u32, u32, &Region)> =
            self.regions.iter().map(|region| self.score(client, region)).collect();
        regions.sort_by_key(|&(score, _, region)| (score, region.name.as_str()));
        let (mut free, mut full) = (Vec::new(), Vec::new());
        for (score, est_ms, region) in regions {
            if free.len() >= wanted.most {
                break;
            }
            for (node, load) in region.order(channel).into_iter().take(wanted.per_region) {
                let ranked = Ranked { node, est_ms, score, full: load >= FULL };
                if ranked.full { &mut full } else { &mut free }.push(ranked);
            }
        }
        free.append(&mut full);
        free.truncate(wanted.most);
        free
    }

    /// How far `node` is from `client`; `None` if it takes no clients.
    pub(crate) fn estimate(&self, client: &Client, node: NodeId) -> Option<u32> {
        let region = self.regions.iter().find(|region| region.nodes.iter().any(|(id, _)| *id == node))?;
        Some(self.round_trip(client, region))
    }

    fn score<'a>(&self, client: &Client, region: &'a Region) -> (u32, u32, &'a Region) {
        let est_ms = self.round_trip(client, region);
        (est_ms + region.mean.saturating_sub(BUSY) / PER_MS, est_ms, region)
    }

    fn round_trip(&self, client: &Client, region: &Region) -> u32 {
        if let Some(measured) = client.measured.get(&region.name) {
            return *measured;
        }
        let from = match &client.whereabouts {
            Whereabouts::Unknown => return UNKNOWN_MS,
            Whereabouts::In(name) if *name == region.name => return LOCAL_MS,
            Whereabouts::In(name) => self.regions.iter().find(|region| region.name == *name).and_then(|found| found.at),
            Whereabouts::At(lat, lon) => Some((*lat, *lon)),
        };
        match (from, region.at) {
            (Some(from), Some(to)) => LOCAL_MS + (kilometres(from, to) * MS_PER_KM).round() as u32,
            _ => UNKNOWN_MS,
        }
    }
}

impl Region {
    fn order(&self, channel: Option<&ChannelName>) -> Vec<(NodeId, u32)> {
        let mut nodes = self.nodes.clone();
        match channel {
            None => nodes.sort_by_key(|(node, load)| (*load, *node)),
            Some(channel) => nodes.sort_by_cached_key(|(node, load)| {
                let yields = *load > self.mean * 5 / 4 + SLACK;
                (*load >= FULL, yields, u64::MAX - weight(channel, *node), *node)
            }),
        }
        nodes
    }
}

/// How busy `clients` make a node that is meant for `capacity`.
pub(crate) fn load(clients: u64, capacity: u64) -> Load {
    let permille = (clients.saturating_mul(1000) / capacity.max(1)).min(u16::MAX.into());
    Load { clients: u32::try_from(clients).unwrap_or(u32::MAX), permille: permille as u16 }
}

fn has_address(role: Role, place: &Place) -> bool {
    match role {
        Role::Edge => !place.https.is_empty(),
        Role::Origin => !place.rtmp.is_empty() || !place.rtmps.is_empty(),
        _ => false,
    }
}

/// The great circle between two positions, by the haversine formula on a sphere.
fn kilometres(from: (i32, i32), to: (i32, i32)) -> f64 {
    const RADIUS_KM: f64 = 6371.0;
    let radians = |degrees: i32| (f64::from(degrees) / 10_000.0).to_radians();
    let half = |a: f64, b: f64| ((b - a) / 2.0).sin().powi(2);
    let ((lat1, lon1), (lat2, lon2)) = ((radians(from.0), radians(from.1)), (radians(to.0), radians(to.1)));
    let chord = half(lat1, lat2) + lat1.cos() * lat2.cos() * half(lon1, lon2);
    2.0 * RADIUS_KM * chord.clamp(0.0, 1.0).sqrt().asin()
}

/// The weight of a node for a channel (rendezvous hashing): FNV-1a over both, then mixed as SplitMix64 does, so that nodes
/// whose numbers are close have weights that are not.
fn weight(channel: &ChannelName, node: NodeId) -> u64 {
    let bytes = channel.as_str().bytes().chain(node.0.to_be_bytes());
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests;
