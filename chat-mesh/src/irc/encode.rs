//! What all in a channel are told of an event, as lines: made once per [`Format`], however many read it.
//!
//! | event | line |
//! |---|---|
//! | message | `PRIVMSG`, `/me` as CTCP ACTION |
//! | announcement | `USERNOTICE`, `msg-id=announcement` |
//! | timeout, ban | `CLEARCHAT` with the name; `ban-duration` |
//! | clear | `CLEARCHAT` |
//! | delete | `CLEARMSG`, without the text: it is gone |
//! | modes | `ROOMSTATE` with what has changed, and a `NOTICE` for each |
//! | raid | `HOSTTARGET` and `NOTICE`: a raid that goes *out*. Twitch's `USERNOTICE` is one that comes in |
//! | pin | nothing: a copy of the text could not be taken back |
//! | unban, warning, role | nothing: whom it concerns is told |
//!
//! Ids of people and rooms are their names, which are permanent and never given twice: an event has no other name for whom
//! it befalls, so only names fit together in all lines.

use std::borrow::Cow;

use freshet_proto::{
    chat::{Event, Message, Modes, Origin, Reply, Role, Roles, User, UserAction, What},
    id::ChannelName,
};

use super::{Line, LineError, SERVER, notice};
use crate::fanout::Mark;

/// What the server asks over TCP when it has heard nothing for a while; over WebSocket there is [`crate::ws::encode::ping`].
pub const PING: &str = "PING :tmi.twitch.tv\r\n";

/// A line's tags.
pub(super) type Tags<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// What a connection can read, by the capabilities that it asked for: each format of a channel is a log of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Format {
    /// `twitch.tv/tags`: lines have tags.
    pub tags: bool,
    /// `twitch.tv/commands`: there are lines that other servers don't have.
    pub commands: bool,
}

impl Format {
    /// All there are.
    pub const ALL: [Self; 4] = [
        Self { tags: false, commands: false },
        Self { tags: false, commands: true },
        Self { tags: true, commands: false },
        Self { tags: true, commands: true },
    ];
}

/// What all are told of one event.
#[derive(Debug, Clone, Default)]
pub struct Encoded {
    lines: Vec<Line<'static>>,
}

impl Encoded {
    /// The lines with their ends; empty where nothing is told.
    pub fn lines(&self, format: Format) -> String {
        let mut out = String::new();
        for line in self.lines.iter().filter(|line| format.commands || line.command == "PRIVMSG") {
            line.write(format.tags, &mut out);
        }
        out
    }
}

/// Turns a channel's events into lines, in order: it knows the modes that were before.
#[derive(Debug)]
pub struct Encoder {
    channel: ChannelName,
    modes: Modes,
}

impl Encoder {
    /// For what follows a moment at which the modes are these.
    pub fn new(channel: ChannelName, modes: Modes) -> Self {
        Self { channel, modes }
    }

    /// What all are told of the next event.
    pub fn event(&mut self, event: &Event) -> Encoded {
        let lines = match &event.what {
            What::Message(message) if !message.deleted => vec![self.message(event, message)],
            What::Announcement(message) if !message.deleted => vec![self.announcement(event, message)],
            What::Delete { id, login, .. } => {
                let tags = vec![
                    tag("login", login.as_str()),
                    tag("room-id", self.channel.as_str()),
                    tag("target-msg-id", id.to_string()),
                    sent(event),
                ];
                vec![self.line("CLEARMSG").param("").tags(tags)]
            }
            What::Clear { .. } => {
                vec![self.line("CLEARCHAT").tags(vec![tag("room-id", self.channel.as_str()), sent(event)])]
            }
            What::User { login, action, .. } => self.befallen(event, login, action).into_iter().collect(),
            What::Modes { modes, .. } => return self.modes(modes),
            What::Raid { to, .. } => vec![
                self.line("HOSTTARGET").param(format!("{to} 0")),
                self.notice(("host_on".into(), format!("Now sending the viewers on to {to}."))),
            ],
            _ => Vec::new(),
        };
        Encoded { lines: lines.into_iter().map(into_owned).collect() }
    }

    /// What all are told where the modes are these now: also after a gap, in which they may have changed.
    pub fn modes(&mut self, modes: &Modes) -> Encoded {
        let (changed, says) = notice::modes(Some(&self.modes), modes);
        let mut lines = Vec::new();
        if !changed.is_empty() {
            lines.push(into_owned(roomstate(&self.channel, changed)));
        }
        lines.extend(says.into_iter().map(|told| into_owned(self.notice(told))));
        self.modes = modes.clone();
        Encoded { lines }
    }

    fn line(&self, command: &'static str) -> Line<'_> {
        Line::new(command).from(SERVER).param(format!("#{}", self.channel))
    }

    fn notice(&self, (name, text): notice::Told) -> Line<'_> {
        self.line("NOTICE").param(text).tags(vec![(Cow::Borrowed("msg-id"), name)])
    }

    fn message<'a>(&'a self, event: &'a Event, message: &'a Message) -> Line<'a> {
        let text = match message.action {
            true => format!("\u{1}ACTION {}\u{1}", message.text),
            false => message.text.as_str().to_owned(),
        };
        let mut tags = said(&self.channel, event, message);
        if let Some(nonce) = event.origin.as_ref().and_then(client_nonce) {
            tags.push(tag("client-nonce", nonce));
        }
        if let Some(Reply { id, login, name }) = &message.reply {
            tags.push(tag("reply-parent-msg-id", id.to_string()));
            tags.push(tag("reply-parent-user-id", login.as_str()));
            tags.push(tag("reply-parent-user-login", login.as_str()));
            tags.push(tag("reply-parent-display-name", name.as_str()));
        }
        let login = &message.user.login;
        Line::new("PRIVMSG").from(prefix(login.as_str())).param(format!("#{}", self.channel)).param(text).tags(tags)
    }

    fn announcement<'a>(&'a self, event: &'a Event, message: &'a Message) -> Line<'a> {
        let mut tags = said(&self.channel, event, message);
        tags.push(tag("login", message.user.login.as_str()));
        tags.push(tag("msg-id", "announcement"));
        tags.push(tag("msg-param-color", "PRIMARY"));
        tags.push(tag("system-msg", ""));
        self.line("USERNOTICE").param(message.text.as_str()).tags(tags)
    }

    fn befallen<'a>(&'a self, event: &Event, login: &'a ChannelName, action: &UserAction) -> Option<Line<'a>> {
        let seconds = notice::ban_duration(action)?;
        let mut tags: Tags<'_> = seconds.map(|seconds| tag("ban-duration", seconds.to_string())).into_iter().collect();
        tags.push(tag("room-id", self.channel.as_str()));
        tags.push(tag("target-user-id", login.as_str()));
        tags.push(sent(event));
        Some(self.line("CLEARCHAT").param(login.as_str()).tags(tags))
    }
}

/// Whom an event is not for: the connection by which it was said. Give it to [`crate::fanout::Log::append_but`].
pub fn author(event: &Event) -> Option<Mark> {
    let What::Message(_) = event.what else { return None };
    let Origin { login, nonce } = event.origin.as_ref()?;
    let name = nonce.as_str().strip_prefix("irc-")?.split('-').next()?;
    Some(mark(login.as_str(), name))
}

/// The mark of somebody's connection. With whose it is: nobody can hide what they say from others.
pub(super) fn mark(login: &str, connection: &str) -> Mark {
    Mark::new(&format!("{login} {connection}"))
}

/// What the sender called a post; the rest of `irc-CONNECTION-NUMBER-…` where it came by IRC.
fn client_nonce(origin: &Origin) -> Option<&str> {
    match origin.nonce.as_str().strip_prefix("irc-") {
        Some(ours) => ours.splitn(3, '-').nth(2),
        None => Some(origin.nonce.as_str()),
    }
}

/// Events are missing here: the reader was too slow, or its hub was cut off. In every format: never silently.
pub fn gap(channel: &ChannelName, missed: Option<u64>, format: Format) -> String {
    let text = match missed {
        Some(missed) => format!("{missed} lines are missing here."),
        None => "Lines are missing here.".to_owned(),
    };
    let line = Line::new("NOTICE").from(SERVER).param(format!("#{channel}")).param(text);
    written(&line.tags(vec![tag("msg-id", "gap")]), format)
}

/// What somebody is told whose bytes are no lines.
pub fn error(error: &LineError) -> String {
    farewell(&format!("Not IRC: {error}."))
}

/// Why a connection is closed.
pub fn farewell(text: &str) -> String {
    written(&Line::new("NOTICE").from(SERVER).param("*").param(text), Format::default())
}

/// The hub goes away: come back. Empty where the connection would not understand it.
pub fn reconnect(format: Format) -> String {
    match format.commands {
        true => written(&Line::new("RECONNECT").from(SERVER), format),
        false => String::new(),
    }
}

/// `ROOMSTATE` with these tags.
pub(super) fn roomstate<'a>(channel: &'a ChannelName, state: Vec<(&'static str, String)>) -> Line<'a> {
    let mut tags: Tags<'_> = state.into_iter().map(|(key, value)| tag(key, value)).collect();
    tags.push(tag("room-id", channel.as_str()));
    Line::new("ROOMSTATE").from(SERVER).param(format!("#{channel}")).tags(tags)
}

/// Whose a line is that somebody says.
pub(super) fn prefix(login: &str) -> String {
    format!("{login}!{login}@{login}.{SERVER}")
}

/// A line as a connection of this format reads it.
pub(super) fn written(line: &Line<'_>, format: Format) -> String {
    let mut out = String::new();
    line.write(format.tags, &mut out);
    out
}

pub(super) fn tag<'a>(key: &'static str, value: impl Into<Cow<'a, str>>) -> (Cow<'a, str>, Cow<'a, str>) {
    (Cow::Borrowed(key), value.into())
}

fn sent(event: &Event) -> (Cow<'static, str>, Cow<'static, str>) {
    tag("tmi-sent-ts", event.at_ms.to_string())
}

/// What Twitch says of a message and of who said it.
fn said<'a>(channel: &'a ChannelName, event: &Event, message: &'a Message) -> Tags<'a> {
    let mut tags = user(&message.user, message.roles);
    tags.push(tag("emotes", ""));
    tags.push(tag("first-msg", "0"));
    tags.push(tag("flags", ""));
    tags.push(tag("id", message.id.to_string()));
    tags.push(tag("room-id", channel.as_str()));
    tags.push(sent(event));
    tags.push(tag("user-id", message.user.login.as_str()));
    tags
}

/// What Twitch says of somebody in a channel.
pub(super) fn user(user: &User, roles: Roles) -> Tags<'_> {
    let is_mod = roles.has(Role::Moderator);
    let kind = match () {
        () if is_mod => "mod",
        () if roles.has(Role::Admin) => "admin",
        () => "",
    };
    let mut tags = vec![
        tag("badge-info", ""),
        tag("badges", badges(roles)),
        tag("color", user.color.map(|color| format!("#{:06X}", color & 0xff_ffff)).unwrap_or_default()),
        tag("display-name", user.name.as_str()),
        tag("mod", if is_mod { "1" } else { "0" }),
        tag("subscriber", "0"),
        tag("turbo", "0"),
        tag("user-type", kind),
    ];
    if roles.has(Role::Vip) {
        tags.push(tag("vip", "1"));
    }
    tags
}

fn badges(roles: Roles) -> String {
    let badge = |role| match role {
        Role::Admin => Some("admin/1"),
        Role::Owner => Some("broadcaster/1"),
        Role::Moderator => Some("moderator/1"),
        Role::Vip => Some("vip/1"),
        _ => None,
    };
    roles.iter().filter_map(badge).collect::<Vec<_>>().join(",")
}

fn into_owned(line: Line<'_>) -> Line<'static> {
    let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
    Line {
        tags: line.tags.into_iter().map(|(key, value)| (owned(key), owned(value))).collect(),
        prefix: line.prefix.map(owned),
        command: owned(line.command),
        params: line.params.into_iter().map(owned).collect(),
    }
}
