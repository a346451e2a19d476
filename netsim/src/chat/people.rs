//! Who posts what: people with nonces, moderators with bans, and clients that send again elsewhere.

use freshet_proto::{
    chat::{Author, DisplayName, Nonce, Submit, Text, User, UserId},
    id::ChannelName,
    random::Random,
};

/// A post under way.
#[derive(Debug, Clone)]
pub struct Post {
    /// Where it was sent last.
    pub hub: usize,
    /// The post.
    pub submit: Submit,
    /// When it was first sent.
    pub since_ms: u64,
    /// Since when the hubs have had it without an end of the process that had it: what a client waits beyond that before it
    /// goes elsewhere is its own patience.
    pub kept_ms: u64,
    /// Which process of `hub` has it.
    pub life: Option<u64>,
    /// Whether the client sends it again, at another hub, if it hears nothing.
    pub persists: bool,
}

/// A channel's name; its owner's too.
pub fn channel(n: usize) -> ChannelName {
    name(&format!("channel{n}"))
}

#[allow(clippy::expect_used)]
fn name(text: &str) -> ChannelName {
    text.parse().expect("a good name")
}

/// Something that somebody at `hub` says in one of so many channels.
pub fn draw(random: &Random, hub: usize, channels: usize, n: u64, now_ms: u64) -> Post {
    let channel = channel(random.below(channels as u64) as usize);
    let user = format!("user{}", random.below(6));
    let (login, text) = match random.below(20) {
        0 => (channel.to_string(), format!("/ban {user}")),
        1 => (channel.to_string(), format!("/unban {user}")),
        2 => (channel.to_string(), format!("/timeout {user} 5")),
        _ => (user, format!("line {n}")),
    };
    let submit = Submit {
        channel,
        author: author(&login),
        nonce: Nonce::cut(&format!("n{n}")),
        text: Text::try_from(text).unwrap_or_else(|_| Text::empty()),
        reply_to: None,
        pdt_ms: None,
    };
    Post { hub, submit, since_ms: now_ms, kept_ms: now_ms, life: None, persists: random.below(3) == 0 }
}

fn author(login: &str) -> Author {
    let user = User { id: UserId::cut(login), login: name(login), name: DisplayName::cut(login), color: None };
    Author { user, admin: false, follows_since_ms: None }
}
