//! permessage-deflate (RFC 7692), without context takeover in either direction.
//!
//! A compressed message is a raw DEFLATE stream, flushed to a byte boundary, less the four bytes `00 00 ff ff` with
//! which such a flush ends (§7.2.1). As no message depends on another, a server's compressed frame is as good for one
//! reader as for all. Compress a *batch* of events into one message: single ones gain little, each has its own
//! Huffman tables and an empty window.

use bytes::BytesMut;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::frame::{FIN, Opcode, RSV1, write_head};

/// What ends a flush and is not sent.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// How many DEFLATE streams one message may consist of. Senders that end a message by a final block (§7.2.3.4) need two.
const MAX_STREAMS: usize = 8;

/// How much output grows by at a time.
const STEP: usize = 4 << 10;

/// The largest window, 32 KiB, as a power of two: the only one we compress with.
pub(super) const WINDOW_BITS: u8 = 15;

/// Makes compressed frames. It owns about 300 KB of tables: one per channel task or shard, not per connection.
#[derive(Debug)]
pub struct Deflater {
    compress: Compress,
    scratch: Vec<u8>,
}

impl Deflater {
    /// `level`: 1 (fast) to 9 (small); 0 stores, and other numbers are taken as the nearest.
    pub fn new(level: u32) -> Self {
        Self { compress: Compress::new(Compression::new(level.min(9)), false), scratch: Vec::new() }
    }

    /// Appends `payload` as one unfragmented message of text or bytes for readers with whom deflate was agreed on.
    ///
    /// Where compression does not make it smaller, it is sent as it is, as §6 allows.
    pub fn frame(&mut self, out: &mut BytesMut, opcode: Opcode, payload: &[u8]) {
        let smaller = self.squeeze(payload) && self.scratch.len() < payload.len();
        let (first, body) = if smaller { (FIN | RSV1, self.scratch.as_slice()) } else { (FIN, payload) };
        out.reserve(body.len() + 10);
        write_head(out, first | opcode as u8, body.len(), None);
        out.extend_from_slice(body);
    }

    /// Compresses into `scratch`; false where it would become larger than `payload`.
    fn squeeze(&mut self, payload: &[u8]) -> bool {
        self.compress.reset();
        self.scratch.clear();
        let room = payload.len() + TAIL.len();
        self.scratch.reserve(room);
        let done = self.compress.compress_vec(payload, &mut self.scratch, FlushCompress::Sync);
        let whole = matches!(done, Ok(Status::Ok)) && self.compress.total_in() == payload.len() as u64;
        // A flush that found no room for its end is not over.
        if !whole || self.scratch.len() == self.scratch.capacity() || !self.scratch.ends_with(&TAIL) {
            return false;
        }
        self.scratch.truncate(self.scratch.len() - TAIL.len());
        true
    }
}

/// Why a message could not be inflated. The sender's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InflateError {
    /// It is not DEFLATE.
    #[error("not a DEFLATE stream")]
    Corrupt,
    /// There is more in it than was allowed.
    #[error("larger than allowed when inflated")]
    TooBig,
}

/// Inflates a message's payload, all its fragments together.
///
/// Costs about 40 KiB while it runs and never more than `most_bytes` and [`STEP`] of output, whatever the message
/// claims to be: a bomb is refused when the first byte too many has come out of it.
///
/// # Errors
/// See [`InflateError`].
pub fn inflate(payload: &[u8], most_bytes: usize) -> Result<Vec<u8>, InflateError> {
    let mut stream = Decompress::new(false);
    let mut out = Vec::new();
    let mut streams = 1;
    for mut input in [payload, TAIL.as_slice()] {
        loop {
            if out.len() > most_bytes {
                return Err(InflateError::TooBig);
            }
            if out.len() == out.capacity() {
                out.reserve_exact(STEP.min(most_bytes + 1 - out.len()));
            }
            let (in_before, out_before) = (stream.total_in(), out.len());
            let status =
                stream.decompress_vec(input, &mut out, FlushDecompress::None).map_err(|_| InflateError::Corrupt)?;
            let taken = (stream.total_in() - in_before) as usize;
            input = &input[taken..];
            match status {
                Status::StreamEnd if streams == MAX_STREAMS => return Err(InflateError::Corrupt),
                Status::StreamEnd => {
                    streams += 1;
                    stream.reset(false);
                }
                // With room left and nothing to do, all that was given has come out.
                _ if out.len() < out.capacity() && (input.is_empty() || taken == 0 && out.len() == out_before) => break,
                _ => {}
            }
        }
        if !input.is_empty() {
            return Err(InflateError::Corrupt);
        }
    }
    if out.len() > most_bytes { Err(InflateError::TooBig) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_section_7_2_3_inflate() {
        let hello = Ok(b"Hello".to_vec());
        assert_eq!(inflate(b"\xf2\x48\xcd\xc9\xc9\x07\x00", 5), hello);
        assert_eq!(inflate(b"\x00\x05\x00\xfa\xffHello\x00", 5), hello, "a block without compression");
        assert_eq!(inflate(b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 5), hello, "a final block");
        assert_eq!(inflate(b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 5), hello, "two blocks");
        assert_eq!(inflate(b"\x00", 5), Ok(vec![]), "an empty message, §7.2.3.6");
    }

    #[test]
    fn a_bomb_is_refused_when_it_has_gone_too_far() {
        let mut bomb = Compress::new(Compression::best(), false);
        let mut packed = Vec::with_capacity(1 << 20);
        bomb.compress_vec(&vec![0; 64 << 20], &mut packed, FlushCompress::Sync).expect("zeros are compressed");
        assert!(packed.len() < 100_000);
        assert_eq!(inflate(&packed, 16 << 10), Err(InflateError::TooBig));
    }

    #[test]
    fn what_is_not_deflate_is_refused() {
        assert_eq!(inflate(b"\x07", 100), Err(InflateError::Corrupt), "a block of the reserved type");
        let ends = b"\x03\x00".repeat(5000);
        assert_eq!(inflate(&ends, 100), Err(InflateError::Corrupt), "thousands of empty streams");
    }

    #[test]
    fn what_does_not_shrink_is_sent_as_it_is() {
        let mut out = BytesMut::new();
        Deflater::new(6).frame(&mut out, Opcode::Text, b"Hello");
        assert_eq!(out[..], *b"\x81\x05Hello");
    }

    #[test]
    fn a_frame_is_the_same_whatever_was_compressed_before_it() {
        let mut deflater = Deflater::new(6);
        let payload = b"a chat line, a chat line, a chat line".as_slice();
        let (mut first, mut second) = (BytesMut::new(), BytesMut::new());
        deflater.frame(&mut first, Opcode::Text, payload);
        deflater.frame(&mut second, Opcode::Text, payload);
        assert_eq!(first, second);
        assert_eq!(first[0], 0xc1);
        assert!(first.len() < payload.len());
        assert_eq!(inflate(&first[2..], payload.len()), Ok(payload.to_vec()));
    }

    proptest! {
        #[test]
        fn what_was_compressed_inflates_to_itself(words in prop::collection::vec("[a-c]{1,5}", 0..2000), level in 0_u32..10) {
            let payload = words.concat();
            let mut out = BytesMut::new();
            Deflater::new(level).frame(&mut out, Opcode::Text, payload.as_bytes());
            let head = match out[1] { 126 => 4, 127 => 10, _ => 2 };
            let body = &out[head..];
            if out[0] & RSV1 == 0 {
                prop_assert_eq!(body, payload.as_bytes());
            } else {
                prop_assert_eq!(inflate(body, payload.len()), Ok(payload.clone().into_bytes()));
                prop_assert_eq!(inflate(body, payload.len() - 1), Err(InflateError::TooBig));
            }
        }
    }
}
