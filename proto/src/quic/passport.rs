//! What a peer's certificate says of it, and whether nodes that were removed from the platform may still use it.

use quinn::Connection;
use rustls_pki_types::CertificateDer;

use super::{StreamCode, identity::name_of};
use crate::view::Removed;

/// A node's name and since when its certificate is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Passport {
    pub(super) name: String,
    /// `notBefore` (RFC 5280 §4.1.2.5), in ms since 1970.
    since_ms: u64,
}

/// What a removed node is told.
const GONE: &str = "this node was removed from the platform; join it anew (`freshet node join`)";

impl Passport {
    /// What the peer showed; `None` where it showed nothing that names a node.
    pub(super) fn of(connection: &Connection) -> Option<Self> {
        let identity = connection.peer_identity()?;
        Self::read(identity.downcast_ref::<Vec<CertificateDer<'static>>>()?.first()?)
    }

    fn read(certificate: &CertificateDer<'_>) -> Option<Self> {
        let name = name_of(certificate)?;
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
        let seconds = u64::try_from(parsed.validity().not_before.timestamp()).unwrap_or(0);
        Some(Self { name, since_ms: seconds.saturating_mul(1000) })
    }

    /// Ends the connection with words if its holder was removed.
    pub(super) fn cuts_off(&self, connection: &Connection, removed: &Removed) -> bool {
        let gone = removed.bars(&self.name, self.since_ms);
        if gone {
            connection.close(StreamCode::Removed.code(), GONE.as_bytes());
        }
        gone
    }
}
