//! H.264: the AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1) ⇄ [`Record`], and what it says of the pictures.
//!
//! Parameter sets are trimmed of the zero bytes that some encoders put after them, so that sets that say the same are
//! the same. Samples leave here with NAL unit lengths of 4 bytes, and so say the records.

use bytes::{BufMut, Bytes};
use h264_reader::nal::{
    Nal, RefNal,
    sps::{SeqParameterSet, TimingInfo},
};

/// How an H.264 track is coded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1), as received but for the length size, which is 4.
    pub record: Bytes,
    /// Picture width in pixels, after cropping.
    pub width: u32,
    /// Picture height in pixels, after cropping.
    pub height: u32,
    /// Frames a second as numerator and denominator, where the VUI tells.
    pub frame_rate: Option<(u32, u32)>,
    /// `avc1.64001F`: the codec string of RFC 6381.
    pub codec: String,
}

impl Config {
    /// Parses an AVCDecoderConfigurationRecord.
    ///
    /// # Errors
    /// See [`AvcError`].
    pub fn from_record(record: Bytes) -> Result<Self, AvcError> {
        Record::parse(&record)?.config()
    }

    /// profile_idc (ITU-T H.264 annex A): 66 Baseline, 77 Main, 100 High, 244 High 4:4:4 Predictive, …
    pub fn profile_idc(&self) -> u8 {
        self.record.get(1).copied().unwrap_or(0)
    }

    /// The profile's name, for people.
    pub fn profile(&self) -> &'static str {
        match self.profile_idc() {
            44 => "CAVLC 4:4:4 Intra",
            66 => "Baseline",
            77 => "Main",
            88 => "Extended",
            100 => "High",
            110 => "High 10",
            122 => "High 4:2:2",
            244 => "High 4:4:4 Predictive",
            _ => "unknown",
        }
    }

    /// Whether browsers decode this profile: those with 8-bit 4:2:0 pictures.
    pub fn browser_playable(&self) -> bool {
        matches!(self.profile_idc(), 66 | 77 | 100)
    }
}

/// Why a record is refused. The encoder's doing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AvcError {
    /// It ends too early.
    #[error("configuration record is cut off")]
    Truncated,
    /// Another version than 1.
    #[error("configuration record of version {0}")]
    Version(u8),
    /// NAL unit lengths of 3 bytes, which the standard forbids.
    #[error("NAL unit lengths of 3 bytes")]
    LengthSize,
    /// Too many parameter sets, or ones that aren't.
    #[error("malformed parameter set")]
    ParameterSet,
    /// No sequence parameter set or no picture parameter set; they may come with the first picture.
    #[error("no parameter sets")]
    NoParameterSets,
    /// A sequence parameter set that can't be read.
    #[error("unreadable sequence parameter set: {0}")]
    Sps(String),
}

/// A record, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Bytes of the NAL unit lengths in the samples: 1, 2 or 4.
    pub length_size: usize,
    sps: Vec<Bytes>,
    pps: Vec<Bytes>,
    /// As received; `None` where parameter sets in the stream have changed it.
    bytes: Option<Bytes>,
}

const SPS: u8 = 7;
const PPS: u8 = 8;
/// What the counts of a record can say.
const MOST_SPS: usize = 31;
const MOST_PPS: usize = 255;

impl Default for Record {
    /// Without parameter sets, for streams that have them only in the pictures.
    fn default() -> Self {
        Self { length_size: 4, sps: Vec::new(), pps: Vec::new(), bytes: None }
    }
}

impl Record {
    /// Takes an AVCDecoderConfigurationRecord apart.
    ///
    /// # Errors
    /// See [`AvcError`].
    pub fn parse(record: &Bytes) -> Result<Self, AvcError> {
        let &[version, _, _, _, length_size, sps_count, ..] = record.first_chunk::<6>().ok_or(AvcError::Truncated)?;
        if version != 1 {
            return Err(AvcError::Version(version));
        }
        let length_size = match length_size & 3 {
            2 => return Err(AvcError::LengthSize),
            less_one => usize::from(less_one) + 1,
        };
        let mut rest = record.slice(6..);
        let sps = sets(&mut rest, sps_count & 0x1F, SPS)?;
        let pps_count = *rest.first().ok_or(AvcError::Truncated)?;
        rest = rest.slice(1..);
        let pps = sets(&mut rest, pps_count, PPS)?;
        Ok(Self { length_size, sps, pps, bytes: Some(record.clone()) })
    }

    /// Takes over parameter sets found in a picture: one with the number of another replaces it. Returns whether that
    /// changes anything.
    pub fn merge(&mut self, set: &Bytes) -> bool {
        let set = trimmed(set);
        let (known, most) = match set.first().map(|header| header & 0x1F) {
            Some(SPS) => (&mut self.sps, MOST_SPS),
            Some(PPS) => (&mut self.pps, MOST_PPS),
            _ => return false,
        };
        let Some(number) = set_number(&set) else { return false };
        if set.len() > usize::from(u16::MAX) {
            return false;
        }
        match known.iter().position(|known| set_number(known) == Some(number)) {
            Some(index) if known[index] == set => return false,
            Some(index) => known[index] = set,
            None if known.len() >= most => return false,
            None => known.push(set),
        }
        self.bytes = None;
        true
    }

    /// What the record says of the pictures.
    ///
    /// # Errors
    /// [`AvcError::NoParameterSets`], [`AvcError::Sps`].
    pub fn config(&self) -> Result<Config, AvcError> {
        let (Some(sps), Some(_)) = (self.sps.first(), self.pps.first()) else { return Err(AvcError::NoParameterSets) };
        let [_, profile, compatibility, level, ..] = **sps else { return Err(AvcError::ParameterSet) };
        let parsed = parse_sps(sps)?;
        let (width, height) = parsed.pixel_dimensions().map_err(|error| AvcError::Sps(format!("{error:?}")))?;
        if width == 0 || height == 0 || width > 16_384 || height > 16_384 {
            return Err(AvcError::Sps(format!("a picture of {width}x{height}")));
        }
        let timing = parsed.vui_parameters.as_ref().and_then(|vui| vui.timing_info.as_ref());
        let codec = format!("avc1.{profile:02X}{compatibility:02X}{level:02X}");
        Ok(Config { record: self.record(&parsed), width, height, frame_rate: timing.and_then(frame_rate), codec })
    }

    /// The record as received if it can stay, else written anew.
    fn record(&self, parsed: &SeqParameterSet) -> Bytes {
        match &self.bytes {
            Some(bytes) if self.length_size == 4 => bytes.clone(),
            Some(bytes) => {
                let mut bytes = bytes.to_vec();
                bytes[4] |= 3;
                bytes.into()
            }
            None => self.write(parsed),
        }
    }

    fn write(&self, parsed: &SeqParameterSet) -> Bytes {
        let sps = &self.sps[0];
        let mut out = vec![1, sps[1], sps[2], sps[3], 0xFC | 3, 0xE0 | self.sps.len() as u8];
        put_sets(&self.sps, &mut out);
        out.push(self.pps.len() as u8);
        put_sets(&self.pps, &mut out);
        if parsed.profile_idc.has_chroma_info() {
            let chroma = &parsed.chroma_info;
            let format = chroma.chroma_format.to_u32() as u8;
            out.extend([0xFC | format, 0xF8 | chroma.bit_depth_luma_minus8, 0xF8 | chroma.bit_depth_chroma_minus8, 0]);
        }
        out.into()
    }
}

/// Whether a record that came as H.264 is an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 §8.3.3.1), told by its
/// reserved bits: OBS before 29.1 can send that.
pub fn looks_like_hevc(record: &[u8]) -> bool {
    let Some(fields) = record.first_chunk::<23>() else { return false };
    fields[0] <= 1
        && fields[13] & 0xF0 == 0xF0
        && fields[15] & 0xFC == 0xFC
        && fields[16] & 0xFC == 0xFC
        && fields[17] & 0xF8 == 0xF8
        && fields[18] & 0xF8 == 0xF8
}

/// Takes `count` parameter sets of a NAL unit type.
fn sets(rest: &mut Bytes, count: u8, kind: u8) -> Result<Vec<Bytes>, AvcError> {
    let mut sets = Vec::new();
    for _ in 0..count {
        let length = usize::from(u16::from_be_bytes(*rest.first_chunk().ok_or(AvcError::Truncated)?));
        if rest.len() < 2 + length {
            return Err(AvcError::Truncated);
        }
        let set = trimmed(&rest.slice(2..2 + length));
        *rest = rest.slice(2 + length..);
        // Some records have empty sets, or sets of the other kind, beside good ones.
        if set.first().is_some_and(|header| header & 0x1F == kind) && set.len() > 1 {
            sets.push(set);
        }
    }
    Ok(sets)
}

fn put_sets(sets: &[Bytes], out: &mut Vec<u8>) {
    for set in sets {
        out.put_u16(set.len() as u16);
        out.put_slice(set);
    }
}

/// "The last byte of the NAL unit shall not be equal to 0x00" (ITU-T H.264 §7.4.1).
fn trimmed(set: &Bytes) -> Bytes {
    let end = set.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    set.slice(..end)
}

/// seq_parameter_set_id, after three fixed bytes (§7.3.2.1.1), or pic_parameter_set_id (§7.3.2.2): an Exp-Golomb code.
fn set_number(set: &[u8]) -> Option<u32> {
    let begin = if set.first()? & 0x1F == SPS { 4 } else { 1 };
    let code = set.get(begin..)?.iter().take(4).fold(0u64, |code, byte| code << 8 | u64::from(*byte)) << 32;
    let code = code << (8 * 4usize.saturating_sub(set.len() - begin).min(4));
    let zeros = code.leading_zeros();
    // Numbers reach 255: 8 zeros.
    (zeros <= 8).then(|| (code << zeros >> (63 - zeros)) as u32 - 1)
}

/// Reads a sequence parameter set as if for the highest level: encoders write levels that their pictures exceed.
fn parse_sps(sps: &[u8]) -> Result<SeqParameterSet, AvcError> {
    const LEVEL_6_2: u8 = 62;
    let mut lenient = sps.to_vec();
    if let Some(level) = lenient.get_mut(3) {
        *level = LEVEL_6_2;
    }
    // RefNal panics where there is nothing.
    if lenient.is_empty() {
        return Err(AvcError::ParameterSet);
    }
    let nal = RefNal::new(&lenient, &[], true);
    SeqParameterSet::from_bits(nal.rbsp_bits()).map_err(|error| AvcError::Sps(format!("{error:?}")))
}

/// A frame lasts two ticks (E.2.1). Rates that no camera has mean that the field doesn't tell.
fn frame_rate(timing: &TimingInfo) -> Option<(u32, u32)> {
    let (scale, frame) = (u64::from(timing.time_scale), 2 * u64::from(timing.num_units_in_tick));
    if frame == 0 || scale < frame || scale > 300 * frame {
        return None;
    }
    let common = greatest_common_divisor(scale, frame);
    Some((u32::try_from(scale / common).ok()?, u32::try_from(frame / common).ok()?))
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}
