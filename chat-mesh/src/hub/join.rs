//! What somebody gets who comes into a channel, and what they are there.

use std::sync::Arc;

use freshet_proto::chat::{Author, Event, Login, Role, To, What};

use super::{
    Shared,
    actor::MODERATES,
    channel::{Channel, Reader},
    door::Access,
    inbox::Letter,
    seat::{Arrival, Join, Known, Pass},
};
use crate::{
    home::Resume,
    mesh::Follower,
    protocol::{HISTORY, Identity, Joined},
};

/// How much of what was missed is told, in bytes of text: who missed more is told a gap.
const REPLAY_BYTES: usize = 512 << 10;

/// What an event has beside its texts, in JSON, about.
const EVENT_BYTES: usize = 300;

/// Lets a reader into a channel whose logs have all there is, and tells it so, and what they are there; gives the join back
/// where they may not come.
pub(super) fn arrive(
    shared: &Shared,
    channel: &mut Channel,
    (follower, known): (&Follower, Known),
    mut join: Join,
) -> Result<Role, Box<Join>> {
    let role = role(follower, join.identity.as_ref(), join.follows_since_ms);
    if !may_read(shared.door.channel(&join.channel), role, join.watches) {
        return Err(Box::new(join));
    }
    let state = follower.state();
    let head = state.head();
    let resumed = join.resume.map(|position| state.history().resume(position));
    let (mut events, mut gap): (Vec<Arc<Event>>, _) = match resumed {
        _ if known == Known::Old => (Vec::new(), Some(None)),
        Some(Resume::Replay(events)) => (events, None),
        Some(Resume::Gap { missed, tail }) => (tail, Some(missed)),
        None => (state.history().last_shown(join.history.min(HISTORY) as usize), None),
    };
    let cut = too_many(&events);
    if cut > 0 {
        events.drain(..cut);
        if join.resume.is_some() {
            let missed = gap.unwrap_or(Some(0)).map(|missed| missed + cut as u64);
            gap = Some(missed);
        }
    }
    let joined = Joined {
        channel: join.channel.clone(),
        head,
        role,
        follows_since_ms: join.follows_since_ms,
        modes: state.durable().modes.clone(),
        pin: state.pin(shared.clock.now_ms()).cloned(),
        events,
        gap,
    };
    let key = channel.enter(Reader {
        inbox: Arc::clone(&join.inbox),
        format: join.format,
        identity: join.identity.take(),
        follows_since_ms: join.follows_since_ms,
        watches: join.watches,
    });
    let (log, cursor) = channel.log(join.format, head, &state.durable().modes, &shared.fanout);
    let pass = Pass { channel: join.channel, key, leaving: shared.leaving.clone() };
    join.inbox.put(Letter::Joined(Box::new(Arrival { join: join.join, joined, log, cursor, pass })));
    Ok(role)
}

/// How many of the oldest events are left out so that the rest is no more than [`REPLAY_BYTES`].
fn too_many(events: &[Arc<Event>]) -> usize {
    let mut bytes = 0;
    let fit = events.iter().rev().take_while(|event| {
        let text = event.what.message().map_or(0, |message| message.text.as_str().len());
        let pinned = matches!(&event.what, What::Pin(Some(_)));
        bytes += EVENT_BYTES + text + usize::from(pinned) * 2 * EVENT_BYTES;
        bytes <= REPLAY_BYTES
    });
    events.len() - fit.count()
}

/// What somebody is in a channel.
pub(super) fn role(follower: &Follower, identity: Option<&Identity>, follows_since_ms: Option<u64>) -> Role {
    let Some(identity) = identity else { return Role::Guest };
    let author = Author { user: identity.user.clone(), admin: identity.admin, follows_since_ms };
    follower.state().roles_of(&author, follower.owner()).highest()
}

/// Whether somebody may read a channel: a private one who may watch it, and those who are somebody there.
pub(super) fn may_read(access: Access, role: Role, watches: bool) -> bool {
    match access {
        Access::Open => true,
        Access::Private => watches || role >= Role::Vip,
        Access::Unknown => false,
    }
}

/// Who is meant.
pub(super) fn addressees(channel: &Channel, follower: &Follower, to: &To) -> Vec<Login> {
    match to {
        To::User(login) => vec![login.clone()],
        To::Moderators => {
            let roles = follower.state().durable().roles.iter();
            let moderators = roles.filter(|(_, role)| **role >= MODERATES).map(|(login, _)| login.clone());
            let all = moderators.chain([follower.owner().clone()]).chain(channel.admins());
            let mut all: Vec<_> = all.collect();
            all.sort_unstable();
            all.dedup();
            all
        }
        _ => Vec::new(),
    }
}
