//! Which chat hubs are alive: the leader's memory of when each member was heard last, and who is to be taken out. A machine;
//! nothing of it is logged but that hubs go.
//!
//! ```text
//! renew ──▶ heard ──2 s of silence──▶ silent ──half of all members were heard within 2 s, or 60 s have passed──▶ due
//! ```
//! A home that can't reach the control plane goes on for as long as most members know of no later mesh epoch, and the next
//! home waits until they do (`chat-mesh::mesh`). So the leader takes hubs out only while at least half of all members renew:
//! they will learn of it. Who is silent for a minute goes all the same: nobody comes back to a mesh that waits for ever.
//!
//! A new leader gives every member five seconds, for it does not know when each was heard. So does a leader that was not
//! listening for a while: whoever was not heard meanwhile may have spoken.

use std::collections::{BTreeMap, BTreeSet};

use freshet_proto::id::NodeId;
use tokio::time::{Duration, Instant};

use crate::leases::DEAF;

/// How long a hub keeps its place after it was heard.
pub const TTL: Duration = Duration::from_secs(2);

/// How often a hub shows itself.
pub const RENEW: Duration = Duration::from_millis(500);

/// How long each member has at the beginning of a leader.
pub const AT_FIRST: Duration = Duration::from_secs(5);

/// After how long a silence a hub goes though most are silent.
pub const AT_LAST: Duration = Duration::from_secs(60);

/// How often the leader looks. One that looks later by more than [`DEAF`] was not listening.
const LOOK: Duration = Duration::from_millis(250);

/// When hubs were heard. At most as many as there are members, or were.
#[derive(Debug, Default)]
pub struct HubLeases {
    hubs: BTreeMap<NodeId, Heard>,
    /// Those that are being taken out: nothing is granted to them until they are.
    going: BTreeSet<NodeId>,
    /// Which process of a hub has left, or was replaced: what it says comes too late. At most one a node.
    left: BTreeMap<NodeId, u64>,
    looked: Option<Instant>,
    /// Before this nothing is due: what was due could not be agreed on.
    again: Option<Instant>,
}

/// When a hub was heard.
#[derive(Debug, Clone, Copy)]
struct Heard {
    /// Since when it is silent.
    at: Instant,
    /// Until when it keeps its place.
    ends: Instant,
    /// Whether it was heard at all, or is only given time.
    spoke: bool,
}

impl HubLeases {
    /// Forgets everything and gives each member that is met from now on [`AT_FIRST`].
    pub fn begin(&mut self) {
        *self = Self::default();
    }

    /// A member has shown itself; tells whether it keeps its place. One that is being taken out does not.
    pub fn renew(&mut self, now: Instant, node: NodeId) -> bool {
        if self.going.contains(&node) {
            return false;
        }
        self.hubs.insert(node, Heard { at: now, ends: now + TTL, spoke: true });
        true
    }

    /// A process of a hub leaves; nothing is granted to the hub until it is out, and nothing to this process ever again.
    pub fn leave(&mut self, node: NodeId, life: u64) {
        self.going.insert(node);
        self.left.insert(node, life);
    }

    /// Another process of a hub has come in: nothing is granted to this one ever again, so that two that run at once do not
    /// drive each other out.
    pub fn replace(&mut self, node: NodeId, life: u64) {
        self.left.insert(node, life);
    }

    /// Whether this process of a hub has left or was replaced.
    pub fn has_left(&self, node: NodeId, life: u64) -> bool {
        self.left.get(&node) == Some(&life)
    }

    /// They are no members any more.
    pub fn gone(&mut self, nodes: &[NodeId]) {
        for node in nodes {
            self.hubs.remove(node);
            self.going.remove(node);
        }
    }

    /// That they go could not be agreed on, as far as is known: they are due again at `at`, and nothing is granted to them
    /// until it is known.
    pub fn again(&mut self, at: Instant) {
        self.again = Some(at);
    }

    /// Who of the members is to be taken out, until [`HubLeases::gone`].
    pub fn due(&mut self, now: Instant, members: &[NodeId]) -> Vec<NodeId> {
        let was_deaf = self.looked.is_some_and(|looked| now > looked + LOOK + DEAF);
        self.looked = (!members.is_empty()).then_some(now);
        self.going.retain(|node| members.contains(node));
        self.hubs.retain(|node, _| members.contains(node));
        for node in members {
            let given = Heard { at: now, ends: now + AT_FIRST, spoke: false };
            let heard = self.hubs.entry(*node).or_insert(given);
            if was_deaf {
                heard.ends = heard.ends.max(now + AT_FIRST);
            }
        }
        if self.again.is_some_and(|again| now < again) {
            return Vec::new();
        }
        self.again = None;
        self.going.extend(self.silent(now));
        self.going.iter().copied().collect()
    }

    /// Those that are silent for too long.
    fn silent(&self, now: Instant) -> Vec<NodeId> {
        let speak = self.hubs.values().filter(|heard| heard.spoke && now < heard.at + TTL).count();
        let half_speaks = 2 * speak >= self.hubs.len();
        let over = self.hubs.iter().filter(|(_, heard)| heard.ends <= now);
        over.filter(|(_, heard)| half_speaks || heard.at + AT_LAST <= now).map(|(node, _)| *node).collect()
    }

    /// When [`HubLeases::due`] is to be asked, where there are members.
    pub fn deadline(&self, now: Instant) -> Instant {
        self.looked.map_or(now, |looked| looked + LOOK)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A leader that looks every quarter of a second, and members that are heard every half a second while they speak.
    struct Leader {
        began: Instant,
        leases: HubLeases,
        members: Vec<NodeId>,
        mute: BTreeSet<u64>,
        at_ms: u64,
    }

    impl Leader {
        fn of(members: u64) -> Self {
            let members = (1..=members).map(NodeId).collect();
            let (began, leases) = (Instant::now(), HubLeases::default());
            Self { began, leases, members, mute: BTreeSet::new(), at_ms: 0 }
        }

        /// Goes on to this time; tells who was taken out and when.
        fn until(&mut self, end_ms: u64) -> String {
            let mut told = Vec::new();
            while self.at_ms < end_ms {
                self.at_ms += 250;
                let now = self.began + Duration::from_millis(self.at_ms);
                if self.at_ms.is_multiple_of(500) {
                    for node in self.members.iter().filter(|node| !self.mute.contains(&node.0)) {
                        assert!(self.leases.renew(now, *node));
                    }
                }
                assert!(self.leases.deadline(now) <= now);
                let due = self.leases.due(now, &self.members);
                self.members.retain(|node| !due.contains(node));
                self.leases.gone(&due);
                told.extend(due.iter().map(|node| format!("{node}@{}", self.at_ms)));
            }
            told.join(" ")
        }

        fn hush(&mut self, nodes: impl IntoIterator<Item = u64>) {
            self.mute.extend(nodes);
        }
    }

    #[tokio::test]
    async fn a_hub_that_is_silent_for_two_seconds_goes_and_those_that_speak_stay() {
        let mut leader = Leader::of(3);
        assert_eq!(leader.until(10_000), "");
        leader.hush([2]);
        assert_eq!(leader.until(100_000), "2@12000");
    }

    #[tokio::test]
    async fn half_of_the_members_decide_over_the_others_and_fewer_wait_for_a_minute() {
        let mut leader = Leader::of(4);
        leader.until(10_000);
        leader.hush([1, 2]);
        assert_eq!(leader.until(20_000), "1@12000 2@12000");
        let mut leader = Leader::of(4);
        leader.until(10_000);
        leader.hush([1, 2, 3]);
        assert_eq!(leader.until(69_750), "");
        assert_eq!(leader.until(100_000), "1@70000 2@70000 3@70000");
    }

    #[tokio::test]
    async fn the_last_hub_goes_only_after_a_minute() {
        let mut leader = Leader::of(1);
        leader.until(10_000);
        leader.hush([1]);
        assert_eq!(leader.until(100_000), "1@70000");
    }

    #[tokio::test]
    async fn those_that_come_back_let_the_rest_be_taken_out() {
        let mut leader = Leader::of(4);
        leader.until(10_000);
        leader.hush([1, 2, 3]);
        leader.until(30_000);
        leader.mute.remove(&1);
        assert_eq!(leader.until(100_000), "2@30500 3@30500");
    }

    #[tokio::test]
    async fn a_new_leader_gives_everybody_five_seconds() {
        let mut leader = Leader::of(3);
        leader.hush([2]);
        // It looks first at 250 ms.
        assert_eq!(leader.until(5_000), "");
        assert_eq!(leader.until(60_000), "2@5250");
        let mut alone = Leader::of(2);
        alone.hush([1, 2]);
        assert_eq!(alone.until(60_000), "", "nobody was heard");
        assert_eq!(alone.until(61_000), "1@60250 2@60250");
    }

    #[tokio::test]
    async fn a_leader_that_was_not_listening_blames_nobody_for_it() {
        let mut leader = Leader::of(3);
        leader.until(10_000);
        leader.at_ms += 3_000;
        leader.hush([1]);
        assert_eq!(leader.until(18_000), "");
        assert_eq!(leader.until(60_000), "1@18250");
    }

    #[tokio::test]
    async fn nothing_is_granted_to_a_hub_that_goes_until_it_is_gone() {
        let (began, mut leases) = (Instant::now(), HubLeases::default());
        let at = |ms| began + Duration::from_millis(ms);
        let (a, both) = (NodeId(1), [NodeId(1), NodeId(2)]);
        for ms in (0..5_000).step_by(250) {
            leases.renew(at(ms), NodeId(2));
            assert_eq!(leases.due(at(ms), &both), []);
        }
        leases.renew(at(5_000), NodeId(2));
        assert_eq!(leases.due(at(5_000), &both), [a]);
        assert!(!leases.renew(at(5_010), a), "it may be out any moment");
        leases.again(at(5_500));
        assert_eq!(leases.due(at(5_250), &both), []);
        assert!(!leases.renew(at(5_260), a));
        assert_eq!(leases.due(at(5_500), &both), [a]);
        leases.gone(&[a]);
        assert!(leases.renew(at(5_600), a), "it has come in again");
        leases.leave(a, 7);
        assert!(!leases.renew(at(5_700), a) && leases.has_left(a, 7) && !leases.has_left(a, 8));
        assert_eq!(leases.due(at(5_750), &both), [a], "should whoever took it out have failed");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        /// Whatever is heard and whenever the leader looks: who spoke within two seconds is not taken out, and nobody is
        /// before a minute unless half of the members spoke within two seconds.
        #[test]
        fn nobody_who_speaks_goes_and_the_rest_only_on_the_word_of_half(
            steps in prop::collection::vec((1u64..2_000, 0u8..32, any::<bool>()), 1..120)
        ) {
            let (began, mut leases) = (Instant::now(), HubLeases::default());
            let (mut at_ms, mut members) = (0, (0..5).map(NodeId).collect::<Vec<_>>());
            let mut spoke = BTreeMap::<NodeId, u64>::new();
            for (step_ms, speakers, looks) in steps {
                at_ms += step_ms;
                let now = began + Duration::from_millis(at_ms);
                for node in members.iter().filter(|node| speakers >> node.0 & 1 == 1) {
                    prop_assert!(leases.renew(now, *node));
                    spoke.insert(*node, at_ms);
                }
                if !looks {
                    continue;
                }
                let due = leases.due(now, &members);
                let silent_ms = |node: &NodeId| at_ms - spoke.get(node).copied().unwrap_or(0);
                let speak = members.iter().filter(|node| spoke.contains_key(node) && silent_ms(node) < 2_000).count();
                for node in &due {
                    prop_assert!(silent_ms(node) >= 2_000);
                    prop_assert!(2 * speak >= members.len() || silent_ms(node) >= 60_000);
                }
                members.retain(|node| !due.contains(node));
                leases.gone(&due);
            }
        }
    }
}
