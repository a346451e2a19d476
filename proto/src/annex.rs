//! What the platform has agreed on besides who is live and who is there: keys, revocations, where nodes are, what channels
//! are like, which hubs chat is spread over. Since version 2 ([`crate::level`]), so it travels and is kept beside the view, each part whole whenever it
//! changes: all of it changes rarely and is small.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    id::{ChannelName, Epoch, NodeId},
    view::{Bar, Role},
};

pub use crate::hub::{HubMember, Hubs};

/// All of it, as a node knows it. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annex {
    /// With which keys tokens are made and verified.
    pub keys: Arc<Keyring>,
    /// What is good no more before its time.
    pub revoked: Arc<Revocations>,
    /// Where nodes are.
    pub places: Arc<Places>,
    /// What channels are like, where they are not like others.
    pub marks: Arc<Marks>,
    /// Which hubs chat is spread over.
    pub hubs: Arc<Hubs>,
}

/// One part of the [`Annex`], whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Part {
    /// See [`Annex::keys`].
    Keys(Arc<Keyring>),
    /// See [`Annex::revoked`].
    Revoked(Arc<Revocations>),
    /// See [`Annex::places`].
    Places(Arc<Places>),
    /// See [`Annex::marks`].
    Marks(Arc<Marks>),
    /// See [`Annex::hubs`].
    Hubs(Arc<Hubs>),
}

impl Part {
    /// The log index of its last change; 0 where there was none.
    pub fn revision(&self) -> u64 {
        match self {
            Self::Keys(part) => part.revision,
            Self::Revoked(part) => part.revision,
            Self::Places(part) => part.revision,
            Self::Marks(part) => part.revision,
            Self::Hubs(part) => part.revision,
        }
    }

    /// What a node of this role may know of it: the secrets of path tokens are the edges' alone.
    #[must_use]
    pub fn for_role(self, role: Option<Role>) -> Self {
        match self {
            Self::Keys(keys) if role != Some(Role::Edge) && !keys.path.is_empty() => {
                Self::Keys(Arc::new(Keyring { path: Vec::new(), ..Keyring::clone(&keys) }))
            }
            part => part,
        }
    }
}

impl Annex {
    /// How many parts there are.
    pub const PARTS: usize = 5;

    /// Every part.
    pub fn parts(&self) -> [Part; Self::PARTS] {
        [
            Part::Keys(self.keys.clone()),
            Part::Revoked(self.revoked.clone()),
            Part::Places(self.places.clone()),
            Part::Marks(self.marks.clone()),
            Part::Hubs(self.hubs.clone()),
        ]
    }

    /// Replaces one part.
    pub fn put(&mut self, part: Part) {
        match part {
            Part::Keys(keys) => self.keys = keys,
            Part::Revoked(revoked) => self.revoked = revoked,
            Part::Places(places) => self.places = places,
            Part::Marks(marks) => self.marks = marks,
            Part::Hubs(hubs) => self.hubs = hubs,
        }
    }

    /// The same, unless what is there is newer; tells whether anything changed.
    pub fn put_newer(&mut self, part: Part) -> bool {
        let known =
            self.parts().into_iter().find(|known| std::mem::discriminant(known) == std::mem::discriminant(&part));
        let newer = known.is_none_or(|known| part.revision() >= known.revision() && part != known);
        if newer {
            self.put(part);
        }
        newer
    }

    /// What is known stays, but whatever comes next is newer: the registry is another one than before.
    pub fn forget_revisions(&mut self) {
        Arc::make_mut(&mut self.keys).revision = 0;
        Arc::make_mut(&mut self.revoked).revision = 0;
        Arc::make_mut(&mut self.places).revision = 0;
        Arc::make_mut(&mut self.marks).revision = 0;
        Arc::make_mut(&mut self.hubs).revision = 0;
    }
}

/// The keys that tokens are verified with, and the secrets of path tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyring {
    /// The log index of the last change; 0 where there was none.
    pub revision: u64,
    /// Public halves of the signing keys that are pending, active or retiring. At most [`Keyring::MAX`].
    pub signing: Vec<SigningKey>,
    /// Newest last; at edges alone. At most [`Keyring::MAX`].
    pub path: Vec<PathSecret>,
}

impl Keyring {
    /// How many keys, and how many secrets, there may be at once.
    pub const MAX: usize = 16;

    /// The key of that identifier.
    pub fn signing_key(&self, kid: &str) -> Option<&SigningKey> {
        self.signing.iter().find(|key| key.kid == kid)
    }

    /// The public halves as a JWK Set (RFC 7517 §5), for `/.well-known/jwks.json`: those that sign, will sign, and have signed
    /// what is still good.
    pub fn jwks(&self) -> String {
        let keys: Vec<&str> = self.signing.iter().map(|key| key.jwk.as_str()).collect();
        format!("{{\"keys\":[{}]}}", keys.join(","))
    }
}

/// The public half of a key that signs tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKey {
    /// Its RFC 7638 thumbprint (SHA-256, base64url).
    pub kid: String,
    /// The one algorithm that it is used with.
    pub algorithm: Algorithm,
    /// The public half as a JWK (RFC 7517), JSON, with its `kid`, `alg` and `use`.
    pub jwk: String,
    /// Where it stands in its life.
    pub state: KeyState,
}

/// How tokens are signed (RFC 7518 §3.1, RFC 8037).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Algorithm {
    /// Ed25519.
    #[default]
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256, 2048 bits.
    #[serde(rename = "RS256")]
    Rs256,
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        })
    }
}

/// Where a signing key stands in its life. Keys that are retired or revoked are in no keyring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum KeyState {
    /// Published, so that everybody knows it before it signs.
    Pending,
    /// It signs.
    Active,
    /// It signs no more; what it has signed is still good.
    Retiring,
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Retiring => "retiring",
        })
    }
}

/// A secret under which edges mint and check path tokens.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathSecret {
    /// Its number, named in each token.
    pub id: u32,
    /// The HMAC-SHA256 key.
    pub secret: [u8; 32],
    /// Since when edges mint with it, in ms since 1970: the newest that has begun counts.
    pub since_ms: u64,
    /// Until when tokens that were minted with it are good; `u64::MAX` until its successor is made.
    pub until_ms: u64,
}

impl fmt::Debug for PathSecret {
    /// Leaves the secret out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PathSecret({} from {} to {})", self.id, self.since_ms, self.until_ms)
    }
}

/// What is good no more before its time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocations {
    /// The log index of the last change; 0 where there was none.
    pub revision: u64,
    /// What was minted up to [`Bar::since_ms`] is refused; after [`Bar::until_ms`] nothing of it is left to refuse. At most
    /// [`Revocations::MAX`].
    pub bars: BTreeMap<Revoked, Bar>,
}

impl Revocations {
    /// How many are remembered.
    pub const MAX: usize = 10_000;

    /// Whether what was minted at `minted_ms` is refused on account of `what`.
    pub fn bars(&self, what: &Revoked, minted_ms: u64) -> bool {
        self.bars.get(what).is_some_and(|bar| minted_ms <= bar.since_ms)
    }
}

/// Whose tokens are refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Revoked {
    /// A playback session's.
    Playback(u64),
    /// All for one channel.
    Channel(ChannelName),
    /// An account's, by its id.
    User(String),
    /// A login's, by its id.
    Login(String),
}

/// Where nodes are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places {
    /// The log index of the last change; 0 where there was none.
    pub revision: u64,
    /// Those that have said so.
    pub nodes: BTreeMap<NodeId, Place>,
}

/// Where a node is and how clients reach it. Every text has at most [`Place::MAX_TEXT`] bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// A short name (`fra`); nodes of one region are near each other.
    pub region: String,
    /// Latitude and longitude in ten-thousandths of a degree (11 m), where they are known.
    pub position: Option<(i32, i32)>,
    /// Where viewers come (`https://fra-1.example.org`), without a slash at the end; empty where they don't.
    pub https: String,
    /// Where encoders come (`rtmp://fra-1.example.org:1935`); empty where they don't.
    pub rtmp: String,
    /// The same with TLS.
    pub rtmps: String,
    /// How many viewers, or publishers, it is meant for; 0 where nobody said.
    pub capacity: u32,
}

impl Place {
    /// The longest text, in bytes.
    pub const MAX_TEXT: usize = 255;
}

/// What channels are like that are not like others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// The log index of the last change; 0 where there was none.
    pub revision: u64,
    /// A channel that is not named has [`Mark::default`].
    pub channels: BTreeMap<ChannelName, Mark>,
}

impl Marks {
    /// What `channel` is like.
    pub fn of(&self, channel: &ChannelName) -> Mark {
        self.channels.get(channel).copied().unwrap_or_default()
    }
}

/// What a channel is like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Who may watch it.
    pub visibility: Visibility,
    /// Objects of publishes up to this one are refused everywhere.
    pub purged: Epoch,
}

/// Who may watch a channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Visibility {
    /// Everybody, and it is listed.
    #[default]
    Public,
    /// Everybody who knows its name.
    Unlisted,
    /// Who has a playback token.
    Private,
}

/// How busy nodes are: told to the leader every 2 s, kept in memory alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loads {
    /// Those that were heard within a lease.
    pub nodes: BTreeMap<NodeId, Load>,
}

/// How busy a node is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Viewers at an edge, publishers at an origin.
    pub clients: u32,
    /// Of what it can do, in thousandths.
    pub permille: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(revision: u64, secrets: usize) -> Part {
        let secret = |id| PathSecret { id, secret: [7; 32], since_ms: 0, until_ms: 1 };
        let path = (0..secrets as u32).map(secret).collect();
        Part::Keys(Arc::new(Keyring { revision, signing: vec![], path }))
    }

    #[test]
    fn the_secrets_of_path_tokens_reach_edges_alone() {
        let Part::Keys(edge) = keys(1, 2).for_role(Some(Role::Edge)) else { panic!() };
        assert_eq!(edge.path.len(), 2);
        for role in [None, Some(Role::Origin), Some(Role::Control)] {
            let Part::Keys(other) = keys(1, 2).for_role(role) else { panic!() };
            assert_eq!(other.path.len(), 0, "{role:?}");
        }
    }

    #[test]
    fn an_older_part_replaces_no_newer_one_unless_the_registry_is_another() {
        let mut annex = Annex::default();
        assert!(annex.put_newer(keys(5, 1)));
        assert!(!annex.put_newer(keys(5, 1)) && !annex.put_newer(keys(4, 2)));
        annex.forget_revisions();
        assert!(annex.put_newer(keys(4, 2)));
        assert_eq!(annex.keys.path.len(), 2);
    }

    #[test]
    fn the_public_halves_are_a_jwk_set() {
        let key = |kid: &str| SigningKey {
            kid: kid.to_owned(),
            algorithm: Algorithm::EdDsa,
            jwk: format!("{{\"kid\":{kid:?}}}"),
            state: KeyState::Active,
        };
        let ring = Keyring { signing: vec![key("a"), key("b")], ..Keyring::default() };
        assert_eq!(ring.jwks(), r#"{"keys":[{"kid":"a"},{"kid":"b"}]}"#);
        assert_eq!(Keyring::default().jwks(), r#"{"keys":[]}"#);
    }

    #[test]
    fn no_secret_is_printed() {
        assert!(!format!("{:?}", keys(1, 1)).contains("7, 7"));
    }
}
