//! What readers saw and senders were told, held against the promises.

use std::{collections::BTreeMap, fmt};

use freshet_proto::{
    chat::{Event, Login, Origin, Position, UserAction, What},
    id::ChannelName,
};

use super::Kind;

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// Two events have one position.
    Two(ChannelName, Position),
    /// A number is given again in another epoch, or numbers begin anew.
    Anew(ChannelName, Position),
    /// A reader did not get what comes next.
    Hole(ChannelName, Position, usize),
    /// A reader was told a gap although nothing was lost.
    Gap(ChannelName, Position, usize),
    /// A post stands twice.
    Doubled(ChannelName, Position),
    /// A post was acknowledged and is not there.
    Lost(ChannelName, Position),
    /// Somebody is heard although they are banned.
    BanOvertaken(ChannelName, Position),
    /// Readers see different things although all is well.
    Unlike(ChannelName, usize),
    /// Nobody can speak at a hub although all is well.
    Silent(ChannelName, usize),
    /// A hub was not told how many readers there are although all is well.
    Miscounted(ChannelName, usize),
    /// A post took longer, in ms, than it may while this happens.
    Slow(u64, &'static str),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Two(channel, position) => write!(f, "{channel} has two events at {position}"),
            Self::Anew(channel, position) => write!(f, "{channel} gives the number of {position} again"),
            Self::Hole(channel, position, hub) => {
                write!(f, "{channel} at hub {hub}: {position} is not what comes next")
            }
            Self::Gap(channel, position, hub) => write!(f, "{channel} at hub {hub}: a gap before {position}"),
            Self::Doubled(channel, position) => write!(f, "{channel} has a post a second time, at {position}"),
            Self::Lost(channel, position) => write!(f, "{channel} lost {position}, which was acknowledged"),
            Self::BanOvertaken(channel, position) => write!(f, "{channel}: {position} is by somebody who is banned"),
            Self::Unlike(channel, hub) => write!(f, "{channel}: hub {hub} does not see what others see"),
            Self::Silent(channel, hub) => write!(f, "{channel}: nobody can speak at hub {hub}"),
            Self::Miscounted(channel, hub) => write!(f, "{channel}: hub {hub} does not know how many read it"),
            Self::Slow(ms, during) => write!(f, "a post took {ms} ms {during}"),
        }
    }
}

/// What came up, so that a campaign shows that it tests something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sometimes {
    /// Posts that were acknowledged.
    pub acked: u64,
    /// Posts that were refused, and those that found nobody.
    pub refused: u64,
    /// Posts that clients sent a second time.
    pub again: u64,
    /// Times that a channel got another home.
    pub homes: u64,
    /// Posts acknowledged while there was no control plane.
    pub alone: u64,
    /// Gaps and restarts that readers were told of.
    pub gaps: u64,
    /// Posts that found a channel at rest somewhere.
    pub woken: u64,
}

impl Sometimes {
    /// Adds up.
    pub fn add(&mut self, other: Self) {
        self.acked += other.acked;
        self.refused += other.refused;
        self.again += other.again;
        self.homes += other.homes;
        self.alone += other.alone;
        self.gaps += other.gaps;
        self.woken += other.woken;
    }
}

impl fmt::Display for Sometimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acked, refused, again, homes, alone, gaps, woken } = self;
        write!(
            f,
            "{acked} posts acknowledged ({alone} without a control plane), {refused} refused, {again} sent again; \
             {homes} times a channel got another home; {gaps} gaps and restarts told; {woken} posts to a channel at rest"
        )
    }
}

/// How a seed went.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The first promise that was broken, and when, in simulated ms.
    pub violation: Option<(u64, Violation)>,
    /// How long it took, in simulated ms.
    pub lasted_ms: u64,
    /// Of everything that happened: the same for the same seed.
    pub digest: u64,
    /// What came up.
    pub sometimes: Sometimes,
    /// What happened, a line each, where it was asked for.
    pub story: Vec<String>,
}

/// See the module.
#[derive(Debug)]
pub struct Judge {
    kind: Kind,
    events: BTreeMap<(ChannelName, Position), u64>,
    numbers: BTreeMap<(ChannelName, u64), Position>,
    posts: BTreeMap<(ChannelName, String), Position>,
    acked: BTreeMap<(ChannelName, Position), Origin>,
    last: BTreeMap<(usize, ChannelName), Position>,
    pub broken: Option<Violation>,
}

impl Judge {
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            events: BTreeMap::new(),
            numbers: BTreeMap::new(),
            posts: BTreeMap::new(),
            acked: BTreeMap::new(),
            last: BTreeMap::new(),
            broken: None,
        }
    }

    fn is_calm(&self) -> bool {
        self.kind == Kind::Calm
    }

    pub fn broke(&mut self, violation: Violation) {
        self.broken.get_or_insert(violation);
    }

    /// A hub begins anew.
    pub fn forget(&mut self, hub: usize) {
        self.last.retain(|(of, _), _| *of != hub);
    }

    pub fn shown(&mut self, hub: usize, channel: &ChannelName, event: &Event) {
        let position = event.position;
        let digest = digest(event);
        if *self.events.entry((channel.clone(), position)).or_insert(digest) != digest {
            self.broke(Violation::Two(channel.clone(), position));
        }
        let number = *self.numbers.entry((channel.clone(), position.seq)).or_insert(position);
        if number != position && self.is_calm() {
            self.broke(Violation::Anew(channel.clone(), position));
        }
        // Every text is said once; one that was taken back is not known any more.
        if let Some(message) = event.what.message().filter(|message| !message.deleted) {
            let text = message.text.as_str().to_owned();
            let first = *self.posts.entry((channel.clone(), text)).or_insert(position);
            if first != position && self.is_calm() {
                self.broke(Violation::Doubled(channel.clone(), position));
            }
        }
        let last = self.last.insert((hub, channel.clone()), position);
        if last.is_some_and(|last| position.seq != last.seq + 1 || position.epoch < last.epoch) {
            self.broke(Violation::Hole(channel.clone(), position, hub));
        }
    }

    pub fn gap(&mut self, hub: usize, channel: &ChannelName, position: Position) {
        if self.is_calm() {
            self.broke(Violation::Gap(channel.clone(), position, hub));
        }
        self.last.insert((hub, channel.clone()), position);
    }

    pub fn restart(&mut self, hub: usize, channel: &ChannelName, head: Position) {
        if self.is_calm() {
            self.broke(Violation::Anew(channel.clone(), head));
        }
        self.last.remove(&(hub, channel.clone()));
    }

    pub fn acked(&mut self, channel: &ChannelName, position: Position, origin: Origin) {
        self.acked.insert((channel.clone(), position), origin);
    }

    /// What everybody sees in the end, by hub.
    pub fn end(&mut self, channel: &ChannelName, seen: &[(usize, Vec<&Event>)]) {
        let Some((_, all)) = seen.iter().max_by_key(|(_, events)| events.len()) else { return };
        for (hub, events) in seen {
            let from = all.len().saturating_sub(events.len());
            let same = events.iter().zip(&all[from..]).all(|(a, b)| a.position == b.position && digest(a) == digest(b));
            if !same || events.last().map(|e| e.position) != all.last().map(|e| e.position) {
                self.broke(Violation::Unlike(channel.clone(), *hub));
            }
        }
        let by: BTreeMap<Position, &Event> = all.iter().map(|event| (event.position, *event)).collect();
        let lost = self.acked.iter().find(|((of, position), origin)| {
            of == channel && by.get(position).is_none_or(|event| event.origin.as_ref() != Some(origin))
        });
        if let Some(((_, position), _)) = lost.filter(|_| self.is_calm()) {
            let position = *position;
            self.broke(Violation::Lost(channel.clone(), position));
        }
        self.orderly(channel, all);
    }

    fn orderly(&mut self, channel: &ChannelName, events: &[&Event]) {
        let (mut banned, mut posts) = (BTreeMap::<Login, u64>::new(), BTreeMap::new());
        for event in events {
            let epoch = event.position.epoch;
            match &event.what {
                What::User { login, action: UserAction::Ban, .. } => drop(banned.insert(login.clone(), epoch)),
                What::User { login, action: UserAction::Unban | UserAction::Timeout { .. }, .. } => {
                    banned.remove(login);
                }
                // Where a home and its standby are lost together, an end of the ban may be too; within an epoch nothing is.
                What::Message(message) => {
                    let since = banned.get(&message.user.login);
                    if since.is_some_and(|since| self.is_calm() || *since == epoch) {
                        self.broke(Violation::BanOvertaken(channel.clone(), event.position));
                    }
                }
                _ => {}
            }
            if let Some(origin) = &event.origin
                && posts.insert(origin, event.position).is_some()
            {
                self.broke(Violation::Doubled(channel.clone(), event.position));
            }
        }
    }
}

/// What does not change when an event is taken back.
pub fn digest(event: &Event) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    event.origin.hash(&mut hasher);
    event.at_ms.hash(&mut hasher);
    event.what.message().map(|message| message.id).hash(&mut hasher);
    std::mem::discriminant(&event.what).hash(&mut hasher);
    hasher.finish()
}
