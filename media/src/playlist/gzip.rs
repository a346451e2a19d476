//! Compresses a playlist version once, for all who will ever ask for it.

use std::cell::RefCell;

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// Member header of RFC 1952: deflate, no name, no time, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Compression level. On the 3.3 KB of a 30 s window level 1 takes a third of level 6's time for 35 % more bytes
/// (`benches/playlist.rs`).
const LEVEL: u32 = 1;

thread_local! {
    /// A compressor holds some 300 KB of tables, so threads share one among all their playlists.
    static COMPRESSOR: RefCell<Compress> = RefCell::new(Compress::new(Compression::new(LEVEL), false));
}

/// `text` as one gzip member (RFC 1952).
pub(super) fn gzip(text: &[u8]) -> Bytes {
    COMPRESSOR.with_borrow_mut(|compressor| {
        compressor.reset();
        let mut out = Vec::with_capacity(text.len() / 3 + 256);
        out.extend_from_slice(&HEADER);
        deflate(compressor, text, &mut out);
        let mut crc = Crc::new();
        crc.update(text);
        out.extend_from_slice(&crc.sum().to_le_bytes());
        out.extend_from_slice(&crc.amount().to_le_bytes());
        out.into()
    })
}

fn deflate(compressor: &mut Compress, text: &[u8], out: &mut Vec<u8>) {
    loop {
        let consumed = compressor.total_in() as usize;
        match compressor.compress_vec(&text[consumed..], out, FlushCompress::Finish) {
            Ok(Status::StreamEnd) | Err(_) => return,
            Ok(Status::Ok | Status::BufError) => out.reserve(out.capacity()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_is_compressed_can_be_read_again() {
        let numbers: String = (0..20_000u64).map(|n| (n * n * 2_654_435_761).to_string()).collect();
        for text in ["", "#EXTM3U\n", &numbers] {
            let mut read = String::new();
            flate2::read::GzDecoder::new(&gzip(text.as_bytes())[..]).read_to_string(&mut read).unwrap();
            assert_eq!(read, text);
        }
    }
}
