//! What came up of leaders: whether things happened just when their disks were slow, their clocks wrong, others behind.

use freshet_proto::view::ChannelState;

use super::World;
use crate::{
    schedule::{CONTROLS, EDGES, Host, Layout, SKEW_MS},
    sometimes::Situation,
};

/// What was seen of the leader last.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Who led last, even if nobody does now.
    leader: Option<Host>,
    /// How many claims had been granted.
    claims: usize,
    /// Whether a control node lacked what the leader's log did not have any more.
    left_behind: bool,
}

impl World<'_> {
    /// Notes what came up in the last step.
    pub(super) fn mark(&mut self) {
        if self.cast.layout != Layout::Platform {
            return;
        }
        for &host in CONTROLS.iter().chain(&EDGES) {
            let offset_ms = self.cast.run.offset_read_ms(host);
            self.cast.stage.with(|seen| seen.tokens.clock(host, offset_ms));
        }
        let (leader, claims) = self.cast.stage.with(|seen| (seen.controls.leader(), seen.controls.claims()));
        let granted = claims > std::mem::replace(&mut self.marks.claims, claims);
        let Some(leader) = leader else { return };
        if granted {
            self.mark_claim(leader);
        }
        if let Some(before) = self.marks.leader.replace(leader).filter(|before| *before != leader) {
            self.mark_election(before, leader);
        }
        let behind = self.cast.stage.with(|seen| seen.controls.consensus.is_left_behind(leader));
        let was_behind = std::mem::replace(&mut self.marks.left_behind, behind);
        if behind && !was_behind {
            self.cast.stage.note(Situation::LeftBehind);
        }
    }

    fn mark_claim(&self, leader: Host) {
        let offset_ms = self.cast.run.offset_read_ms(leader);
        if offset_ms.unsigned_abs() > SKEW_MS {
            let which = if offset_ms > 0 { Situation::LeaderAhead } else { Situation::LeaderBehind };
            self.cast.stage.note(which);
        }
        if self.is_slow(leader) {
            self.cast.stage.note(Situation::SlowLeader);
        }
    }

    fn mark_election(&self, before: Host, leader: Host) {
        let skew_ms = self.cast.run.offset_read_ms(leader).abs_diff(self.cast.run.offset_read_ms(before));
        let state = self.cast.stage.with(|seen| seen.channel().map(|channel| channel.state));
        if state == Some(ChannelState::Grace) && skew_ms > SKEW_MS {
            self.cast.stage.note(Situation::GraceAcrossClocks);
        }
        if CONTROLS.into_iter().any(|host| self.is_slow(host)) {
            self.cast.stage.note(Situation::SlowElection);
        }
    }

    fn is_slow(&self, host: Host) -> bool {
        self.cast.disk(host).is_some_and(crate::disk::Disk::is_slow)
    }
}
