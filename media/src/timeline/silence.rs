//! A silent AAC-LC frame (ISO/IEC 14496-3 §4.4.2): one channel element in which no scale factor band is coded.

use bytes::Bytes;

use crate::aac;

/// The silent frame of a mono or stereo AAC-LC track. `None` for any other: what is silent there depends on tools that
/// its decoder has in use.
pub(super) fn frame(aac: &aac::Config) -> Option<Bytes> {
    let is_lc = aac.codec == "mp4a.40.2" && aac.record.first().is_some_and(|byte| byte >> 3 == 2);
    match aac.channels {
        1 if is_lc => Some(mono()),
        2 if is_lc => Some(stereo()),
        _ => None,
    }
}

fn mono() -> Bytes {
    let mut bits = Bits::default();
    bits.put(0, 3); // ID_SCE
    bits.put(0, 4); // element_instance_tag
    bits.put(0, 8); // global_gain
    bits.ics_info();
    bits.put(0, 3); // no pulse data, no noise shaping, no gain control
    bits.end()
}

fn stereo() -> Bytes {
    let mut bits = Bits::default();
    bits.put(1, 3); // ID_CPE
    bits.put(0, 4); // element_instance_tag
    bits.put(1, 1); // common_window
    bits.ics_info();
    bits.put(0, 2); // ms_mask_present
    for _ in 0..2 {
        bits.put(0, 8); // global_gain
        bits.put(0, 3); // no pulse data, no noise shaping, no gain control
    }
    bits.end()
}

/// Bits from the most significant on.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: usize,
}

impl Bits {
    fn put(&mut self, value: u8, count: usize) {
        for i in (0..count).rev() {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= (value >> i & 1) << (7 - self.used % 8);
            }
            self.used += 1;
        }
    }

    /// One long window of sine shape in which no band is coded.
    fn ics_info(&mut self) {
        self.put(0, 1); // ics_reserved_bit
        self.put(0, 2); // ONLY_LONG_SEQUENCE
        self.put(0, 1); // window_shape
        self.put(0, 6); // max_sfb
        self.put(0, 1); // predictor_data_present
    }

    fn end(mut self) -> Bytes {
        self.put(7, 3); // ID_END
        self.bytes.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_a_channel_element_without_bands_and_an_end() {
        assert_eq!(mono()[..], [0, 0, 0, 7]);
        assert_eq!(stereo()[..], [0x21, 0, 0, 0, 0, 0x1C]);
    }
}
