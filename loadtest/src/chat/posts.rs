//! Who posts what, and when: at a rate, or so many at a time. A machine.
//!
//! ```text
//! Posts::due ──▶ (sender, text) ──▶ its connection ──▶ acknowledged, refused, shown, or the connection is lost
//! ```
//! A post whose connection was lost before it was answered is sent again by the same sender, as the same post: the
//! protocol makes one of the two. So is one that no home has answered. One that was refused for haste is sent again by whoever may.

use std::collections::{BTreeMap, VecDeque};

use super::{
    job::{Pace, Seen},
    line::{Line, Nonce, digest},
    wire::Dialect,
};
use crate::report::Distribution;

/// How many posts of one sender may wait for their answers: fewer than the protocol's 64.
const MAX_UNANSWERED: u32 = 32;

/// After so long a post that was acknowledged counts as shown to all, in microseconds: a connection may have been lost.
const SHOWN_AFTER_US: u64 = 10_000_000;

/// After so many posts that were taken one after the other, one more may wait for its answer.
const WIDEN_AFTER: u32 = 8;

/// How long a sender rests that was refused without being told for how long, in microseconds.
const REST_US: u64 = 200_000;

/// A post under way.
#[derive(Debug)]
struct Post {
    nonce: Nonce,
    /// Who has sent it; `None` where anybody may.
    sender: Option<usize>,
    acked: bool,
    shown: bool,
}

/// A connection that posts.
#[derive(Debug, Clone)]
struct Sender {
    is_in: bool,
    unanswered: u32,
    /// How many of its posts may wait for answers: one after a refusal for haste, and slowly more again.
    window: u32,
    answered_since: u32,
    rests_until_us: u64,
    /// What it must send again.
    owed: Vec<u64>,
}

impl Sender {
    fn away(owed: Vec<u64>) -> Self {
        Self { is_in: false, unanswered: 0, window: MAX_UNANSWERED, answered_since: 0, rests_until_us: 0, owed }
    }

    fn owes(&self, now_us: u64) -> bool {
        self.is_in && !self.owed.is_empty() && self.rests_until_us <= now_us
    }

    fn may_post(&self, now_us: u64) -> bool {
        self.is_in && self.unanswered < self.window && self.rests_until_us <= now_us
    }

    fn acknowledged(&mut self) {
        self.unanswered = self.unanswered.saturating_sub(1);
        self.answered_since += 1;
        if self.answered_since >= WIDEN_AFTER {
            (self.answered_since, self.window) = (0, (self.window + 1).min(MAX_UNANSWERED));
        }
    }

    fn refused(&mut self) {
        self.unanswered = self.unanswered.saturating_sub(1);
    }

    fn rest(&mut self, until_us: u64) {
        (self.rests_until_us, self.window, self.answered_since) = (until_us, 1, 0);
    }
}

/// See the module.
#[derive(Debug)]
pub struct Posts {
    dialect: Dialect,
    run: u64,
    pace: Pace,
    channel: String,
    text_chars: usize,
    senders: Vec<Sender>,
    turn: usize,
    under_way: BTreeMap<u64, Post>,
    /// What anybody may send again.
    again: VecDeque<u64>,
    next_number: u64,
    /// When the next is due at a rate; `None` while nothing is posted.
    due_us: Option<u64>,
    last_ack_us: u64,
    /// Posts acknowledged, and where.
    pub acked: Vec<Seen>,
    /// How many were acknowledged.
    pub acknowledged: u64,
    /// How many were made.
    pub posted: u64,
    /// How often one was refused, by code.
    pub refused: BTreeMap<String, u64>,
    /// How long acknowledgements took.
    pub ack: Distribution,
    /// The longest time without an acknowledgement while one was wanted, in microseconds.
    pub pause_us: u64,
}

impl Posts {
    /// `senders` connections that post in `channel`. `first_number` makes the numbers differ from other processes'.
    pub fn new(
        dialect: Dialect,
        run: u64,
        first_number: u64,
        pace: Pace,
        channel: &str,
        text_chars: usize,
        senders: usize,
    ) -> Self {
        Self {
            dialect,
            run,
            pace,
            channel: channel.to_owned(),
            text_chars,
            senders: vec![Sender::away(Vec::new()); senders],
            turn: 0,
            under_way: BTreeMap::new(),
            again: VecDeque::new(),
            next_number: first_number,
            due_us: None,
            last_ack_us: 0,
            acked: Vec::new(),
            acknowledged: 0,
            posted: 0,
            refused: BTreeMap::new(),
            ack: Distribution::default(),
            pause_us: 0,
        }
    }

    /// From now on it is posted.
    pub fn start(&mut self, now_us: u64) {
        (self.due_us, self.last_ack_us) = (Some(now_us), now_us);
    }

    /// Nothing new is posted; what is under way goes on.
    pub fn stop(&mut self, now_us: u64) {
        if self.dialect == Dialect::Chat && self.due_us.take().is_some() && self.unanswered() > 0 {
            self.pause_us = self.pause_us.max(now_us.saturating_sub(self.last_ack_us));
        }
        self.due_us = None;
    }

    /// Whether everything has been answered, or shown where nothing is answered.
    pub fn is_answered(&self) -> bool {
        self.under_way.values().all(|post| post.acked && self.dialect == Dialect::Chat)
    }

    /// How many were never acknowledged.
    pub fn unanswered(&self) -> u64 {
        self.under_way.values().filter(|post| !post.acked).count() as u64
    }

    /// A sender's connection is in the channel.
    pub fn is_in(&mut self, sender: usize) {
        if let Some(sender) = self.senders.get_mut(sender) {
            sender.is_in = true;
        }
    }

    /// A sender's connection was lost.
    pub fn is_out(&mut self, number: usize) {
        let Some(sender) = self.senders.get_mut(number) else { return };
        let mine = |post: &Post| post.sender == Some(number) && !post.acked;
        let owed = self.under_way.iter().filter(|(_, post)| mine(post)).map(|(number, _)| *number).collect();
        *sender = Sender::away(owed);
    }

    /// What is to be sent now, and by whom; call until it says `None`.
    pub fn due(&mut self, now_us: u64) -> Option<(usize, String)> {
        if let Some(owing) = self.senders.iter().position(|sender| sender.owes(now_us)) {
            let number = self.senders[owing].owed.pop()?;
            return self.send(owing, number);
        }
        let sender = self.free_sender(now_us)?;
        if let Some(number) = self.again.pop_front() {
            return self.send(sender, number);
        }
        let due_us = self.due_us?;
        let due_us = match self.pace {
            Pace::Rate(per_second) if due_us <= now_us => {
                self.due_us = Some(due_us + (1e6 / per_second) as u64);
                due_us
            }
            Pace::InFlight(most) if self.under_way.len() < most as usize => now_us,
            _ => return None,
        };
        let number = self.next_number;
        self.next_number += 1;
        self.posted += 1;
        let nonce = Nonce { run: self.run, number, due_us };
        self.under_way.insert(number, Post { nonce, sender: None, acked: false, shown: false });
        self.send(sender, number)
    }

    /// When something is due next by the clock, in microseconds since 1970.
    pub fn deadline_us(&self) -> Option<u64> {
        self.due_us.filter(|_| matches!(self.pace, Pace::Rate(_)))
    }

    fn free_sender(&mut self, now_us: u64) -> Option<usize> {
        let count = self.senders.len();
        let n = (0..count).map(|n| (self.turn + n) % count).find(|n| self.senders[*n].may_post(now_us))?;
        self.turn = (n + 1) % count;
        Some(n)
    }

    fn send(&mut self, sender: usize, number: u64) -> Option<(usize, String)> {
        let post = self.under_way.get_mut(&number)?;
        post.sender = Some(sender);
        let filler = ".".repeat(self.text_chars);
        let (nonce, channel) = (post.nonce, &self.channel);
        if self.dialect != Dialect::Chat {
            // Nobody answers; the post is done when it was shown.
            post.acked = true;
            return Some((sender, format!(r#"{{"nonce":"{nonce}","text":"{filler}"}}"#)));
        }
        self.senders[sender].unanswered += 1;
        // Texts differ, for a channel may want that.
        let text = format!("{number} {filler}");
        let text = &text[..self.text_chars.max(8).min(text.len())];
        Some((sender, format!(r#"{{"type":"msg","channel":"{channel}","nonce":"{nonce}","text":"{text}"}}"#)))
    }

    /// A post was acknowledged.
    pub fn acknowledge(&mut self, line: &Line, now_us: u64) {
        let Some(number) = self.number(line) else { return };
        let Some(post) = self.under_way.get_mut(&number).filter(|post| !post.acked) else { return };
        post.acked = true;
        if let Some(sender) = post.sender {
            self.senders[sender].acknowledged();
        }
        if let Some((epoch, seq)) = line.position() {
            self.acked.push(Seen { epoch, seq, digest: digest(line.nonce.as_bytes()) });
        }
        self.acknowledged += 1;
        self.ack.record_us(now_us.saturating_sub(post.nonce.due_us));
        self.pause_us = self.pause_us.max(now_us.saturating_sub(self.last_ack_us));
        self.last_ack_us = now_us;
        self.forget_done(number);
    }

    /// A post was refused.
    pub fn refuse(&mut self, line: &Line, now_us: u64) {
        let Some(number) = self.number(line) else { return };
        *self.refused.entry(line.code.clone()).or_default() += 1;
        let Some(sender) = self.under_way.get_mut(&number).and_then(|post| post.sender.take()) else { return };
        self.senders[sender].refused();
        if matches!(line.code.as_str(), "msg_ratelimit" | "msg_slowmode" | "msg_paused") {
            self.senders[sender].rest(now_us + line.retry_ms.map_or(REST_US, |ms| ms * 1000));
            // A home that could not be reached may have taken it all the same: only from the same person is it the same post.
            if line.code == "msg_paused" {
                self.senders[sender].owed.push(number);
            } else {
                self.again.push_back(number);
            }
        } else {
            self.under_way.remove(&number);
        }
    }

    /// All connections of the process have it.
    pub fn shown(&mut self, nonce: Nonce) {
        if let Some(post) = self.under_way.get_mut(&nonce.number) {
            post.shown = true;
            self.forget_done(nonce.number);
        }
    }

    /// Counts as shown what has had the time to be.
    pub fn sweep(&mut self, now_us: u64) {
        self.under_way.retain(|_, post| !post.acked || now_us < post.nonce.due_us + SHOWN_AFTER_US);
    }

    fn forget_done(&mut self, number: u64) {
        let is_done = |post: &Post| post.acked && (post.shown || matches!(self.pace, Pace::Rate(_)));
        if self.under_way.get(&number).is_some_and(is_done) {
            self.under_way.remove(&number);
        }
    }

    fn number(&self, line: &Line) -> Option<u64> {
        Nonce::read(&line.nonce).filter(|nonce| nonce.run == self.run).map(|nonce| nonce.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn posts(pace: Pace, senders: usize) -> Posts {
        let mut posts = Posts::new(Dialect::Chat, 1, 0, pace, "ada", 10, senders);
        (0..senders).for_each(|sender| posts.is_in(sender));
        posts.start(0);
        posts
    }

    fn sent(posts: &mut Posts, now_us: u64) -> Vec<(usize, u64)> {
        let number = |text: &str| {
            let line = Line::read(text.as_bytes()).expect("JSON");
            Nonce::read(&line.nonce).expect("ours").number
        };
        std::iter::from_fn(|| posts.due(now_us)).map(|(sender, text)| (sender, number(&text))).collect()
    }

    fn answer(kind: &str, number: u64, due_us: u64, more: &str) -> Line {
        let nonce = Nonce { run: 1, number, due_us };
        Line::read(format!(r#"{{"type":"{kind}","nonce":"{nonce}"{more}}}"#).as_bytes()).expect("JSON")
    }

    #[test]
    fn at_a_rate_each_is_due_at_its_time_and_senders_take_turns() {
        let mut posts = posts(Pace::Rate(100.0), 2);
        assert_eq!(sent(&mut posts, 0), [(0, 0)]);
        assert_eq!(sent(&mut posts, 9_999), []);
        assert_eq!(sent(&mut posts, 30_000), [(1, 1), (0, 2), (1, 3)], "what is late is made up for");
        assert_eq!(posts.deadline_us(), Some(40_000));
        posts.acknowledge(&answer("ack", 2, 20_000, r#","position":"1.7""#), 50_000);
        assert_eq!((posts.acked.len(), posts.acknowledged, posts.pause_us), (1, 1, 50_000));
        assert!((posts.ack.summary().max - 30.0).abs() < 0.1, "from when it was due");
        posts.stop(30_000);
        assert_eq!((sent(&mut posts, 99_000), posts.is_answered()), (vec![], false));
    }

    #[test]
    fn in_flight_the_next_goes_when_one_was_acknowledged_and_shown() {
        let mut posts = posts(Pace::InFlight(2), 1);
        assert_eq!(sent(&mut posts, 5), [(0, 0), (0, 1)]);
        posts.acknowledge(&answer("ack", 0, 5, r#","position":"1.1""#), 6);
        assert_eq!(sent(&mut posts, 7), []);
        posts.shown(Nonce { run: 1, number: 0, due_us: 5 });
        assert_eq!(sent(&mut posts, 8), [(0, 2)]);
        posts.acknowledge(&answer("ack", 1, 5, r#","position":"1.2""#), 9);
        posts.sweep(5 + SHOWN_AFTER_US);
        assert_eq!(sent(&mut posts, 11), [(0, 3)], "a connection that is away holds nobody up for ever");
    }

    #[test]
    fn who_was_refused_rests_and_another_sends_the_same_post() {
        let mut posts = posts(Pace::InFlight(1), 2);
        assert_eq!(sent(&mut posts, 0), [(0, 0)]);
        posts.refuse(&answer("nack", 0, 0, r#","code":"msg_ratelimit","retry_ms":1000"#), 10);
        assert_eq!(sent(&mut posts, 11), [(1, 0)]);
        posts.refuse(&answer("nack", 0, 0, r#","code":"msg_ratelimit","retry_ms":1000"#), 20);
        assert_eq!(sent(&mut posts, 1_000_009), []);
        assert_eq!(sent(&mut posts, 1_000_010), [(0, 0)]);
        posts.refuse(&answer("nack", 0, 0, r#","code":"msg_banned""#), 1_000_020);
        assert_eq!(sent(&mut posts, 1_000_021), [(1, 1)], "what is refused for good is not sent again");
        assert_eq!(posts.refused["msg_ratelimit"], 2);
    }

    #[test]
    fn who_was_refused_for_haste_goes_on_one_by_one() {
        let mut posts = posts(Pace::InFlight(4), 1);
        assert_eq!(sent(&mut posts, 0), [(0, 0), (0, 1), (0, 2), (0, 3)]);
        for number in 0..4 {
            posts.refuse(&answer("nack", number, 0, r#","code":"msg_ratelimit","retry_ms":1"#), 0);
        }
        for number in 0..4 {
            assert_eq!(sent(&mut posts, 1000), [(0, number)]);
            posts.acknowledge(&answer("ack", number, 0, r#","position":"1.1""#), 1000);
        }
    }

    #[test]
    fn what_no_home_has_answered_is_sent_again_by_the_same_sender() {
        let mut posts = posts(Pace::InFlight(1), 2);
        assert_eq!(sent(&mut posts, 0), [(0, 0)]);
        posts.refuse(&answer("nack", 0, 0, r#","code":"msg_paused","retry_ms":1000"#), 10);
        assert_eq!(sent(&mut posts, 11), []);
        assert_eq!(sent(&mut posts, 1_000_010), [(0, 0)]);
    }

    #[test]
    fn what_was_not_answered_is_sent_again_by_the_same_sender() {
        let mut posts = posts(Pace::InFlight(2), 2);
        assert_eq!(sent(&mut posts, 0), [(0, 0), (1, 1)]);
        posts.is_out(0);
        assert_eq!(sent(&mut posts, 1), []);
        posts.is_in(0);
        assert_eq!(sent(&mut posts, 2), [(0, 0)]);
        assert_eq!((posts.posted, posts.unanswered()), (2, 2));
    }
}
