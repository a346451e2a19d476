//! One socket: what a client may ask, how often, and what it is answered.
//!
//! Events do not pass through here: they go from the channel's log to all subscribers at once. The shell begins to send
//! them when it has performed the outputs of [`Input::Joined`], from the head that it told.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use freshet_proto::{
    chat::{
        Answer, Author, Code, Event, Login, MessageId, Modes, Nonce, Notice, Pin, Position, Refusal, Role, Submit,
        Text, To, User,
    },
    id::ChannelName,
};

use super::{
    client::{ClientMessage, ParseError, parse},
    encode,
};
use crate::home::pace::Bucket;

/// How many channels a socket may be in.
pub const MAX_CHANNELS: usize = 32;
/// How many posts may wait for their answers.
pub const MAX_UNANSWERED: usize = 64;
/// How many objects wait while a token is verified.
const MAX_BACKLOG: usize = 32;

/// Posts in 30 s: Twitch's limits.
pub(crate) const POSTS: (u32, u32) = (20, 30_000);
/// Those of a moderator, in the channels where they are one.
pub(crate) const MODERATOR_POSTS: (u32, u32) = (100, 30_000);
/// Joins in 10 s.
const JOINS: (u32, u32) = (20, 10_000);
/// Objects of any kind in 10 s; who sends more is closed.
const OBJECTS: (u32, u32) = (200, 10_000);
/// Objects that were not understood in 30 s; who sends more is closed.
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
    /// A text frame has come.
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
    /// Send this object: in a frame of its own, or with [`Session::batch`] together with others, one a line.
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
    /// It sent what is no JSON, or too much of it: WebSocket status 1008 (RFC 6455 §7.4.1).
    Malformed,
    /// It sent too much that was not understood, or too fast: 1008.
    Flood,
    /// Its token is not good: 1008.
    Token,
}

/// A channel that this socket is in.
#[derive(Debug, Clone)]
struct Seat {
    role: Role,
    follows_since_ms: Option<u64>,
    /// Before the channel has come.
    is_coming: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Session {
    identity: Option<Identity>,
    batch: bool,
    said_hello: bool,
    /// Objects that wait for a token to be verified.
    verifying: Option<VecDeque<ClientMessage>>,
    seats: BTreeMap<ChannelName, Seat>,
    unanswered: BTreeMap<u64, (ChannelName, Nonce)>,
    tickets: u64,
    posts: Bucket,
    moderator_posts: Bucket,
    joins: Bucket,
    objects: Bucket,
    mistakes: Bucket,
    closed: bool,
}

impl Session {
    /// A socket whose client has shown a good token already, or none.
    pub fn new(identity: Option<Identity>) -> Self {
        let bucket = |(size, period_ms)| Bucket::new(size, period_ms);
        Self {
            identity,
            batch: false,
            said_hello: false,
            verifying: None,
            seats: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            tickets: 0,
            posts: bucket(POSTS),
            moderator_posts: bucket(MODERATOR_POSTS),
            joins: bucket(JOINS),
            objects: bucket(OBJECTS),
            mistakes: bucket(MISTAKES),
            closed: false,
        }
    }

    /// Whether several objects may be put into one frame, one a line.
    pub fn batch(&self) -> bool {
        self.batch
    }

    /// Takes what happened at `now_ms`, by a clock that never jumps; appends to `out` what is to be done.
    pub fn handle(&mut self, now_ms: u64, input: Input<'_>, out: &mut Vec<Output>) {
        if self.closed {
            return;
        }
        match input {
            Input::Frame(frame) => self.frame(now_ms, frame, out),
            Input::Verified(identity) => self.verified(now_ms, identity, out),
            Input::Joined(joined) => self.joined(*joined, out),
            Input::NotJoined(channel, refusal) => {
                self.seats.remove(&channel);
                out.push(refused(&channel, &refusal));
            }
            Input::Answer { ticket, answer } => {
                let Some((channel, nonce)) = self.unanswered.remove(&ticket) else { return };
                out.push(Output::Send(match answer {
                    Ok(accepted) => encode::ack(&channel, nonce.as_str(), &accepted),
                    Err(refusal) => encode::nack(Some(&channel), nonce.as_str(), &refusal),
                }));
            }
            Input::Standing(channel, role, follows_since_ms) => {
                if let Some(seat) = self.seats.get_mut(&channel) {
                    (seat.role, seat.follows_since_ms) = (role, follows_since_ms);
                }
            }
            Input::Notice(channel, notice) if self.is_for_us(&channel, &notice.to) => {
                out.push(Output::Send(encode::notice(&channel, notice)));
            }
            Input::Notice(..) => {}
        }
    }

    fn is_for_us(&self, channel: &ChannelName, to: &To) -> bool {
        let Some(seat) = self.seats.get(channel) else { return false };
        match to {
            To::User(login) => self.login() == Some(login),
            To::Moderators => seat.role >= Role::Moderator,
            _ => false,
        }
    }

    fn login(&self) -> Option<&Login> {
        self.identity.as_ref().map(|identity| &identity.user.login)
    }

    fn frame(&mut self, now_ms: u64, frame: &str, out: &mut Vec<Output>) {
        for object in parse(frame, self.batch) {
            if self.objects.take(now_ms).is_err() {
                out.push(Output::Send(encode::error("flood", "too many objects", None, None)));
                return self.close(Close::Flood, out);
            }
            match object {
                Ok(message) => self.message(now_ms, message, out),
                Err(error) => self.mistake(now_ms, &error, out),
            }
            if self.closed {
                return;
            }
        }
    }

    fn mistake(&mut self, now_ms: u64, error: &ParseError, out: &mut Vec<Output>) {
        out.push(Output::Send(encode::error(error.code(), &error.to_string(), None, None)));
        if error.is_fatal() {
            self.close(Close::Malformed, out);
        } else if self.mistakes.take(now_ms).is_err() {
            self.close(Close::Flood, out);
        }
    }

    fn close(&mut self, why: Close, out: &mut Vec<Output>) {
        self.closed = true;
        out.push(Output::Close(why));
    }

    fn message(&mut self, now_ms: u64, message: ClientMessage, out: &mut Vec<Output>) {
        if let Some(backlog) = &mut self.verifying {
            match backlog.len() < MAX_BACKLOG {
                true => backlog.push_back(message),
                false => self.close(Close::Flood, out),
            }
            return;
        }
        match message {
            ClientMessage::Hello { token, batch } => {
                (self.batch, self.said_hello) = (batch, true);
                match token {
                    Some(token) => {
                        self.verifying = Some(VecDeque::new());
                        out.push(Output::Verify(token));
                    }
                    None => out.push(Output::Send(encode::welcome(self.identity.as_ref(), batch))),
                }
            }
            ClientMessage::Join { channel, resume, history } => self.join(now_ms, channel, resume, history, out),
            ClientMessage::Part { channel } => {
                if self.seats.remove(&channel).is_some() {
                    out.push(Output::Part(channel.clone()));
                }
                out.push(Output::Send(encode::parted(&channel)));
            }
            ClientMessage::Msg { channel, nonce, text, reply_to, pdt_ms } => {
                let nonce = nonce.unwrap_or_else(|| Nonce::cut(&format!("hub-{now_ms}-{}", self.tickets)));
                let channel = channel.or_else(|| self.only_channel());
                if let Err(refusal) = self.post(now_ms, channel.as_ref(), &nonce, (text, reply_to, pdt_ms), out) {
                    out.push(Output::Send(encode::nack(channel.as_ref(), nonce.as_str(), &refusal)));
                }
            }
            ClientMessage::Ping => out.push(Output::Send(encode::pong())),
        }
    }

    fn verified(&mut self, now_ms: u64, identity: Option<Identity>, out: &mut Vec<Output>) {
        let Some(backlog) = self.verifying.take() else { return };
        let Some(identity) = identity else {
            out.push(Output::Send(encode::error("bad_token", "the token is not good, or not any more", None, None)));
            return self.close(Close::Token, out);
        };
        self.identity = Some(identity);
        out.push(Output::Send(encode::welcome(self.identity.as_ref(), self.batch)));
        for message in backlog {
            if !self.closed {
                self.message(now_ms, message, out);
            }
        }
    }

    fn join(
        &mut self,
        now_ms: u64,
        channel: ChannelName,
        resume: Option<Position>,
        history: u32,
        out: &mut Vec<Output>,
    ) {
        if self.seats.contains_key(&channel) {
            return out.push(refused(&channel, &Code::NoChange.into()));
        }
        if self.seats.len() >= MAX_CHANNELS {
            return out.push(refused(&channel, &Code::Full.into()));
        }
        if let Err(wait_ms) = self.joins.take(now_ms) {
            return out.push(refused(&channel, &Refusal::for_ms(Code::RateLimit, wait_ms)));
        }
        self.seats.insert(channel.clone(), Seat { role: Role::Guest, follows_since_ms: None, is_coming: true });
        out.push(Output::Join { channel, resume, history });
    }

    fn joined(&mut self, joined: Joined, out: &mut Vec<Output>) {
        // It may have been left while it was coming.
        let Some(seat) = self.seats.get_mut(&joined.channel) else { return };
        *seat = Seat { role: joined.role, follows_since_ms: joined.follows_since_ms, is_coming: false };
        out.push(Output::Send(encode::joined(&joined, !self.said_hello)));
        out.extend(joined.events.iter().map(|event| Output::Send(encode::event(&joined.channel, event))));
    }

    fn only_channel(&self) -> Option<ChannelName> {
        let mut channels = self.seats.keys();
        channels.next().filter(|_| channels.next().is_none()).cloned()
    }

    fn post(
        &mut self,
        now_ms: u64,
        channel: Option<&ChannelName>,
        nonce: &Nonce,
        (text, reply_to, pdt_ms): (Text, Option<MessageId>, Option<u64>),
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
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
        let submit = Submit {
            channel: channel.clone(),
            author: Author {
                user: identity.user.clone(),
                admin: identity.admin,
                follows_since_ms: seat.follows_since_ms,
            },
            nonce: nonce.clone(),
            text,
            reply_to,
            pdt_ms,
        };
        self.unanswered.insert(self.tickets, (channel.clone(), nonce.clone()));
        out.push(Output::Submit { ticket: self.tickets, submit: Box::new(submit) });
        Ok(())
    }
}

fn refused(channel: &ChannelName, refusal: &Refusal) -> Output {
    Output::Send(encode::error(refusal.code.as_str(), refusal.text(), Some(channel), refusal.retry_ms))
}
