//! Why a publisher's connection ends: what is logged once, what is counted, and what the encoder is told.

use std::{io, time::Duration};

use freshet_media::{flv::FlvError, rtmp::RtmpError};
use freshet_proto::registry::{Departure, Refused};

use super::wire::NotReading;
use crate::broadcast::Dismissal;

/// The end of a connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Close {
    /// The encoder ended its publish, then the connection.
    #[error("the encoder left")]
    Left,
    /// The connection went away during a publish.
    #[error("the connection was lost: {0}")]
    Lost(io::Error),
    /// Nothing came any more.
    #[error("nothing came for {0:?}")]
    Silent(Duration),
    /// The encoder took too long before it published.
    #[error("no {awaited} within {limit:?}")]
    TooSlow { awaited: &'static str, limit: Duration },
    /// The peer broke the protocol.
    #[error(transparent)]
    Rtmp(#[from] RtmpError),
    /// The TLS handshake failed.
    #[error("TLS: {0}")]
    Tls(io::Error),
    /// The peer lets our answers pile up.
    #[error(transparent)]
    NotReading(#[from] NotReading),
    /// The registry lets the publish not begin.
    #[error("refused: {0}")]
    Refused(#[from] Refused),
    /// This origin has as many publishers as it may.
    #[error("this server has no place for another publisher; try another, or later")]
    NoPlace,
    /// What it sends can't be packaged.
    #[error(transparent)]
    Unsupported(#[from] FlvError),
    /// A private test has lasted as long as it may.
    #[error("the test is over: read its report in the dashboard, and take ?test away from the stream key to go live")]
    Tested,
    /// It had to go.
    #[error("{0}")]
    Dismissed(#[from] Dismissal),
}

impl Close {
    /// The reason in `/metrics`.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Lost(_) => "lost",
            Self::Silent(_) => "silent",
            Self::TooSlow { .. } => "too_slow",
            Self::Rtmp(_) => "protocol",
            Self::Tls(_) => "tls",
            Self::NotReading(_) => "not_reading",
            Self::Refused(Refused::UnknownKey) => "unknown_key",
            Self::Refused(Refused::Fighting { .. }) => "fighting",
            Self::Refused(Refused::AlreadyLive) => "already_live",
            Self::Refused(_) => "registry",
            Self::NoPlace => "no_place",
            Self::Unsupported(_) => "unsupported",
            Self::Tested => "tested",
            Self::Dismissed(Dismissal::TakenOver) => "taken_over",
            Self::Dismissed(Dismissal::Ended) => "ended",
            Self::Dismissed(Dismissal::Draining) => "draining",
        }
    }

    /// Whether the encoder or the platform did what it should; then it is no warning.
    pub(crate) fn is_ordinary(&self) -> bool {
        matches!(self, Self::Left | Self::Tested | Self::Dismissed(_))
    }

    /// The status code with which a running publish is ended, where the encoder can still be told.
    pub(crate) fn status(&self) -> Option<&'static str> {
        match self {
            Self::Unsupported(_) => Some("NetStream.Publish.Rejected"),
            Self::Refused(_) | Self::NoPlace | Self::Tested | Self::Dismissed(Dismissal::TakenOver) => {
                Some("NetStream.Publish.BadName")
            }
            Self::Dismissed(_) | Self::Silent(_) => Some("NetStream.Publish.Failed"),
            _ => None,
        }
    }

    /// What the registry is told of a running publish; `None` where the publish is not the current one any more.
    pub(crate) fn departure(&self) -> Option<Departure> {
        match self {
            Self::Dismissed(Dismissal::TakenOver | Dismissal::Ended) | Self::Refused(_) | Self::Tested => None,
            _ => Some(Departure::Lost),
        }
    }
}
