//! One connection of an IRC client: what it may ask, how often, and what it is answered.
//!
//! ```text
//! CAP, PASS, NICK ──▶ Greeting ──Verify──▶ Verifying ──Verified──▶ Talking: JOIN, PART, PRIVMSG, PING
//!                        └──── NICK justinfan123: reads alone ────────▲
//! ```
//! As with JSON, events do not pass through here: the shell begins to send them when it has performed the outputs of
//! [`Input::Joined`], in the channel's log of this [`Session::format`] and under this [`Session::mark`].

mod greet;
mod talk;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use freshet_proto::{
    chat::{Nonce, Note, Role, Roles, Verb},
    id::ChannelName,
};

use super::{
    Format, Line, SERVER,
    encode::{self, Tags, roomstate, tag, written},
    notice::{self, Told},
    parse::parse,
};
use crate::{
    fanout::Mark,
    moderation::command::Command,
    session::{Client, Close, Input, Joined, MAX_BACKLOG, Output},
};

/// What the client has asked for with `CAP REQ`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Caps {
    format: Format,
    membership: bool,
}

/// How far a connection has come.
#[derive(Debug)]
enum Stage {
    /// It has not said who it is.
    Greeting,
    /// Its token is looked at; these lines wait.
    Verifying(VecDeque<String>),
    /// It has been welcomed.
    Talking,
}

/// What a post was, for its answer.
#[derive(Debug)]
struct Asked {
    verb: Option<Verb>,
    command: Option<Command>,
    client_nonce: Option<String>,
}

/// See the module.
#[derive(Debug)]
pub struct Session {
    client: Client,
    /// The connection's, in every post's nonce.
    name: String,
    caps: Caps,
    /// `CAP LS` came and `CAP END` did not: it is welcomed then (IRCv3 capability negotiation, "Connection registration").
    negotiating: bool,
    pass: Option<String>,
    /// Before it is welcomed the one that it asks for, then the account's or the guest's.
    nick: Option<String>,
    stage: Stage,
    /// At most [`crate::session::MAX_UNANSWERED`].
    asked: BTreeMap<u64, Asked>,
    /// Where it was told what waited for moderators when it came.
    knows_waiting: BTreeSet<ChannelName>,
    closed: bool,
}

impl Session {
    /// A connection. `name` is a random number: no other connection to any hub has it.
    pub fn new(name: u64) -> Self {
        Self {
            client: Client::new(None),
            name: format!("{name:016x}"),
            caps: Caps::default(),
            negotiating: false,
            pass: None,
            nick: None,
            stage: Stage::Greeting,
            asked: BTreeMap::new(),
            knows_waiting: BTreeSet::new(),
            closed: false,
        }
    }

    /// Which of a channel's logs it reads. It does not change while it is in a channel.
    pub fn format(&self) -> Format {
        self.caps.format
    }

    /// Whose it is; `None` before its token was found good, and of a guest.
    pub fn login(&self) -> Option<&freshet_proto::chat::Login> {
        self.client.login()
    }

    /// Under which mark it reads them, so that it is not told what it said: [`crate::fanout::Connection::subscribe_as`].
    pub fn mark(&self) -> Option<Mark> {
        self.client.login().map(|login| encode::mark(login.as_str(), &self.name))
    }

    /// Takes what happened at `now_ms`, by a clock that never jumps; appends to `out` what is to be done.
    ///
    /// [`Input::Frame`] has a line or several, whole; their ends may be left out.
    pub fn handle(&mut self, now_ms: u64, input: Input<'_>, out: &mut Vec<Output>) {
        if self.closed {
            return;
        }
        match input {
            Input::Frame(frame) => self.frame(now_ms, frame, out),
            Input::Verified(identity) => self.verified(now_ms, identity, out),
            Input::Joined(joined) => self.joined(&joined, out),
            Input::NotJoined(channel, refusal) => {
                self.client.part(&channel);
                self.tell(&channel, notice::refused(None, &refusal), out);
            }
            Input::Answer { ticket, answer } => self.answer(ticket, &answer, out),
            Input::Standing(channel, role, follows_since_ms) => {
                let before = self.client.role(&channel);
                self.client.stand(&channel, role, follows_since_ms);
                if before.is_some_and(|before| before != role) {
                    self.userstate(&channel, Vec::new(), out);
                }
            }
            Input::Notice(channel, notice) if self.client.is_for_us(&channel, notice) => match &notice.note {
                // What it was told before would only come again.
                Note::Waiting { messages } if self.knows_waiting.insert(channel.clone()) => {
                    for message in messages {
                        self.tell(&channel, notice::held(message), out);
                    }
                }
                note => {
                    if let Some(told) = notice::note(note) {
                        self.tell(&channel, told, out);
                    }
                }
            },
            Input::Notice(..) => {}
        }
    }

    fn frame(&mut self, now_ms: u64, frame: &str, out: &mut Vec<Output>) {
        for text in frame.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)) {
            if self.closed {
                return;
            }
            if text.is_empty() {
                continue;
            }
            if !self.client.takes_object(now_ms) {
                return self.refuse("Too many lines.", Close::Flood, out);
            }
            self.text(now_ms, text, out);
        }
    }

    fn text(&mut self, now_ms: u64, text: &str, out: &mut Vec<Output>) {
        let line = match parse(text) {
            Ok(line) => line,
            Err(error) => return self.refuse(&format!("Not IRC: {error}."), Close::Malformed, out),
        };
        if let Stage::Verifying(backlog) = &mut self.stage {
            match backlog.len() < MAX_BACKLOG {
                true => backlog.push_back(text.to_owned()),
                false => self.refuse("Too many lines.", Close::Flood, out),
            }
            return;
        }
        self.line(now_ms, &line, out);
    }

    fn line(&mut self, now_ms: u64, line: &Line<'_>, out: &mut Vec<Output>) {
        let is_welcome = matches!(self.stage, Stage::Talking);
        match line.command.to_ascii_uppercase().as_str() {
            "CAP" => self.cap(line, out),
            "PASS" | "NICK" if is_welcome => {}
            "PASS" => self.pass = line.params.first().map(|pass| pass.clone().into_owned()),
            "NICK" => {
                self.nick = line.params.first().map(|nick| nick.to_ascii_lowercase());
                self.greet(out);
            }
            "USER" | "PONG" | "NOTICE" => {}
            "PING" => self.ping(line, out),
            "QUIT" => self.close(Close::Quit, out),
            "JOIN" if is_welcome => self.join(now_ms, line, out),
            "PART" if is_welcome => self.part(line, out),
            "PRIVMSG" if is_welcome => self.privmsg(now_ms, line, out),
            "JOIN" | "PART" | "PRIVMSG" => {
                self.reply("451", "Say who you are first: PASS and NICK.", out);
                self.mistake(now_ms, out);
            }
            other => {
                let line = self.numeric("421").param(other.to_owned()).param("There is no such command here.");
                self.send(&line, out);
                self.mistake(now_ms, out);
            }
        }
    }

    /// A `PING` without anything is answered in kind: tmi.js does not know a `PONG` that has a prefix. One with something
    /// gets it back, as other clients expect.
    fn ping(&self, line: &Line<'_>, out: &mut Vec<Output>) {
        let pong = Line::new("PONG");
        match line.params.first() {
            Some(what) => self.send(&pong.from(SERVER).param(SERVER).param(what.clone()), out),
            None => self.send(&pong, out),
        }
    }

    fn mistake(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        if !self.client.takes_mistake(now_ms) {
            self.close(Close::Flood, out);
        }
    }

    fn close(&mut self, why: Close, out: &mut Vec<Output>) {
        self.closed = true;
        out.push(Output::Close(why));
    }

    /// Says why, and closes.
    fn refuse(&mut self, text: &str, why: Close, out: &mut Vec<Output>) {
        self.send(&Line::new("NOTICE").from(SERVER).param("*").param(text), out);
        self.close(why, out);
    }

    /// What the client is called so far.
    fn nick(&self) -> &str {
        match self.stage {
            Stage::Talking => self.nick.as_deref().unwrap_or("*"),
            _ => "*",
        }
    }

    fn numeric(&self, number: &'static str) -> Line<'_> {
        Line::new(number).from(SERVER).param(self.nick())
    }

    fn reply(&self, number: &'static str, text: &str, out: &mut Vec<Output>) {
        self.send(&self.numeric(number).param(text), out);
    }

    /// A notice that concerns a channel. Also without `twitch.tv/commands`: nobody is refused silently.
    fn tell(&self, channel: &freshet_proto::id::ChannelName, (name, text): Told, out: &mut Vec<Output>) {
        let line = Line::new("NOTICE").from(SERVER).param(format!("#{channel}")).param(text);
        self.send(&line.tags(vec![tag("msg-id", name)]), out);
    }

    /// What the client is in a channel, with more tags: on joining, and when it has said something.
    fn userstate(&self, channel: &freshet_proto::id::ChannelName, more: Tags<'_>, out: &mut Vec<Output>) {
        let (Some(identity), Some(role)) = (self.client.identity(), self.client.role(channel)) else { return };
        if !self.caps.format.commands {
            return;
        }
        let mut tags = encode::user(&identity.user, roles(role));
        tags.push(tag("emote-sets", "0"));
        tags.extend(more);
        self.send(&Line::new("USERSTATE").from(SERVER).param(format!("#{channel}")).tags(tags), out);
    }

    /// Sends a line, in one piece with what was to be sent just before.
    fn send(&self, line: &Line<'_>, out: &mut Vec<Output>) {
        match out.last_mut() {
            Some(Output::Send(lines)) => line.write(self.caps.format.tags, lines),
            _ => out.push(Output::Send(written(line, self.caps.format))),
        }
    }
}

fn roles(role: Role) -> Roles {
    Roles::of(&[role])
}
