//! AAC: the AudioSpecificConfig ──▶ [`Config`] (ISO/IEC 14496-3 §1.6.2.1).
//!
//! With spectral band replication (HE-AAC) the decoder puts out twice the rate of the core coder, but "the sampling
//! frequency of the core coder" counts time: a frame stays 1,024 core samples. So [`Config::sample_rate`] is the core's.

use bytes::Bytes;

/// How an AAC track is coded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1), as received.
    pub record: Bytes,
    /// Samples a second of the core coder: the track's timescale.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u8,
    /// Samples a frame: 1,024 (or 960).
    pub frame_samples: u32,
    /// `mp4a.40.2`: the codec string of RFC 6381.
    pub codec: String,
}

/// Why an AudioSpecificConfig is refused. The encoder's doing; the remedy is an encoder set to AAC-LC or HE-AAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AacError {
    /// It ends too early.
    #[error("AudioSpecificConfig is cut off")]
    Truncated,
    /// xHE-AAC, AAC-LD, …: other frame lengths, other players.
    #[error("audio object type {0} is not AAC-LC or HE-AAC")]
    ObjectType(u8),
    /// A reserved sampling frequency index, or a frequency of 0 or beyond 192 kHz.
    #[error("sampling frequency is not possible")]
    SamplingFrequency,
    /// A reserved channel configuration, or a program without channels.
    #[error("channel configuration is not possible")]
    Channels,
}

const MAIN: u8 = 1;
const LOW_COMPLEXITY: u8 = 2;
const LONG_TERM_PREDICTION: u8 = 4;
const SBR: u8 = 5;
const PARAMETRIC_STEREO: u8 = 29;
/// §1.6.6.1: what announces an extension that old decoders skip.
const SYNC_EXTENSION: u32 = 0x2B7;
const SYNC_EXTENSION_PS: u32 = 0x548;
const FREQUENCIES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

impl Config {
    /// Parses an AudioSpecificConfig, which is kept as it is.
    ///
    /// # Errors
    /// See [`AacError`].
    pub fn from_record(record: Bytes) -> Result<Self, AacError> {
        let mut bits = Bits { bytes: &record, at: 0 };
        let mut signalled = bits.object_type()?;
        let sample_rate = bits.frequency()?;
        let layout = bits.take(4)?;
        let mut core = signalled;
        if matches!(signalled, SBR | PARAMETRIC_STEREO) {
            bits.frequency()?;
            core = bits.object_type()?;
        }
        if !(MAIN..=LONG_TERM_PREDICTION).contains(&core) {
            return Err(AacError::ObjectType(core));
        }
        let (short_frames, channels) = bits.general_audio(layout)?;
        if signalled == LOW_COMPLEXITY {
            signalled = bits.extension().unwrap_or(signalled);
        }
        let frame_samples = if short_frames { 960 } else { 1024 };
        let codec = format!("mp4a.40.{signalled}");
        Ok(Self { record, sample_rate, channels, frame_samples, codec })
    }
}

/// Reads bits, the most significant first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    /// At most 24 bits.
    fn take(&mut self, count: usize) -> Result<u32, AacError> {
        let mut value = 0;
        for at in self.at..self.at + count {
            let byte = self.bytes.get(at / 8).ok_or(AacError::Truncated)?;
            value = value << 1 | u32::from(byte >> (7 - at % 8) & 1);
        }
        self.at += count;
        Ok(value)
    }

    fn object_type(&mut self) -> Result<u8, AacError> {
        match self.take(5)? {
            31 => Ok(32 + self.take(6)? as u8),
            kind => Ok(kind as u8),
        }
    }

    fn frequency(&mut self) -> Result<u32, AacError> {
        let frequency = match self.take(4)? {
            15 => self.take(24)?,
            index => *FREQUENCIES.get(index as usize).ok_or(AacError::SamplingFrequency)?,
        };
        if (1..=192_000).contains(&frequency) { Ok(frequency) } else { Err(AacError::SamplingFrequency) }
    }

    /// GASpecificConfig (§4.4.1): whether frames have 960 samples; channels.
    fn general_audio(&mut self, layout: u32) -> Result<(bool, u8), AacError> {
        let short_frames = self.take(1)? == 1;
        if self.take(1)? == 1 {
            self.take(14)?;
        }
        self.take(1)?;
        let channels = match layout {
            0 => self.program()?,
            1..=6 => layout as u8,
            11 => 7,
            7 | 12 | 14 => 8,
            _ => return Err(AacError::Channels),
        };
        Ok((short_frames, channels))
    }

    /// program_config_element (§4.4.1.1): its channels.
    fn program(&mut self) -> Result<u8, AacError> {
        self.take(4 + 2 + 4)?;
        let [front, side, back] = [self.take(4)?, self.take(4)?, self.take(4)?];
        let lfe = self.take(2)?;
        let (data, coupling) = (self.take(3)?, self.take(4)?);
        for mixdown_bits in [4, 4, 3] {
            if self.take(1)? == 1 {
                self.take(mixdown_bits)?;
            }
        }
        let mut channels = lfe;
        for _ in 0..front + side + back {
            channels += 1 + self.take(1)?;
            self.take(4)?;
        }
        for _ in 0..lfe + data {
            self.take(4)?;
        }
        for _ in 0..coupling {
            self.take(5)?;
        }
        self.at = self.at.next_multiple_of(8);
        let comment = self.take(8)?;
        for _ in 0..comment {
            self.take(8)?;
        }
        u8::try_from(channels).ok().filter(|channels| *channels > 0).ok_or(AacError::Channels)
    }

    /// The extension after a core that is all old decoders see (§1.6.6.1): HE-AAC, and v2 with parametric stereo.
    fn extension(&mut self) -> Option<u8> {
        if self.take(11).ok()? != SYNC_EXTENSION || self.object_type().ok()? != SBR || self.take(1).ok()? == 0 {
            return None;
        }
        self.frequency().ok()?;
        let stereo = self.take(11).is_ok_and(|sync| sync == SYNC_EXTENSION_PS) && self.take(1) == Ok(1);
        Some(if stereo { PARAMETRIC_STEREO } else { SBR })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(record: &'static [u8]) -> String {
        match Config::from_record(Bytes::from_static(record)) {
            Ok(c) => format!("{} {} Hz {} ch {}", c.codec, c.sample_rate, c.channels, c.frame_samples),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn low_complexity_in_two_bytes() {
        assert_eq!(read(&[0x12, 0x10]), "mp4a.40.2 44100 Hz 2 ch 1024");
        assert_eq!(read(&[0x11, 0x88]), "mp4a.40.2 48000 Hz 1 ch 1024");
        assert_eq!(read(&[0x12, 0x14]), "mp4a.40.2 44100 Hz 2 ch 960");
    }

    #[test]
    fn the_five_bytes_of_ffmpeg_say_that_there_is_no_sbr() {
        assert_eq!(read(&[0x11, 0x90, 0x56, 0xE5, 0x00]), "mp4a.40.2 48000 Hz 2 ch 1024");
    }

    #[test]
    fn high_efficiency_counts_in_core_samples() {
        // Hierarchical: type 5, 24 kHz, stereo, extension 48 kHz, type 2.
        assert_eq!(read(&[0x2B, 0x11, 0x88, 0x00]), "mp4a.40.5 24000 Hz 2 ch 1024");
        // Backward compatible: type 2, 22.05 kHz, stereo, then 0x2B7, type 5, present, 44.1 kHz.
        assert_eq!(read(&[0x13, 0x90, 0x56, 0xE5, 0xA0]), "mp4a.40.5 22050 Hz 2 ch 1024");
        // …and parametric stereo on a mono core: 0x548, present.
        assert_eq!(read(&[0x13, 0x88, 0x56, 0xE5, 0xA5, 0x48, 0x80]), "mp4a.40.29 22050 Hz 1 ch 1024");
    }

    #[test]
    fn an_explicit_frequency_is_read() {
        // Type 2, index 15, 44,100 in 24 bits, stereo.
        assert_eq!(read(&[0x17, 0x80, 0x56, 0x22, 0x10]), "mp4a.40.2 44100 Hz 2 ch 1024");
    }

    #[test]
    fn channels_may_stand_in_a_program_config_element() {
        // Type 2, 48 kHz, layout 0; one front pair, one LFE; no mixdown, no comment.
        assert_eq!(read(&[0x11, 0x80, 0x04, 0xC4, 0x01, 0x00, 0x20, 0x00, 0x00]), "mp4a.40.2 48000 Hz 3 ch 1024");
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        assert_eq!(read(&[]), "AudioSpecificConfig is cut off");
        assert_eq!(read(&[0x12]), "AudioSpecificConfig is cut off");
        assert_eq!(read(&[0xF8, 0xE6, 0x20, 0x00]), "audio object type 39 is not AAC-LC or HE-AAC");
        assert_eq!(read(&[0x16, 0x90]), "sampling frequency is not possible");
        assert_eq!(read(&[0x11, 0xC8]), "channel configuration is not possible");
    }
}
