//! Where an event stands and what a message is called.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::id::decimal;

/// Where an event stands in its channel. Order is by epoch, then number; numbers go on over a change of epoch, so within
/// one history they alone order it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The mesh epoch of the home that gave it.
    pub epoch: u64,
    /// The number, without gaps from 1. 0 stands before everything.
    pub seq: u64,
}

/// The text is no position: two numbers without leading zeros, with a dot between. Whoever wrote it is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a position is EPOCH.SEQ")]
pub struct InvalidPosition;

impl Position {
    /// That position.
    pub const fn new(epoch: u64, seq: u64) -> Self {
        Self { epoch, seq }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.seq)
    }
}

impl FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let (epoch, seq) = text.split_once('.').ok_or(InvalidPosition)?;
        Ok(Self { epoch: decimal(epoch).ok_or(InvalidPosition)?, seq: decimal(seq).ok_or(InvalidPosition)? })
    }
}

/// What a message is called: 41 bits of milliseconds since [`MessageId::BEGIN_MS`], 10 of the hub, 12 of a counter. Unique
/// in the platform, roughly in order of time; the order of a channel is by [`Position`] alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(pub u64);

impl MessageId {
    /// From when ids count, in ms since 1970: 2024-01-01. They last until 2093.
    pub const BEGIN_MS: u64 = 1_704_067_200_000;

    const HUB_BITS: u32 = 10;
    const COUNTER_BITS: u32 = 12;

    fn ticks(self) -> u64 {
        self.0 >> (Self::HUB_BITS + Self::COUNTER_BITS)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for MessageId {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        decimal(text).map(Self).ok_or(InvalidPosition)
    }
}

/// Makes the ids of one home. Its clock never goes back, whatever the one it is shown does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snowflake {
    hub: u64,
    /// Ticks and counter of the next id, without the hub between: when a tick's counter is used up, the next tick begins.
    next: u64,
}

impl Snowflake {
    /// Makes ids for the hub with this number; those that are in use together must differ modulo 1,024.
    pub fn new(hub: u64) -> Self {
        Self { hub: hub & ((1 << MessageId::HUB_BITS) - 1), next: 0 }
    }

    /// Makes only ids later than `id`: a home that goes on with a history continues after it.
    pub fn continue_after(&mut self, id: MessageId) {
        self.next = self.next.max((id.ticks() + 1) << MessageId::COUNTER_BITS);
    }

    /// The next id at `now_ms` since 1970. Where more than 4,096 are made in a millisecond, they borrow from the next.
    pub fn next(&mut self, now_ms: u64) -> MessageId {
        let ticks = now_ms.saturating_sub(MessageId::BEGIN_MS);
        let next = self.next.max(ticks << MessageId::COUNTER_BITS);
        self.next = next + 1;
        let (ticks, counter) = (next >> MessageId::COUNTER_BITS, next & ((1 << MessageId::COUNTER_BITS) - 1));
        MessageId(
            ticks << (MessageId::HUB_BITS + MessageId::COUNTER_BITS) | self.hub << MessageId::COUNTER_BITS | counter,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_order_by_epoch_and_have_one_spelling() {
        let order = ["1.9", "2.1", "2.10", "10.1"].map(|text| text.parse::<Position>().unwrap());
        assert!(order.is_sorted());
        assert_eq!(order.map(|position| position.to_string()), ["1.9", "2.1", "2.10", "10.1"]);
        for bad in ["", "1", "1.", ".1", "01.1", "1.+1", "1.1.1", "-1.1", "1.18446744073709551616"] {
            assert_eq!(bad.parse::<Position>(), Err(InvalidPosition), "{bad:?}");
        }
    }

    #[test]
    fn ids_rise_though_the_clock_goes_back_and_a_millisecond_is_full() {
        let mut ids = Snowflake::new(1024 + 5);
        let begin = MessageId::BEGIN_MS;
        assert_eq!(ids.next(begin + 1), MessageId(1 << 22 | 5 << 12));
        assert_eq!(ids.next(begin), MessageId(1 << 22 | 5 << 12 | 1));
        let more: Vec<_> = (0..5000).map(|_| ids.next(begin + 1)).collect();
        assert!(more.is_sorted_by(|a, b| a < b));
        assert_eq!(more[4999], MessageId(2 << 22 | 5 << 12 | (5001 - 4096)));
        ids.continue_after(MessageId(9 << 22 | 7 << 12 | 1));
        assert_eq!(ids.next(begin + 3), MessageId(10 << 22 | 5 << 12));
    }
}
