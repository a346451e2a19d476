//! The file that is sent: its tags, and how its times go on when it begins again.

use std::path::Path;

use anyhow::{Context, ensure};
use freshet_media::flv::{
    TagKind,
    file::{Reader, Tag},
};

/// A file in memory, ready to be sent over and over.
#[derive(Debug)]
pub struct Clip {
    /// Metadata and codec configurations: sent once.
    pub head: Vec<Tag>,
    /// Frames in the order of their times, the first at 0, all before the end of the loop.
    frames: Vec<Tag>,
    /// How long one round takes. A fraction of a millisecond counts: rounds must not drift from the frame rate.
    round_ms: f64,
}

impl Clip {
    /// Reads an FLV file.
    ///
    /// # Errors
    /// Where it can't be read, is no FLV, or has fewer than two frames of a kind to loop over.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let file = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let tags: Result<Vec<Tag>, _> = Reader::new(file.into()).and_then(Iterator::collect);
        Self::new(&tags.with_context(|| format!("reading {}", path.display()))?)
    }

    fn new(tags: &[Tag]) -> anyhow::Result<Self> {
        let of = |wanted| tags.iter().filter(move |tag| role(tag) == wanted).cloned();
        let (head, mut frames): (Vec<_>, Vec<_>) = (of(Role::Head).collect(), of(Role::Frame).collect());
        let first = frames.iter().map(|tag| tag.timestamp_ms).min().unwrap_or(0);
        frames.iter_mut().for_each(|tag| tag.timestamp_ms -= first);
        frames.sort_by_key(|tag| tag.timestamp_ms);
        let round_ms = round(&frames, TagKind::Video).or_else(|| round(&frames, TagKind::Audio));
        let round_ms = round_ms.context("the file has not even two frames")?;
        ensure!(round_ms >= 1.0, "all frames of the file have one time");
        // Sound that goes on after the picture's end would overtake the next round.
        frames.retain(|tag| f64::from(tag.timestamp_ms) < round_ms);
        Ok(Self { head, frames, round_ms })
    }

    /// Frame `index` of the endless loop: its kind and payload, and milliseconds since the loop began.
    pub fn frame(&self, index: u64) -> (&Tag, u64) {
        let count = self.frames.len() as u64;
        let tag = &self.frames[(index % count) as usize];
        let round = (index / count) as f64 * self.round_ms;
        (tag, (round + f64::from(tag.timestamp_ms)).round() as u64)
    }
}

/// From the first frame of a kind to the last, and as much as a frame lasts on average.
fn round(frames: &[Tag], kind: TagKind) -> Option<f64> {
    let times: Vec<_> = frames.iter().filter(|tag| tag.kind == kind).map(|tag| f64::from(tag.timestamp_ms)).collect();
    let (first, last) = (times.first()?, times.last()?);
    let count = times.len() as f64;
    (times.len() > 1).then(|| (last - first) * count / (count - 1.0))
}

/// What a tag is to a loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Head,
    Frame,
    /// The end of a sequence, above all: there is none in a loop.
    Nothing,
}

fn role(tag: &Tag) -> Role {
    const ENHANCED_VIDEO: u8 = 0x80;
    const ENHANCED_AUDIO: u8 = 9;
    let packet = match (tag.kind, &tag.payload[..]) {
        (TagKind::Data, _) => return Role::Head,
        (TagKind::Video, [first, ..]) if first & ENHANCED_VIDEO != 0 => first & 0x0F,
        (TagKind::Audio, [first, ..]) if first >> 4 == ENHANCED_AUDIO => first & 0x0F,
        (_, [_, packet, ..]) => *packet,
        _ => return Role::Nothing,
    };
    match packet {
        0 => Role::Head,
        1 | 3 => Role::Frame,
        _ => Role::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn tag(kind: TagKind, timestamp_ms: u32, packet: u8) -> Tag {
        let first = if kind == TagKind::Video { 0x27 } else { 0xAF };
        Tag { kind, timestamp_ms, payload: Bytes::from(vec![first, packet, 0]) }
    }

    #[test]
    fn times_go_on_at_the_seam_as_the_picture_does() {
        use TagKind::{Audio, Video};
        let video = [1000, 1033, 1067].map(|time| tag(Video, time, 1));
        let audio = [1010, 1033, 1090, 1200].map(|time| tag(Audio, time, 1));
        let head = [tag(Video, 0, 0), tag(Audio, 0, 0)];
        let clip = Clip::new(&[&head[..], &video, &audio, &[tag(Video, 1100, 2)]].concat()).unwrap();
        assert_eq!(clip.head, head);
        // 67 ms for two frames make 100.5 for three: what sounds at 200 is past the end.
        let times: Vec<_> = (0..14).map(|index| clip.frame(index).1).collect();
        assert_eq!(times, [0, 10, 33, 33, 67, 90, 101, 111, 134, 134, 168, 191, 201, 211]);
    }

    #[test]
    fn a_file_without_frames_is_refused() {
        let error = Clip::new(&[tag(TagKind::Video, 0, 0), tag(TagKind::Video, 0, 1)]).unwrap_err();
        assert_eq!(error.to_string(), "the file has not even two frames");
    }
}
