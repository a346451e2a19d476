//! The way between hubs: lanes in order, delays, and links that end when nothing comes through for long.

use std::collections::BTreeMap;

use freshet_chat_mesh::mesh::{Lane, Message};

/// After how many ms without anything a link ends, as the node protocol's connections do.
pub const IDLE_MS: u64 = 5_000;

/// From one hub to another.
#[derive(Debug, Default)]
struct Way {
    /// When the last message of each lane arrives.
    last: BTreeMap<Lane, u64>,
    /// Since when nothing comes through.
    blocked_ms: Option<u64>,
    /// What was sent since.
    held: Vec<Message>,
    /// No link: what is sent is lost.
    is_down: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Lanes(BTreeMap<(usize, usize), Way>);

impl Lanes {
    /// When a message that is sent now arrives; `None` where it waits or is lost.
    pub fn send(
        &mut self,
        pair: (usize, usize),
        now_ms: u64,
        delay_ms: u64,
        message: &Message,
        ordered: bool,
    ) -> Option<u64> {
        let way = self.0.entry(pair).or_default();
        if way.is_down {
            return None;
        }
        if way.blocked_ms.is_some() {
            way.held.push(message.clone());
            return None;
        }
        let Some(lane) = message.lane() else { return Some(now_ms + delay_ms) };
        let last = way.last.entry(lane).or_default();
        let at = if ordered { (now_ms + delay_ms).max(*last) } else { now_ms + delay_ms };
        *last = at;
        Some(at)
    }

    /// Whether a datagram comes through now.
    pub fn passes(&self, pair: (usize, usize)) -> bool {
        self.0.get(&pair).is_some_and(|way| !way.is_down && way.blocked_ms.is_none())
    }

    /// Nothing comes through from now on.
    pub fn block(&mut self, pair: (usize, usize), now_ms: u64) {
        self.0.entry(pair).or_default().blocked_ms.get_or_insert(now_ms);
    }

    /// Something comes through again: what was held meanwhile, unless the link had ended.
    pub fn heal(&mut self, pair: (usize, usize)) -> Vec<Message> {
        let way = self.0.entry(pair).or_default();
        way.blocked_ms = None;
        std::mem::take(&mut way.held)
    }

    /// Ends the links that have been blocked for too long, and tells which.
    pub fn end_idle(&mut self, now_ms: u64) -> Vec<(usize, usize)> {
        let over = self
            .0
            .iter_mut()
            .filter(|(_, way)| !way.is_down && way.blocked_ms.is_some_and(|since| since + IDLE_MS <= now_ms));
        over.map(|(pair, way)| {
            (way.is_down, way.held) = (true, Vec::new());
            *pair
        })
        .collect()
    }

    /// The link is gone: what was on its way is lost.
    pub fn cut(&mut self, pair: (usize, usize)) {
        let way = self.0.entry(pair).or_default();
        (way.is_down, way.held) = (true, Vec::new());
    }

    /// Whether a link could be made, and is none.
    pub fn wants_link(&self, pair: (usize, usize)) -> bool {
        self.0.get(&pair).is_none_or(|way| way.is_down && way.blocked_ms.is_none())
    }

    /// A link is made.
    pub fn up(&mut self, pair: (usize, usize)) {
        let way = self.0.entry(pair).or_default();
        (way.is_down, way.held, way.last) = (false, Vec::new(), BTreeMap::new());
    }
}
