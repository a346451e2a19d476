//! What becomes of a post, in Twitch's names: the `msg-id` of a `NOTICE`, by which clients know what it is about.
//!
//! tmi.js waits 0.6 s for the one that belongs to its command, so a refusal's name depends on what was asked for.

use std::borrow::Cow;

use freshet_proto::chat::{Code, Message, Modes, Note, Refusal, UserAction, Verb};

use crate::moderation::command::{Command, ModeChange};

/// A name and a text.
pub(super) type Told = (Cow<'static, str>, String);

/// What the sender is told of a command that was carried out. Nothing where the channel is told as well.
pub(super) fn done(verb: Verb, command: Option<&Command>) -> Option<Told> {
    let who = target(command);
    let text = match (verb, command) {
        (Verb::Timeout, Some(Command::Silence { seconds: Some(seconds), .. })) => {
            format!("{who} has been timed out for {seconds} seconds.")
        }
        (Verb::Ban, _) => format!("{who} is now banned from this channel."),
        (Verb::Unban, _) => format!("{who} is no longer banned from this channel."),
        (Verb::Untimeout, _) => format!("{who} is no longer timed out in this channel."),
        (Verb::Warn, _) => format!("{who} has been warned."),
        (Verb::Delete, _) => return told("delete_message_success", "The message is now deleted."),
        (Verb::Mod, _) => format!("{who} is now a moderator of this channel."),
        (Verb::Unmod, _) => format!("{who} is no longer a moderator of this channel."),
        (Verb::Vip, _) => format!("{who} is now a VIP of this channel."),
        (Verb::Unvip, _) => format!("{who} is no longer a VIP of this channel."),
        (Verb::Pin, _) => "The message is now pinned.".to_owned(),
        (Verb::Unpin, _) => "No message is pinned any more.".to_owned(),
        (Verb::Block | Verb::HoldTerm | Verb::Unblock | Verb::Approve | Verb::Deny, _) => "Done.".to_owned(),
        // CLEARCHAT, ROOMSTATE, USERNOTICE or HOSTTARGET says it.
        _ => return None,
    };
    Some((format!("{}_success", verb.word()).into(), text))
}

fn told(name: &'static str, text: &str) -> Option<Told> {
    Some((name.into(), text.to_owned()))
}

fn target(command: Option<&Command>) -> &str {
    match command {
        Some(
            Command::Silence { login, .. }
            | Command::Unban(login)
            | Command::Warn { login, .. }
            | Command::Role { login, .. },
        ) => login.as_str(),
        _ => "They",
    }
}

/// What the sender is told of a post that was refused.
pub(super) fn refused(verb: Option<Verb>, refusal: &Refusal) -> Told {
    let name = verb.and_then(|verb| name_of(verb, refusal.code)).unwrap_or(refusal.code.as_str());
    (name.into(), refusal.text().to_owned())
}

/// Where Twitch has a name for each command.
fn name_of(verb: Verb, code: Code) -> Option<&'static str> {
    Some(match (code, verb) {
        (Code::TargetAdmin, Verb::Timeout) => "bad_timeout_admin",
        (Code::TargetOwner, Verb::Timeout) => "bad_timeout_broadcaster",
        (Code::TargetModerator, Verb::Timeout) => "bad_timeout_mod",
        (Code::TargetSelf, Verb::Timeout) => "bad_timeout_self",
        (Code::TargetOwner, Verb::Delete) => "bad_delete_message_broadcaster",
        (Code::TargetModerator, Verb::Delete) => "bad_delete_message_mod",
        (Code::NoChange, Verb::Ban) => "already_banned",
        (Code::NoChange, Verb::Mod) => "bad_mod_mod",
        (Code::NoChange, Verb::Unmod) => "bad_unmod_mod",
        (Code::NoChange, Verb::Vip) => "bad_vip_grantee_already_vip",
        (Code::NoChange, Verb::Unvip) => "bad_unvip_grantee_not_vip",
        (Code::NoChange, Verb::EmoteOnly) => "already_emote_only_on",
        (Code::NoChange, Verb::EmoteOnlyOff) => "already_emote_only_off",
        (Code::NoChange, Verb::UniqueChat) => "already_r9k_on",
        (Code::NoChange, Verb::UniqueChatOff) => "already_r9k_off",
        (Code::Usage(_), Verb::EmoteOnly) => "usage_emote_only_on",
        (Code::Usage(_), Verb::EmoteOnlyOff) => "usage_emote_only_off",
        (Code::Usage(_), Verb::UniqueChat) => "usage_r9k_on",
        (Code::Usage(_), Verb::UniqueChatOff) => "usage_r9k_off",
        (Code::Usage(_), Verb::Slow) => "usage_slow_on",
        (Code::Usage(_), Verb::SlowOff) => "usage_slow_off",
        _ => return None,
    })
}

/// What somebody is told who alone is concerned.
pub(super) fn note(note: &Note) -> Option<Told> {
    let because = |reason: &str| if reason.is_empty() { ".".to_owned() } else { format!(": {reason}") };
    match note {
        Note::Warned { reason } => {
            Some(("msg_warned".into(), format!("A moderator warns you{}", because(reason.as_str()))))
        }
        Note::Silenced { reason, until_ms: None } => {
            Some(("msg_banned".into(), format!("You are banned from this channel{}", because(reason.as_str()))))
        }
        Note::Silenced { reason, .. } => {
            Some(("msg_timedout".into(), format!("You are silenced for a while{}", because(reason.as_str()))))
        }
        Note::Held { message } => Some(held(message)),
        Note::Decided { id, approved: true } => Some(("automod_approved".into(), format!("{id} has been approved."))),
        Note::Decided { id, .. } => Some((Code::Blocked.as_str().into(), format!("{id} has been denied."))),
        _ => None,
    }
}

/// That a message waits.
pub(super) fn held(message: &Message) -> Told {
    let text = format!("{0} waits for /approve {1} or /deny {1}: {2}", message.user.login, message.id, message.text);
    ("automod_held".into(), text)
}

/// The tags of `ROOMSTATE` that have changed, and what is said about it. Without `old`, all of them.
pub(super) fn modes(old: Option<&Modes>, new: &Modes) -> (Vec<(&'static str, String)>, Vec<Told>) {
    let (mut tags, mut says) = (Vec::new(), Vec::new());
    let mut look = |key: &'static str, is_same: bool, value: String, told: Told| {
        if !is_same {
            if !key.is_empty() {
                tags.push((key, value));
            }
            says.push(told);
        }
    };
    let bit = |on: bool| if on { "1" } else { "0" }.to_owned();
    let is_same = |same: &dyn Fn(&Modes) -> bool| old.is_some_and(same);
    let &Modes { slow_s, followers_min, emote_only, unique, links_off, shield } = new;
    let emotes = switch(emote_only, ("emote_only_on", "emote_only_off"), "emote-only mode");
    look("emote-only", is_same(&|old| old.emote_only == emote_only), bit(emote_only), emotes);
    let followers = followers_min.map_or("-1".to_owned(), |minutes| minutes.to_string());
    look(
        "followers-only",
        is_same(&|old| old.followers_min == followers_min),
        followers,
        followers_told(followers_min),
    );
    let r9k = switch(unique, ("r9k_on", "r9k_off"), "unique-chat mode");
    look("r9k", is_same(&|old| old.unique == unique), bit(unique), r9k);
    look("slow", is_same(&|old| old.slow_s == slow_s), slow_s.to_string(), slow_told(slow_s));
    let links = switch(links_off, ("links_off", "links_on"), "no-links mode");
    look("", is_same(&|old| old.links_off == links_off), String::new(), links);
    look(
        "",
        is_same(&|old| old.shield == shield),
        String::new(),
        switch(shield, ("shield_on", "shield_off"), "shield mode"),
    );
    (tags, says)
}

fn switch(on: bool, (is_on, is_off): (&'static str, &'static str), mode: &str) -> Told {
    match on {
        true => (is_on.into(), format!("This room is now in {mode}.")),
        false => (is_off.into(), format!("This room is no longer in {mode}.")),
    }
}

fn slow_told(slow_s: u32) -> Told {
    match slow_s {
        0 => switch(false, ("slow_on", "slow_off"), "slow mode"),
        _ => {
            ("slow_on".into(), format!("This room is now in slow mode. You may send messages every {slow_s} seconds."))
        }
    }
}

fn followers_told(minutes: Option<u32>) -> Told {
    match minutes {
        None => switch(false, ("followers_on", "followers_off"), "followers-only mode"),
        Some(0) => switch(true, ("followers_on_zero", ""), "followers-only mode"),
        Some(minutes) => ("followers_on".into(), format!("This room is now in {minutes} minutes followers-only mode.")),
    }
}

/// The tag of `ROOMSTATE` that a change would set: tmi.js waits for it, also where it is so already.
pub(super) fn mode_tag(change: ModeChange) -> Option<(&'static str, String)> {
    match change {
        ModeChange::Slow(seconds) => Some(("slow", seconds.to_string())),
        ModeChange::Followers(minutes) => {
            Some(("followers-only", minutes.map_or("-1".to_owned(), |minutes| minutes.to_string())))
        }
        _ => None,
    }
}

/// For how long somebody is silenced: `ban-duration`; `None` where they are not, or not any more.
pub(super) fn ban_duration(action: &UserAction) -> Option<Option<u32>> {
    match action {
        UserAction::Timeout { seconds, .. } => Some(Some(*seconds)),
        UserAction::Ban => Some(None),
        _ => None,
    }
}
