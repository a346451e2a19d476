//! What is told without an answer: one QUIC datagram each (RFC 9221), which may be lost, doubled or overtaken.
//!
//! On the wire it is postcard of a [`Datagram`], and then of what that says the rest is.

use bytes::Bytes;
use quinn::Connection;
use serde::Serialize;
use tracing::debug;

use super::{Handler, Peer};
use crate::message::Datagram;

/// Writes a datagram; `None` where it is longer than [`Datagram::MAX`].
pub(super) fn datagram<T: Serialize + ?Sized>(header: &Datagram, content: &T) -> Option<Bytes> {
    let bytes = postcard::to_stdvec(&(header, content)).ok()?;
    (bytes.len() <= Datagram::MAX).then(|| bytes.into())
}

/// Sends a datagram, if that can be done now; whether it could.
pub(super) fn send(connection: &Connection, bytes: Bytes) -> bool {
    connection.send_datagram(bytes).is_ok()
}

/// Hands a datagram to who handles it. A stranger's, and one that can't be read, is nothing.
pub(super) fn hear<H: Handler>(handler: &H, peer: &Peer, bytes: &Bytes) {
    match postcard::take_from_bytes::<Datagram>(bytes) {
        Ok((header, content)) if !peer.is_stranger() && peer.level >= header.since() => {
            handler.datagram(peer, header, bytes.slice_ref(content));
        }
        _ => debug!(peer = %peer.addr, name = peer.name, "a node sent a datagram that can't be read"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::NodeId;

    #[test]
    fn a_datagram_is_its_header_and_its_content_and_has_a_limit() {
        let header = Datagram::Mesh { node: NodeId(7) };
        assert_eq!(datagram(&header, "ab").unwrap().as_ref(), [0, 7, 2, b'a', b'b']);
        let most = Datagram::MAX - 2;
        assert!(datagram(&header, &Fill(most)).is_some());
        assert!(datagram(&header, &Fill(most + 1)).is_none());
    }

    /// So many bytes.
    struct Fill(usize);

    impl Serialize for Fill {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeTuple;
            let mut tuple = serializer.serialize_tuple(self.0)?;
            (0..self.0).try_for_each(|_| tuple.serialize_element(&0u8))?;
            tuple.end()
        }
    }
}
