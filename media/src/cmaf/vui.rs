//! What an H.264 sequence parameter set says of colour and pixels (ITU-T H.264 Annex E), as boxes.

use h264_reader::{
    avcc::AvcDecoderConfigurationRecord,
    nal::sps::{SeqParameterSet, VideoSignalType, VuiParameters},
};

use super::boxes::{boxed, put16, put32};

/// Where it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Vui {
    /// Width and height of a pixel.
    pub(super) pixel_aspect: Option<(u16, u16)>,
    /// Primaries, transfer, matrix; full range.
    colour: Option<([u8; 3], bool)>,
}

impl Vui {
    /// Of the first sequence parameter set in an AVCDecoderConfigurationRecord; empty for one that can't be read.
    pub(super) fn of(record: &[u8]) -> Self {
        first_sps(record).and_then(|sps| sps.vui_parameters).map(|vui| Self::read(&vui)).unwrap_or_default()
    }

    fn read(vui: &VuiParameters) -> Self {
        let aspect = vui.aspect_ratio_info.as_ref().and_then(|info| info.get());
        Self {
            pixel_aspect: aspect.filter(|&(width, height)| width > 0 && height > 0),
            colour: vui.video_signal_type.as_ref().and_then(colour),
        }
    }

    /// Writes `colr` and `pasp` (ISO/IEC 14496-12 §12.1.4, §12.1.5), each only where known.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        if let Some((values, full_range)) = self.colour {
            boxed(out, b"colr", |out| {
                out.extend_from_slice(b"nclx");
                values.iter().for_each(|&value| put16(out, value.into()));
                out.push(u8::from(full_range) << 7);
            });
        }
        if let Some((width, height)) = self.pixel_aspect {
            boxed(out, b"pasp", |out| {
                put32(out, width.into());
                put32(out, height.into());
            });
        }
    }
}

fn colour(signal: &VideoSignalType) -> Option<([u8; 3], bool)> {
    let colour = signal.colour_description.as_ref()?;
    let values = [colour.colour_primaries, colour.transfer_characteristics, colour.matrix_coefficients];
    Some((values, signal.video_full_range_flag))
}

fn first_sps(record: &[u8]) -> Option<SeqParameterSet> {
    if !has_no_empty_nal(record) {
        return None;
    }
    let record = AvcDecoderConfigurationRecord::try_from(record).ok()?;
    let context = record.create_context().ok()?;
    context.sps().next().cloned()
}

/// h264-reader panics at a parameter set of no bytes.
fn has_no_empty_nal(record: &[u8]) -> bool {
    let Some(sps) = record.get(5).map(|count| count & 0x1f) else { return false };
    let after_sps = nals_end(record, 6, sps);
    let pps = after_sps.and_then(|at| record.get(at).map(|&count| (at + 1, count)));
    pps.and_then(|(at, count)| nals_end(record, at, count)).is_some()
}

fn nals_end(record: &[u8], mut at: usize, count: u8) -> Option<usize> {
    for _ in 0..count {
        let length = usize::from(u16::from_be_bytes([*record.get(at)?, *record.get(at + 1)?]));
        at += 2 + length;
        if length == 0 || at > record.len() {
            return None;
        }
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_with_an_empty_or_cut_parameter_set_says_nothing() {
        for record in [&[][..], &[1, 100, 0, 31, 255, 225, 0, 0, 1, 0, 0], &[1, 100, 0, 31, 255, 225, 0, 9, 1]] {
            assert_eq!(Vui::of(record), Vui::default());
        }
    }

    #[test]
    fn colour_and_pixel_aspect_become_boxes() {
        let vui = Vui { pixel_aspect: Some((4, 3)), colour: Some(([1, 1, 1], false)) };
        let mut out = Vec::new();
        vui.write(&mut out);
        let expected = b"\0\0\0\x13colrnclx\0\x01\0\x01\0\x01\0\0\0\0\x10pasp\0\0\0\x04\0\0\0\x03";
        assert_eq!(out, expected);
    }
}
