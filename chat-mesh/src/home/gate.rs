//! What a message must pass before it is said.

use freshet_proto::chat::{
    Accepted, Author, Code, Message, Note, Notice, Origin, Refusal, Reply, Role, Roles, Submit, Text, To, What,
};

use super::{Home, MAX_ADMINS, Now, Output, Pending, Posted, Record, recent::Outcome};
use crate::moderation::{
    Held, Holds, TermAction, clean,
    command::{self, Command},
    has_link, only_emotes, rank,
};

impl Home {
    /// Takes a post that is not known yet: bans first, then a command or a message.
    pub(super) fn post(
        &mut self,
        now: Now,
        submit: Submit,
        origin: &Origin,
        out: &mut Vec<Output>,
    ) -> Result<Posted, Refusal> {
        if self.stopped {
            return Err(Refusal::for_ms(Code::Paused, 1_000));
        }
        let roles = self.state.roles_of(&submit.author, &self.settings.owner);
        let role = roles.highest();
        if submit.author.admin && self.admins.len() < MAX_ADMINS {
            self.admins.insert(origin.login.clone());
        }
        self.not_silenced(now, origin, role)?;
        let text = clean(submit.text.as_str())?;
        match command::parse(text.as_str()).transpose()? {
            Some((verb, _)) if role < rank::needs(verb) => Err(Code::NoPermission.into()),
            Some((_, Command::Me(text))) => self.say(now, submit, roles, clean(&text)?, true, origin, out),
            Some((verb, command)) => {
                self.has_room(now, role)?;
                let message = self.message(now, &submit, roles, Text::empty(), false);
                self.act(now, (verb, command), message, origin, out)
            }
            None => self.say(now, submit, roles, text, false, origin, out),
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn say(
        &mut self,
        now: Now,
        submit: Submit,
        roles: Roles,
        text: Text,
        action: bool,
        origin: &Origin,
        out: &mut Vec<Output>,
    ) -> Result<Posted, Refusal> {
        let role = roles.highest();
        let hold = self.passes(now, &submit.author, role, text.as_str())?;
        self.has_room(now, role)?;
        if rank::is_moderated(role) {
            self.bucket.take(now.mono_ms).map_err(|wait_ms| Refusal::for_ms(Code::RateLimit, wait_ms))?;
        }
        let message = self.message(now, &submit, roles, text, action);
        if hold {
            return Err(self.hold(now, message, origin, out));
        }
        let id = message.id;
        let position = self.sequence(now, Some(origin.clone()), What::Message(message), out);
        Ok(Posted { accepted: Accepted { position: Some(position), id: Some(id), done: None }, version: None })
    }

    fn not_silenced(&self, now: Now, origin: &Origin, role: Role) -> Result<(), Refusal> {
        match self.state.durable.ban_of(&origin.login, now.wall_ms) {
            Some(ban) if role < Role::Owner => Err(match ban.until_ms {
                Some(until) => Refusal::for_ms(Code::TimedOut, until - now.wall_ms),
                None => Code::Banned.into(),
            }),
            _ => Ok(()),
        }
    }

    /// Modes, slow mode, unique chat, links, terms, in this order. Whether the message must wait for a moderator.
    fn passes(&mut self, now: Now, author: &Author, role: Role, text: &str) -> Result<bool, Refusal> {
        let state = &mut self.state;
        let modes = &state.durable.modes;
        if rank::is_bound_by_modes(role) {
            if let Some(minutes) = modes.followers_min {
                let since = author.follows_since_ms.ok_or(Code::FollowersOnly)?;
                let wait_ms = since.saturating_add(u64::from(minutes) * 60_000).saturating_sub(now.wall_ms);
                if wait_ms > 0 {
                    return Err(Refusal::for_ms(Code::FollowersOnly, wait_ms));
                }
            }
            if modes.emote_only && !only_emotes(text) {
                return Err(Code::EmoteOnly.into());
            }
            let gap_ms = u64::from(modes.slow_s) * 1_000;
            let wait_ms = state.spoke.wait_ms(&author.user.login, gap_ms, now.mono_ms);
            if gap_ms > 0 && wait_ms > 0 {
                return Err(Refusal::for_ms(Code::SlowMode, wait_ms));
            }
            if modes.unique && state.said.has(text, now.mono_ms) {
                return Err(Code::NotUnique.into());
            }
            if modes.links_off && has_link(text) {
                return Err(Code::LinksOff.into());
            }
        }
        match state.terms.find(text).filter(|_| rank::is_moderated(role)) {
            Some(TermAction::Block) => Err(Code::Blocked.into()),
            Some(TermAction::Hold) => Ok(true),
            None => Ok(false),
        }
    }

    /// Whether one more post can be remembered and can wait. Moderators find room where others find none any more.
    fn has_room(&mut self, now: Now, role: Role) -> Result<(), Refusal> {
        let most = if rank::is_moderated(role) { Pending::MAX } else { 2 * Pending::MAX };
        match self.pending.count() < most && self.state.recent.has_room(now.mono_ms) {
            true => Ok(()),
            false => Err(Refusal::for_ms(Code::RateLimit, 1_000)),
        }
    }

    fn hold(&mut self, now: Now, message: Message, origin: &Origin, out: &mut Vec<Output>) -> Refusal {
        let until_ms = now.wall_ms + Holds::WAIT_MS;
        let held = Held { message, origin: origin.clone(), until_ms };
        if !self.state.holds.hold(held.clone()) {
            return Refusal::for_ms(Code::RateLimit, 10_000);
        }
        self.state.recent.insert(origin.clone(), Outcome::Held, now.mono_ms);
        self.state.spoke.speak(&origin.login, now.mono_ms);
        let note = Note::Held { message: held.message.clone() };
        out.push(Output::Notice(Notice { to: To::Moderators, note }));
        out.push(Output::Record(Record::Hold(Box::new(held))));
        Code::Held.into()
    }

    /// The message that a post makes.
    fn message(&mut self, now: Now, submit: &Submit, roles: Roles, text: Text, action: bool) -> Message {
        let parent = submit.reply_to.and_then(|id| self.state.history.message(id)).filter(|parent| !parent.deleted);
        let reply = parent.map(|parent| Reply {
            id: parent.id,
            login: parent.user.login.clone(),
            name: parent.user.name.clone(),
        });
        let (id, user) = (self.ids.next(now.wall_ms), submit.author.user.clone());
        Message { id, user, roles, text, action, reply, pdt_ms: submit.pdt_ms, deleted: false }
    }
}

impl super::State {
    /// Whether the text of a message may still be shown.
    pub(super) fn shown(&self, id: freshet_proto::chat::MessageId) -> Result<&Message, Code> {
        self.history.message(id).filter(|message| !message.deleted).ok_or(Code::NoSuchMessage)
    }
}
