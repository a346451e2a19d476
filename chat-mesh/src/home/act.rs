//! What a command does. Each makes one event at most, so that it is known by its position and done once.

use std::collections::BTreeMap;

use freshet_proto::chat::{
    Accepted, Actor, Code, Login, Message, MessageId, Note, Notice, Origin, Pin, Reason, Refusal, Role, To, UserAction,
    UserId, Verb, What,
};

use super::{Home, Now, Output, Posted, Record, recent::Outcome};
use crate::moderation::{
    Ban, Change, LogEntry, Pattern, TermAction, Terms, clean,
    command::{Command, ModeChange},
    rank,
};

/// What a command came to.
#[derive(Default)]
struct Done {
    change: Option<Change>,
    what: Option<What>,
    target: Option<Login>,
    message: Option<MessageId>,
    until_ms: Option<u64>,
    reason: Option<Reason>,
    notices: Vec<Notice>,
    /// Whose waiting messages are denied.
    drops_held_of: Option<Login>,
    /// Which post the event is of, where it isn't the command.
    origin: Option<Origin>,
}

impl Home {
    /// Carries out a command of somebody who may use it. `carrier` says who, and becomes the message of an announcement.
    pub(super) fn act(
        &mut self,
        now: Now,
        (verb, command): (Verb, Command),
        carrier: Message,
        origin: &Origin,
        out: &mut Vec<Output>,
    ) -> Result<Posted, Refusal> {
        let by = Actor { id: carrier.user.id.clone(), login: carrier.user.login.clone() };
        let role = carrier.roles.highest();
        let done = match command {
            Command::Silence { login, seconds, reason } => self.silence(now, role, &by, login, seconds, reason)?,
            Command::Unban(login) => self.unban(now, &by, login)?,
            Command::Warn { login, reason } => self.warn(role, &by, login, reason)?,
            Command::Delete(id) => self.delete(role, &by, id)?,
            Command::Clear => Done { what: Some(What::Clear { by: by.clone() }), ..Done::default() },
            Command::Mode(change) => self.mode(&by, verb, change),
            Command::Pin { id, seconds } => self.pin(now, &by, id, seconds)?,
            Command::Unpin => self.unpin(now)?,
            Command::Announce(text) => {
                let message = Message { text: clean(&text)?, ..carrier };
                Done { message: Some(message.id), what: Some(What::Announcement(message)), ..Done::default() }
            }
            Command::Raid(to) if to == self.settings.channel => return Err(Code::NoChange.into()),
            Command::Raid(to) => {
                Done { target: Some(to.clone()), what: Some(What::Raid { to, by: by.clone() }), ..Done::default() }
            }
            Command::Role { login, role, give } => self.role(&by, login, role, give)?,
            Command::Term { pattern, action } => term(pattern, action),
            Command::Decide { id, approve } => return self.decide(now, (verb, id), approve, by, origin, out),
            Command::Me(_) => return Err(Code::UnknownCommand.into()),
        };
        self.carry_out(now, verb, done, by, origin, out)
    }

    /// Change first, then the event, then what follows: a standby that has the event has the change.
    fn carry_out(
        &mut self,
        now: Now,
        verb: Verb,
        done: Done,
        by: Actor,
        origin: &Origin,
        out: &mut Vec<Output>,
    ) -> Result<Posted, Refusal> {
        let version = match done.change {
            Some(change) => Some(self.change(now, change, out)?),
            None => None,
        };
        for held in done.drops_held_of.iter().flat_map(|login| self.state.holds.take_of(login)).collect::<Vec<_>>() {
            self.deny(now, held, out);
        }
        let of = done.origin.unwrap_or_else(|| origin.clone());
        let position = done.what.map(|what| self.sequence(now, Some(of), what, out));
        let id = done.message.filter(|_| verb == Verb::Announce);
        let accepted = Accepted { position, id, done: Some(verb) };
        self.state.recent.insert(origin.clone(), Outcome::Done(accepted.clone()), now.mono_ms);
        out.extend(done.notices.into_iter().map(Output::Notice));
        out.push(Output::Log(LogEntry {
            at_ms: now.wall_ms,
            actor: by,
            verb,
            target: done.target,
            message: done.message,
            until_ms: done.until_ms,
            reason: done.reason.unwrap_or_else(|| Reason::cut("")),
        }));
        Ok(Posted { accepted, version })
    }

    /// Changes what is stored; the version that this makes.
    fn change(&mut self, now: Now, change: Change, out: &mut Vec<Output>) -> Result<u64, Refusal> {
        if !self.state.durable.apply(&change, now.wall_ms)? {
            return Err(Code::NoChange.into());
        }
        match &change {
            Change::Term(..) => self.state.terms = Terms::new(&self.state.durable.terms),
            Change::Role(login, _) => drop(self.unkept.remove(login)),
            _ => {}
        }
        let version = self.state.durable.version;
        out.push(Output::Record(Record::Change { version, change }));
        Ok(version)
    }

    fn silence(
        &self,
        now: Now,
        role: Role,
        by: &Actor,
        login: Login,
        seconds: Option<u32>,
        reason: Reason,
    ) -> Result<Done, Code> {
        self.may_act_on(role, by, &login)?;
        let until_ms = seconds.map(|seconds| now.wall_ms + u64::from(seconds) * 1_000);
        let action = match seconds.zip(until_ms) {
            Some((seconds, until_ms)) => UserAction::Timeout { until_ms, seconds },
            None => UserAction::Ban,
        };
        let ban = Ban { until_ms, at_ms: now.wall_ms, by: by.login.clone(), reason: reason.clone() };
        let note = Note::Silenced { reason: reason.clone(), until_ms };
        Ok(Done {
            change: Some(Change::Ban(login.clone(), ban)),
            what: Some(What::User { login: login.clone(), action, by: by.clone() }),
            target: Some(login.clone()),
            until_ms,
            reason: Some(reason),
            notices: vec![Notice { to: To::User(login.clone()), note }],
            drops_held_of: Some(login),
            ..Done::default()
        })
    }

    fn unban(&self, now: Now, by: &Actor, login: Login) -> Result<Done, Code> {
        self.state.durable.ban_of(&login, now.wall_ms).ok_or(Code::NotBanned)?;
        Ok(Done {
            change: Some(Change::Unban(login.clone())),
            what: Some(What::User { login: login.clone(), action: UserAction::Unban, by: by.clone() }),
            target: Some(login),
            ..Done::default()
        })
    }

    fn warn(&self, role: Role, by: &Actor, login: Login, reason: Reason) -> Result<Done, Code> {
        self.may_act_on(role, by, &login)?;
        let note = Note::Warned { reason: reason.clone() };
        Ok(Done {
            what: Some(What::User { login: login.clone(), action: UserAction::Warn, by: by.clone() }),
            target: Some(login.clone()),
            reason: Some(reason),
            notices: vec![Notice { to: To::User(login), note }],
            ..Done::default()
        })
    }

    fn delete(&self, role: Role, by: &Actor, id: MessageId) -> Result<Done, Code> {
        let login = self.state.shown(id)?.user.login.clone();
        if login != by.login {
            self.may_act_on(role, by, &login)?;
        }
        Ok(Done {
            what: Some(What::Delete { id, login: login.clone(), by: by.clone() }),
            target: Some(login),
            message: Some(id),
            ..Done::default()
        })
    }

    fn mode(&self, by: &Actor, verb: Verb, change: ModeChange) -> Done {
        let modes = self.state.durable.changed(change);
        let amount = match (verb, change) {
            (Verb::Slow, ModeChange::Slow(seconds)) => Some(format!("{seconds} s")),
            (Verb::Followers, ModeChange::Followers(Some(minutes))) => Some(format!("{minutes} min")),
            _ => None,
        };
        Done {
            change: Some(Change::Modes(modes.clone())),
            what: Some(What::Modes { modes, by: by.clone() }),
            reason: amount.map(|amount| Reason::cut(&amount)),
            ..Done::default()
        }
    }

    fn pin(&self, now: Now, by: &Actor, id: MessageId, seconds: Option<u32>) -> Result<Done, Code> {
        let message = self.state.shown(id)?.clone();
        let until_ms = seconds.map(|seconds| now.wall_ms + u64::from(seconds) * 1_000);
        let target = Some(message.user.login.clone());
        let pin = Pin { message, until_ms, by: by.clone() };
        Ok(Done { what: Some(What::Pin(Some(pin))), target, message: Some(id), until_ms, ..Done::default() })
    }

    fn unpin(&self, now: Now) -> Result<Done, Code> {
        let pinned = self.state.pin(now.wall_ms).ok_or(Code::NoChange)?.message.id;
        Ok(Done { what: Some(What::Pin(None)), message: Some(pinned), ..Done::default() })
    }

    fn role(&self, by: &Actor, login: Login, role: Role, give: bool) -> Result<Done, Code> {
        if login == self.settings.owner {
            return Err(Code::TargetOwner);
        }
        if !give && self.state.durable.roles.get(&login) != Some(&role) {
            return Err(Code::NoChange);
        }
        let role = give.then_some(role);
        Ok(Done {
            change: Some(Change::Role(login.clone(), role)),
            what: Some(What::User { login: login.clone(), action: UserAction::Role(role), by: by.clone() }),
            target: Some(login),
            ..Done::default()
        })
    }

    /// Roles that were given or taken outside of chat, but for those that can't be kept: in the owner's name, as only the owner and those above may.
    pub(super) fn told_roles(&mut self, now: Now, roles: &BTreeMap<Login, Role>, out: &mut Vec<Output>) {
        let known = &self.state.durable.roles;
        let is_over = |login: &&Login| !roles.contains_key(*login) && !self.unkept.contains_key(*login);
        let taken = known.keys().filter(is_over).map(|login| (login.clone(), None));
        let given = roles.iter().filter(|(login, role)| known.get(*login) != Some(role));
        let told: Vec<_> = taken.chain(given.map(|(login, role)| (login.clone(), Some(*role)))).collect();
        let owner = self.settings.owner.clone();
        let by = Actor { id: UserId::cut(owner.as_str()), login: owner };
        for (login, role) in told {
            let change = Change::Role(login.clone(), role);
            if self.change(now, change, out).is_ok() {
                self.sequence(now, None, What::User { login, action: UserAction::Role(role), by: by.clone() }, out);
            }
        }
    }

    fn decide(
        &mut self,
        now: Now,
        (verb, id): (Verb, MessageId),
        approve: bool,
        by: Actor,
        origin: &Origin,
        out: &mut Vec<Output>,
    ) -> Result<Posted, Refusal> {
        let held = self.state.holds.take(id).ok_or(Code::NoSuchMessage)?;
        let mut done = Done { target: Some(held.origin.login.clone()), message: Some(id), ..Done::default() };
        if approve {
            out.push(Output::Record(Record::Release { origin: held.origin.clone(), id }));
            let note = Note::Decided { id, approved: true };
            done.notices.push(Notice { to: To::Moderators, note });
            let message = Message { id: self.ids.next(now.wall_ms), ..held.message };
            (done.what, done.origin) = (Some(What::Message(message)), Some(held.origin));
        } else {
            self.deny(now, held, out);
        }
        self.carry_out(now, verb, done, by, origin, out)
    }

    fn may_act_on(&self, role: Role, by: &Actor, login: &Login) -> Result<(), Code> {
        if *login == by.login {
            return Err(Code::TargetSelf);
        }
        let target = match self.state.durable.roles.get(login) {
            _ if *login == self.settings.owner => Role::Owner,
            _ if self.admins.contains(login) => Role::Admin,
            Some(role) => *role,
            None => Role::Plain,
        };
        rank::may_act_on(role, target)
    }
}

fn term(pattern: Pattern, action: Option<TermAction>) -> Done {
    let reason = Reason::cut(pattern.as_str());
    Done { change: Some(Change::Term(pattern, action)), reason: Some(reason), ..Done::default() }
}
