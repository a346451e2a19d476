//! One object in the cache, with the parts of its reply that never change.

use std::hash::{DefaultHasher, Hasher};

use bytes::Bytes;
use freshet_proto::{
    id::SessionId,
    message::ContentType,
    object::{Object, ObjectName, ResourceName},
};
use http::HeaderValue;
use tokio::time::Instant;

use crate::http::body::Rope;

/// What an entry is found by. What changes from session to session is kept per session.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub name: ResourceName,
    pub session: Option<SessionId>,
}

impl From<ObjectName> for Key {
    fn from(name: ObjectName) -> Self {
        Self { name: name.into(), session: None }
    }
}

/// Bytes and what is said of them.
#[derive(Debug)]
pub(crate) struct Entry {
    pub rope: Rope,
    /// The same, gzipped; of playlists only.
    pub gzip: Option<Bytes>,
    pub content_type: HeaderValue,
    pub etag: Option<HeaderValue>,
    /// When the origin made it. `None` where that is before this process's time began.
    pub made: Option<Instant>,
    fresh_until: Option<Instant>,
}

impl Entry {
    /// An immutable object of `name`, `age_ms` old.
    pub(crate) fn object(
        name: &ObjectName,
        content_type: ContentType,
        pieces: Vec<Bytes>,
        made: Option<Instant>,
    ) -> Self {
        let etag = match name.object {
            Object::Init(n) => format!("\"{}-{}-i{n}\"", name.epoch, name.track),
            Object::Segment(msn) => format!("\"{}-{}-{msn}\"", name.epoch, name.track),
            Object::Part(msn, part) => format!("\"{}-{}-{msn}.{part}\"", name.epoch, name.track),
        };
        Self {
            rope: Rope::new(pieces),
            gzip: None,
            content_type: HeaderValue::from_static(content_type.as_str()),
            etag: HeaderValue::try_from(etag).ok(),
            made,
            fresh_until: None,
        }
    }

    /// Something that changes, and may be served for `fresh_ms`.
    pub(crate) fn passing(content_type: ContentType, pieces: Vec<Bytes>, made: Option<Instant>, fresh_ms: u64) -> Self {
        let rope = Rope::new(pieces);
        let gzip = (content_type == ContentType::Playlist).then(|| gzip(&rope.pieces().concat()));
        let fresh_until = Instant::now().checked_add(crate::config::ms(fresh_ms));
        // A picture is read in ranges, which must be of one picture.
        let etag = (content_type != ContentType::Playlist).then(|| hashed(&rope)).flatten();
        let content_type = HeaderValue::from_static(content_type.as_str());
        Self { rope, gzip, content_type, etag, made, fresh_until }
    }

    /// Bytes it takes, roughly.
    pub(crate) fn weight(&self) -> u64 {
        512 + self.rope.len() + self.gzip.as_ref().map_or(0, |bytes| bytes.len() as u64)
    }

    pub(crate) fn is_fresh(&self, now: Instant) -> bool {
        self.fresh_until.is_none_or(|until| now < until)
    }
}

/// An ETag for what has no number: equal where the bytes are, at every edge of the same build.
fn hashed(rope: &Rope) -> Option<HeaderValue> {
    let mut hasher = DefaultHasher::new();
    rope.pieces().iter().for_each(|piece| hasher.write(piece));
    HeaderValue::try_from(format!("\"{:016x}-{}\"", hasher.finish(), rope.len())).ok()
}

/// `bytes`, gzipped. Writing to memory can't fail.
pub(crate) fn gzip(bytes: &[u8]) -> Bytes {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::with_capacity(bytes.len() / 4), flate2::Compression::new(6));
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.map(Bytes::from).unwrap_or_default()
}
