//! One access unit as NAL units with lengths ──▶ the same as a sample of ISO/IEC 14496-15: a slice of what was received
//! wherever what stays lies together and has lengths of 4 bytes.

use std::ops::Range;

use bytes::{BufMut, Bytes};

use super::FlvError;

/// What an access unit holds.
#[derive(Debug, Default)]
pub(super) struct AccessUnit {
    /// What stays in the sample; empty where there is no picture.
    pub data: Bytes,
    /// Whether it is an IDR picture: told by its slices, for encoders flag any intra picture as key frame.
    pub idr: bool,
    /// Sequence and picture parameter sets, in order.
    pub parameter_sets: Vec<Bytes>,
}

/// NAL unit types (ITU-T H.264 table 7-1).
const SLICE: u8 = 1;
const IDR_SLICE: u8 = 5;
const SPS: u8 = 7;
const PPS: u8 = 8;
const FILLER: u8 = 12;
const SPS_EXTENSION: u8 = 13;

/// Reads `data`, NAL units with lengths of `length_size` bytes. NAL units of no length are dropped.
///
/// # Errors
/// [`FlvError::NalUnit`].
pub(super) fn read(data: &Bytes, length_size: usize) -> Result<AccessUnit, FlvError> {
    let mut unit = AccessUnit::default();
    let mut kept = Kept::new(data, length_size);
    let mut pictures = false;
    let mut at = 0;
    // Fewer bytes than a length has are no NAL unit but the padding of some encoders.
    while data.len() - at >= length_size {
        let nal = nal_unit(data, at, length_size)?;
        match data.get(nal.start).map(|header| header & 0x1F) {
            _ if nal.is_empty() => {}
            Some(SPS | PPS) => unit.parameter_sets.push(data.slice(nal.clone())),
            Some(FILLER | SPS_EXTENSION) => {}
            Some(kind) => {
                pictures |= (SLICE..=IDR_SLICE).contains(&kind);
                unit.idr |= kind == IDR_SLICE;
                kept.keep(nal.clone());
            }
            None => {}
        }
        at = nal.end;
    }
    if pictures {
        unit.data = kept.finish();
    }
    Ok(unit)
}

/// The NAL unit whose length stands at `at`.
fn nal_unit(data: &[u8], at: usize, length_size: usize) -> Result<Range<usize>, FlvError> {
    let begin = at + length_size;
    let length = data[at..begin].iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    let left = data.len() - begin;
    if length > left {
        return Err(FlvError::NalUnit { length, left });
    }
    Ok(begin..begin + length)
}

/// What stays: a range of the input as long as it is one, else a copy.
struct Kept<'a> {
    data: &'a Bytes,
    length_size: usize,
    run: Range<usize>,
    copy: Vec<u8>,
}

impl<'a> Kept<'a> {
    fn new(data: &'a Bytes, length_size: usize) -> Self {
        Self { data, length_size, run: 0..0, copy: Vec::new() }
    }

    fn keep(&mut self, nal: Range<usize>) {
        let begin = nal.start - self.length_size;
        if self.length_size == 4 && self.copy.is_empty() {
            if self.run.is_empty() {
                self.run = begin..nal.end;
                return;
            }
            if self.run.end == begin {
                self.run.end = nal.end;
                return;
            }
        }
        if self.copy.is_empty() {
            self.copy.reserve_exact(self.data.len() - self.run.start + if self.length_size < 4 { 64 } else { 0 });
            self.copy.extend_from_slice(&self.data[self.run.clone()]);
        }
        self.copy.put_u32(nal.len() as u32);
        self.copy.extend_from_slice(&self.data[nal]);
    }

    fn finish(mut self) -> Bytes {
        if self.copy.is_empty() {
            return self.data.slice(self.run);
        }
        self.copy.shrink_to_fit();
        self.copy.into()
    }
}
