//! Situations that a campaign is there for: one that never comes up was not tested, and the campaign fails.

use std::{collections::BTreeMap, fmt};

macro_rules! situations {
    ($($name:ident: $words:literal,)*) => {
        /// Something worth having happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Situation {
            $(#[doc = $words] $name,)*
        }

        impl Situation {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
        }

        impl fmt::Display for Situation {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$name => $words,)* })
            }
        }
    };
}

situations! {
    EpochWhileParted: "an epoch changed while an edge could not hear of it",
    TookOverElsewhere: "another origin took the session over",
    Zombie: "an origin still made media for an epoch that had been superseded",
    Discontinuity: "a viewer saw an epoch change within a playlist",
    FillFailed: "a fill failed",
    FollowLost: "a follow broke off",
    Assembled: "an edge put a segment together from its parts",
    UnsyncedLost: "a crash lost bytes that were not synced",
    UnansweredWrite: "a write to the registry went unanswered",
    WatchByDelta: "a watch was resumed by changes alone",
    WatchBySnapshot: "a watch that had a view began anew with a snapshot",
    ReloadStalled: "a held reload was answered because nothing came",
    Paused: "a node was paused",
    WrongClock: "a node ran with a wrong clock",
    EndedEarly: "a session ended during the faults",
    LeaderKilledClaiming: "the leader was killed while a claim was under way",
    ControlLostBytes: "a control node came back without bytes that it had not synced",
    LeaseLostAndBack: "an origin's lease ran out while it was parted, and it was live again later",
    NoControl: "all control nodes were down while a viewer went on",
    SlowLeader: "a claim was granted by a leader whose disk was slow",
    SlowElection: "another leader came while a control node's disk was slow",
    LeaderAhead: "a claim was granted by a leader whose clock was ahead by more than is promised",
    LeaderBehind: "a claim was granted by a leader whose clock was behind by more than is promised",
    GraceAcrossClocks: "a grace passed to a leader whose clock differed by more than is promised",
    ClockJumped: "a node's clock jumped while it ran, and it started again with it",
    LeftBehind: "a control node lacked what the leader's log did not have any more",
    RevokedRefused: "an edge refused a token that was revoked",
    RevokedElsewhere: "an edge let in what had been revoked, which it could not know",
    KeyRefused: "an edge refused a token of a signing key that was revoked",
    KeyGoneElsewhere: "an edge let in a token of a key that was gone, which it could not know",
    DroppedRefused: "an edge refused a path token whose secret was dropped",
    NewKeyAtStaleEdge: "an edge that had not heard that a key signs let in what it signed",
    OldKeyLetIn: "an edge let in a token of a key that signs no more",
    PathTokenElsewhere: "an edge let in a path token that another had given",
    KeyInAHurry: "a key signed at once because the one before was revoked",
    HurriedKeyRefused: "an edge refused what a key signed that began at once and that it had not heard of",
    SignedWithRevokedKey: "a control node signed with a key that was revoked, which it could not know",
}

impl Situation {
    /// What must come up where one registry is kept.
    pub const ORDINARY: &'static [Self] = Self::ALL.split_at(15).0;

    /// What must come up where it is replicated.
    pub const PLATFORM: &'static [Self] = &[
        Self::LeaderKilledClaiming,
        Self::ControlLostBytes,
        Self::LeaseLostAndBack,
        Self::NoControl,
        Self::TookOverElsewhere,
        Self::Discontinuity,
        Self::FollowLost,
        Self::UnansweredWrite,
        Self::Paused,
        Self::WrongClock,
        Self::EpochWhileParted,
        Self::Zombie,
        Self::WatchByDelta,
        Self::WatchBySnapshot,
        Self::SlowLeader,
        Self::SlowElection,
        Self::LeaderAhead,
        Self::LeaderBehind,
        Self::GraceAcrossClocks,
        Self::ClockJumped,
        Self::LeftBehind,
        Self::RevokedRefused,
        Self::RevokedElsewhere,
        Self::KeyRefused,
        Self::KeyGoneElsewhere,
        Self::DroppedRefused,
        Self::NewKeyAtStaleEdge,
        Self::OldKeyLetIn,
        Self::PathTokenElsewhere,
        Self::KeyInAHurry,
        Self::HurriedKeyRefused,
        Self::SignedWithRevokedKey,
    ];
}

/// How often each situation came up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sometimes(BTreeMap<Situation, u64>);

impl Sometimes {
    /// It came up.
    pub fn note(&mut self, situation: Situation) {
        self.add(situation, 1);
    }

    /// It came up `times` times.
    pub fn add(&mut self, situation: Situation, times: u64) {
        if times > 0 {
            *self.0.entry(situation).or_default() += times;
        }
    }

    /// Adds what came up in another run.
    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(situation, times)| self.add(*situation, *times));
    }

    /// How often it came up.
    pub fn of(&self, situation: Situation) -> u64 {
        self.0.get(&situation).copied().unwrap_or_default()
    }

    /// What never came up of what was to.
    pub fn never(&self, wanted: &[Situation]) -> Vec<Situation> {
        wanted.iter().copied().filter(|situation| self.of(*situation) == 0).collect()
    }
}

impl fmt::Display for Sometimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Situation::ALL.iter().try_for_each(|situation| writeln!(f, "{:>9}  {situation}", self.of(*situation)))
    }
}
