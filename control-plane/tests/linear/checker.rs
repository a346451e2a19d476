//! Looks for an order in which what was asked could have happened one by one, as Wing and Gong do it: whatever was asked
//! before the earliest answer that has no place yet may come next. Where a set of operations has led to a channel before,
//! the search does not go on from there again (Lowe; Porcupine).
//!
//! Channels don't know of each other, so that a history is in order if each channel's is.

use std::{collections::HashSet, fmt};

use freshet_proto::registry::Policy;

use super::{
    history::{Answer, History, Operation},
    spec::Channel,
};

/// How many operations on one channel may be open at once, those included that were never answered. More make the search
/// long: let fewer clients ask, or for a shorter time.
pub const MAX_OPEN: usize = 16;

/// How many operations one channel may have.
pub const MAX_OPERATIONS: usize = 512;

/// How many different situations are looked at, on one channel.
pub const MAX_SITUATIONS: usize = 500_000;

/// Why a history does not pass.
#[derive(Debug, PartialEq)]
pub enum Fault {
    /// No order explains what was answered. `order` is the longest one that explains a part; none of `stuck` can follow.
    NotLinearizable { channel: usize, order: Vec<Operation>, stuck: Vec<Operation> },
    /// More than [`MAX_OPEN`] were open at once.
    TooConcurrent { channel: usize, open: usize },
    /// More than [`MAX_OPERATIONS`].
    TooLong { channel: usize, operations: usize },
    /// More than [`MAX_SITUATIONS`].
    TooHard { channel: usize },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLinearizable { channel, order, stuck } => {
                writeln!(f, "channel {channel} is not linearizable. This far it goes:")?;
                order.iter().try_for_each(|operation| writeln!(f, "  {operation}"))?;
                writeln!(f, "and none of these can come next:")?;
                stuck.iter().try_for_each(|operation| writeln!(f, "  {operation}"))
            }
            Self::TooConcurrent { channel, open } => {
                write!(f, "{open} operations on channel {channel} are open at once; {MAX_OPEN} may be")
            }
            Self::TooLong { channel, operations } => {
                write!(f, "channel {channel} has {operations} operations; it may have {MAX_OPERATIONS}")
            }
            Self::TooHard { channel } => {
                write!(f, "channel {channel} has more than {MAX_SITUATIONS} situations")
            }
        }
    }
}

/// Finds for every channel an order that explains what was answered. Operations that were never answered are in it where
/// they were needed.
///
/// # Errors
/// The first channel's [`Fault`].
pub fn check(history: &History) -> Result<Vec<Vec<Operation>>, Fault> {
    let channels = history.policies.iter().enumerate();
    channels.map(|(channel, policy)| check_channel(channel, *policy, history.of(channel))).collect()
}

fn check_channel(channel: usize, policy: Policy, operations: Vec<Operation>) -> Result<Vec<Operation>, Fault> {
    if operations.len() > MAX_OPERATIONS {
        return Err(Fault::TooLong { channel, operations: operations.len() });
    }
    let open = open_at_once(&operations);
    if open > MAX_OPEN {
        return Err(Fault::TooConcurrent { channel, open });
    }
    let mut search = Search { policy, operations, seen: HashSet::new(), order: Vec::new(), longest: Vec::new() };
    match search.extend(Places::default(), Channel::NEW) {
        None => Err(Fault::TooHard { channel }),
        Some(true) => Ok(search.named(&search.order)),
        Some(false) => Err(search.stuck(channel)),
    }
}

/// The greatest number of operations that are asked and not answered at one moment.
fn open_at_once(operations: &[Operation]) -> usize {
    let open_when = |moment: u64| {
        let open = |known: &&Operation| {
            known.asked.order <= moment && known.answered.is_none_or(|(answered, _)| answered.order > moment)
        };
        operations.iter().filter(open).count()
    };
    operations.iter().map(|known| open_when(known.asked.order)).max().unwrap_or(0)
}

/// Which operations have a place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Places([u64; MAX_OPERATIONS / 64]);

impl Places {
    fn has(&self, which: usize) -> bool {
        self.0[which / 64] >> (which % 64) & 1 == 1
    }

    fn with(mut self, which: usize) -> Self {
        self.0[which / 64] |= 1 << (which % 64);
        self
    }
}

struct Search {
    policy: Policy,
    /// In the order in which they were asked.
    operations: Vec<Operation>,
    seen: HashSet<(Places, Channel)>,
    order: Vec<usize>,
    longest: Vec<usize>,
}

impl Search {
    /// Whether the rest can follow; `None` when there is too much to look at. One level a placed operation.
    fn extend(&mut self, placed: Places, channel: Channel) -> Option<bool> {
        let Some(next) = self.next(placed) else { return Some(true) };
        for which in next {
            let Operation { call, answer, .. } = self.operations[which];
            let Some(after) = channel.after(self.policy, call, answer) else { continue };
            let placed = placed.with(which);
            if !self.seen.insert((placed, after)) {
                continue;
            }
            if self.seen.len() > MAX_SITUATIONS {
                return None;
            }
            self.order.push(which);
            if self.order.len() > self.longest.len() {
                self.longest.clone_from(&self.order);
            }
            if self.extend(placed, after)? {
                return Some(true);
            }
            self.order.pop();
        }
        Some(false)
    }

    /// What may come next, those that were answered first; `None` when all that were answered have their place.
    fn next(&self, placed: Places) -> Option<Vec<usize>> {
        let open = |which: &usize| !placed.has(*which);
        let answers = (0..self.operations.len()).filter(open).filter_map(|which| self.operations[which].answered);
        let earliest = answers.map(|(answered, _)| answered.order).min()?;
        let begun = |which: &usize| self.operations[*which].asked.order < earliest;
        let mut next: Vec<_> = (0..self.operations.len()).take_while(begun).filter(open).collect();
        next.sort_by_key(|which| self.operations[*which].answer == Answer::Unknown);
        Some(next)
    }

    fn named(&self, order: &[usize]) -> Vec<Operation> {
        order.iter().map(|which| self.operations[*which]).collect()
    }

    fn stuck(&self, channel: usize) -> Fault {
        let placed = self.longest.iter().fold(Places::default(), |placed, which| placed.with(*which));
        let stuck = self.named(&self.next(placed).unwrap_or_default());
        Fault::NotLinearizable { channel, order: self.named(&self.longest), stuck }
    }
}
