//! One version of a media playlist as it is served: never parsed, compressed once, shared by all.

use std::{
    io::Read,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use bytes::Bytes;
use freshet_proto::message::{Arrival, Constants, PlaylistHeader};
use http::HeaderValue;
use tokio::time::Instant;

use crate::cache;

/// A version and what it takes to serve it.
pub(crate) struct Playlist {
    pub header: PlaylistHeader,
    pub constants: Constants,
    /// When the origin made it.
    pub made: Option<Instant>,
    /// How the newest of its media came to the origin, as `Server-Timing` says it; `None` where that is not known.
    pub arrival: Option<HeaderValue>,
    full: Text,
    delta: Option<Text>,
}

/// Which of a version's texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    pub delta: bool,
    pub gzip: bool,
}

struct Text {
    gzip: Bytes,
    /// Inflated for the first client that takes no gzip; empty if it would not inflate.
    plain: OnceLock<Bytes>,
    etags: [Option<HeaderValue>; 2],
    /// A whole HTTP/1.1 reply as last written, gzipped and plain, with what it was written for.
    written: [Mutex<Option<(Written, Bytes)>>; 2],
}

/// What may differ between two replies with the same text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub date: HeaderValue,
    pub age: u64,
    pub fresh_s: u64,
    pub timing: HeaderValue,
}

const ENDLIST: &[u8] = b"#EXT-X-ENDLIST\n";

impl Playlist {
    /// A version whose `payload` is the gzipped full playlist and the gzipped delta update. `None` when the payload is
    /// shorter than the header says.
    pub(crate) fn new(
        header: PlaylistHeader,
        constants: Constants,
        made: Option<Instant>,
        payload: &Bytes,
    ) -> Option<Self> {
        let (full, delta) = (header.full_gz as usize, header.delta_gz as usize);
        if payload.len() != full + delta {
            return None;
        }
        let tag = |kind: &str| {
            let version = header.version;
            format!("{}.{}.{}.{}{kind}", version.epoch, version.msn, version.part, version.edit)
        };
        let delta = (delta > 0 && !header.ended).then(|| Text::new(payload.slice(full..), &tag("d")));
        let full = Text::new(payload.slice(..full), &tag(if header.ended { "e" } else { "" }));
        Some(Self { header, constants, made, arrival: None, full, delta })
    }

    /// The same, of which it is known how the newest of its media came.
    pub(crate) fn arrived(mut self, arrival: Option<Arrival>) -> Self {
        self.arrival = arrival.and_then(|arrival| HeaderValue::try_from(timing(arrival)).ok());
        self
    }

    /// The same playlist with its end: what is shown when its origin has died.
    pub(crate) fn ended(&self, most_bytes: u64) -> Option<Self> {
        let mut text = inflate(&self.full.gzip, most_bytes)?;
        text.truncate(self.header.body as usize);
        text.extend_from_slice(ENDLIST);
        let gzip = cache::gzip(&text);
        let mut header = self.header;
        header.version.edit += 1;
        header.ended = true;
        (header.full_gz, header.delta_gz, header.body) = (gzip.len() as u32, 0, text.len() as u32);
        Self::new(header, self.constants, Some(Instant::now()), &gzip)
    }

    /// Whether there is a delta update.
    pub(crate) fn has_delta(&self) -> bool {
        self.delta.is_some()
    }

    /// The bytes of `form`; `None` when they would not inflate.
    pub(crate) fn bytes(&self, form: Form, most_bytes: u64) -> Option<Bytes> {
        let text = self.text(form);
        if form.gzip {
            return Some(text.gzip.clone());
        }
        let plain = text.plain.get_or_init(|| inflate(&text.gzip, most_bytes).map(Bytes::from).unwrap_or_default());
        (!plain.is_empty()).then(|| plain.clone())
    }

    /// The entity tag of `form`.
    pub(crate) fn etag(&self, form: Form) -> Option<HeaderValue> {
        self.text(form).etags[usize::from(form.gzip)].clone()
    }

    /// The whole HTTP/1.1 reply, written by `write` unless the last one will do.
    pub(crate) fn written(&self, form: Form, like: Written, write: impl FnOnce() -> Bytes) -> Bytes {
        let mut last = self.text(form).written[usize::from(form.gzip)].lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((written, bytes)) if *written == like => bytes.clone(),
            _ => last.insert((like, write())).1.clone(),
        }
    }

    fn text(&self, form: Form) -> &Text {
        self.delta.as_ref().filter(|_| form.delta).unwrap_or(&self.full)
    }
}

impl Text {
    fn new(gzip: Bytes, tag: &str) -> Self {
        let etag = |suffix| HeaderValue::try_from(format!("\"{tag}{suffix}\"")).ok();
        Self { gzip, plain: OnceLock::new(), etags: [etag(""), etag("-z")], written: [const { Mutex::new(None) }; 2] }
    }
}

/// What `gzip` unpacks to, if that is at most `most_bytes` long.
fn inflate(gzip: &[u8], most_bytes: u64) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(gzip.len() * 4);
    flate2::read::GzDecoder::new(gzip).take(most_bytes + 1).read_to_end(&mut text).ok()?;
    (text.len() as u64 <= most_bytes).then_some(text)
}

/// As in `uplink;dur=21, late;dur=130`.
fn timing(Arrival { uplink_ms, late_ms }: Arrival) -> String {
    let uplink = uplink_ms.map(|ms| format!("uplink;dur={ms}, ")).unwrap_or_default();
    format!("{uplink}late;dur={late_ms}")
}

/// A playlist or the lack of one, as it is told to those who wait.
pub(crate) type Newest = Option<Arc<Playlist>>;

#[cfg(test)]
pub(crate) mod tests {
    use freshet_proto::{
        id::{Epoch, Msn, SessionId},
        message::Version,
    };

    use super::*;

    pub(crate) fn playlist(version: Version, body: &str, tail: &str, delta: &str) -> Playlist {
        let full = cache::gzip(format!("{body}{tail}").as_bytes());
        let delta = if delta.is_empty() { Bytes::new() } else { cache::gzip(delta.as_bytes()) };
        let header = PlaylistHeader {
            version,
            complete: Some(Msn(version.msn.0 - 1)),
            complete_parts: 4,
            age_ms: 0,
            body: body.len() as u32,
            ended: false,
            full_gz: full.len() as u32,
            delta_gz: delta.len() as u32,
        };
        let constants =
            Constants { session: SessionId(1), target_duration_ms: 4000, part_target_ms: 500, keep_ms: 30_000 };
        let payload = Bytes::from([full, delta].concat());
        Playlist::new(header, constants, None, &payload).expect("a playlist")
    }

    const VERSION: Version = Version { epoch: Epoch(1), msn: Msn(5), part: 2, edit: 0 };
    const PLAIN: Form = Form { delta: false, gzip: false };

    #[test]
    fn a_version_is_served_packed_and_unpacked_whole_and_as_delta() {
        let playlist = playlist(VERSION, "#EXTM3U\nbody\n", "#tail\n", "#EXTM3U\ndelta\n");
        assert_eq!(playlist.bytes(PLAIN, 1000).as_deref(), Some(&b"#EXTM3U\nbody\n#tail\n"[..]));
        assert_eq!(playlist.bytes(Form { delta: true, ..PLAIN }, 1000).as_deref(), Some(&b"#EXTM3U\ndelta\n"[..]));
        let packed = playlist.bytes(Form { gzip: true, ..PLAIN }, 1000).expect("gzip");
        assert_eq!(inflate(&packed, 1000).as_deref(), Some(&b"#EXTM3U\nbody\n#tail\n"[..]));
    }

    #[test]
    fn the_ended_form_loses_the_live_tail_and_the_delta() {
        let ended = playlist(VERSION, "#EXTM3U\nbody\n", "#hint\n", "delta").ended(1000).expect("an ended form");
        assert_eq!(ended.bytes(PLAIN, 1000).as_deref(), Some(&b"#EXTM3U\nbody\n#EXT-X-ENDLIST\n"[..]));
        assert!(ended.header.ended && !ended.has_delta());
        assert!(ended.header.version > VERSION);
    }

    #[test]
    fn what_would_unpack_beyond_the_limit_is_not_served() {
        let playlist = playlist(VERSION, &"x".repeat(5000), "", "");
        assert_eq!(playlist.bytes(PLAIN, 4999), None);
    }

    #[test]
    fn a_reply_is_written_once_for_all_who_are_told_the_same_of_it() {
        let playlist = playlist(VERSION, "a", "", "");
        let written = |timing, whole: &'static str| {
            let date = HeaderValue::from_static("Wed, 18 Nov 2026 11:06:40 GMT");
            let like = Written { date, age: 0, fresh_s: 24, timing: HeaderValue::from_static(timing) };
            playlist.written(PLAIN, like, || Bytes::from_static(whole.as_bytes()))
        };
        assert_eq!(written("edge;desc=held", "one"), "one");
        assert_eq!(written("edge;desc=held", "two"), "one");
        assert_eq!(written("edge;desc=stalled", "three"), "three");
    }

    #[test]
    fn how_its_media_came_is_said_as_far_as_it_is_known() {
        assert_eq!(timing(Arrival { uplink_ms: Some(21), late_ms: 130 }), "uplink;dur=21, late;dur=130");
        assert_eq!(timing(Arrival { uplink_ms: None, late_ms: 0 }), "late;dur=0");
    }

    #[test]
    fn each_form_has_its_own_entity_tag() {
        let playlist = playlist(VERSION, "a", "", "b");
        let forms = [(false, false), (false, true), (true, false), (true, true)];
        let tags = forms.map(|(delta, gzip)| playlist.etag(Form { delta, gzip }).expect("a tag"));
        assert_eq!(tags, ["\"1.5.2.0\"", "\"1.5.2.0-z\"", "\"1.5.2.0d\"", "\"1.5.2.0d-z\""]);
    }
}
