//! A channel `ada` of the user `ada`, with the moderator `mod`, as a line each: who posts what, and what comes of it.

mod commands;
mod history;
mod model;
mod posts;
mod takeover;

use freshet_proto::chat::{Author, DisplayName, MessageId, Nonce, Role, Text, User, UserAction, UserId};

use super::*;
use crate::moderation::{Change, Durable};

/// When the tests begin, in ms since 1970.
pub(crate) const BEGIN: u64 = 1_800_000_000_000;

pub(crate) fn at(ms: u64) -> Now {
    Now { mono_ms: ms, wall_ms: BEGIN + ms }
}

pub(crate) fn login(name: &str) -> Login {
    name.parse().unwrap()
}

pub(crate) fn author(name: &str) -> Author {
    let user = User {
        id: UserId::try_from(format!("id{name}")).unwrap(),
        login: login(name),
        name: DisplayName::cut(&name.to_uppercase()),
        color: None,
    };
    Author { user, admin: name == "admin", follows_since_ms: None }
}

pub(crate) fn submit(name: &str, nonce: &str, text: &str) -> Submit {
    Submit {
        channel: login("ada"),
        author: author(name),
        nonce: Nonce::try_from(nonce).unwrap(),
        text: Text::try_from(text).unwrap(),
        reply_to: None,
        pdt_ms: None,
    }
}

pub(crate) fn settings(hub: u64) -> Settings {
    Settings::new(login("ada"), login("ada"), hub)
}

pub(crate) fn durable() -> Durable {
    let mut durable = Durable::default();
    durable.apply(&Change::Role(login("mod"), Some(Role::Moderator)), 0).unwrap();
    durable.apply(&Change::Role(login("vip"), Some(Role::Vip)), 0).unwrap();
    durable
}

pub(crate) fn fresh() -> State {
    State::new(Limits::default(), durable())
}

/// A home, how often it was asked, and what came of the last time.
pub(crate) struct Channel {
    pub home: Home,
    pub asked: u64,
    pub out: Vec<Output>,
    pub ids: Vec<MessageId>,
}

impl Channel {
    /// Without a standby; changes are stored at once.
    pub fn open() -> Self {
        Self::over(Home::take_over(settings(1), 1, fresh(), Vec::new(), at(0)).unwrap())
    }

    pub fn over(home: Home) -> Self {
        Self { home, asked: 0, out: Vec::new(), ids: Vec::new() }
    }

    /// Gives an input; what comes of it, as text.
    pub fn input(&mut self, ms: u64, input: Input) -> String {
        self.out.clear();
        self.home.handle(at(ms), input, &mut self.out);
        self.ids.extend(self.out.iter().filter_map(|output| match output {
            Output::Record(Record::Event(event)) => event.what.message().map(|message| message.id),
            Output::Record(Record::Hold(held)) => Some(held.message.id),
            _ => None,
        }));
        self.out.iter().map(picture).collect::<Vec<_>>().join(" ")
    }

    pub fn submit(&mut self, ms: u64, submit: Submit) -> String {
        self.asked += 1;
        self.input(ms, Input::Submit { ticket: self.asked, submit: Box::new(submit) })
    }

    /// A post with a nonce of its own; and then everything is stored.
    pub fn post(&mut self, ms: u64, name: &str, text: &str) -> String {
        let nonce = format!("n{}", self.asked);
        let posted = self.submit(ms, submit(name, &nonce, text));
        let version = self.home.state().durable().version;
        let stored = self.input(ms, Input::Stored { version, lacks: Vec::new() });
        [posted, stored].iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(" ")
    }

    /// The id of the message that was made last but `n`.
    pub fn id(&self, n: usize) -> MessageId {
        self.ids[self.ids.len() - 1 - n]
    }
}

/// An output as the tests write it: `1.2:bob:hi` an event, `+5` a change, `#3=1.2` an answer, `#3!msg_banned` a refusal.
pub(crate) fn picture(output: &Output) -> String {
    match output {
        Output::Record(Record::Event(event)) => show(event),
        Output::Record(Record::Change { version, .. }) => format!("+{version}"),
        Output::Record(Record::Hold(held)) => format!("hold:{}", held.message.text),
        Output::Record(Record::Release { .. }) => "release".to_owned(),
        Output::Answer { ticket, answer: Ok(accepted) } => match accepted.position {
            Some(position) => format!("#{ticket}={position}"),
            None => format!("#{ticket}=done"),
        },
        Output::Answer { ticket, answer: Err(refusal) } => match refusal.retry_ms {
            Some(ms) => format!("#{ticket}!{}/{ms}", refusal.code.as_str()),
            None => format!("#{ticket}!{}", refusal.code.as_str()),
        },
        Output::Notice(notice) => match (&notice.to, &notice.note) {
            (To::Moderators, Note::Held { message }) => format!("mods:held:{}", message.text),
            (To::Moderators, Note::Decided { approved, .. }) => format!("mods:{approved}"),
            (To::User(login), Note::Warned { reason }) => format!("{login}:warned:{reason}"),
            (To::User(login), Note::Silenced { reason, .. }) => format!("{login}:silenced:{reason}"),
            (To::User(login), Note::Decided { approved, .. }) => format!("{login}:{approved}"),
            other => format!("{other:?}"),
        },
        Output::Log(entry) => {
            let target = entry.target.as_ref().map(|login| format!(":{login}")).unwrap_or_default();
            format!("log:{}:{}{target}", entry.actor.login, entry.verb.word())
        }
    }
}

pub(crate) fn show(event: &Event) -> String {
    let what = match &event.what {
        What::Message(message) if message.deleted => format!("{}:-", message.user.login),
        What::Message(message) => {
            let star = if message.action { "*" } else { "" };
            format!("{}:{star}{}", message.user.login, message.text)
        }
        What::Announcement(message) => format!("announce:{}", message.text),
        What::Delete { login, .. } => format!("delete:{login}"),
        What::Clear { .. } => "clear".to_owned(),
        What::User { login, action, .. } => match action {
            UserAction::Timeout { seconds, .. } => format!("timeout:{login}/{seconds}"),
            UserAction::Role(role) => format!("role:{login}/{}", role.map_or("none", Role::as_str)),
            other => format!("{other:?}:{login}").to_lowercase(),
        },
        What::Modes { modes, .. } if modes.shield => "modes:shield".to_owned(),
        What::Modes { modes, .. } => format!("modes:slow{}", modes.slow_s),
        What::Pin(Some(pin)) => format!("pin:{}", pin.message.text),
        What::Pin(None) => "unpin".to_owned(),
        What::Raid { to, .. } => format!("raid:{to}"),
        other => format!("{other:?}"),
    };
    format!("{}:{what}", event.position)
}

pub(crate) fn show_all(events: &[Arc<Event>]) -> String {
    events.iter().map(|event| show(event)).collect::<Vec<_>>().join(" ")
}
