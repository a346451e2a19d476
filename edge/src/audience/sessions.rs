//! What players report, made into how a channel's viewers fare. A machine: time is an argument.
//!
//! ```text
//! Report ──hear──▶ its session ──Happened──▶ the channel's minute      all sessions and minutes ──audiences──▶ Audience
//! ```
//! A session ([`super::session`]) is known by a number that is drawn from its id and its channel; the id itself is not kept.
//!
//! Limits: so many sessions; when one more comes, the one that was silent for longest is forgotten, and nothing of what it told
//! is lost but its latency. So many channels, beyond which nothing is kept of others.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use freshet_proto::{audience::Audience, id::ChannelName};

use super::{
    report::Report,
    session::{Happened, Session},
};

/// After how many its session is forgotten: a page in the background reports once a minute.
pub const FORGET_MS: u64 = 300_000;

const MINUTE_MS: u64 = 60_000;

/// All of them, at one edge.
#[derive(Debug)]
pub struct Sessions {
    most: usize,
    most_channels: usize,
    sessions: HashMap<u64, Session>,
    /// By when they were heard of last.
    heard: BTreeSet<(u64, u64)>,
    channels: BTreeMap<ChannelName, Minutes>,
}

/// What happened in a channel, by minute; the oldest first.
type Minutes = VecDeque<(u64, Audience)>;

impl Sessions {
    /// Nothing heard yet; `most` sessions and `most_channels` channels at most.
    pub fn new(most: usize, most_channels: usize) -> Self {
        let (sessions, heard, channels) = (HashMap::new(), BTreeSet::new(), BTreeMap::new());
        Self { most, most_channels, sessions, heard, channels }
    }

    /// Hears a report of the session of that number, and tells what happened.
    pub fn hear(&mut self, now_ms: u64, number: u64, report: &Report<'_>) -> Happened {
        if !self.channels.contains_key(&report.channel) && self.channels.len() >= self.most_channels {
            return Happened::default();
        }
        self.make_room(number);
        let session = self.sessions.entry(number).or_insert_with(|| Session::new(report));
        self.heard.remove(&(session.heard_ms, number));
        self.heard.insert((now_ms, number));
        session.heard_ms = now_ms;
        let happened = session.hear(report);
        let minutes = self.channels.entry(report.channel.clone()).or_default();
        happened.add_to(this_minute(minutes, now_ms));
        happened
    }

    /// How the viewers of each channel fare, of which a player has told. Forgets what is over. Costs some nanoseconds for each
    /// session.
    pub fn audiences(&mut self, now_ms: u64) -> BTreeMap<ChannelName, Audience> {
        self.forget(now_ms);
        let sum = |minutes: &Minutes| {
            let mut sum = Audience::default();
            minutes.iter().for_each(|(_, audience)| sum.merge(audience));
            sum
        };
        let mut all: BTreeMap<_, _> =
            self.channels.iter().map(|(name, minutes)| (name.clone(), sum(minutes))).collect();
        for session in self.sessions.values().filter(|session| session.is_here(now_ms)) {
            if let Some(audience) = all.get_mut(&session.channel) {
                session.add_to(audience);
            }
        }
        all.retain(|_, audience| !audience.is_empty());
        all
    }

    /// How many players report now.
    pub fn players(&self, now_ms: u64) -> usize {
        self.sessions.values().filter(|session| session.is_here(now_ms)).count()
    }

    fn make_room(&mut self, number: u64) {
        if self.sessions.len() >= self.most
            && !self.sessions.contains_key(&number)
            && let Some((_, oldest)) = self.heard.pop_first()
        {
            self.sessions.remove(&oldest);
        }
    }

    fn forget(&mut self, now_ms: u64) {
        while let Some((heard_ms, number)) = self.heard.first().copied()
            && now_ms >= heard_ms + FORGET_MS
        {
            self.heard.pop_first();
            self.sessions.remove(&number);
        }
        let first = (now_ms / MINUTE_MS).saturating_sub(Audience::WINDOW_MS / MINUTE_MS);
        let open: BTreeSet<&ChannelName> = self.sessions.values().map(|session| &session.channel).collect();
        self.channels.retain(|name, minutes| {
            minutes.retain(|(minute, _)| *minute >= first);
            !minutes.is_empty() || open.contains(name)
        });
    }
}

/// What is counted in the minute that goes on.
fn this_minute(minutes: &mut Minutes, now_ms: u64) -> &mut Audience {
    let minute = now_ms / MINUTE_MS;
    let at = match minutes.iter().rposition(|(known, _)| *known == minute) {
        Some(at) => at,
        None => {
            minutes.push_back((minute, Audience::default()));
            // Also where the clock was set back and nobody has forgotten yet.
            while minutes.len() > (Audience::WINDOW_MS / MINUTE_MS + 1) as usize {
                minutes.pop_front();
            }
            minutes.len() - 1
        }
    };
    &mut minutes[at].1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audience::{report::reports, session::QUIET_MS};

    const NOW: u64 = 1_795_000_000_000;

    /// Plays lines of `MILLISECONDS KEYS` of one session.
    fn play(lines: &[(u64, &str)]) -> Audience {
        let mut sessions = Sessions::new(10, 10);
        for (at, keys) in lines {
            hear(&mut sessions, 1, *at, keys);
        }
        let last = lines.last().map_or(0, |(at, _)| *at);
        sessions.audiences(NOW + last).remove(&"ada".parse().unwrap()).unwrap_or_default()
    }

    fn hear(sessions: &mut Sessions, number: u64, at: u64, keys: &str) -> Happened {
        hear_of(sessions, "ada", number, at, keys)
    }

    fn hear_of(sessions: &mut Sessions, channel: &str, number: u64, at: u64, keys: &str) -> Happened {
        let event = if keys.contains("e=e") { "" } else { "e=t," };
        let line = format!("{event}{keys},cid=\"{channel}\",sid=\"s\",ts={},v=2", at + 5);
        sessions.hear(NOW + at, number, &reports(&line).unwrap()[0])
    }

    fn counted(audience: &Audience) -> (u64, u64, u64) {
        (audience.played_ms, audience.stalls, audience.stalled_ms)
    }

    #[test]
    fn time_counts_by_what_the_player_did() {
        let told =
            play(&[(0, "sta=s"), (700, "sta=p"), (5700, "sta=r"), (6200, "sta=p"), (9200, "sta=a"), (20_000, "sta=a")]);
        assert_eq!(counted(&told), (8000, 1, 500));
        assert_eq!((told.players, told.startup.quantile(500)), (1, Some(672)));
    }

    #[test]
    fn a_stall_that_is_told_twice_counts_once() {
        let by_state = [(0, "sta=p"), (1000, "sta=r,bs"), (2200, "sta=p,bsd=(1200)"), (3000, "sta=p")];
        assert_eq!(counted(&play(&by_state)), (1800, 1, 1200));
        let between = [(0, "sta=p"), (5000, "sta=p,bs,bsd=(1200)"), (10_000, "sta=p")];
        assert_eq!(counted(&play(&between)), (8800, 1, 1200), "no state told of it");
        let longer = [(0, "sta=p"), (1000, "sta=r"), (2000, "sta=p,bsd=(1200)")];
        assert_eq!(counted(&play(&longer)), (1000, 1, 1200));
        let in_pieces = [
            (0, "sta=p"),
            (10_000, "sta=p,bs,bsd=(1000)"),
            (11_000, "sta=r,bs,bsd=(1000)"),
            (13_000, "sta=p,bs,bsd=(2000)"),
        ];
        assert_eq!(counted(&play(&in_pieces)), (9000, 1, 4000));
        assert_eq!(counted(&play(&[(0, "sta=s"), (1000, "sta=s,bs,bsd=(900)")])), (0, 0, 0), "nothing is shown yet");
    }

    #[test]
    fn how_long_it_took_to_begin_counts_once() {
        let startup = |lines: &[(u64, &str)]| {
            let told = play(lines);
            (told.startup.count(), told.startup.quantile(500))
        };
        assert_eq!(startup(&[(0, "sta=s"), (900, "sta=p,msd=700"), (1000, "sta=p,msd=700")]), (1, Some(672)));
        assert_eq!(startup(&[(0, "sta=s"), (900, "sta=p"), (1000, "sta=p,msd=700")]), (1, Some(928)));
        assert_eq!(startup(&[(0, "sta=p"), (900, "sta=p")]), (0, None), "it came from another edge");
    }

    #[test]
    fn what_is_now_is_what_each_told_last() {
        let mut sessions = Sessions::new(10, 10);
        hear(&mut sessions, 1, 0, "sta=p,ltc=9000,br=(1000)");
        hear(&mut sessions, 1, 1000, "sta=p,ltc=2000,com.freshet-g2g=3000,br=(2000)");
        hear(&mut sessions, 2, 1000, "sta=p,br=(1000)");
        hear(&mut sessions, 3, 1000, "sta=q,ltc=9000,br=(9000)");
        let told = sessions.audiences(NOW + 1000).remove(&"ada".parse().unwrap()).unwrap();
        assert_eq!((told.players, told.latency.count(), told.latency.quantile(500)), (2, 1, Some(2944)));
        assert_eq!((told.bitrate, told.bitrates, sessions.players(NOW + 1000)), (3_000_000, 2, 2));
        assert_eq!(sessions.players(NOW + 1000 + QUIET_MS), 0);
    }

    #[test]
    fn errors_and_dropped_frames_are_differences() {
        let told = play(&[(0, "sta=p,dfa=500"), (1, "sta=p,dfa=507"), (2, "sta=p,com.freshet-df=3")]);
        assert_eq!(told.dropped_frames, 10, "what was dropped before is another edge's, and a player may begin anew");
        let errors = |lines: &[(u64, &str)]| play(lines).errors;
        assert_eq!(errors(&[(0, "e=e,sta=p"), (1, "sta=f"), (2, "sta=f")]), 1);
        assert_eq!(errors(&[(0, "sta=f"), (1, "sta=p"), (2, "sta=f")]), 2);
        assert_eq!(errors(&[(0, "e=e,sta=f"), (1, "e=e,sta=f")]), 2);
    }

    #[test]
    fn clocks_that_jump_and_reports_that_were_overtaken_add_no_time() {
        let mut sessions = Sessions::new(10, 10);
        let mut played = |ts: u64| {
            let line = format!("e=t,sta=p,cid=\"ada\",sid=\"s\",ts={ts},v=2");
            sessions.hear(NOW, 1, &reports(&line).unwrap()[0]).played_ms
        };
        let seen: Vec<u64> =
            [1_000_000, 1_010_000, 1_005_000, 1_012_000, 9_000_000, 1000, 2000].map(&mut played).into();
        assert_eq!(seen, [0, 10_000, 0, 2000, 0, 0, 1000]);
    }

    #[test]
    fn what_happened_counts_for_five_minutes_and_then_nothing_is_left() {
        let mut sessions = Sessions::new(10, 10);
        hear(&mut sessions, 1, 0, "sta=p");
        hear(&mut sessions, 1, 10_000, "sta=q");
        let at = |sessions: &mut Sessions, at: u64| sessions.audiences(NOW + at).into_values().next();
        assert_eq!(at(&mut sessions, 10_000).map(|told| (told.players, told.played_ms)), Some((0, 10_000)));
        assert_eq!(at(&mut sessions, 290_000).map(|told| told.played_ms), Some(10_000));
        assert_eq!(at(&mut sessions, 370_000), None);
        assert!(sessions.sessions.is_empty() && sessions.heard.is_empty() && sessions.channels.is_empty());
    }

    #[test]
    fn the_longest_silent_gives_way_and_what_it_told_stays() {
        let mut sessions = Sessions::new(2, 1);
        for (number, at) in [(1, 0), (2, 0), (1, 1000), (3, 2000)] {
            hear(&mut sessions, number, at, "sta=p");
        }
        let mut left: Vec<u64> = sessions.sessions.keys().copied().collect();
        left.sort_unstable();
        assert_eq!((left, sessions.heard.len()), (vec![1, 3], 2));
        assert_eq!(sessions.audiences(NOW + 2000).into_values().map(|told| told.played_ms).sum::<u64>(), 1000);
        assert_eq!(hear_of(&mut sessions, "bob", 4, 0, "e=e"), Happened::default(), "no channel more than that");
        assert_eq!(sessions.sessions.len(), 2);
    }
}
