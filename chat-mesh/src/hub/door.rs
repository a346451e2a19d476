//! Who comes, and to which channels: by the platform's view, as it is now.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

use freshet_proto::{
    annex::{Revoked, Visibility},
    chat::{DisplayName, User, UserId},
    clock::WallClock,
    id::ChannelName,
    token::{Audience, Claims, Verifier},
    view::View,
};
use http::{HeaderMap, Uri, header};
use tokio::sync::watch;

use crate::protocol::Identity;

/// The role of the platform's administrators, as tokens say it.
pub(super) const ADMIN: &str = "admin";

/// What a channel is to those who come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// There is no such channel.
    Unknown,
    /// Everybody may read it.
    Open,
    /// Only who may watch it.
    Private,
}

/// Whose a connection is: what its tokens say.
#[derive(Debug, Clone, Default)]
pub struct Holder {
    /// Who it is; `None` where it has shown a playback token alone.
    pub identity: Option<Identity>,
    /// The channel whose private playback it was let into.
    pub watches: Option<ChannelName>,
    /// What the token may be revoked by, and when it was made.
    revocable: Vec<(Revoked, u64)>,
}

/// By how many things one connection's tokens may be revoked: a few tokens of one person.
const MAX_REVOCABLE: usize = 16;

impl Holder {
    /// What both show: the connection ends when either is revoked, and watches what either lets it watch. `None` for more
    /// tokens of different sessions than a client has use for.
    pub fn after(mut self, earlier: &Self) -> Option<Self> {
        self.watches = self.watches.or_else(|| earlier.watches.clone());
        for (what, minted_ms) in &earlier.revocable {
            match self.revocable.iter_mut().find(|(known, _)| known == what) {
                Some((_, known_ms)) => *known_ms = (*known_ms).min(*minted_ms),
                None => self.revocable.push((what.clone(), *minted_ms)),
            }
        }
        (self.revocable.len() <= MAX_REVOCABLE).then_some(self)
    }
}

/// See the module.
pub struct Door {
    view: watch::Receiver<Arc<View>>,
    clock: WallClock,
    /// The newest keyring, prepared.
    verifier: Mutex<Option<(u64, Arc<Verifier>)>>,
    origins: Vec<String>,
}

impl Door {
    /// Goes by `view`. Pages of `origins` may connect, beside those of the platform itself.
    pub fn new(view: watch::Receiver<Arc<View>>, clock: WallClock, origins: Vec<String>) -> Self {
        Self { view, clock, verifier: Mutex::default(), origins }
    }

    /// What `channel` is now.
    pub fn channel(&self, channel: &ChannelName) -> Access {
        let view = self.view.borrow();
        match view.annex.marks.of(channel).visibility {
            _ if !view.channels.contains_key(channel) => Access::Unknown,
            Visibility::Private => Access::Private,
            _ => Access::Open,
        }
    }

    /// Whose `token` is: an access token, or a playback token for the channel that it names. Costs about 0.1 ms.
    pub fn identify(&self, token: &str) -> Option<Box<Holder>> {
        let now_ms = self.clock.now_ms();
        let annex = self.view.borrow().annex.clone();
        let verifier = self.verifier(&annex);
        let claims = verifier
            .verify(token, Audience::Api, now_ms, &annex.revoked)
            .or_else(|_| verifier.verify(token, Audience::Playback, now_ms, &annex.revoked));
        match claims {
            Ok(claims) => holder(claims),
            Err(why) => {
                tracing::debug!(%why, "a token was refused");
                None
            }
        }
    }

    fn verifier(&self, annex: &freshet_proto::annex::Annex) -> Arc<Verifier> {
        let mut kept = self.verifier.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((revision, verifier)) if *revision == annex.keys.revision => verifier.clone(),
            _ => {
                let verifier = Arc::new(Verifier::new(&annex.keys));
                *kept = Some((annex.keys.revision, verifier.clone()));
                verifier
            }
        }
    }

    /// Whether nothing of a connection's tokens has been revoked since. That a token has run out ends no connection.
    pub fn is_good(&self, holder: &Holder) -> bool {
        let revoked = self.view.borrow().annex.revoked.clone();
        !holder.revocable.iter().any(|(what, minted_ms)| revoked.bars(what, *minted_ms))
    }

    /// Whether a page may connect, by its `Origin` (RFC 6455 §10.2). What sends none is no browser.
    ///
    /// Pages of the host that is asked may, those of the platform's other nodes, and those that are configured: as
    /// `https://example.org`, or `*` for all.
    pub fn admits(&self, headers: &HeaderMap, uri: &Uri) -> bool {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let Some(origin) = origins.next() else { return true };
        let (Ok(origin), None) = (origin.to_str(), origins.next()) else { return false };
        if self.origins.iter().any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(origin)) {
            return true;
        }
        let asked = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let asked = asked.or(uri.authority().map(|authority| authority.as_str())).and_then(host);
        let Some(theirs) = origin.split_once("://").and_then(|(_, authority)| host(authority)) else { return false };
        let same = asked.is_some_and(|asked| asked.eq_ignore_ascii_case(theirs));
        let of_nodes = || {
            let places = self.view.borrow().annex.places.clone();
            places.nodes.values().any(|place| place.https.eq_ignore_ascii_case(origin))
        };
        same || of_nodes()
    }

    /// Tells of every change of the view.
    pub fn changes(&self) -> watch::Receiver<Arc<View>> {
        self.view.clone()
    }
}

/// The host of an authority, without its port.
fn host(authority: &str) -> Option<&str> {
    let host = match authority.strip_prefix('[') {
        Some(ipv6) => ipv6.split_once(']')?.0,
        None => authority.split(':').next()?,
    };
    (!host.is_empty()).then_some(host)
}

fn holder(claims: Claims) -> Option<Box<Holder>> {
    let minted_ms = claims.iat_ms;
    let mut revocable = vec![(Revoked::User(claims.sub.clone()), minted_ms)];
    revocable.extend(claims.sid.clone().map(|sid| (Revoked::Login(sid), minted_ms)));
    if claims.aud == Audience::Playback {
        let channel = claims.channel?;
        revocable.push((Revoked::Channel(channel.clone()), minted_ms));
        revocable.push((Revoked::Playback(freshet_proto::token::playback_session(&claims.jti)), minted_ms));
        return Some(Box::new(Holder { identity: None, watches: Some(channel), revocable }));
    }
    let user = User {
        id: UserId::try_from(claims.sub).ok()?,
        login: claims.username.to_lowercase().parse().ok()?,
        name: DisplayName::cut(&claims.username),
        color: claims.color,
    };
    let identity = Identity { user, admin: claims.roles.iter().any(|role| role == ADMIN) };
    Some(Box::new(Holder { identity: Some(identity), watches: None, revocable }))
}

/// What counts as one address: an IPv4 address, or an IPv6 /64.
pub(super) fn household(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_token_takes_nothing_from_the_first() {
        let of = |name: &str, minted_ms| Holder {
            revocable: vec![(Revoked::Login(name.to_owned()), minted_ms)],
            ..Holder::default()
        };
        let earlier = Holder { watches: Some("hidden".parse().unwrap()), ..of("a", 5) };
        let both = of("b", 7).after(&earlier).and_then(|both| of("a", 9).after(&both)).unwrap();
        assert_eq!(both.watches, earlier.watches);
        let login = |name: &str| Revoked::Login(name.to_owned());
        assert_eq!(both.revocable, [(login("a"), 5), (login("b"), 7)]);
        let many = (0..MAX_REVOCABLE).try_fold(of("x", 1), |all, n| of(&format!("s{n}"), 1).after(&all));
        assert!(many.is_none(), "one more than a client may show");
    }

    #[test]
    fn an_authority_has_a_host_with_or_without_a_port() {
        for (authority, expected) in [
            ("example.org", Some("example.org")),
            ("example.org:8443", Some("example.org")),
            ("[::1]:80", Some("::1")),
            ("[::1]", Some("::1")),
            ("[::1", None),
            ("", None),
            (":80", None),
        ] {
            assert_eq!(host(authority), expected, "{authority:?}");
        }
    }

    #[test]
    fn one_address_is_an_ipv4_address_or_the_network_of_an_ipv6_address() {
        let of = |text: &str| household(text.parse().unwrap()).to_string();
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }
}
