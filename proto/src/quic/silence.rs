//! Notices a peer that is silent where QUIC's idle timer is too patient: that one waits for three times the probe timeout
//! (RFC 9000 §10.1), which follows from the measured round trip. A node that was paused while a handshake was under way
//! measures a round trip of seconds, and if the peer then dies, it would be asked in vain for most of a minute.

use std::time::Duration;

/// How many looks make up [`super::Tuning::idle`].
const LOOKS: u32 = 4;

/// How many looks in a row may find nothing new: once and a half the idle time, so that QUIC's own timer comes first where it
/// works. Looks are counted, not time, because a node that was paused itself has not listened meanwhile.
const PATIENCE: u32 = 6;

/// What was heard of one peer.
#[derive(Debug, Default)]
pub(super) struct Silence {
    heard: u64,
    looks: u32,
}

impl Silence {
    /// How often to look.
    pub(super) fn period(idle: Duration) -> Duration {
        idle / LOOKS
    }

    /// Whether the peer is dead, of which `heard` datagrams have come in all. It answers keep-alives, so there are some even
    /// where nobody asks it anything.
    pub(super) fn is_death(&mut self, heard: u64) -> bool {
        if heard != self.heard {
            *self = Self { heard, looks: 0 };
        }
        self.looks += 1;
        self.looks > PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_dead_once_it_was_not_heard_for_a_while_by_one_who_listened() {
        let mut silence = Silence::default();
        let deaths = |silence: &mut Silence, heard: &[u64]| -> Vec<bool> {
            heard.iter().map(|heard| silence.is_death(*heard)).collect()
        };
        assert_eq!(deaths(&mut silence, &[1, 1, 1, 1, 1, 1]), [false; 6]);
        assert_eq!(deaths(&mut silence, &[2, 2, 2, 2, 2, 2]), [false; 6], "it was heard again");
        assert_eq!(deaths(&mut silence, &[2]), [true]);
    }
}
