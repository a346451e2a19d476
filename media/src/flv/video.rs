//! Video messages: legacy H.264 (annex E.4.3) and the Enhanced RTMP header (Enhanced RTMP v2, "Enhanced Video").
//!
//! One message is one access unit. What leaves here follows ISO/IEC 14496-15 §5.3.2: lengths of 4 bytes, no parameter
//! sets in the samples (they are in the configuration), no filler data. Sets that differ from the configuration make a
//! new one, before their picture.

use std::sync::Arc;

use bytes::Bytes;

use super::{FlvError, access_unit};
use crate::{
    avc::{self, AvcError, Record},
    frame::{CodecConfig, Frame, Media, TrackId},
};

/// The video half of a demuxer.
#[derive(Debug, Default)]
pub(super) struct Video {
    record: Option<Record>,
    config: Option<Arc<CodecConfig>>,
    /// The last sequence header. Encoders repeat it, also where sets in the pictures have gone beyond it.
    header: Bytes,
}

const AVC: u8 = 7;
const EX_HEADER: u8 = 0x80;
/// Frame type 5: no picture but a command to the player, in both headers.
const COMMAND: u8 = 5;

/// AVCPacketType, and VideoPacketType of the enhanced header.
const SEQUENCE_HEADER: u8 = 0;
const CODED_FRAMES: u8 = 1;
/// Enhanced: coded frames without composition time.
const CODED_FRAMES_X: u8 = 3;
const METADATA: u8 = 4;
const MULTITRACK: u8 = 6;
const MOD_EX: u8 = 7;

impl Video {
    pub(super) fn parse(&mut self, timestamp_ms: u32, payload: &Bytes, out: &mut Vec<Media>) -> Result<(), FlvError> {
        let first = *payload.first().ok_or(FlvError::Truncated)?;
        let frame_type = first >> 4 & 7;
        if first & EX_HEADER == 0 && frame_type == COMMAND {
            return Ok(());
        }
        let (packet, begin) = match first & EX_HEADER {
            0 => legacy(first, payload)?,
            _ => enhanced(first, payload)?,
        };
        match packet {
            SEQUENCE_HEADER => self.sequence_header(payload.slice(begin..), out),
            CODED_FRAMES => {
                let time = payload.get(begin..begin + 3).ok_or(FlvError::Truncated)?;
                self.frame(timestamp_ms, composition_time(time), payload.slice(begin + 3..), out)
            }
            CODED_FRAMES_X if first & EX_HEADER != 0 => self.frame(timestamp_ms, 0, payload.slice(begin..), out),
            // The end of a sequence, HDR metadata and what may be defined later carry no picture.
            _ => Ok(()),
        }
    }

    fn sequence_header(&mut self, header: Bytes, out: &mut Vec<Media>) -> Result<(), FlvError> {
        if header == self.header && self.config.is_some() {
            return Ok(());
        }
        let record = Record::parse(&header).map_err(|error| self.unusable(&header, &error))?;
        let config = match record.config() {
            Err(AvcError::NoParameterSets) if !avc::looks_like_hevc(&header) => None,
            other => Some(other.map_err(|error| self.unusable(&header, &error))?),
        };
        self.header = header;
        self.record = Some(record);
        self.announce(config, out);
        Ok(())
    }

    fn unusable(&self, header: &[u8], error: &AvcError) -> FlvError {
        if self.config.is_some() {
            FlvError::Reconfiguration(error.to_string())
        } else if avc::looks_like_hevc(header) {
            FlvError::VideoCodec("HEVC (sent as H.264)".into())
        } else {
            FlvError::AvcConfig(error.to_string())
        }
    }

    fn announce(&mut self, config: Option<avc::Config>, out: &mut Vec<Media>) {
        let Some(config) = config.map(CodecConfig::Avc) else { return };
        if self.config.as_deref() != Some(&config) {
            let config = Arc::new(config);
            self.config = Some(config.clone());
            out.push(Media::Config(TrackId::V0, config));
        }
    }

    fn frame(
        &mut self,
        timestamp_ms: u32,
        composition_ms: i32,
        data: Bytes,
        out: &mut Vec<Media>,
    ) -> Result<(), FlvError> {
        let length_size = self.record.as_ref().map_or(4, |record| record.length_size);
        let unit = access_unit::read(&data, length_size)?;
        if !unit.parameter_sets.is_empty() {
            self.in_band(&unit.parameter_sets, out)?;
        }
        if unit.data.is_empty() {
            return Ok(());
        }
        if self.config.is_none() {
            return Err(FlvError::BeforeConfig);
        }
        let frame = Frame { track: TrackId::V0, timestamp_ms, composition_ms, sync: unit.idr, data: unit.data };
        out.push(Media::Frame(frame));
        Ok(())
    }

    fn in_band(&mut self, sets: &[Bytes], out: &mut Vec<Media>) -> Result<(), FlvError> {
        let mut record = self.record.clone().unwrap_or_default();
        // No short circuit: all of them count.
        let changed = sets.iter().filter(|set| record.merge(set)).count() > 0;
        if !changed {
            return Ok(());
        }
        match record.config() {
            Ok(config) => self.announce(Some(config), out),
            Err(AvcError::NoParameterSets) => {}
            Err(error) => return Err(FlvError::Reconfiguration(error.to_string())),
        }
        self.record = Some(record);
        Ok(())
    }
}

/// Packet type, and where what follows the type begins.
fn legacy(first: u8, payload: &[u8]) -> Result<(u8, usize), FlvError> {
    match first & 0x0F {
        AVC => {
            let packet = *payload.get(1).ok_or(FlvError::Truncated)?;
            // Composition time is there in every packet, but counts for frames alone.
            Ok((packet, if packet == CODED_FRAMES { 2 } else { 5.min(payload.len()) }))
        }
        other => Err(FlvError::VideoCodec(legacy_name(other))),
    }
}

/// Packet type, and where what follows the FourCC begins.
fn enhanced(first: u8, payload: &[u8]) -> Result<(u8, usize), FlvError> {
    let packet = first & 0x0F;
    match packet {
        MULTITRACK => return Err(FlvError::Multitrack("video")),
        MOD_EX => return Err(FlvError::ModEx),
        // A command has no FourCC after it.
        _ if first >> 4 & 7 == COMMAND && packet != METADATA => return Ok((METADATA, payload.len())),
        _ => {}
    }
    let four_cc = payload.get(1..5).ok_or(FlvError::Truncated)?;
    match four_cc {
        b"avc1" => Ok((packet, 5)),
        other => Err(FlvError::VideoCodec(four_cc_name(other))),
    }
}

/// SI24: presentation minus decode time.
fn composition_time(bytes: &[u8]) -> i32 {
    let [high, middle, low] = bytes else { return 0 };
    i32::from_be_bytes([*high, *middle, *low, 0]) >> 8
}

fn legacy_name(id: u8) -> String {
    match id {
        2 => "Sorenson H.263".into(),
        3 | 6 => "Screen Video".into(),
        4 | 5 => "VP6".into(),
        12 => "HEVC".into(),
        13 => "AV1".into(),
        other => format!("number {other}"),
    }
}

fn four_cc_name(four_cc: &[u8]) -> String {
    match four_cc {
        b"hvc1" | b"hev1" => "HEVC".into(),
        b"av01" => "AV1".into(),
        b"vp08" => "VP8".into(),
        b"vp09" => "VP9".into(),
        b"vvc1" => "VVC".into(),
        other => format!("'{}'", other.escape_ascii()),
    }
}
