//! What operators do to keys and tokens, and edges that do not hear of it. Drawn apart from all other faults, so that a seed's
//! others are what they were before.

use freshet_proto::random::Random;

use super::{CONTROLS, Draw, EDGES, FIRST_MS, Fault, Host, LAST_MS, LEADER, Planned, Schedule};

/// From when on operators do something, in ms: before anything goes wrong, too.
const BEGIN_MS: u64 = 4_000;

/// For how long after its end a fault may keep an edge from hearing the registry: a watcher takes a node that is silent for
/// lost after 12.5 s, and then asks another.
const AFTER_MS: u64 = 15_000;

/// What an operator does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Makes the next signing key.
    Rotate,
    /// Revokes the key that signs.
    RevokeActive,
    /// Revokes the oldest key that verifies.
    RevokeOldest,
    /// Revokes somebody's playback session.
    RevokeSession,
    /// Revokes all tokens of the private channel.
    RevokeChannel,
    /// Drops the secrets of path tokens.
    DropPathSecrets,
}

impl Deed {
    const ALL: [Self; 7] = [
        Self::Rotate,
        Self::RevokeActive,
        Self::RevokeOldest,
        Self::RevokeSession,
        // Those that concern one session alone spoil nothing for the others.
        Self::RevokeSession,
        Self::RevokeChannel,
        Self::DropPathSecrets,
    ];
}

/// A time in which an edge, or any edge, may be behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hampered {
    /// Which; `None` for all of them.
    edge: Option<Host>,
    from_ms: u64,
    until_ms: u64,
}

impl Hampered {
    /// Whether this edge may be behind now.
    pub fn hampers(&self, edge: Host, now_ms: u64) -> bool {
        self.edge.is_none_or(|hampered| hampered == edge) && (self.from_ms..self.until_ms).contains(&now_ms)
    }
}

impl Schedule {
    /// Adds what operators do. Unless nothing may fail but control nodes, an edge is often cut off from all of them meanwhile.
    pub(super) fn with_operators(mut self, control_alone: bool) -> Self {
        let draw = Draw(Random::seeded(self.seed ^ 0x6b65_7973));
        let deeds = 1 + draw.below(4);
        let mut from_ms = BEGIN_MS;
        if !control_alone && draw.below(2) == 0 {
            from_ms = draw.between(FIRST_MS, 10_000);
            let (edge, for_ms) = (draw.one(&EDGES), draw.between(1_000, 11_000).min(LAST_MS + 2_000 - from_ms));
            let cut = |host| Planned { at_ms: from_ms, for_ms, fault: Fault::Part(host, edge) };
            self.faults.extend(CONTROLS.map(cut));
        }
        for _ in 0..deeds {
            let at_ms = draw.between(from_ms, LAST_MS);
            self.faults.push(Planned { at_ms, for_ms: 0, fault: Fault::Operator(draw.one(&Deed::ALL)) });
        }
        self.faults.sort_by_key(|planned| planned.at_ms);
        self
    }

    /// When which edges may be behind the registry on account of faults.
    pub fn hampers(&self) -> Vec<Hampered> {
        let hampers = |planned: &Planned| {
            let edge = touched(planned.fault)?;
            let until_ms = planned.at_ms + planned.for_ms + AFTER_MS;
            Some(Hampered { edge, from_ms: planned.at_ms, until_ms })
        };
        self.faults.iter().filter_map(hampers).collect()
    }
}

/// Whom a fault keeps from hearing the registry, if anybody: `Some(None)` where it may be any edge.
fn touched(fault: Fault) -> Option<Option<Host>> {
    let control = |host: Host| host == LEADER || CONTROLS.contains(&host);
    let edge = |host: Host| EDGES.into_iter().find(|edge| *edge == host);
    match fault {
        Fault::Bad(a, b, _) | Fault::Part(a, b) => match (control(a), control(b)) {
            (true, true) => Some(None),
            (true, false) => edge(b).map(Some),
            (false, true) => edge(a).map(Some),
            (false, false) => None,
        },
        Fault::Isolate(host)
        | Fault::Pause(host)
        | Fault::Crash(host)
        | Fault::Clock(host, _)
        | Fault::SlowDisk(host, _) => {
            if control(host) {
                Some(None)
            } else {
                edge(host).map(Some)
            }
        }
        Fault::CrashWriting | Fault::CrashClaiming => Some(None),
        Fault::Skew(..) | Fault::Encoder(..) | Fault::Operator(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Layout, ORIGINS};

    #[test]
    fn an_edge_is_hampered_by_what_parts_it_from_the_registry_and_for_a_while_after() {
        let hampered = |fault, edge: Host, now_ms| {
            let schedule = Schedule {
                faults: vec![Planned { at_ms: 5_000, for_ms: 1_000, fault }],
                layout: Layout::Platform,
                ..Schedule::platform(1)
            };
            schedule.hampers().iter().any(|hampered| hampered.hampers(edge, now_ms))
        };
        let cut = Fault::Part(CONTROLS[1], EDGES[0]);
        assert!(hampered(cut, EDGES[0], 5_000) && hampered(cut, EDGES[0], 20_999));
        assert!(!hampered(cut, EDGES[0], 4_999) && !hampered(cut, EDGES[0], 21_000) && !hampered(cut, EDGES[1], 6_000));
        assert!(hampered(Fault::Crash(LEADER), EDGES[1], 6_000) && hampered(Fault::Pause(EDGES[1]), EDGES[1], 6_000));
        assert!(!hampered(Fault::Part(ORIGINS[0], EDGES[0]), EDGES[0], 6_000));
        assert!(!hampered(Fault::Operator(Deed::Rotate), EDGES[0], 6_000));
    }

    #[test]
    fn operators_do_everything_within_a_hundred_seeds_and_nothing_else_fails_where_control_nodes_alone_do() {
        let all: Vec<_> = (0..100).map(Schedule::platform).collect();
        let deeds = all.iter().flat_map(|schedule| &schedule.faults);
        let deeds: std::collections::BTreeSet<_> = deeds
            .filter_map(
                |planned| if let Fault::Operator(deed) = planned.fault { Some(format!("{deed:?}")) } else { None },
            )
            .collect();
        assert_eq!(deeds.len(), 6, "{deeds:?}");
        assert!(all.iter().filter(|schedule| schedule.seed % 4 == 1).all(Schedule::spares_all_but_control));
    }
}
