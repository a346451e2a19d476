//! What a connection that was welcomed asks: to come in, to go, to say something; and what becomes of it.

use std::borrow::Cow;

use freshet_proto::{
    chat::{Answer, Code, MessageId, Text, Verb},
    id::ChannelName,
};

use super::{
    Asked, Command, Joined, Line, Nonce, Output, SERVER, Session, encode, greet::channel, notice, roomstate, tag,
};
use crate::{
    moderation::command,
    session::{MAX_CHANNELS, Post},
};

/// What Twitch calls some commands otherwise.
const ALIASES: [(&str, &str); 4] = [
    ("r9kbeta", "uniquechat"),
    ("r9kbetaoff", "uniquechatoff"),
    ("r9kmode", "uniquechat"),
    ("r9kmodeoff", "uniquechatoff"),
];

impl Session {
    /// Keys are passed over; who is there already is told nothing.
    pub(super) fn join(&mut self, now_ms: u64, line: &Line<'_>, out: &mut Vec<Output>) {
        for name in names(line) {
            let Some(channel) = channel(name) else {
                self.reply("403", "There is no such channel here.", out);
                continue;
            };
            match self.client.join(now_ms, &channel) {
                Ok(()) => out.push(Output::Join { channel, resume: None, history: 0 }),
                Err(refusal) if refusal.code == Code::NoChange => {}
                Err(refusal) => {
                    self.tell(&channel, notice::refused(None, &refusal), out);
                    // The others would be refused too.
                    return;
                }
            }
        }
    }

    /// tmi.js takes its own `JOIN` for success where it reads as a guest, `USERSTATE` where it does not, and then waits for
    /// `ROOMSTATE`.
    pub(super) fn joined(&mut self, joined: &Joined, out: &mut Vec<Output>) {
        if !self.client.joined(joined) {
            return;
        }
        self.knows_waiting.remove(&joined.channel);
        let (nick, channel) = (self.nick().to_owned(), format!("#{}", joined.channel));
        let host = format!("{nick}.{SERVER}");
        self.send(&Line::new("JOIN").from(encode::prefix(&nick)).param(channel.as_str()), out);
        let names = Line::new("353").from(host.as_str()).param(nick.as_str()).param("=");
        self.send(&names.param(channel.as_str()).param(nick.as_str()), out);
        let end = Line::new("366").from(host.as_str()).param(nick.as_str());
        self.send(&end.param(channel.as_str()).param("End of /NAMES list"), out);
        self.userstate(&joined.channel, Vec::new(), out);
        if self.caps.format.commands {
            let mut state = notice::modes(None, &joined.modes).0;
            state.push(("subs-only", "0".to_owned()));
            self.send(&roomstate(&joined.channel, state), out);
        }
    }

    pub(super) fn part(&mut self, line: &Line<'_>, out: &mut Vec<Output>) {
        for channel in names(line).filter_map(channel) {
            if self.client.part(&channel) {
                out.push(Output::Part(channel.clone()));
                let from = encode::prefix(self.nick());
                self.send(&Line::new("PART").from(from).param(format!("#{channel}")), out);
            }
        }
    }

    pub(super) fn privmsg(&mut self, now_ms: u64, line: &Line<'_>, out: &mut Vec<Output>) {
        let (Some(target), Some(text)) = (line.params.first(), line.params.get(1)) else {
            return self.reply("461", "PRIVMSG needs a channel and a text.", out);
        };
        let Some(channel) = channel(target) else {
            return self.reply("401", "Only channels can be written to.", out);
        };
        let text = command_of(text);
        let verb = text.strip_prefix('/').and_then(|text| Verb::from_word(text.split(' ').next()?));
        if let Err(refusal) = self.post(now_ms, &channel, &text, verb, line, out) {
            self.tell(&channel, notice::refused(verb, &refusal), out);
        }
    }

    fn post(
        &mut self,
        now_ms: u64,
        channel: &ChannelName,
        text: &str,
        verb: Option<Verb>,
        line: &Line<'_>,
        out: &mut Vec<Output>,
    ) -> Result<(), freshet_proto::chat::Refusal> {
        let client_nonce = line.tag("client-nonce").filter(|nonce| !nonce.is_empty());
        let post = Post {
            nonce: self.nonce(client_nonce),
            text: Text::try_from(text).map_err(|_| Code::TooLong)?,
            reply_to: line.tag("reply-parent-msg-id").and_then(|id| id.parse::<MessageId>().ok()),
            pdt_ms: None,
        };
        let (ticket, submit) = self.client.post(now_ms, Some(channel), post)?;
        let command = command::parse(text.trim()).and_then(Result::ok).map(|(_, command)| command);
        self.asked.insert(ticket, Asked { verb, command, client_nonce: client_nonce.map(str::to_owned) });
        out.push(Output::Submit { ticket, submit });
        Ok(())
    }

    /// `irc-CONNECTION-NUMBER`, so that nothing is taken for the same that the client says twice; and what it calls it,
    /// where that fits.
    fn nonce(&self, client_nonce: Option<&str>) -> Nonce {
        let ours = format!("irc-{}-{}", self.name, self.client.tickets() + 1);
        let both = client_nonce.and_then(|nonce| Nonce::try_from(format!("{ours}-{nonce}")).ok());
        both.unwrap_or_else(|| Nonce::cut(&ours))
    }

    pub(super) fn answer(&mut self, ticket: u64, answer: &Answer, out: &mut Vec<Output>) {
        let Some((channel, _)) = self.client.answered(ticket) else { return };
        let Some(Asked { verb, command, client_nonce }) = self.asked.remove(&ticket) else { return };
        match answer {
            Ok(accepted) => match accepted.done {
                Some(verb) => {
                    if let Some(told) = notice::done(verb, command.as_ref()) {
                        self.tell(&channel, told, out);
                    }
                }
                None => {
                    let nonce = client_nonce.map(|nonce| tag("client-nonce", nonce));
                    let id = accepted.id.map(|id| tag("id", id.to_string()));
                    self.userstate(&channel, nonce.into_iter().chain(id).collect(), out);
                }
            },
            Err(refusal) => match &command {
                Some(Command::Mode(change)) if refusal.code == Code::NoChange && self.caps.format.commands => {
                    match notice::mode_tag(*change) {
                        Some(is_so) => self.send(&roomstate(&channel, vec![is_so]), out),
                        None => self.tell(&channel, notice::refused(verb, refusal), out),
                    }
                }
                _ => self.tell(&channel, notice::refused(verb, refusal), out),
            },
        }
    }
}

/// The channels of a `JOIN` or `PART`.
fn names<'a>(line: &'a Line<'_>) -> impl Iterator<Item = &'a str> {
    line.params.first().into_iter().flat_map(|names| names.split(',')).take(MAX_CHANNELS)
}

/// A text as the home reads it: CTCP ACTION is `/me`, a dot before a command a slash, and Twitch's names are ours.
fn command_of(text: &str) -> Cow<'_, str> {
    if let Some(action) = text.strip_prefix("\u{1}ACTION ") {
        return Cow::Owned(format!("/me {}", action.strip_suffix('\u{1}').unwrap_or(action)));
    }
    let Some(command) = text.strip_prefix(['/', '.']) else { return Cow::Borrowed(text) };
    let word = command.split(' ').next().unwrap_or_default();
    let rest = &command[word.len()..];
    match ALIASES.iter().find(|(theirs, _)| word.eq_ignore_ascii_case(theirs)) {
        Some((_, ours)) => Cow::Owned(format!("/{ours}{rest}")),
        None if Verb::from_word(word).is_some() => Cow::Owned(format!("/{command}")),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_those_of_twitch() {
        for (said, read) in [
            ("\u{1}ACTION waves\u{1}", "/me waves"),
            ("\u{1}ACTION /ban bob", "/me /ban bob"),
            (".timeout bob 9", "/timeout bob 9"),
            ("/R9kBeta", "/uniquechat"),
            (".r9kbetaoff ", "/uniquechatoff "),
            ("/mods", "/mods"),
            ("...", "..."),
            (".hello", ".hello"),
            ("hi /ban", "hi /ban"),
        ] {
            assert_eq!(command_of(said), read);
        }
    }
}
