//! What one viewer was shown: playlists in order, and how long it waited for each new part.

use std::collections::{BTreeMap, BTreeSet};

use freshet_media::playlist::read::{Media, Part, Start};
use freshet_proto::{
    id::Epoch,
    object::{Object, ObjectName, ResourceName},
};

use crate::{invariants::Rule, ledger::Broken};

/// What a viewer has been shown so far.
#[derive(Debug, Default)]
pub struct Shown {
    /// `EXT-X-MEDIA-SEQUENCE` of the last playlist.
    sequence: u64,
    /// The newest part of the last playlist.
    newest: Option<(Epoch, u64, u32)>,
    /// The segments that the last playlist listed as whole, and whether each is a gap.
    whole: BTreeMap<u64, bool>,
    /// Of each whole segment, its epoch and how many discontinuities there were before its first frame.
    segments: BTreeMap<u64, (Epoch, u64)>,
    /// When the last new part came.
    last_part_ms: Option<u64>,
    /// The longest wait between two parts, and when it ended.
    longest_wait: (u64, u64),
    /// The segments before which an encoder came back without a new epoch, and how many there may be.
    returned: BTreeSet<u64>,
    may_return: usize,
    /// Whether the last playlist was an ended one.
    ended: bool,
    /// How many playlists it got.
    pub playlists: u64,
    /// How many parts it got.
    pub parts: u64,
    /// How many epoch changes it saw within playlists.
    pub discontinuities: u64,
}

/// A segment as a playlist lists it.
struct Listed<'a> {
    msn: u64,
    start: &'a Start,
    parts: &'a [Part],
    uri: Option<&'a str>,
}

/// The object that a URI of channel `ada` names.
pub fn object(uri: &str) -> Option<ObjectName> {
    match format!("ada/{uri}").parse() {
        Ok(ResourceName::Object(name)) => Some(name),
        _ => None,
    }
}

impl Shown {
    /// Takes a playlist that the viewer was shown. `may_return` is how often an origin may have let an encoder go on in the
    /// epoch that it had, after a discontinuity: because a claim had no answer, or because the encoder had not been heard.
    ///
    /// # Errors
    /// When it breaks a promise: I1, I3.
    pub fn playlist(&mut self, media: &Media, may_return: usize) -> Result<(), Broken> {
        self.playlists += 1;
        self.may_return = may_return;
        if media.media_sequence < self.sequence {
            let what = format!("EXT-X-MEDIA-SEQUENCE went from {} back to {}", self.sequence, media.media_sequence);
            return Err((Rule::I3, what));
        }
        self.sequence = media.media_sequence;
        let listed = listed(media);
        self.order(&listed)?;
        self.identity(media, &listed)?;
        self.finish(media)?;
        if media.ended {
            self.last_part_ms = None;
        }
        if !media.ended || self.newest.is_none() {
            self.advance(&listed)?;
        }
        self.ended = media.ended;
        Ok(())
    }

    /// Epochs rise within a playlist, and a discontinuity stands exactly where they do.
    fn order(&mut self, listed: &[Listed<'_>]) -> Result<(), Broken> {
        for pair in listed.windows(2) {
            let (Some(before), Some(after)) = (pair[0].epoch()?, pair[1].epoch()?) else { continue };
            let msn = pair[1].msn;
            if after < before {
                return Err((Rule::I1, format!("segment {msn} of epoch {after} follows one of epoch {before}")));
            }
            let returned = pair[1].start.discontinuity && after == before && self.may_return > 0;
            if returned {
                self.returned.insert(msn);
            }
            let odd = pair[1].start.discontinuity != (after > before);
            if odd && !(returned && self.returned.len() <= self.may_return) {
                let has = if pair[1].start.discontinuity { "a" } else { "no" };
                let what = format!("segment {msn} has {has} discontinuity; epochs are {before}, {after}");
                return Err((Rule::I3, what));
            }
            let is_new = self.newest.is_none_or(|(_, newest, _)| msn >= newest);
            self.discontinuities += u64::from(after > before && is_new);
        }
        Ok(())
    }

    /// What a number stood for it stands for again.
    fn identity(&mut self, media: &Media, listed: &[Listed<'_>]) -> Result<(), Broken> {
        let mut count = media.discontinuity_sequence;
        for (n, segment) in listed.iter().enumerate() {
            // The first one's own tag may be counted already or not (draft-pantos-hls-rfc8216bis §6.2.2): what matters is
            // that the number of a segment stays.
            count += u64::from(segment.start.discontinuity);
            let (Some(epoch), true) = (segment.epoch()?, segment.uri.is_some() && n > 0) else { continue };
            let now = (epoch, count);
            let before = *self.segments.entry(segment.msn).or_insert(now);
            if before != now {
                let what = format!("segment {} was (epoch, discontinuity) {before:?}, then {now:?}", segment.msn);
                return Err((Rule::I3, what));
            }
        }
        Ok(())
    }

    /// The end of a session may take back the parts of a segment that was never finished. What was listed as whole, it still
    /// lists: what could be had as such, and a gap as whatever it has become.
    fn finish(&mut self, media: &Media) -> Result<(), Broken> {
        let whole = media.numbered().map(|(msn, segment)| (msn, segment.gap)).collect();
        let before = std::mem::replace(&mut self.whole, whole);
        if !media.ended {
            return Ok(());
        }
        let is_kept = |msn: &u64, was_gap: bool| self.whole.get(msn).is_some_and(|is_gap| was_gap || !is_gap);
        let lost = before.range(media.media_sequence..).find(|(msn, was_gap)| !is_kept(msn, **was_gap));
        match lost {
            Some((msn, _)) => Err((Rule::I3, format!("the end has not got segment {msn}, which was whole"))),
            None => Ok(()),
        }
    }

    /// The newest part only gets newer.
    fn advance(&mut self, listed: &[Listed<'_>]) -> Result<(), Broken> {
        let Some((segment, part)) =
            listed.iter().rev().find_map(|segment| Some((segment, segment.parts.len().checked_sub(1)?)))
        else {
            return Ok(());
        };
        let Some(epoch) = segment.epoch()? else { return Ok(()) };
        let now = (epoch, segment.msn, part as u32);
        if let Some(before) = self.newest {
            if now.0 < before.0 {
                return Err((Rule::I1, format!("epoch {} was shown after epoch {}", now.0, before.0)));
            }
            if (now.1, now.2) < (before.1, before.2) {
                return Err((Rule::I3, format!("the newest part went from {before:?} back to {now:?}")));
            }
        }
        self.newest = Some(now);
        Ok(())
    }

    /// A new part came to the viewer.
    pub fn part(&mut self, now_ms: u64) {
        self.parts += 1;
        if let Some(last) = self.last_part_ms.replace(now_ms) {
            self.longest_wait = self.longest_wait.max((now_ms - last, now_ms));
        }
    }

    /// The longest wait between two parts in ms, and when it ended. A session's end is none.
    pub fn longest_wait(&self) -> (u64, u64) {
        self.longest_wait
    }

    /// Whether the last playlist was an ended one.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// The newest epoch that was shown, and when its last part came.
    pub fn newest(&self) -> Option<(Epoch, u64)> {
        Some((self.newest?.0, self.last_part_ms?))
    }
}

impl Listed<'_> {
    /// The epoch of its objects, which is one.
    fn epoch(&self) -> Result<Option<Epoch>, Broken> {
        let uris = self.parts.iter().filter(|part| !part.gap).map(|part| part.uri.as_str()).chain(self.uri);
        let mut epochs = uris.filter_map(object).map(|name| {
            let msn = match name.object {
                Object::Segment(msn) | Object::Part(msn, _) => Some(msn.0),
                Object::Init(_) => None,
            };
            (name.epoch, msn)
        });
        let Some((first, msn)) = epochs.next() else { return Ok(None) };
        if msn != Some(self.msn) {
            return Err((Rule::I3, format!("segment {} names objects of segment {msn:?}", self.msn)));
        }
        if epochs.any(|(epoch, _)| epoch != first) {
            return Err((Rule::I1, format!("segment {} has parts of several epochs", self.msn)));
        }
        Ok(Some(first))
    }
}

fn listed(media: &Media) -> Vec<Listed<'_>> {
    let whole = media.numbered().filter(|(_, segment)| !segment.gap).map(|(msn, segment)| Listed {
        msn,
        start: &segment.start,
        parts: &segment.parts,
        uri: Some(&segment.uri),
    });
    let next = media.media_sequence + media.skipped + media.segments.len() as u64;
    let open = media.open.iter().map(|open| Listed { msn: next, start: &open.start, parts: &open.parts, uri: None });
    whole.chain(open).collect()
}

#[cfg(test)]
mod tests {
    use freshet_media::playlist::read::parse_media;

    use super::*;

    /// A playlist of segments of one part each, by their epochs: `!` is a discontinuity, `~` a gap, `+` one in progress. A
    /// last word `end` ends it.
    fn playlist(first: u64, segments: &str) -> Media {
        let mut text = format!(
            "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:4\n#EXT-X-PART-INF:PART-TARGET=2\n\
             #EXT-X-MEDIA-SEQUENCE:{first}\n"
        );
        for (msn, segment) in (first..).zip(segments.split(' ')) {
            if segment == "end" {
                text += "#EXT-X-ENDLIST\n";
                break;
            }
            let epoch = segment.trim_start_matches(['!', '~', '+']);
            let has = |mark, tag: &'static str| if segment.contains(mark) { tag } else { "" };
            text += has('!', "#EXT-X-DISCONTINUITY\n");
            text += &format!("#EXT-X-PART:DURATION=2{},URI=\"{epoch}/v0/{msn}.0.m4s\"\n", has('~', ",GAP=YES"));
            text += has('~', "#EXT-X-GAP\n");
            if !segment.contains('+') {
                text += &format!("#EXTINF:2,\n{epoch}/v0/{msn}.m4s\n");
            }
        }
        parse_media(text.as_bytes()).unwrap()
    }

    /// Shows the playlists to one viewer; tells which promise the last one broke.
    fn show(playlists: &[(u64, &str)]) -> Option<Rule> {
        let mut shown = Shown::default();
        playlists.iter().find_map(|(first, segments)| shown.playlist(&playlist(*first, segments), 0).err()).map(|e| e.0)
    }

    #[test]
    fn numbers_that_go_back_and_epochs_that_return_are_found() {
        assert_eq!(show(&[(7, "1 1"), (8, "1 !2 2"), (9, "!2 2 2")]), None);
        assert_eq!(show(&[(7, "1 1"), (6, "1 1 1")]), Some(Rule::I3));
        assert_eq!(show(&[(7, "1 !2 1")]), Some(Rule::I1));
        assert_eq!(show(&[(7, "2 2 2"), (7, "2 !3 3")]), Some(Rule::I3));
    }

    #[test]
    fn a_discontinuity_stands_exactly_at_the_change_of_epoch() {
        assert_eq!(show(&[(7, "1 2")]), Some(Rule::I3));
        assert_eq!(show(&[(7, "1 !1")]), Some(Rule::I3));
    }

    #[test]
    fn the_end_takes_back_a_segment_in_progress_and_nothing_that_was_whole() {
        assert_eq!(show(&[(7, "1 1 +1"), (7, "1 1 end")]), None);
        assert_eq!(show(&[(7, "1 1 +1"), (7, "1 1 1 end"), (7, "1 1 1 end")]), None);
        assert_eq!(show(&[(7, "1 1 +1"), (7, "1 end")]), Some(Rule::I3));
        assert_eq!(show(&[(7, "1 1"), (7, "1 end")]), Some(Rule::I3));
        assert_eq!(show(&[(7, "1 1 +1"), (7, "1 ~1 end")]), Some(Rule::I3));
    }

    #[test]
    fn a_gap_before_a_segment_in_progress_is_where_the_end_may_be() {
        assert_eq!(show(&[(7, "1 ~1 +1"), (7, "1 ~1 end")]), None);
        assert_eq!(show(&[(7, "1 ~1 !2 +2"), (7, "1 ~1 !2 end")]), None);
        assert_eq!(show(&[(7, "1 ~1 +1"), (7, "1 end")]), Some(Rule::I3));
        assert_eq!(show(&[(7, "1 ~1 ~1 +1"), (7, "1 ~1 end")]), Some(Rule::I3));
    }

    #[test]
    fn an_encoder_may_return_within_its_epoch_as_often_as_a_claim_had_no_answer() {
        let show = |segments| Shown::default().playlist(&playlist(7, segments), 1).is_ok();
        assert!(show("1 !1 1") && !show("1 !1 !1") && !show("1 2"));
    }
}
