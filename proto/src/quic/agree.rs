//! Which version of the node protocol a connection speaks. The asking side offers what it knows in the TLS handshake, newest
//! first; the answering side takes the newest that both know (ALPN, RFC 7301).
//!
//! Two that share no version would only hear that there is "no application protocol" (§3.2). So who asks also offers
//! `freshet/?N`, N being its newest version, which answers nothing: whoever answers takes it when nothing else fits, knows
//! then who it has to do with, and closes the connection with words that name both.

use quinn::{Connection, ConnectionError, TransportErrorCode, crypto::rustls::HandshakeData};

use super::error;
use crate::level::Level;

/// The newest versions that we can be told about in vain. Each costs a dozen bytes of memory.
const TOLD: u8 = 32;

/// What an asking side offers.
pub(super) fn offered(newest: Level) -> Vec<Vec<u8>> {
    newest.spoken().map(name).chain([in_vain(newest)]).collect()
}

/// What an answering side accepts, the first that is offered.
pub(super) fn accepted(newest: Level) -> Vec<Vec<u8>> {
    newest.spoken().map(name).chain((1..=TOLD).map(Level).map(in_vain)).collect()
}

/// How it is called in the handshake.
fn name(level: Level) -> Vec<u8> {
    format!("freshet/{level}").into_bytes()
}

fn in_vain(newest: Level) -> Vec<u8> {
    format!("freshet/?{newest}").into_bytes()
}

/// What two sides agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Agreed {
    /// They speak this.
    On(Level),
    /// They share nothing; this is the asking side's newest.
    Nothing(Level),
}

impl Agreed {
    /// Of a connection whose handshake is over.
    pub(super) fn of(connection: &Connection) -> Self {
        let data = connection.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
        let protocol = data.and_then(|data| data.protocol).unwrap_or_default();
        Self::read(&protocol).unwrap_or(Self::Nothing(Level::FIRST))
    }

    fn read(protocol: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(protocol).ok()?.strip_prefix("freshet/")?;
        match text.strip_prefix('?') {
            Some(newest) => newest.parse().ok().map(|newest| Self::Nothing(Level(newest))),
            None => text.parse().ok().map(|level| Self::On(Level(level))),
        }
    }
}

/// What the answering side tells an asking one with which it shares nothing.
pub(super) fn refusal(theirs: Level, ours: Level) -> String {
    let (theirs, ours) = (versions(theirs), versions(ours));
    format!("you speak node protocol {theirs}, this node {ours}: upgrade the older of the two, one version at a time")
}

fn versions(newest: Level) -> String {
    let mut all: Vec<String> = newest.spoken().map(|level| level.to_string()).collect();
    all.reverse();
    all.join(" and ")
}

/// The alert of RFC 7301 §3.2: no application protocol.
const NO_PROTOCOL: u8 = 120;

/// Says why a handshake failed; that nothing is shared comes so from a node that knows version 1 alone.
pub(super) fn why_not(error: &ConnectionError, ours: Level) -> String {
    let none = TransportErrorCode::crypto(NO_PROTOCOL);
    let vain = match error {
        ConnectionError::ConnectionClosed(close) => close.error_code == none,
        ConnectionError::TransportError(error) => error.code == none,
        _ => false,
    };
    if !vain {
        return error::why_not(error);
    }
    format!("it does not speak node protocol {}: upgrade the older of the two, one version at a time", versions(ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As RFC 7301 §3.2 and rustls have it: the answering side's order decides.
    fn agree(asking: u8, answering: u8) -> Option<Agreed> {
        let offered = offered(Level(asking));
        accepted(Level(answering)).into_iter().find(|name| offered.contains(name)).and_then(|name| Agreed::read(&name))
    }

    #[test]
    fn the_newest_version_that_both_know_is_spoken() {
        let on = |level| Some(Agreed::On(Level(level)));
        assert_eq!(
            [agree(1, 1), agree(1, 2), agree(2, 1), agree(2, 2), agree(3, 2)],
            [on(1), on(1), on(1), on(2), on(2)]
        );
    }

    #[test]
    fn two_that_share_none_learn_both() {
        assert_eq!(agree(3, 1), Some(Agreed::Nothing(Level(3))));
        assert_eq!(agree(1, 3), Some(Agreed::Nothing(Level(1))));
        assert_eq!(
            refusal(Level(1), Level(3)),
            "you speak node protocol 1, this node 2 and 3: upgrade the older of the two, one version at a time"
        );
    }

    #[test]
    fn a_node_from_before_there_were_two_versions_is_understood() {
        assert_eq!(offered(Level(1))[0], b"freshet/1");
        assert!(accepted(Level::NEWEST).contains(&b"freshet/1".to_vec()));
        assert_eq!(Agreed::read(b"freshet/1"), Some(Agreed::On(Level(1))));
        assert_eq!((Agreed::read(b"h3"), Agreed::read(b"freshet/x")), (None, None));
    }
}
