//! One socket, whatever it speaks: what happens to it, what it wants done, and what both dialects have in common.
//!
//! ```text
//! protocol::Session (JSON) ──┐                                  ┌──▶ Output: Verify, Join, Part, Submit
//! irc::Session (Twitch's) ───┴─▶ Client: seats, tickets, buckets ┴──▶ refusals, which each puts in its own words
//! ```
//! A shell serves both alike: the same inputs, the same outputs. Only what is in [`Input::Frame`] and [`Output::Send`]
//! differs.

use std::{collections::BTreeMap, sync::Arc};

use freshet_proto::{
    chat::{
        Answer, Author, Code, Event, Login, MessageId, Modes, Nonce, Note, Notice, Pin, Position, Refusal, Role,
        Submit, Text, To, User,
    },
    id::ChannelName,
};

use crate::home::pace::Bucket;

/// How many channels a socket may be in.
pub const MAX_CHANNELS: usize = 32;
/// How many posts may wait for their answers.
pub const MAX_UNANSWERED: usize = 64;
/// How many objects or lines wait while a token is verified.
pub(crate) const MAX_BACKLOG: usize = 32;

/// Posts in 30 s: Twitch's limits.
pub(crate) const POSTS: (u32, u32) = (20, 30_000);
/// Those of a moderator, in the channels where they are one.
pub(crate) const MODERATOR_POSTS: (u32, u32) = (100, 30_000);
/// Joins in 10 s.
const JOINS: (u32, u32) = (20, 10_000);
/// Objects or lines of any kind in 10 s; who sends more is closed.
const OBJECTS: (u32, u32) = (200, 10_000);
/// Objects or lines that were not understood in 30 s; who sends more is closed.
const MISTAKES: (u32, u32) = (10, 30_000);

/// Who somebody is, by a token that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Who.
    pub user: User,
    /// Whether they run the platform.
    pub admin: bool,
}

/// A channel as somebody comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// Which.
    pub channel: ChannelName,
    /// The newest event that `events` leads up to.
    pub head: Position,
    /// What the client is there.
    pub role: Role,
    /// Since when they follow it, in ms since 1970.
    pub follows_since_ms: Option<u64>,
    /// The modes.
    pub modes: Modes,
    /// What is pinned.
    pub pin: Option<Pin>,
    /// The replay, or the history.
    pub events: Vec<Arc<Event>>,
    /// That events are missing before `events`, and how many if that is known.
    pub gap: Option<Option<u64>>,
}

/// What happens to a socket.
#[derive(Debug, Clone)]
pub enum Input<'a> {
    /// A text frame has come; over plain TCP, where only IRC is spoken, a line.
    Frame(&'a str),
    /// The token of [`Output::Verify`] was looked at: whose it is, or `None` where it is not good.
    Verified(Option<Identity>),
    /// The channel of [`Output::Join`] is there.
    Joined(Box<Joined>),
    /// It is not: there is none, or it can't be read at present.
    NotJoined(ChannelName, Refusal),
    /// The answer to [`Output::Submit`].
    Answer {
        /// Of which.
        ticket: u64,
        /// How it went.
        answer: Answer,
    },
    /// What the client is in a channel has changed: its role, and since when it follows.
    Standing(ChannelName, Role, Option<u64>),
    /// Something for some people in a channel, perhaps for this one.
    Notice(ChannelName, &'a Notice),
}

/// What a socket wants done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this. JSON: one object, in a frame of its own, or with [`crate::protocol::Session::batch`] together with
    /// others, one a line. IRC: whole lines with their ends; over WebSocket in a frame, alone or together with others.
    Send(String),
    /// Say whose this token is.
    Verify(String),
    /// Bring the channel.
    Join {
        /// Which.
        channel: ChannelName,
        /// From where.
        resume: Option<Position>,
        /// How many messages, where it does not resume.
        history: u32,
    },
    /// Send no more of the channel.
    Part(ChannelName),
    /// Give this to the channel's home. Each is answered, where the home can't be reached with [`Code::Paused`].
    Submit {
        /// Comes back with the answer.
        ticket: u64,
        /// The post.
        submit: Box<Submit>,
    },
    /// Close, after what has been sent before. Nothing comes after this.
    Close(Close),
}

/// Why a socket is closed. The client's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// It sent what its protocol does not have, or too much of it: WebSocket status 1008 (RFC 6455 §7.4.1).
    Malformed,
    /// It sent too much that was not understood, or too fast: 1008.
    Flood,
    /// Its token is not good: 1008.
    Token,
    /// It said that it goes (`QUIT`): 1000.
    Quit,
}

/// A channel that this socket is in.
#[derive(Debug, Clone)]
struct Seat {
    role: Role,
    follows_since_ms: Option<u64>,
    /// Before the channel has come.
    is_coming: bool,
}

/// What a client wants to say.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    pub nonce: Nonce,
    pub text: Text,
    pub reply_to: Option<MessageId>,
    pub pdt_ms: Option<u64>,
}

/// Who a socket's client is, where it is, and how much of what it may ask it has asked.
#[derive(Debug)]
pub(crate) struct Client {
    identity: Option<Identity>,
    seats: BTreeMap<ChannelName, Seat>,
    unanswered: BTreeMap<u64, (ChannelName, Nonce)>,
    tickets: u64,
    posts: Bucket,
    moderator_posts: Bucket,
    joins: Bucket,
    objects: Bucket,
    mistakes: Bucket,
}

impl Client {
    pub(crate) fn new(identity: Option<Identity>) -> Self {
        let bucket = |(size, period_ms)| Bucket::new(size, period_ms);
        Self {
            identity,
            seats: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            tickets: 0,
            posts: bucket(POSTS),
            moderator_posts: bucket(MODERATOR_POSTS),
            joins: bucket(JOINS),
            objects: bucket(OBJECTS),
            mistakes: bucket(MISTAKES),
        }
    }

    pub(crate) fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    pub(crate) fn identify(&mut self, identity: Identity) {
        self.identity = Some(identity);
    }

    pub(crate) fn login(&self) -> Option<&Login> {
        self.identity.as_ref().map(|identity| &identity.user.login)
    }

    /// Whether one more object or line is borne.
    pub(crate) fn takes_object(&mut self, now_ms: u64) -> bool {
        self.objects.take(now_ms).is_ok()
    }

    /// Whether one more that was not understood is borne.
    pub(crate) fn takes_mistake(&mut self, now_ms: u64) -> bool {
        self.mistakes.take(now_ms).is_ok()
    }

    /// How many posts it has made.
    pub(crate) fn tickets(&self) -> u64 {
        self.tickets
    }

    /// Takes a seat, which is a client's once the channel has come.
    pub(crate) fn join(&mut self, now_ms: u64, channel: &ChannelName) -> Result<(), Refusal> {
        if self.seats.contains_key(channel) {
            return Err(Code::NoChange.into());
        }
        if self.seats.len() >= MAX_CHANNELS {
            return Err(Code::Full.into());
        }
        self.joins.take(now_ms).map_err(|wait_ms| Refusal::for_ms(Code::RateLimit, wait_ms))?;
        self.seats.insert(channel.clone(), Seat { role: Role::Guest, follows_since_ms: None, is_coming: true });
        Ok(())
    }

    /// The channel has come; `false` where it was left meanwhile.
    pub(crate) fn joined(&mut self, joined: &Joined) -> bool {
        let Some(seat) = self.seats.get_mut(&joined.channel) else { return false };
        *seat = Seat { role: joined.role, follows_since_ms: joined.follows_since_ms, is_coming: false };
        true
    }

    /// Gives a seat back; `false` where there was none.
    pub(crate) fn part(&mut self, channel: &ChannelName) -> bool {
        self.seats.remove(channel).is_some()
    }

    /// What the client is in a channel that has come.
    pub(crate) fn role(&self, channel: &ChannelName) -> Option<Role> {
        self.seats.get(channel).filter(|seat| !seat.is_coming).map(|seat| seat.role)
    }

    /// What the client is in a channel has changed.
    pub(crate) fn stand(&mut self, channel: &ChannelName, role: Role, follows_since_ms: Option<u64>) {
        if let Some(seat) = self.seats.get_mut(channel) {
            (seat.role, seat.follows_since_ms) = (role, follows_since_ms);
        }
    }

    /// Whether it has a seat anywhere.
    pub(crate) fn is_seated(&self) -> bool {
        !self.seats.is_empty()
    }

    /// The channel that it is in, where there is but one.
    pub(crate) fn only_channel(&self) -> Option<ChannelName> {
        let mut channels = self.seats.keys();
        channels.next().filter(|_| channels.next().is_none()).cloned()
    }

    /// Whether a notice of this channel is for this client.
    pub(crate) fn is_for_us(&self, channel: &ChannelName, notice: &Notice) -> bool {
        let Some(seat) = self.seats.get(channel) else { return false };
        if matches!(notice.note, Note::Waiting { .. }) && seat.role < Role::Moderator {
            return false;
        }
        match &notice.to {
            To::User(login) => self.login() == Some(login),
            To::Moderators => seat.role >= Role::Moderator,
            _ => false,
        }
    }

    /// What is to be given to the home.
    pub(crate) fn post(
        &mut self,
        now_ms: u64,
        channel: Option<&ChannelName>,
        post: Post,
    ) -> Result<(u64, Box<Submit>), Refusal> {
        let identity = self.identity.as_ref().ok_or(Code::LoginRequired)?;
        let (channel, seat) = channel
            .and_then(|channel| self.seats.get_key_value(channel))
            .filter(|(_, seat)| !seat.is_coming)
            .ok_or(Code::NoSuchChannel)?;
        let bucket = if seat.role >= Role::Moderator { &mut self.moderator_posts } else { &mut self.posts };
        bucket.take(now_ms).map_err(|wait_ms| Refusal::for_ms(Code::RateLimit, wait_ms))?;
        if self.unanswered.len() >= MAX_UNANSWERED {
            return Err(Refusal::for_ms(Code::RateLimit, 1_000));
        }
        self.tickets += 1;
        let Post { nonce, text, reply_to, pdt_ms } = post;
        self.unanswered.insert(self.tickets, (channel.clone(), nonce.clone()));
        let author =
            Author { user: identity.user.clone(), admin: identity.admin, follows_since_ms: seat.follows_since_ms };
        let submit = Submit { channel: channel.clone(), author, nonce, text, reply_to, pdt_ms };
        Ok((self.tickets, Box::new(submit)))
    }

    /// Which post an answer is to; `None` where it was answered before.
    pub(crate) fn answered(&mut self, ticket: u64) -> Option<(ChannelName, Nonce)> {
        self.unanswered.remove(&ticket)
    }
}
