//! Audio messages: legacy AAC (annex E.4.2) and the Enhanced RTMP header (Enhanced RTMP v2, "Enhanced Audio").

use std::sync::Arc;

use bytes::Bytes;

use super::FlvError;
use crate::{
    aac,
    frame::{CodecConfig, Frame, Media, TrackId},
};

/// The audio half of a demuxer.
#[derive(Debug, Default)]
pub(super) struct Audio {
    config: Option<Arc<CodecConfig>>,
}

/// SoundFormat.
const EX_HEADER: u8 = 9;
const AAC: u8 = 10;

/// AACPacketType, and AudioPacketType of the enhanced header.
const SEQUENCE_HEADER: u8 = 0;
const CODED_FRAMES: u8 = 1;
const MULTITRACK: u8 = 5;
const MOD_EX: u8 = 7;

impl Audio {
    pub(super) fn parse(&mut self, timestamp_ms: u32, payload: &Bytes, out: &mut Vec<Media>) -> Result<(), FlvError> {
        let first = *payload.first().ok_or(FlvError::Truncated)?;
        let (packet, begin) = match first >> 4 {
            AAC => (*payload.get(1).ok_or(FlvError::Truncated)?, 2),
            EX_HEADER => enhanced(first, payload)?,
            other => return Err(FlvError::AudioCodec(legacy_name(other))),
        };
        let data = payload.slice(begin..);
        match packet {
            SEQUENCE_HEADER => self.sequence_header(data, out),
            CODED_FRAMES => self.frame(timestamp_ms, data, out),
            // The end of a sequence, channel maps and what may be defined later carry no sound.
            _ => Ok(()),
        }
    }

    fn sequence_header(&mut self, record: Bytes, out: &mut Vec<Media>) -> Result<(), FlvError> {
        let config = match aac::Config::from_record(record) {
            Ok(config) => CodecConfig::Aac(config),
            Err(error) if self.config.is_some() => return Err(FlvError::Reconfiguration(error.to_string())),
            Err(error) => return Err(FlvError::AacConfig(error.to_string())),
        };
        if self.config.as_deref() != Some(&config) {
            let config = Arc::new(config);
            self.config = Some(config.clone());
            out.push(Media::Config(TrackId::A0, config));
        }
        Ok(())
    }

    fn frame(&mut self, timestamp_ms: u32, data: Bytes, out: &mut Vec<Media>) -> Result<(), FlvError> {
        if self.config.is_none() {
            return Err(FlvError::BeforeConfig);
        }
        if !data.is_empty() {
            out.push(Media::Frame(Frame { track: TrackId::A0, timestamp_ms, composition_ms: 0, sync: true, data }));
        }
        Ok(())
    }
}

/// Packet type, and where what follows the FourCC begins.
fn enhanced(first: u8, payload: &[u8]) -> Result<(u8, usize), FlvError> {
    let packet = first & 0x0F;
    match packet {
        MULTITRACK => return Err(FlvError::Multitrack("audio")),
        MOD_EX => return Err(FlvError::ModEx),
        _ => {}
    }
    match payload.get(1..5).ok_or(FlvError::Truncated)? {
        b"mp4a" => Ok((packet, 5)),
        other => Err(FlvError::AudioCodec(four_cc_name(other))),
    }
}

fn legacy_name(format: u8) -> String {
    match format {
        0 | 3 => "PCM".into(),
        1 => "ADPCM".into(),
        2 | 14 => "MP3".into(),
        4..=6 => "Nellymoser".into(),
        7 | 8 => "G.711".into(),
        11 => "Speex".into(),
        other => format!("number {other}"),
    }
}

fn four_cc_name(four_cc: &[u8]) -> String {
    match four_cc {
        b"Opus" => "Opus".into(),
        b"fLaC" => "FLAC".into(),
        b".mp3" => "MP3".into(),
        b"ac-3" => "AC-3".into(),
        b"ec-3" => "E-AC-3".into(),
        other => format!("'{}'", other.escape_ascii()),
    }
}
