//! What must hold for any bytes that a player may report. Called by the fuzz target, and by `edge/tests/corpora.rs` for every
//! committed input.

use freshet_edge::audience::{
    report::{self, MAX_LINES, MAX_SID},
    sessions::Sessions,
};

const MOST: usize = 4;
const MOST_CHANNELS: usize = 2;

/// A body is read or refused in words; what is read makes sums that can be told, of as many sessions and channels as there may be.
pub fn cmcd(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let reports = match report::reports(text) {
        Ok(reports) => reports,
        Err(refused) => {
            assert!(refused.line >= 1 && refused.line <= text.split('\n').count());
            return assert!(refused.to_string().len() < 200);
        }
    };
    assert!(reports.len() <= MAX_LINES);
    let mut sessions = Sessions::new(MOST, MOST_CHANNELS);
    let mut now_ms = 0;
    for report in &reports {
        assert!((1..=MAX_SID).contains(&report.sid.len()));
        now_ms += 700;
        sessions.hear(now_ms, report.sid.len() as u64 % 8, report);
    }
    assert!(sessions.players(now_ms) <= MOST);
    let all = sessions.audiences(now_ms);
    assert!(all.len() <= MOST_CHANNELS && all.values().all(|audience| audience.is_good()));
    assert!(all.values().map(|audience| audience.players as usize).sum::<usize>() <= MOST);
}
