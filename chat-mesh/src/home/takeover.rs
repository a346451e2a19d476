//! A channel gets a home: the first, or another.

use std::{collections::BTreeMap, sync::Arc};

use freshet_proto::chat::{Event, Position, Role, Snowflake};

use super::{Home, MAX_ADMINS, Now, Pending, Settings, State, Tail, pace::Bucket};

/// The epoch is no newer than what hubs have seen: another home may be ordering in it. The asker must learn the mesh's
/// present epoch first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("epoch {epoch} is not newer than {seen}, which has been seen")]
pub struct StaleEpoch {
    /// The epoch that was to begin.
    pub epoch: u64,
    /// The newest position that is known.
    pub seen: Position,
}

impl Home {
    /// Makes this hub the home in `epoch`.
    ///
    /// `own` is what it knows: as the standby, from a hand-off's snapshot, or nothing but what is stored. `tails` are the
    /// ends of the histories of all hubs that can be asked. The greatest position among them all is where the channel goes
    /// on, so that what any of these hubs has shown survives. Where events are missing before that, the history begins
    /// after the hole, and who resumes from before it is told a gap. Costs in proportion to the tails.
    ///
    /// # Errors
    /// [`StaleEpoch`].
    pub fn take_over(
        settings: Settings,
        epoch: u64,
        own: State,
        tails: Vec<Tail>,
        now: Now,
    ) -> Result<Self, StaleEpoch> {
        let had = own.head();
        let merged = merge(own.history.tail(usize::MAX), tails);
        let seen = merged.events.last().map_or(had, |event| event.position);
        if epoch <= seen.epoch {
            return Err(StaleEpoch { epoch, seen });
        }
        let state = follow(&settings, own, had, merged, now);
        let mut ids = Snowflake::new(settings.hub);
        for message in state.history.iter().filter_map(|event| event.what.message()) {
            ids.continue_after(message.id);
        }
        let messages = state.history.iter().filter_map(|event| event.what.message());
        let admins =
            messages.filter(|message| message.roles.has(Role::Admin)).map(|message| message.user.login.clone());
        let admins = admins.take(MAX_ADMINS).collect();
        let bucket = Bucket::new(settings.rate, 1_000);
        Ok(Self {
            settings,
            epoch,
            state,
            ids,
            pending: Pending::default(),
            bucket,
            standby: None,
            admins,
            unkept: BTreeMap::new(),
            stopped: false,
        })
    }
}

/// What a hub knew up to `had`, and what it learns from the rest. The newest event counts as just made, and the others as
/// older by their home's clock: posts are remembered no shorter than they should be.
fn follow(settings: &Settings, own: State, had: Position, merged: Tail, now: Now) -> State {
    let mut snapshot = own.snapshot(now);
    let (known, new): (Vec<_>, Vec<_>) = merged.events.into_iter().partition(|event| event.position <= had);
    let at: BTreeMap<_, _> = known.iter().map(|event| (event.position.seq, event.position.epoch)).collect();
    // What was done at a position that another event has now has not been done.
    snapshot.recent.retain(|(_, outcome)| match outcome {
        super::Outcome::Done(accepted) => accepted.position.is_none_or(|position| {
            epoch_of(&merged.starts, position.seq) == Some(position.epoch)
                && at.get(&position.seq).is_none_or(|epoch| *epoch == position.epoch)
        }),
        _ => true,
    });
    let newest_ms = new.iter().map(|event| event.at_ms).max().unwrap_or_default();
    snapshot.tail = Tail { starts: merged.starts, events: known };
    let mut state = State::restore(settings.limits.clone(), snapshot, now);
    for event in new {
        let age_ms = newest_ms.saturating_sub(event.at_ms);
        state.learn(event, Now { mono_ms: now.mono_ms.saturating_sub(age_ms), ..now });
    }
    state
}

/// The one history that leads to the greatest position, as far back as it has no hole.
fn merge(own: Tail, mut tails: Vec<Tail>) -> Tail {
    tails.push(own);
    let last = |tail: &Tail| tail.events.last().map(|event| event.position);
    let Some(best) = tails.iter().max_by_key(|tail| last(tail)) else { return Tail::default() };
    let (starts, Some(head)) = (best.starts.clone(), last(best)) else { return Tail::default() };
    let mut by_seq: BTreeMap<u64, Arc<Event>> = BTreeMap::new();
    let events = tails.into_iter().flat_map(|tail| tail.events);
    for event in events.filter(|event| event.position <= head) {
        // Another epoch at this number: its home was cut off, and nobody acknowledged it.
        if epoch_of(&starts, event.position.seq) != Some(event.position.epoch) {
            continue;
        }
        let is_redacted = event.what.message().is_some_and(|message| message.deleted);
        if is_redacted || !by_seq.contains_key(&event.position.seq) {
            by_seq.insert(event.position.seq, event);
        }
    }
    let mut events: Vec<_> = Vec::new();
    for (seq, event) in by_seq.into_iter().rev() {
        if seq + events.len() as u64 != head.seq {
            break;
        }
        events.push(event);
    }
    events.reverse();
    Tail { starts, events }
}

/// In which epoch the event with this number was made.
fn epoch_of(starts: &[Position], seq: u64) -> Option<u64> {
    starts.iter().rev().find(|start| start.seq <= seq).map(|start| start.epoch)
}
