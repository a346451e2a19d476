//! The node protocol's messages, in all its versions ([`crate::level`]): one bidirectional QUIC stream per request.
//!
//! ```text
//! asker     ──▶ frame(Request) · its body, if it has one  then the asker finishes its half
//! FETCH     ◀── frame(FetchReply) · `length` bytes · FIN
//! FOLLOW    ◀── { frame(FollowEvent) · its payload }* · FIN
//! WATCH     ◀── { frame(WatchEvent) }*
//! CONSENSUS ◀── frame(length) · `length` bytes · FIN
//! COMMAND, RENEW, ENLIST, ADMIN, JOIN, CERTIFY, REPORT ◀── frame(Result<…, Denied>) · FIN
//! MESH      ◀── frame(()) · { frame(what hubs say) }*
//! MESH also ──▶ datagrams: Datagram · what it says, without answer
//! API       ◀── frame(Result<ApiReply, Denied>) · `length` bytes · FIN
//! ```
//! FETCH and FOLLOW move media, WATCH the view; the rest is asked of control nodes. JOIN alone may be asked without a
//! certificate: it is how a node gets one.
//! A frame is a big-endian `u32` length and that many bytes of postcard, at most [`MAX_FRAME`]. Payloads are raw bytes
//! whose lengths the frame before them tells. A stream that is reset or ends short is an error, never a clean end.
//!
//! A newer version adds variants at the end of enums and sends them only to those who speak it; nothing else ever changes.

mod media;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    admin::AdminCommand,
    annex,
    audience::Audience,
    health::Health,
    hub::HubAsk,
    id::{ChannelName, NodeId, TrackName},
    level::Level,
    object::ResourceName,
    registry::Command,
    view::{Delta, NodeView, Position, Removed, View},
};

pub use media::{Arrival, Constants, ContentType, FetchReply, FetchStatus, FollowEvent, PlaylistHeader, Version};

/// The longest frame, in bytes. A view of 10,000 channels is about 4 MB.
pub const MAX_FRAME: usize = 16 << 20;

/// The largest payload of one object: a 10 s segment at 40 Mbit/s.
pub const MAX_OBJECT: u64 = 64 << 20;

/// What a node asks of another. A request frame longer than [`Request::MAX_FRAME`] is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Request {
    /// One resource, whole. Answered by [`FetchReply`].
    Fetch {
        /// Its name.
        name: ResourceName,
        /// Whether a segment's reply should list its parts, so that only what is lacking need be fetched; the bytes
        /// are then left out and each part is fetched by its own name.
        list_parts: bool,
    },
    /// Everything that becomes of one track. Answered by [`FollowEvent`]s.
    Follow {
        /// The channel.
        channel: ChannelName,
        /// The track.
        track: TrackName,
        /// The newest version the asker has; only what is newer is sent. `None`, or one that fell out of the window,
        /// starts with the newest whole segment: what viewers ask beyond that is fetched.
        after: Option<Version>,
    },
    /// The registry's view and its changes. Answered by [`WatchEvent`]s.
    Watch {
        /// What the asker has; `None` asks for a snapshot.
        after: Option<Position>,
    },
    /// One message of the consensus among control nodes; `length` bytes of body. Answered by such a body.
    Consensus {
        /// How many bytes the body has.
        length: u32,
    },
    /// A change that an origin asks of the registry. Answered by `Result<Option<Claimed>, Denied>`.
    Command {
        /// Drawn anew for each change: a change that is asked twice happens once.
        nonce: u64,
        /// The change.
        command: Command,
    },
    /// A node shows that it is alive and what it is now. Answered by `Result<Lease, Denied>`.
    Renew {
        /// Who.
        node: NodeId,
        /// What others may know of it.
        view: NodeView,
        /// Drawn anew by each process: publishers of the one before are lost.
        life: u64,
    },
    /// A control node that has joined asks for its place in the consensus. Answered by `Result<(), Denied>`.
    Enlist {
        /// Who.
        node: NodeId,
        /// What others may know of it.
        view: NodeView,
    },
    /// What an operator asks, from a control node's host. Answered by `Result<AdminReply, Denied>`.
    Admin(AdminCommand),
    /// Who wants to be a node presents a join token. Answered by `Result<Joined, Denied>`.
    Join(Join),
    /// A node asks for a new certificate before its own runs out. Answered by `Result<Certified, Denied>`.
    Certify {
        /// A certificate signing request (PKCS #10, RFC 2986), DER.
        request: Vec<u8>,
    },
    /// Since version 2. What time it is. Answered by a `u64`, milliseconds since 1970 UTC, whatever the role.
    Clock,
    /// Since version 2. Where the asker is and how busy; `length` bytes of body, a [`Report`]. Answered by
    /// `Result<Loads, Denied>`.
    Report {
        /// How many bytes the body has.
        length: u32,
    },
    /// Since version 2. What a client asks of the REST API, as its edge passes it on; `length` bytes of body, a
    /// [`crate::api::ApiRequest`]. Answered by `Result<ApiReply, Denied>` ([`crate::api::ApiReply`]) and then `length` bytes.
    Api {
        /// How many bytes the body has.
        length: u32,
    },
    /// Since version 2. A chat hub renews its place in the mesh, comes in or leaves. Answered by
    /// `Result<HubLease, Denied>` ([`crate::hub::HubLease`]).
    Hub(HubAsk),
    /// Since version 2. What a channel's home asks of those who keep its chat's durable part; `length` bytes of body, a
    /// [`crate::chat::ChatRequest`]. Answered by `Result<ChatReply, Denied>` ([`crate::chat::ChatReply`]).
    Chat {
        /// How many bytes the body has.
        length: u32,
    },
    /// Since version 2. A chat hub asks another for one lane of all that this one has to say to it. Answered by an empty
    /// frame and then frames whose content is the hubs' own, until the link ends.
    Mesh {
        /// Who asks.
        node: NodeId,
        /// Drawn anew for each link: lanes of one belong together, and end together.
        link: u64,
        /// Which lane.
        lane: u8,
    },
}

/// What a node tells another by a datagram (RFC 9221) on the connection on which it asks: it may be lost, and nothing
/// answers. What follows it up to the datagram's end depends on what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Datagram {
    /// Since version 2. What one chat hub says to another follows; it is the hubs' own.
    Mesh {
        /// Who says so: to be believed where the connection's certificate is that node's.
        node: NodeId,
    },
}

impl Datagram {
    /// The longest, in bytes, header and all: what fits into one packet on every path (RFC 9000 §14 has 1,200 bytes, less
    /// what packet and frame add).
    pub const MAX: usize = 1_150;

    /// Since which version it is understood.
    pub fn since(&self) -> Level {
        match self {
            Self::Mesh { .. } => Level::CHAT,
        }
    }
}

/// Where a node is, how busy, and how its sessions do, every 2 s.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Where it is.
    pub place: annex::Place,
    /// How busy.
    pub load: annex::Load,
    /// How many watch which channel here.
    pub viewers: BTreeMap<ChannelName, u32>,
    /// How the sessions do that are open here; at most [`Report::MAX_SESSIONS`].
    pub health: BTreeMap<ChannelName, Health>,
    /// How viewers fare here, as their players tell; at most [`Report::MAX_AUDIENCES`].
    pub audience: BTreeMap<ChannelName, Audience>,
}

impl Report {
    /// The longest, in bytes.
    pub const MAX: usize = 2 << 20;

    /// Of how many sessions one is told: four times as many as an origin takes unless told otherwise. Nothing is told of
    /// those beyond.
    pub const MAX_SESSIONS: usize = 4000;

    /// Of the viewers of how many channels one is told: as many as an edge keeps apart. About 200 bytes each.
    pub const MAX_AUDIENCES: usize = 4000;
}

/// What a node that wants to join presents.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// The token's secret part. Never logged.
    pub token: String,
    /// The name it wants.
    pub name: String,
    /// A certificate signing request (PKCS #10, RFC 2986), DER.
    pub request: Vec<u8>,
}

impl std::fmt::Debug for Join {
    /// Leaves the token out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Join({})", self.name)
    }
}

/// What a node that has joined is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// Its number.
    pub node: NodeId,
    /// What it is for.
    pub role: crate::view::Role,
    /// Its certificate and the authority's.
    pub certified: Certified,
    /// The control nodes there are.
    pub control: Vec<NodeView>,
}

/// A certificate, PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certified {
    /// The node's.
    pub certificate: String,
    /// The authority's.
    pub authority: String,
}

/// For how long a node that has shown itself counts as alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Milliseconds from now.
    pub ttl_ms: u64,
    /// Whether the node is to take nothing new.
    pub draining: bool,
}

/// Why a control node did not do what was asked of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// Another control node leads: ask that one.
    #[error("another control node leads")]
    Elsewhere(Option<NodeView>),
    /// The registry says no.
    #[error(transparent)]
    Refused(#[from] crate::registry::Refused),
    /// The asker's doing: it may not ask that.
    #[error("{0}")]
    Forbidden(String),
}

impl Request {
    /// The longest request frame, in bytes.
    pub const MAX_FRAME: usize = 4096;

    /// The longest body, in bytes: a snapshot of the registry with 100,000 channels is about 20 MB before it is
    /// compressed.
    pub const MAX_BODY: u32 = 64 << 20;

    /// How many bytes follow the request's frame.
    pub fn body_length(&self) -> u32 {
        match self {
            Self::Consensus { length } | Self::Report { length } | Self::Api { length } | Self::Chat { length } => {
                *length
            }
            _ => 0,
        }
    }

    /// Whether it may come from someone who shows no certificate.
    pub fn is_for_strangers(&self) -> bool {
        matches!(self, Self::Join(_))
    }

    /// Since which version it can be asked.
    pub fn since(&self) -> Level {
        match self {
            Self::Admin(AdminCommand::Levels) => Level::CUTS_OFF,
            Self::Admin(
                AdminCommand::Keys
                | AdminCommand::RotateKeys { .. }
                | AdminCommand::RevokeKey { .. }
                | AdminCommand::DropPathSecrets
                | AdminCommand::Revoke(_)
                | AdminCommand::Charter { .. }
                | AdminCommand::Start { .. }
                | AdminCommand::End { .. }
                | AdminCommand::Purge { .. }
                | AdminCommand::SetVisibility { .. }
                | AdminCommand::Health { .. }
                | AdminCommand::Audience { .. }
                | AdminCommand::Viewers
                | AdminCommand::Census
                | AdminCommand::History { .. },
            )
            | Self::Command { command: Command::Test { .. }, .. } => Level::ANNEX,
            Self::Clock => Level::TELLS_TIME,
            Self::Report { .. } | Self::Api { .. } => Level::ANNEX,
            Self::Hub(_) | Self::Chat { .. } | Self::Mesh { .. } => Level::CHAT,
            _ => Level::FIRST,
        }
    }

    /// Its verb, for metrics and logs.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Fetch { .. } => "fetch",
            Self::Follow { .. } => "follow",
            Self::Watch { .. } => "watch",
            Self::Consensus { .. } => "consensus",
            Self::Command { .. } => "command",
            Self::Renew { .. } => "renew",
            Self::Enlist { .. } => "enlist",
            Self::Admin(_) => "admin",
            Self::Join(_) => "join",
            Self::Certify { .. } => "certify",
            Self::Clock => "clock",
            Self::Report { .. } => "report",
            Self::Api { .. } => "api",
            Self::Hub(_) => "hub",
            Self::Chat { .. } => "chat",
            Self::Mesh { .. } => "mesh",
        }
    }
}

/// What becomes of the view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum WatchEvent {
    /// The whole view. Replaces whatever the watcher had.
    Snapshot(View),
    /// One change; its revision is greater than any before.
    Delta(Delta),
    /// Nothing changed up to this revision. Sent every 5 s.
    Bookmark(u64),
    /// Since version 2. Who was removed, all of them: after the first events, and whenever it changes.
    Removed(Removed),
    /// Since version 2. One part of the annex, whole: after the first events, and whenever it changes.
    Annex(annex::Part),
}
