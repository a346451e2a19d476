//! Channels that belong to accounts: what their charters say, and sessions that begin or end because somebody says so. Since
//! version 2.
//!
//! A charter is not a step but the channel as it is to be, with a number that rises with every change of it. One that is not
//! newer than what is known changes nothing: two carriers, or a carrier that was slow, set nothing back.

use freshet_proto::{
    annex::{Mark, Visibility},
    id::ChannelName,
    level::Level,
    registry::{GoLive, NoSuch, Policy, Refused, Reply},
};
use serde::{Deserialize, Serialize};

use super::{At, Output, Registry, annex};
use crate::{channel::Channel, key::KeyHash};

/// What an account wants of its channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charter {
    /// With which keys it may be published to. At most [`Charter::MAX_KEYS`]; with none, nobody may.
    pub keys: Vec<KeyHash>,
    /// What becomes of a second encoder.
    pub policy: Policy,
    /// Who may watch.
    pub visibility: Visibility,
    /// Whether publishing begins a session by itself.
    pub go_live: GoLive,
}

impl Charter {
    /// How many keys a channel may have.
    pub const MAX_KEYS: usize = 32;
}

/// A charter as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    seq: u64,
    /// `None` once the channel was removed: it is remembered, so that what comes late makes it no second time.
    charter: Option<Charter>,
    /// Whether its owner has started it, where that is needed.
    started: bool,
    /// The key of the latest publish.
    using: Option<KeyHash>,
}

impl Kept {
    /// Whether sessions begin only after somebody has said so.
    fn by_hand(&self) -> bool {
        self.charter.as_ref().is_some_and(|charter| charter.go_live == GoLive::Manual)
    }
}

impl Registry {
    /// Whether the channel belongs to an account.
    pub fn is_chartered(&self, channel: &ChannelName) -> bool {
        self.later.charters.get(channel).is_some_and(|kept| kept.charter.is_some())
    }

    /// How many channels belong to accounts.
    pub fn chartered(&self) -> usize {
        self.later.charters.values().filter(|kept| kept.charter.is_some()).count()
    }

    /// The keys that charters name, with their channels.
    pub(super) fn chartered_keys(&self) -> impl Iterator<Item = (&ChannelName, &KeyHash)> {
        let charters = self.later.charters.iter().filter_map(|(name, kept)| Some((name, kept.charter.as_ref()?)));
        charters.flat_map(|(name, charter)| charter.keys.iter().map(move |key| (name, key)))
    }

    /// Whether the channel's charter names this key.
    pub(super) fn charter_names(&self, channel: &ChannelName, key: &KeyHash) -> bool {
        let charter = self.later.charters.get(channel).and_then(|kept| kept.charter.as_ref());
        charter.is_some_and(|charter| charter.keys.contains(key))
    }

    /// Whether a session may begin: by itself, or because it was started.
    pub(super) fn may_begin(&self, channel: &ChannelName) -> Result<(), Refused> {
        let Some(kept) = self.later.charters.get(channel) else { return Ok(()) };
        if kept.by_hand() && !kept.started { Err(Refused::NotStarted) } else { Ok(()) }
    }

    /// Whether the channel's sessions are begun by hand, and one may begin.
    pub(super) fn was_started(&self, channel: &ChannelName) -> bool {
        self.later.charters.get(channel).is_some_and(|kept| kept.by_hand() && kept.started)
    }

    /// Remembers with which key a publish was begun.
    pub(super) fn used(&mut self, channel: &ChannelName, key: &KeyHash) {
        if let Some(kept) = self.later.charters.get_mut(channel) {
            kept.using = Some(*key);
        }
    }

    /// A publisher whose key is no more good is stopped; so is one where there is no channel any more.
    pub(super) fn charter(
        &mut self,
        at: At,
        name: ChannelName,
        seq: u64,
        charter: Option<Charter>,
        out: &mut Vec<Output>,
    ) -> Reply {
        self.has_annex()?;
        if self.later.charters.get(&name).is_some_and(|kept| kept.seq >= seq) {
            return Ok(None);
        }
        if charter.as_ref().is_some_and(|charter| charter.keys.len() > Charter::MAX_KEYS) {
            return Err(Refused::TooMany(NoSuch::StreamKey));
        }
        if self.level() >= Level::LIMITS_CHANNELS && !self.channels.contains_key(&name) {
            self.make_room()?;
        }
        match &charter {
            Some(charter) => self.found_channel(at, &name, charter),
            None => {
                let times = self.times;
                let channel = self.channels.entry(name.clone()).or_insert_with(|| Channel::new(None, Policy::Newest));
                channel.remove(at.now_ms, &times);
                annex::forget_mark(&mut self.later.annex, at.index, &name);
            }
        }
        let before = self.later.charters.remove(&name);
        let (started, using) = before.map_or((false, None), |kept| (kept.started, kept.using));
        self.later.charters.insert(name.clone(), Kept { seq, charter, started, using });
        self.index();
        self.advance(at, vec![name], vec![], out);
        Ok(None)
    }

    fn found_channel(&mut self, at: At, name: &ChannelName, charter: &Charter) {
        let (times, policy) = (self.times, charter.policy);
        let channel = self.channels.entry(name.clone()).or_insert_with(|| Channel::new(None, policy));
        (channel.policy, channel.listed) = (policy, true);
        let using = self.later.charters.get(name).and_then(|kept| kept.using);
        let good = using.is_none_or(|key| charter.keys.contains(&key) || channel.key == Some(key));
        if !good {
            channel.end_session(at.now_ms, &times);
        }
        let mark = Mark { visibility: charter.visibility, ..self.later.annex.marks.of(name) };
        annex::set_mark(&mut self.later.annex, at.index, name, mark);
    }

    /// Lets the next publish begin a session, where that needs to be said.
    pub(super) fn start(&mut self, at: At, name: ChannelName, out: &mut Vec<Output>) -> Reply {
        self.has_annex()?;
        let kept = self.later.charters.get_mut(&name).filter(|kept| kept.charter.is_some());
        let kept = kept.ok_or(Refused::NoSuch(NoSuch::Channel))?;
        if !std::mem::replace(&mut kept.started, true) {
            self.advance(at, vec![name], vec![], out);
        }
        Ok(None)
    }

    /// Ends the session, if there is one; whoever publishes is told. Where sessions begin only when they are started, the next
    /// one must be started again.
    pub(super) fn end(&mut self, at: At, name: ChannelName, out: &mut Vec<Output>) -> Reply {
        self.has_annex()?;
        let times = self.times;
        let channel = self.channels.get_mut(&name).filter(|channel| channel.listed);
        let ended = channel.ok_or(Refused::NoSuch(NoSuch::Channel))?.end_session(at.now_ms, &times);
        let kept = self.later.charters.get_mut(&name);
        let closed = kept.is_some_and(|kept| std::mem::replace(&mut kept.started, false));
        if ended || closed {
            self.advance(at, vec![name], vec![], out);
        }
        Ok(None)
    }

    /// Refuses what a channel's publishes so far have left, everywhere.
    pub(super) fn purge(&mut self, at: At, name: ChannelName, out: &mut Vec<Output>) -> Reply {
        self.has_annex()?;
        let channel = self.channels.get(&name).filter(|channel| channel.listed);
        let newest = channel.ok_or(Refused::NoSuch(NoSuch::Channel))?.view().current();
        let known = self.later.annex.marks.of(&name);
        let purged = newest.map_or(known.purged, |newest| newest.epoch.max(known.purged));
        self.mark(at, name, Mark { purged, ..known }, out)
    }
}

#[cfg(test)]
mod tests;
