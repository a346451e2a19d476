//! Slash commands: text in, what is asked for out.

use std::str::FromStr;

use freshet_proto::{
    chat::{Code, Login, MessageId, Modes, Reason, Refusal, Role, Verb},
    id::ChannelName,
};

pub use freshet_proto::chat::ModeChange;

use super::{Pattern, TermAction, Terms};

/// How long a timeout lasts where it isn't said, in seconds: ten minutes, as at Twitch.
pub const DEFAULT_TIMEOUT_S: u32 = 600;
/// The longest timeout, in seconds: two weeks, as at Twitch. Longer is a ban.
pub const MAX_TIMEOUT_S: u32 = 14 * 86_400;
/// Slow mode where nothing else is said, in seconds.
pub const DEFAULT_SLOW_S: u32 = 30;
/// The longest time for which a message is pinned, in seconds; it may also be pinned without end.
pub const MAX_PIN_S: u32 = 86_400;

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// To say something in the third person.
    Me(String),
    /// To silence somebody: for so many seconds, or for good.
    Silence {
        /// Whom.
        login: Login,
        /// For how long; `None` for good.
        seconds: Option<u32>,
        /// Why.
        reason: Reason,
    },
    /// To let somebody speak again.
    Unban(Login),
    /// To tell somebody what they did wrong.
    Warn {
        /// Whom.
        login: Login,
        /// What.
        reason: Reason,
    },
    /// To take a message back.
    Delete(MessageId),
    /// To take everything back.
    Clear,
    /// To change the modes.
    Mode(ModeChange),
    /// To pin a message.
    Pin {
        /// Which.
        id: MessageId,
        /// For how long; `None` until it is unpinned.
        seconds: Option<u32>,
    },
    /// To unpin it.
    Unpin,
    /// To say something that stands out.
    Announce(String),
    /// To send the viewers on.
    Raid(ChannelName),
    /// To make somebody a moderator or a VIP, or to end that.
    Role {
        /// Whom.
        login: Login,
        /// Which role.
        role: Role,
        /// Whether to give it.
        give: bool,
    },
    /// To change what a term does; `None` for nothing.
    Term {
        /// The term.
        pattern: Pattern,
        /// What it does.
        action: Option<TermAction>,
    },
    /// To decide about a message that waits.
    Decide {
        /// Which.
        id: MessageId,
        /// Whether it is said.
        approve: bool,
    },
}

/// Reads a command; `None` where `text` is none: it doesn't begin with a slash. `/slow 0` is `/slowoff`.
///
/// # Errors
/// [`Code::UnknownCommand`], [`Code::Usage`] with how the command is written.
pub fn parse(text: &str) -> Option<Result<(Verb, Command), Refusal>> {
    let text = text.strip_prefix('/')?;
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let Some(verb) = Verb::from_word(word) else { return Some(Err(Code::UnknownCommand.into())) };
    let Some(command) = command(verb, rest.trim()) else { return Some(Err(Code::Usage(verb).into())) };
    let verb = if command == Command::Mode(ModeChange::Slow(0)) { Verb::SlowOff } else { verb };
    Some(Ok((verb, command)))
}

fn command(verb: Verb, rest: &str) -> Option<Command> {
    let mode = |change| rest.is_empty().then_some(Command::Mode(change));
    Some(match verb {
        Verb::Me => Command::Me(said(rest)?),
        Verb::Timeout => timeout(rest)?,
        Verb::Ban => {
            let (login, reason) = target(rest)?;
            Command::Silence { login, seconds: None, reason }
        }
        Verb::Untimeout | Verb::Unban => Command::Unban(only_target(rest)?),
        Verb::Warn => {
            let (login, reason) = target(rest)?;
            (!reason.as_str().is_empty()).then_some(Command::Warn { login, reason })?
        }
        Verb::Delete => Command::Delete(rest.parse().ok()?),
        Verb::Clear => rest.is_empty().then_some(Command::Clear)?,
        Verb::Slow => Command::Mode(ModeChange::Slow(amount(rest, DEFAULT_SLOW_S, 1, 0..=Modes::MAX_SLOW_S)?)),
        Verb::SlowOff => mode(ModeChange::Slow(0))?,
        Verb::Followers => {
            let seconds = amount(rest, 0, 60, 0..=Modes::MAX_FOLLOWERS_MIN * 60)?;
            Command::Mode(ModeChange::Followers(Some(seconds / 60)))
        }
        Verb::FollowersOff => mode(ModeChange::Followers(None))?,
        Verb::EmoteOnly => mode(ModeChange::EmoteOnly(true))?,
        Verb::EmoteOnlyOff => mode(ModeChange::EmoteOnly(false))?,
        Verb::UniqueChat => mode(ModeChange::Unique(true))?,
        Verb::UniqueChatOff => mode(ModeChange::Unique(false))?,
        Verb::Links => mode(ModeChange::LinksOff(false))?,
        Verb::LinksOff => mode(ModeChange::LinksOff(true))?,
        Verb::Shield => Command::Mode(ModeChange::Shield(match rest {
            "" | "on" => true,
            "off" => false,
            _ => return None,
        })),
        Verb::ShieldOff => mode(ModeChange::Shield(false))?,
        Verb::Pin => {
            let (id, time) = rest.split_once(' ').map_or((rest, None), |(id, time)| (id, Some(time)));
            let seconds = time.map(|time| amount(time.trim(), 0, 1, 1..=MAX_PIN_S).ok_or(())).transpose().ok()?;
            Command::Pin { id: id.parse().ok()?, seconds }
        }
        Verb::Unpin => rest.is_empty().then_some(Command::Unpin)?,
        Verb::Announce => Command::Announce(said(rest)?),
        Verb::Raid => Command::Raid(name(rest)?),
        Verb::Mod | Verb::Unmod => {
            Command::Role { login: only_target(rest)?, role: Role::Moderator, give: verb == Verb::Mod }
        }
        Verb::Vip | Verb::Unvip => {
            Command::Role { login: only_target(rest)?, role: Role::Vip, give: verb == Verb::Vip }
        }
        Verb::Block => term(rest, Some(TermAction::Block))?,
        Verb::HoldTerm => term(rest, Some(TermAction::Hold))?,
        Verb::Unblock => term(rest, None)?,
        Verb::Approve | Verb::Deny => Command::Decide { id: rest.parse().ok()?, approve: verb == Verb::Approve },
        _ => return None,
    })
}

fn said(rest: &str) -> Option<String> {
    (!rest.is_empty()).then(|| rest.to_owned())
}

/// A name, perhaps as a mention and in whatever case.
fn name(word: &str) -> Option<ChannelName> {
    ChannelName::from_str(&word.strip_prefix('@').unwrap_or(word).to_ascii_lowercase()).ok()
}

fn only_target(rest: &str) -> Option<Login> {
    name(rest)
}

fn target(rest: &str) -> Option<(Login, Reason)> {
    let (login, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    Some((name(login)?, Reason::try_from(reason.trim()).ok()?))
}

/// What stands where the duration might is the beginning of the reason if it begins with no digit.
fn timeout(rest: &str) -> Option<Command> {
    let (login, rest) = target(rest)?;
    let rest = rest.as_str();
    let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
    let (seconds, reason) = match word.starts_with(|c: char| c.is_ascii_digit()) {
        true => (amount(word, 0, 1, 1..=MAX_TIMEOUT_S)?, after.trim()),
        false => (DEFAULT_TIMEOUT_S, rest),
    };
    Some(Command::Silence { login, seconds: Some(seconds), reason: Reason::try_from(reason).ok()? })
}

/// A duration in seconds: a number of `unit` seconds, or with a unit of its own. `default` where there is no text.
fn amount(text: &str, default: u32, unit: u32, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
    if text.is_empty() {
        return Some(default);
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" => unit,
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return None,
    };
    let number: u32 = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()?;
    number.checked_mul(unit).filter(|seconds| range.contains(seconds))
}

fn term(rest: &str, action: Option<TermAction>) -> Option<Command> {
    Terms::check(rest).ok()?;
    Some(Command::Term { pattern: Pattern::try_from(rest).ok()?, action })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Command {
        parse(text).unwrap().unwrap().1
    }

    fn silence(seconds: Option<u32>, reason: &str) -> Command {
        Command::Silence { login: "bob".parse().unwrap(), seconds, reason: reason.try_into().unwrap() }
    }

    #[test]
    fn a_timeout_has_a_duration_and_a_reason_if_one_likes() {
        assert_eq!(read("/timeout bob"), silence(Some(600), ""));
        assert_eq!(read("/timeout @Bob 10"), silence(Some(10), ""));
        assert_eq!(read("/TIMEOUT bob 2h  too loud"), silence(Some(7200), "too loud"));
        assert_eq!(read("/timeout bob too loud"), silence(Some(600), "too loud"));
        assert_eq!(read("/timeout bob 2w"), silence(Some(MAX_TIMEOUT_S), ""));
        assert_eq!(read("/ban bob 10 times"), silence(None, "10 times"));
    }

    #[test]
    fn modes_have_amounts_within_limits() {
        assert_eq!(read("/slow"), Command::Mode(ModeChange::Slow(30)));
        assert_eq!(read("/slow 2m"), Command::Mode(ModeChange::Slow(120)));
        assert_eq!(parse("/slow 0"), parse("/slowoff"));
        assert_eq!(read("/followers"), Command::Mode(ModeChange::Followers(Some(0))));
        assert_eq!(read("/followers 10"), Command::Mode(ModeChange::Followers(Some(10))));
        assert_eq!(read("/followers 1d"), Command::Mode(ModeChange::Followers(Some(1440))));
        assert_eq!(read("/shield off"), read("/shieldoff"));
        assert_eq!(read("/pin 12 60"), Command::Pin { id: MessageId(12), seconds: Some(60) });
        assert_eq!(read("/pin 12"), Command::Pin { id: MessageId(12), seconds: None });
    }

    #[test]
    fn what_is_written_otherwise_is_told_how_to_write_it() {
        for (text, usage) in [
            ("/timeout", "/timeout USER [SECONDS|10m|1h|1d|1w] [REASON]"),
            ("/timeout bob 0", "/timeout USER [SECONDS|10m|1h|1d|1w] [REASON]"),
            ("/timeout bob 15d", "/timeout USER [SECONDS|10m|1h|1d|1w] [REASON]"),
            ("/timeout bob 99999999999w", "/timeout USER [SECONDS|10m|1h|1d|1w] [REASON]"),
            ("/ban b/b", "/ban USER [REASON]"),
            ("/warn bob", "/warn USER REASON"),
            ("/delete x", "/delete MESSAGE-ID"),
            ("/slow 1é", "/slow [SECONDS]"),
            ("/clear all", "/clear"),
            ("/shield maybe", "/shield [on|off]"),
            ("/block *", "/block TERM"),
            ("/me", "/me TEXT"),
        ] {
            let refusal = parse(text).unwrap().unwrap_err();
            assert_eq!(refusal.text(), usage, "{text}");
            assert!(refusal.code.as_str().starts_with("usage_"), "{text}");
        }
    }

    #[test]
    fn every_verb_is_read_and_nothing_else() {
        for verb in Verb::ALL {
            assert_eq!(Verb::from_word(verb.word()), Some(*verb));
            let line = ["", " bob why", " bob", " 12"].map(|rest| format!("/{}{rest}", verb.word()));
            assert!(line.iter().any(|line| parse(line).unwrap().is_ok()), "{verb:?}");
        }
        assert_eq!(parse("/nonsense").unwrap().unwrap_err().code, Code::UnknownCommand);
        assert_eq!(parse("/").unwrap().unwrap_err().code, Code::UnknownCommand);
        assert!(parse("hello /ban").is_none() && parse("").is_none());
    }
}
