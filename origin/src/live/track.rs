//! What is kept of one track: its inits, its segments by parts, its newest playlist.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use freshet_media::output::Rendered;
use freshet_proto::{
    id::{Epoch, Msn},
    message::{Arrival, Version},
    object::Object,
};

use super::{Body, Lookup};

/// Names an initialization section within a track.
pub(crate) type InitName = (Epoch, u32);

/// Something and when it was made, in milliseconds of the wall clock.
#[derive(Debug, Clone)]
pub(crate) struct Made<T> {
    pub(crate) value: T,
    pub(crate) at_ms: u64,
}

/// One track's window. Segments are in order of their numbers, all epochs in one line.
#[derive(Debug, Default)]
pub(crate) struct Track {
    inits: BTreeMap<InitName, Made<Bytes>>,
    newest_init: Option<InitName>,
    segments: VecDeque<Segment>,
    playlist: Option<Made<Arc<Rendered>>>,
    /// How the newest of what the playlist lists came; `None` where that is not known.
    arrival: Option<Arrival>,
}

/// A segment is exactly the bytes of its parts.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) epoch: Epoch,
    pub(crate) msn: Msn,
    pub(crate) init: Option<InitName>,
    pub(crate) parts: Vec<Part>,
    /// Whether no part will follow.
    pub(crate) whole: bool,
}

/// One part, in a buffer of its own size.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// Empty for a gap.
    pub(crate) bytes: Bytes,
    pub(crate) made_ms: u64,
    pub(crate) duration_ms: u64,
    pub(crate) gap: bool,
}

impl Track {
    pub(crate) fn put_init(&mut self, name: InitName, bytes: Bytes, now_ms: u64) {
        self.inits.insert(name, Made { value: bytes, at_ms: now_ms });
        self.newest_init = Some(name);
    }

    /// Adds a part at the end of the line. One that does not belong there is not kept: returns whether it was.
    pub(crate) fn put_part(&mut self, epoch: Epoch, msn: Msn, index: u32, part: Part) -> bool {
        match self.segments.back_mut() {
            Some(last) if last.msn == msn && last.epoch == epoch && !last.whole => {
                let fits = last.parts.len() == index as usize;
                if fits {
                    last.parts.push(part);
                }
                fits
            }
            Some(last) if last.msn >= msn => false,
            _ if index != 0 => false,
            last => {
                last.into_iter().for_each(|last| last.whole = true);
                self.segments.push_back(Segment {
                    epoch,
                    msn,
                    init: self.newest_init,
                    parts: vec![part],
                    whole: false,
                });
                true
            }
        }
    }

    pub(crate) fn finish_segment(&mut self, epoch: Epoch, msn: Msn) {
        if let Some(segment) = self.segments.back_mut().filter(|last| last.epoch == epoch && last.msn == msn) {
            segment.whole = true;
        }
    }

    pub(crate) fn put_playlist(&mut self, playlist: Arc<Rendered>, arrival: Option<Arrival>, now_ms: u64) {
        self.playlist = Some(Made { value: playlist, at_ms: now_ms });
        self.arrival = arrival;
    }

    /// Forgets the segments below `msn` and the inits that nothing kept needs. Returns how many bytes that freed.
    pub(crate) fn expire_below(&mut self, msn: Msn) -> u64 {
        let count = self.segments.partition_point(|segment| segment.msn < msn);
        let freed = self.segments.drain(..count).map(|segment| segment.bytes()).sum::<u64>();
        freed + self.expire_inits()
    }

    fn expire_inits(&mut self) -> u64 {
        let before = self.init_bytes();
        let segments = &self.segments;
        let newest = self.newest_init;
        self.inits.retain(|name, _| Some(*name) == newest || segments.iter().any(|s| s.init == Some(*name)));
        before - self.init_bytes()
    }

    fn init_bytes(&self) -> u64 {
        self.inits.values().map(|init| init.value.len() as u64).sum()
    }

    pub(crate) fn init(&self, name: InitName) -> Option<&Made<Bytes>> {
        self.inits.get(&name)
    }

    pub(crate) fn playlist(&self) -> Option<&Made<Arc<Rendered>>> {
        self.playlist.as_ref()
    }

    pub(crate) fn arrival(&self) -> Option<Arrival> {
        self.arrival
    }

    pub(crate) fn segment(&self, msn: Msn) -> Option<&Segment> {
        let at = self.segments.partition_point(|segment| segment.msn < msn);
        self.segments.get(at).filter(|segment| segment.msn == msn)
    }

    /// The oldest segment whose number is at least `msn`.
    pub(crate) fn segment_from(&self, msn: Msn) -> Option<&Segment> {
        self.segments.get(self.segments.partition_point(|segment| segment.msn < msn))
    }

    pub(crate) fn oldest(&self) -> Option<&Segment> {
        self.segments.front()
    }

    pub(crate) fn newest_msn(&self) -> Option<Msn> {
        self.segments.back().map(|segment| segment.msn)
    }

    /// How many segments are kept.
    pub(crate) fn len(&self) -> usize {
        self.segments.len()
    }

    /// Where one who has nothing begins: the newest whole segment, or whatever there is.
    pub(crate) fn near_live(&self) -> Option<&Segment> {
        self.segments.iter().rev().find(|segment| segment.whole).or_else(|| self.segments.front())
    }

    /// How long everything that is kept plays, in milliseconds.
    pub(crate) fn duration_ms(&self) -> u64 {
        self.segments.iter().flat_map(|segment| &segment.parts).map(|part| part.duration_ms).sum()
    }

    /// Looks an object of `epoch` up. `open` is the epoch that is being published, if any: only its next part is
    /// announced.
    pub(crate) fn find(&self, epoch: Epoch, object: Object, open: Option<Epoch>) -> Lookup {
        match object {
            Object::Init(n) => self.init((epoch, n)).map_or(Lookup::Missing, |init| {
                Lookup::Found(Body { pieces: vec![init.value.clone()], made_ms: init.at_ms, part_lengths: Vec::new() })
            }),
            Object::Segment(msn) => self.find_segment(epoch, msn),
            Object::Part(msn, index) => self.find_part(epoch, msn, index, open),
        }
    }

    fn find_segment(&self, epoch: Epoch, msn: Msn) -> Lookup {
        match self.segment(msn).filter(|segment| segment.epoch == epoch && segment.whole && !segment.has_gap()) {
            Some(segment) => Lookup::Found(segment.body()),
            None => Lookup::Missing,
        }
    }

    fn find_part(&self, epoch: Epoch, msn: Msn, index: u32, open: Option<Epoch>) -> Lookup {
        let segment = self.segment(msn).filter(|segment| segment.epoch == epoch);
        match segment.and_then(|segment| segment.parts.get(index as usize)) {
            Some(part) if part.gap => Lookup::Missing,
            Some(part) => Lookup::Found(Body {
                pieces: vec![part.bytes.clone()],
                made_ms: part.made_ms,
                part_lengths: Vec::new(),
            }),
            None if open == Some(epoch) && self.may_be_next(msn, index) => Lookup::Announced,
            None => Lookup::Missing,
        }
    }

    /// Whether the part may be the next one: the preload hint is one of these names.
    fn may_be_next(&self, msn: Msn, index: u32) -> bool {
        self.segments.back().is_some_and(|last| {
            let continues = !last.whole && msn == last.msn && index as usize == last.parts.len();
            let begins = msn.0 == last.msn.0 + 1 && index == 0;
            continues || begins
        })
    }
}

impl Segment {
    pub(crate) fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes.len() as u64).sum()
    }

    fn has_gap(&self) -> bool {
        self.parts.iter().any(|part| part.gap)
    }

    fn body(&self) -> Body {
        Body {
            pieces: self.parts.iter().map(|part| part.bytes.clone()).collect(),
            made_ms: self.parts.last().map_or(0, |part| part.made_ms),
            part_lengths: self.parts.iter().map(|part| part.bytes.len() as u32).collect(),
        }
    }
}

/// The version as the node protocol says it.
pub(crate) fn version_of(playlist: &Rendered) -> Version {
    let version = playlist.version;
    Version { epoch: Epoch(version.epoch), msn: Msn(version.msn), part: version.part, edit: version.edit }
}
