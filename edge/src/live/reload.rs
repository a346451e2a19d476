//! What a playlist request gets: now, later, or a refusal. A machine: the newest version and the directives in, a
//! judgement out.
//!
//! The rules are those of draft-pantos-hls-rfc8216bis §6.2.5.2 (blocking reload) and §6.2.5.1 (delta updates):
//! - `_HLS_msn=M` waits until a segment with number M or later is in the playlist; with `_HLS_part=N`, until part N of
//!   it or a later one is. A part beyond the last of a finished segment is part 0 of the next.
//! - What is satisfied already gets the entire playlist at once, even if M has left the window.
//! - `_HLS_part` without `_HLS_msn` is an error, and so is asking too far ahead: more than two segments, or more than
//!   the Advance Part Limit of parts.
//! - When the playlist has ended, nothing is waited for and nothing is skipped.

use freshet_proto::{
    id::Msn,
    message::{Constants, PlaylistHeader},
};
use tokio::time::Duration;

use crate::config::{OnStall, PartlessRelease};

/// The three directives, as a client gave them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Directives {
    pub msn: Option<u64>,
    pub part: Option<u32>,
    pub skip: bool,
}

/// Why a query is refused. The client's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadQuery {
    #[error("a directive is given twice")]
    Twice,
    #[error("a directive has no such value")]
    Value,
    #[error("_HLS_part needs _HLS_msn")]
    PartAlone,
}

impl Directives {
    /// Reads the directives; every other parameter is somebody else's.
    pub(crate) fn parse(query: &str) -> Result<Self, BadQuery> {
        let mut found = Self::default();
        let mut seen = [false; 3];
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let which = match name {
                "_HLS_msn" => 0,
                "_HLS_part" => 1,
                "_HLS_skip" => 2,
                _ => continue,
            };
            if std::mem::replace(&mut seen[which], true) {
                return Err(BadQuery::Twice);
            }
            match which {
                0 => found.msn = Some(integer(value)?),
                1 => found.part = Some(u32::try_from(integer(value)?).map_err(|_| BadQuery::Value)?),
                _ if value == "YES" || value == "v2" => found.skip = true,
                _ => return Err(BadQuery::Value),
            }
        }
        match found {
            Self { msn: None, part: Some(_), .. } => Err(BadQuery::PartAlone),
            found => Ok(found),
        }
    }

    /// Whether the client asks to wait.
    pub(crate) fn is_blocking(self) -> bool {
        self.msn.is_some()
    }
}

fn integer(text: &str) -> Result<u64, BadQuery> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().ok_or(BadQuery::Value)
}

/// What a request gets from the newest version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// That version.
    Send,
    /// A later one.
    Wait,
    /// 400: no server would have it soon.
    TooFar,
}

/// Judges a request by the newest version.
pub(crate) fn judge(
    wanted: Directives,
    newest: &PlaylistHeader,
    constants: &Constants,
    partless: PartlessRelease,
) -> Judgement {
    let Some(msn) = wanted.msn.filter(|_| !newest.ended) else { return Judgement::Send };
    let version = newest.version;
    let satisfied = match (wanted.part, partless) {
        (Some(part), _) => (version.msn.0, version.part) >= (msn, part),
        (None, PartlessRelease::Part0) => version.msn.0 >= msn,
        (None, PartlessRelease::Segment) => newest.complete.is_some_and(|complete| complete.0 >= msn),
    };
    if satisfied {
        return Judgement::Send;
    }
    let last = newest.complete.unwrap_or(Msn(version.msn.0.saturating_sub(1)));
    let beyond = match wanted.part {
        Some(part) if msn == version.msn.0 => u64::from(part.saturating_sub(version.part)),
        Some(part) => u64::from(part),
        None => 0,
    };
    match msn > last.0.saturating_add(2) || beyond > advance_part_limit(constants) {
        true => Judgement::TooFar,
        false => Judgement::Wait,
    }
}

/// How many parts ahead a client may ask: three, or as many as three seconds hold.
fn advance_part_limit(constants: &Constants) -> u64 {
    match u64::from(constants.part_target_ms) {
        0 => 3,
        target if target < 1000 => 3000_u64.div_ceil(target),
        _ => 3,
    }
}

/// How long a request is held before it gets something else.
pub(crate) fn patience(constants: &Constants, on_stall: OnStall) -> Duration {
    let (target, part) = (u64::from(constants.target_duration_ms), u64::from(constants.part_target_ms));
    Duration::from_millis(match on_stall {
        OnStall::Newest => (3 * part).max(target * 4 / 5) * 3 / 4,
        OnStall::Error => 3 * target,
    })
}

#[cfg(test)]
mod tests {
    use freshet_proto::{
        id::{Epoch, SessionId},
        message::Version,
    };

    use super::*;

    const CONSTANTS: Constants =
        Constants { session: SessionId(1), target_duration_ms: 4000, part_target_ms: 500, keep_ms: 30_000 };

    /// The newest version: segment 41 is whole with 4 parts, 42 has part 1.
    const NEWEST: PlaylistHeader = PlaylistHeader {
        version: Version { epoch: Epoch(7), msn: Msn(42), part: 1, edit: 0 },
        complete: Some(Msn(41)),
        complete_parts: 4,
        age_ms: 0,
        body: 0,
        ended: false,
        full_gz: 0,
        delta_gz: 0,
    };

    /// After a silent part target: segment 42 is whole with 2 parts, and nothing of 43 is there.
    const FINISHED: PlaylistHeader = PlaylistHeader { complete: Some(Msn(42)), complete_parts: 2, ..NEWEST };

    fn judged(query: &str, newest: &PlaylistHeader) -> Judgement {
        let wanted = Directives::parse(query).expect("a query");
        judge(wanted, newest, &CONSTANTS, PartlessRelease::Segment)
    }

    #[test]
    fn at_25_a_part_beyond_the_last_of_a_finished_segment_is_part_0_of_the_next() {
        assert_eq!(judged("_HLS_msn=41&_HLS_part=4", &NEWEST), Judgement::Send, "42.0 is there");
        assert_eq!(judged("_HLS_msn=41&_HLS_part=9", &NEWEST), Judgement::Send);
        assert_eq!(judged("_HLS_msn=42&_HLS_part=2", &FINISHED), Judgement::Wait, "43.0 is not");
    }

    #[test]
    fn l20_a_reload_with_a_part_waits_for_that_part_or_a_later_one() {
        for (query, expected) in [
            ("_HLS_msn=42&_HLS_part=0", Judgement::Send),
            ("_HLS_msn=42&_HLS_part=1", Judgement::Send),
            ("_HLS_msn=42&_HLS_part=2", Judgement::Wait),
            ("_HLS_part=0&_HLS_msn=43", Judgement::Wait),
        ] {
            assert_eq!(judged(query, &NEWEST), expected, "{query}");
        }
    }

    #[test]
    fn at_24_a_reload_without_a_part_waits_for_the_whole_segment_or_with_the_switch_for_its_first_part() {
        let wanted = |msn| Directives { msn: Some(msn), ..Directives::default() };
        let judged = |msn, partless| judge(wanted(msn), &NEWEST, &CONSTANTS, partless);
        assert_eq!(judged(41, PartlessRelease::Segment), Judgement::Send);
        assert_eq!(judged(42, PartlessRelease::Segment), Judgement::Wait);
        assert_eq!(judged(42, PartlessRelease::Part0), Judgement::Send);
        assert_eq!(judged(43, PartlessRelease::Part0), Judgement::Wait);
    }

    #[test]
    fn l21_what_has_left_the_window_long_ago_is_satisfied() {
        assert_eq!(judged("_HLS_msn=0", &NEWEST), Judgement::Send);
        assert_eq!(judged("_HLS_msn=3&_HLS_part=99", &NEWEST), Judgement::Send);
    }

    #[test]
    fn l22_directives_are_integers_given_once_and_a_part_needs_a_segment() {
        for (query, expected) in [
            ("_HLS_part=1", BadQuery::PartAlone),
            ("_HLS_msn=", BadQuery::Value),
            ("_HLS_msn=-1", BadQuery::Value),
            ("_HLS_msn=1.0", BadQuery::Value),
            ("_HLS_msn=0x1", BadQuery::Value),
            ("_HLS_msn=18446744073709551616", BadQuery::Value),
            ("_HLS_msn=1&_HLS_part=4294967296", BadQuery::Value),
            ("_HLS_msn=1&_HLS_msn=1", BadQuery::Twice),
            ("_HLS_skip=YES&_HLS_skip=YES", BadQuery::Twice),
            ("_HLS_skip=no", BadQuery::Value),
        ] {
            assert_eq!(Directives::parse(query), Err(expected), "{query}");
        }
    }

    #[test]
    fn at_27_l23_asking_too_far_ahead_is_refused() {
        for (query, expected) in [
            ("_HLS_msn=43", Judgement::Wait),
            ("_HLS_msn=44", Judgement::TooFar),
            ("_HLS_msn=42&_HLS_part=7", Judgement::Wait),
            ("_HLS_msn=42&_HLS_part=8", Judgement::TooFar),
            ("_HLS_msn=43&_HLS_part=6", Judgement::Wait),
            ("_HLS_msn=43&_HLS_part=7", Judgement::TooFar),
            ("_HLS_msn=18446744073709551615&_HLS_part=0", Judgement::TooFar),
        ] {
            assert_eq!(judged(query, &NEWEST), expected, "{query}");
        }
        assert_eq!(judged("_HLS_msn=44", &FINISHED), Judgement::Wait, "two after the last whole segment");
    }

    #[test]
    fn l24_an_ended_playlist_is_sent_whatever_is_asked() {
        let ended = PlaylistHeader { ended: true, ..NEWEST };
        assert_eq!(judged("_HLS_msn=99&_HLS_part=99", &ended), Judgement::Send);
    }

    #[test]
    fn l26_other_parameters_are_ignored() {
        let query = "token=x&_HLS_skip=v2&_HLS_push=1&_HLS_msn=7&_HLS_msn2=9&&=";
        assert_eq!(Directives::parse(query), Ok(Directives { msn: Some(7), part: None, skip: true }));
        assert_eq!(Directives::parse(""), Ok(Directives::default()));
    }

    #[test]
    fn a_stall_is_answered_before_players_give_up() {
        assert_eq!(patience(&CONSTANTS, OnStall::Newest), Duration::from_millis(2400));
        assert_eq!(patience(&CONSTANTS, OnStall::Error), Duration::from_millis(12_000));
        let long_parts = Constants { part_target_ms: 2000, ..CONSTANTS };
        assert_eq!(patience(&long_parts, OnStall::Newest), Duration::from_millis(4500));
    }
}
