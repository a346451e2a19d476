//! Fragmented MP4: one track's configuration becomes an initialization section, a part's samples a CMAF chunk.
//!
//! ```text
//! CodecConfig ──init──▶ ftyp moov                                    EXT-X-MAP
//! samples ─────chunk──▶ [styp prft] moof mdat, payload not copied    EXT-X-PART; a segment is its chunks
//! ```
//! ISO/IEC 23000-19 (`cmf2`): one track a file, signed composition offsets, no edit list; draft-pantos-hls-rfc8216bis
//! §3.1.2.

mod boxes;
mod fragment;
mod init;
mod vui;

pub(crate) use fragment::{Chunk, ReferenceTime, Sample, chunk};
pub(crate) use init::init;

#[cfg(test)]
mod tests;
