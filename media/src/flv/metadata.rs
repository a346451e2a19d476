//! Data messages: `onMetaData` ──▶ [`Metadata`]; other data is of no interest here.

use super::FlvError;
use crate::{
    frame::Metadata,
    rtmp::{
        Limits,
        amf0::{Decoder, Value},
    },
};

/// Reads a data message that begins at its name. `None`: it is not `onMetaData`.
///
/// # Errors
/// [`FlvError::Metadata`].
pub(super) fn read(payload: &[u8]) -> Result<Option<Metadata>, FlvError> {
    let limits = Limits::default();
    let mut decoder = Decoder::new(payload, &limits);
    let name = decoder.value().map_err(|_| FlvError::Metadata)?;
    if name.as_ref().and_then(Value::as_str) != Some("onMetaData") {
        return Ok(None);
    }
    let Some(value) = decoder.value().map_err(|_| FlvError::Metadata)? else { return Ok(None) };
    let number = |name| value.get(name).and_then(Value::as_f64).filter(|number| number.is_finite() && *number > 0.0);
    let kilobits = |name| number(name).map(|rate| (rate * 1000.0) as u64);
    Ok(Some(Metadata {
        encoder: value.get("encoder").and_then(Value::as_str).map(str::to_owned),
        width: number("width").map(|width| width as u32),
        height: number("height").map(|height| height as u32),
        frame_rate: number("framerate"),
        video_bitrate: kilobits("videodatarate"),
        audio_bitrate: kilobits("audiodatarate"),
    }))
}
