//! What players report, made into how a channel's viewers fare. A machine: time is an argument.
//!
//! ```text
//! Report ──hear──▶ its session ──Happened──▶ the channel's minute      all sessions and minutes ──audiences──▶ Audience
//! ```
//! A session is known by a number that is drawn from its id and its channel; the id itself is not kept. What happened is the
//! difference between two of its reports, by the player's own clock: the time between them counts as played or stalled by what
//! the player did at the first. A stall that is told twice, as a state (`sta=r`) and as starvation (`bs`, `bsd`), counts once, and so
//! does one that is told in pieces.
//!
//! Limits: so many sessions; when one more comes, the one that was silent for longest is forgotten, and nothing of what it told
//! is lost but its latency. So many channels, beyond which nothing is kept of others.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use freshet_proto::{audience::Audience, id::ChannelName};

use super::report::{Report, State};

/// After how many milliseconds without a report a player does not count any more.
pub const QUIET_MS: u64 = 30_000;

/// After how many its session is forgotten: a page in the background reports once a minute.
pub const FORGET_MS: u64 = 300_000;

/// The longest time between two reports that counts as played or stalled, in milliseconds. Beyond it the player slept.
const MOST_BETWEEN_MS: u64 = 90_000;

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

/// What a report says that happened since the one before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Happened {
    /// The player began, after so many milliseconds.
    pub startup_ms: Option<u64>,
    /// So many milliseconds of it were shown.
    pub played_ms: u64,
    /// For so many it stood for lack of data.
    pub stalled_ms: u64,
    /// So often.
    pub stalls: u64,
    /// Errors.
    pub errors: u64,
    /// Frames that were not shown.
    pub dropped_frames: u64,
}

#[derive(Debug)]
struct Session {
    channel: ChannelName,
    heard_ms: u64,
    /// The player's time at its last report.
    ts: u64,
    state: Option<State>,
    /// The player's time when it was told to play.
    started: Option<u64>,
    /// Whether how long it took to begin is known.
    startup_told: bool,
    /// Whether it has ever shown anything.
    began: bool,
    /// Whether it has told an error since it played last.
    erred: bool,
    /// Whether its last report told of starvation.
    starved: bool,
    /// How long and how often it stood, by its states, since it told of starvation last.
    stood_ms: u64,
    stood: u64,
    latency_ms: Option<u64>,
    bitrate: Option<u64>,
    dropped_frames: Option<u64>,
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

impl Happened {
    fn add_to(self, audience: &mut Audience) {
        if let Some(ms) = self.startup_ms {
            audience.startup.see(ms);
        }
        audience.played_ms = audience.played_ms.saturating_add(self.played_ms);
        audience.stalled_ms = audience.stalled_ms.saturating_add(self.stalled_ms);
        audience.stalls = audience.stalls.saturating_add(self.stalls);
        audience.errors = audience.errors.saturating_add(self.errors);
        audience.dropped_frames = audience.dropped_frames.saturating_add(self.dropped_frames);
    }
}

impl Session {
    fn new(report: &Report<'_>) -> Self {
        Self {
            channel: report.channel.clone(),
            heard_ms: 0,
            ts: report.ts,
            state: None,
            started: None,
            startup_told: false,
            began: false,
            erred: false,
            starved: false,
            stood_ms: 0,
            stood: 0,
            latency_ms: None,
            bitrate: None,
            dropped_frames: None,
        }
    }

    fn is_here(&self, now_ms: u64) -> bool {
        now_ms < self.heard_ms + QUIET_MS && self.state != Some(State::Over)
    }

    fn add_to(&self, audience: &mut Audience) {
        audience.players = audience.players.saturating_add(1);
        if let Some(ms) = self.latency_ms {
            audience.latency.see(ms);
        }
        if let Some(bitrate) = self.bitrate {
            audience.bitrate = audience.bitrate.saturating_add(bitrate);
            audience.bitrates = audience.bitrates.saturating_add(1);
        }
    }

    fn hear(&mut self, report: &Report<'_>) -> Happened {
        let mut happened = Happened::default();
        let starved = report.starved || report.starved_ms.is_some();
        let passed = self.pass(report.ts, &mut happened);
        // It stood all the time, and before already.
        let goes_on = self.starved && passed > 0 && report.starved_ms.is_some_and(|ms| ms >= passed);
        if let Some(state) = report.state {
            self.turn(state, report, &mut happened);
        }
        if let Some(ms) = report.startup_ms.filter(|_| !self.startup_told) {
            happened.startup_ms = Some(ms);
            self.startup_told = true;
        }
        if starved {
            self.starve(report.starved_ms.unwrap_or(0), &mut happened);
        }
        if goes_on {
            happened.stalls = 0;
        }
        self.starved = starved;
        if report.is_error {
            happened.errors += 1;
            self.erred = true;
        }
        if let Some(count) = report.dropped_frames {
            // What a session dropped before it came here was counted where it was.
            let before = self.dropped_frames.replace(count).unwrap_or(count);
            happened.dropped_frames = count.checked_sub(before).unwrap_or(count);
        }
        self.latency_ms = report.latency_ms.or(self.latency_ms);
        self.bitrate = report.bitrate.or(self.bitrate);
        happened
    }

    /// Time has passed for the player, in the state that it was in. Gives how much.
    fn pass(&mut self, ts: u64, happened: &mut Happened) -> u64 {
        let passed = ts.checked_sub(self.ts).filter(|passed| *passed <= MOST_BETWEEN_MS).unwrap_or(0);
        match self.state {
            Some(State::Playing) => happened.played_ms = passed,
            Some(State::Rebuffering) => {
                happened.stalled_ms = passed;
                self.stood_ms += passed;
            }
            _ => {}
        }
        // A report that was overtaken changes nothing; a clock that was set back does.
        let set_back = self.ts.saturating_sub(ts) > MOST_BETWEEN_MS;
        self.ts = if set_back { ts } else { self.ts.max(ts) };
        passed
    }

    fn turn(&mut self, state: State, report: &Report<'_>, happened: &mut Happened) {
        let before = self.state.replace(state);
        match state {
            State::Starting => self.started = self.started.or(Some(report.ts)),
            State::Playing => {
                if let (false, None, Some(started)) = (self.startup_told, report.startup_ms, self.started) {
                    happened.startup_ms = report.ts.checked_sub(started).filter(|ms| *ms <= MOST_BETWEEN_MS);
                    self.startup_told = true;
                }
                (self.began, self.erred) = (true, false);
            }
            // Who comes from another edge may do so while it stands.
            State::Rebuffering if before != Some(State::Rebuffering) && (self.began || before.is_none()) => {
                happened.stalls += 1;
                self.stood += 1;
                self.began = true;
            }
            State::Failed if before != Some(State::Failed) && !report.is_error && !self.erred => happened.errors += 1,
            State::Rebuffering | State::Paused | State::Over | State::Failed => {}
        }
    }

    /// The player tells that it starved, for so long since it told so last.
    fn starve(&mut self, told_ms: u64, happened: &mut Happened) {
        let (stood_ms, stood) = (std::mem::take(&mut self.stood_ms), std::mem::take(&mut self.stood));
        if !self.began {
            return;
        }
        let unseen = told_ms.saturating_sub(stood_ms);
        happened.stalled_ms = happened.stalled_ms.saturating_add(unseen);
        happened.played_ms = happened.played_ms.saturating_sub(unseen);
        if stood == 0 && stood_ms == 0 {
            happened.stalls += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audience::report::reports;

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
