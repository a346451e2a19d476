//! The configuration: what can be set, its defaults, and where each effective value comes from.
//!
//! ```text
//! defaults < FILE (TOML) < FRESHET_SECTION__KEY < flags ──load──▶ Loaded { config, sources } ──print──▶ text
//! ```
//! The structs of the services stand beside their users, in the crates of those; here is only what the binary itself
//! needs. Unknown keys are errors that suggest the right one.

mod error;
mod load;
mod optional;
mod place;
mod print;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use freshet_control_plane::{
    ca::{JOINED, LONGEST},
    channel::{Policy, Times},
};
use freshet_proto::{id::ChannelName, level::Level};
use serde::{Deserialize, Serialize};

pub use self::{
    error::ConfigError,
    load::{Loaded, Override, load},
    place::Place,
    print::print,
};

/// Everything that can be configured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Who this node is and where it keeps its state.
    pub node: Node,
    /// Where it listens.
    pub listen: Listen,
    /// How nodes reach and recognise each other.
    pub quic: Quic,
    /// Which versions of the node protocol are spoken.
    pub protocol: Protocol,
    /// Where this node is and how clients reach it (origin, edge).
    pub place: Place,
    /// Certificates for viewers and encoders.
    pub tls: Tls,
    /// Logs.
    pub log: Log,
    /// How the control nodes agree (control).
    pub control: Control,
    /// Accounts and the REST API (control).
    pub accounts: AccountsSection,
    /// How long signing keys live (control).
    pub keys: freshet_control_plane::keys::Config,
    /// How long sessions outlive their publishers (an origin without control nodes; control, when it founds a platform).
    pub registry: Times,
    /// Ingest, packaging and what is kept (origin).
    pub origin: freshet_origin::Config,
    /// Cache, reloads and connections of viewers (edge).
    pub edge: freshet_edge::Config,
    /// Limits and deadlines of chat (edge).
    pub chat: freshet_chat_mesh::hub::Config,
    /// The channels of an origin and the files that hold their stream keys.
    pub channels: Vec<Channel>,
}

/// Who this node is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Node {
    /// The number of an origin without control nodes. A node that joins is given its own.
    pub id: u64,
    /// The name that a platform's first control node takes. A node that joins says its own.
    pub name: String,
    /// Where the node keeps its papers and its state, written with fsync. Created if absent.
    pub data: PathBuf,
}

impl Default for Node {
    fn default() -> Self {
        Self { id: 1, name: "localhost".into(), data: "./freshet-data".into() }
    }
}

/// Where the node listens. Port 0 picks a free one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// HTTP for viewers (edge). Redirects to HTTPS where there is a certificate and `tls.redirect_http` is on.
    pub http: SocketAddr,
    /// HTTPS for viewers (edge), where there is a certificate.
    pub https: SocketAddr,
    /// RTMP for encoders (origin).
    pub rtmp: SocketAddr,
    /// RTMPS for encoders (origin), where there is a certificate.
    pub rtmps: SocketAddr,
    /// QUIC for other nodes.
    pub quic: SocketAddr,
    /// `/healthz`, `/readyz` and `/metrics`. Loopback unless told: they are for the operator.
    pub admin: SocketAddr,
    /// Twitch's dialect of IRC for bots (edge), over TCP. Off unless set; 6667 is usual.
    #[serde(with = "optional")]
    pub irc: Option<SocketAddr>,
    /// The same over TLS, where there is a certificate. 6697 is usual.
    #[serde(with = "optional")]
    pub ircs: Option<SocketAddr>,
    /// The same over WebSocket at `/`, without TLS.
    #[serde(with = "optional")]
    pub irc_ws: Option<SocketAddr>,
    /// The same over WebSocket with TLS, where there is a certificate. tmi.js knows no port but 443.
    #[serde(with = "optional")]
    pub irc_wss: Option<SocketAddr>,
}

impl Default for Listen {
    fn default() -> Self {
        let any = |port| SocketAddr::from(([0, 0, 0, 0], port));
        Self {
            http: any(8080),
            https: any(8443),
            rtmp: any(1935),
            rtmps: any(1936),
            quic: any(4430),
            admin: SocketAddr::from(([127, 0, 0, 1], 9090)),
            irc: None,
            ircs: None,
            irc_ws: None,
            irc_wss: None,
        }
    }
}

/// How nodes reach and recognise each other. The files come from `freshet ca issue`, for nodes without control nodes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quic {
    /// The node's certificate chain (PEM).
    #[serde(with = "optional")]
    pub certificate: Option<PathBuf>,
    /// The key of that certificate (PEM).
    #[serde(with = "optional")]
    pub key: Option<PathBuf>,
    /// The authority that every node's certificate must come from (PEM).
    #[serde(with = "optional")]
    pub ca: Option<PathBuf>,
    /// The address that other nodes reach this one at; needed when `listen.quic` is not one.
    #[serde(with = "optional")]
    pub advertise: Option<SocketAddr>,
    /// The origin an edge learns from and pulls from: `HOST:PORT`, where HOST is the name or address that the
    /// origin's certificate carries; `NAME@ADDRESS:PORT` where the name can't be resolved.
    #[serde(with = "optional")]
    pub origin: Option<String>,
}

/// Which versions of the node protocol are spoken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Protocol {
    /// The newest version that this node speaks, reads and writes; it speaks the one before too. Holds a node back while a
    /// platform is upgraded. A control node can't go back below what all control nodes have agreed on.
    #[serde(deserialize_with = "level")]
    pub at_most: Level,
}

impl Default for Protocol {
    fn default() -> Self {
        Self { at_most: Level::NEWEST }
    }
}

/// A version that this program knows.
fn level<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Level, D::Error> {
    let level = Level::deserialize(from)?;
    if (Level::FIRST..=Level::NEWEST).contains(&level) {
        return Ok(level);
    }
    let (first, newest) = (Level::FIRST, Level::NEWEST);
    let why = format!("protocol.at_most is {level}; this program speaks versions {first} to {newest} of the protocol");
    Err(serde::de::Error::custom(why))
}

/// How the control nodes agree, and for how long they certify nodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Control {
    /// For how many minutes a node's certificate is valid, 1 to 525,600. Default 43,200: 30 days. A node renews its own after
    /// two thirds of that and can't come back once it was off for longer. The same on all control nodes.
    pub certificate_minutes: u32,
    /// A file with the key-encryption key that signing keys are wrapped with: 32 bytes in base64; below it, one a line, those
    /// that it replaces. The same on all control nodes. Without it, and without `FRESHET_KEK` in the environment, `kek` in
    /// `node.data`, which the first control node makes.
    #[serde(with = "optional")]
    pub kek_file: Option<PathBuf>,
    /// How fast the consensus reacts, and how much it keeps.
    pub raft: freshet_control_plane::raft::Config,
}

impl Default for Control {
    fn default() -> Self {
        Self { certificate_minutes: (JOINED.as_secs() / 60) as u32, kek_file: None, raft: Default::default() }
    }
}

impl Control {
    /// The most that [`Control::certificate_minutes`] may be: a year.
    const MAX_MINUTES: u32 = (LONGEST.as_secs() / 60) as u32;

    /// For how long a node's certificate is valid.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] when it is out of range.
    pub fn certified_for(&self) -> Result<Duration, ConfigError> {
        match self.certificate_minutes {
            minutes @ 1..=Self::MAX_MINUTES => Ok(Duration::from_secs(60 * u64::from(minutes))),
            other => Err(ConfigError::Invalid {
                key: "control.certificate_minutes",
                what: format!("{other} is out of range; say 1 to {}", Self::MAX_MINUTES),
            }),
        }
    }
}

/// Accounts and the REST API.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountsSection {
    /// Where accounts are kept: `postgres://…`, or `sqlite:FILE`. Empty, the default: on the first control node, in
    /// `accounts.db` under `node.data`; control nodes that joined it keep none, and while that node is down nobody signs in. The
    /// same PostgreSQL on all control nodes lets each answer. Leave the password to PostgreSQL's own ways (`PGPASSWORD`,
    /// `.pgpass`), or set all of it as `FRESHET_ACCOUNTS__DATABASE_URL`.
    pub database_url: String,
    /// Who may register: `open`, `invite` or `closed`; until an administrator says otherwise on the site.
    pub registration: freshet_control_plane::accounts::Registration,
    /// A session ends when it was not refreshed for so many seconds. Default 30 days.
    pub session_idle_s: u64,
    /// A session ends after so many seconds, however much it is used. Default 365 days.
    pub session_max_s: u64,
}

impl std::fmt::Debug for AccountsSection {
    /// Leaves the database's address out, which may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { registration, session_idle_s, session_max_s, .. } = self;
        write!(f, "AccountsSection({registration:?}, {session_idle_s} s, {session_max_s} s)")
    }
}

impl Default for AccountsSection {
    fn default() -> Self {
        let freshet_control_plane::accounts::Config { registration, session_idle_s, session_max_s, .. } =
            Default::default();
        Self { database_url: String::new(), registration, session_idle_s, session_max_s }
    }
}

impl AccountsSection {
    /// What a control node is started with.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] for what names no database.
    pub fn plan(&self) -> Result<crate::node::AccountsPlan, ConfigError> {
        let invalid = |error: freshet_control_plane::accounts::UnknownDatabase| ConfigError::Invalid {
            key: "accounts.database_url",
            what: error.to_string(),
        };
        let named = (!self.database_url.is_empty()).then(|| self.database_url.parse()).transpose();
        let Self { registration, session_idle_s, session_max_s, .. } = *self;
        let config = freshet_control_plane::accounts::Config {
            registration,
            session_idle_s,
            session_max_s,
            ..Default::default()
        };
        Ok(crate::node::AccountsPlan { database: named.map_err(invalid)?, config })
    }
}

/// Certificates for viewers and encoders, read again on SIGHUP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// Certificate chain (PEM). Without one there is no HTTPS and no RTMPS.
    #[serde(with = "optional")]
    pub certificate: Option<PathBuf>,
    /// The key of that certificate (PEM).
    #[serde(with = "optional")]
    pub key: Option<PathBuf>,
    /// Whether `listen.http` sends viewers on to HTTPS. Turn it off behind a proxy that ends TLS.
    pub redirect_http: bool,
    /// The port viewers reach HTTPS at, for redirects; 0 stands for that of `listen.https`.
    pub public_https_port: u16,
}

impl Default for Tls {
    fn default() -> Self {
        Self { certificate: None, key: None, redirect_http: true, public_https_port: 0 }
    }
}

/// Logs, written to standard error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `auto` (human on a terminal, JSON otherwise), `human` or `json`.
    pub format: LogFormat,
    /// What is written, as in `info,freshet_edge=debug`.
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Auto, filter: "info".into() }
    }
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Human on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// A channel and the secret that lets an encoder publish to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// Where it is watched: `/c/{name}`.
    pub name: ChannelName,
    /// A file whose only line is the stream key, readable by nobody else. There is no default.
    pub stream_key_file: PathBuf,
    /// What becomes of a second encoder while the first is live: `newest` wins (default), wins if the first is
    /// `silent`, or `reject`.
    #[serde(default)]
    pub policy: Policy,
}

impl Channel {
    /// Reads the stream key.
    ///
    /// # Errors
    /// [`ConfigError::StreamKey`] when the file can't be read or holds no usable key.
    pub fn stream_key(&self) -> Result<String, ConfigError> {
        read_secret(&self.stream_key_file).map_err(|reason| ConfigError::StreamKey {
            channel: self.name.clone(),
            file: self.stream_key_file.clone(),
            reason,
        })
    }
}

/// The shortest stream key that is accepted, in bytes: 16 hexadecimal digits are 64 bits.
const MIN_KEY_LEN: usize = 16;

fn read_secret(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let key = text.trim();
    match key {
        "" => Err("the file is empty".into()),
        _ if key.contains(char::is_whitespace) => Err("a key is one word on one line".into()),
        _ if key.len() < MIN_KEY_LEN => Err(format!("a key has at least {MIN_KEY_LEN} characters")),
        key => Ok(key.to_owned()),
    }
}

#[cfg(test)]
mod tests;
