//! Reads playlists, ours and others': strictly, and never more than a bounded amount.
//!
//! ```text
//! m3u8 ──parse──▶ Playlist ─┬▶ Multivariant
//!                           └▶ Media ──apply_delta──▶ Media      a delta update merged into the playlist before it
//! ```
//! "Playlists that violate these rules are invalid; clients MUST fail to parse them" (§4): what can't be modelled is an
//! error with its line. Tags we don't know are ignored, as §6.3.1 asks. What is legal to write but wrong to serve is for
//! [`crate::lint`] to say.

mod attributes;
mod media;
mod merge;
mod multivariant;
mod value;

use std::{sync::Arc, time::Duration};

pub use merge::{MergeError, apply_delta};

/// The longest playlist that is read, in bytes: 50 times a day of 2 s segments is refused, half a day is not.
pub const MAX_BYTES: usize = 4 << 20;
/// The longest line, in bytes.
pub const MAX_LINE: usize = 16 << 10;
/// The most segments, skipped ones included, and the most parts of all of them.
pub const MAX_SEGMENTS: usize = 1 << 16;
/// The most variants, renditions, hints or reports, each.
pub const MAX_ENTRIES: usize = 256;

/// Why a text is not a playlist. The server's doing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct ReadError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Not UTF-8 (§4.1).
    #[error("not UTF-8")]
    NotUtf8,
    /// A byte order mark (§4.1).
    #[error("a byte order mark; playlists have none")]
    ByteOrderMark,
    /// A control character other than CR and LF (§4.1).
    #[error("a control character")]
    ControlCharacter,
    /// The first line is not `#EXTM3U`.
    #[error("the first line must be #EXTM3U")]
    NotAPlaylist,
    /// Too much of something for us; the limit is ours.
    #[error("more than {limit} {what}, the most that is read")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// The most that is read.
        limit: usize,
    },
    /// A tag that must be there is not.
    #[error("{0} is missing")]
    MissingTag(&'static str),
    /// A tag that may appear once appears again.
    #[error("{0} appears a second time")]
    RepeatedTag(&'static str),
    /// A tag in a place where it may not be.
    #[error("{tag} must come {place}")]
    Misplaced {
        /// The tag.
        tag: &'static str,
        /// Where it belongs.
        place: &'static str,
    },
    /// A tag with a value it can't have.
    #[error("{0} has a value it can't have")]
    BadValue(&'static str),
    /// Not an attribute list (§4.2).
    #[error("{0} is not an attribute list")]
    BadAttributes(&'static str),
    /// An attribute that must be there is not.
    #[error("{tag} lacks {attribute}")]
    MissingAttribute {
        /// The tag.
        tag: &'static str,
        /// The attribute.
        attribute: &'static str,
    },
    /// An attribute with a value it can't have.
    #[error("{tag} has a value of {attribute} that it can't have")]
    BadAttribute {
        /// The tag.
        tag: &'static str,
        /// The attribute.
        attribute: &'static str,
    },
    /// `EXTINF` or `EXT-X-STREAM-INF` without the URI that must follow it.
    #[error("{0} is not followed by a URI")]
    MissingUri(&'static str),
    /// A URI that no tag announces.
    #[error("a URI without EXTINF or EXT-X-STREAM-INF before it")]
    StrayUri,
    /// Tags of media and multivariant playlists in one (§4.1).
    #[error("tags of a media playlist and of a multivariant playlist in one")]
    Mixed,
}

/// Either kind of playlist; read once and taken apart, so that its size does not matter.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq)]
pub enum Playlist {
    /// Tells of tracks.
    Multivariant(Multivariant),
    /// Tells of one track's segments.
    Media(Media),
}

/// A multivariant playlist.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Multivariant {
    /// `EXT-X-VERSION`, or 1.
    pub version: u64,
    /// `EXT-X-INDEPENDENT-SEGMENTS`.
    pub independent_segments: bool,
    /// `EXT-X-STREAM-INF`.
    pub variants: Vec<Variant>,
    /// `EXT-X-MEDIA`.
    pub renditions: Vec<Rendition>,
}

/// One way to play the presentation.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// Its media playlist, as written.
    pub uri: String,
    /// Peak bits per second.
    pub bandwidth: u64,
    /// Mean bits per second.
    pub average_bandwidth: Option<u64>,
    /// RFC 6381, comma-separated.
    pub codecs: Option<String>,
    /// Pixels, width and height.
    pub resolution: Option<(u64, u64)>,
    /// Frames a second.
    pub frame_rate: Option<f64>,
    /// The group of audio renditions.
    pub audio: Option<String>,
}

/// An alternative rendition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendition {
    /// `AUDIO`, `VIDEO`, `SUBTITLES` or `CLOSED-CAPTIONS`.
    pub kind: String,
    /// Its group.
    pub group_id: String,
    /// Its name.
    pub name: String,
    /// Its media playlist, as written; `None` where the variant carries it.
    pub uri: Option<String>,
    /// Whether it is played unless the viewer says otherwise.
    pub default: bool,
    /// Audio channels.
    pub channels: Option<String>,
}

/// A media playlist, or a delta update of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// `EXT-X-VERSION`, or 1.
    pub version: u64,
    /// `EXT-X-INDEPENDENT-SEGMENTS`.
    pub independent_segments: bool,
    /// `EXT-X-TARGETDURATION`.
    pub target_duration: Duration,
    /// `EXT-X-SERVER-CONTROL`.
    pub control: Option<ServerControl>,
    /// `EXT-X-PART-INF`.
    pub part_target: Option<Duration>,
    /// `EXT-X-PLAYLIST-TYPE`.
    pub playlist_type: Option<String>,
    /// Number of the first segment, whether skipped or not.
    pub media_sequence: u64,
    /// Discontinuity number before the first segment.
    pub discontinuity_sequence: u64,
    /// `EXT-X-SKIP`: how many segments before [`Self::segments`] are as in the playlist before; 0 in a full one.
    pub skipped: u64,
    /// The segments that are listed.
    pub segments: Vec<Segment>,
    /// The segment in progress, where some of it is listed.
    pub open: Option<Open>,
    /// `EXT-X-PRELOAD-HINT`.
    pub hints: Vec<Hint>,
    /// `EXT-X-RENDITION-REPORT`.
    pub reports: Vec<Report>,
    /// `EXT-X-ENDLIST`.
    pub ended: bool,
}

/// `EXT-X-SERVER-CONTROL`: what the server can do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerControl {
    /// Blocking reloads.
    pub can_block_reload: bool,
    /// Delta updates, for segments further from the end than this.
    pub can_skip_until: Option<Duration>,
    /// Delta updates may leave out date ranges.
    pub can_skip_dateranges: bool,
    /// How far from the end to play.
    pub hold_back: Option<Duration>,
    /// How far from the end to play, by parts.
    pub part_hold_back: Option<Duration>,
}

/// What stands before a segment's first part or its `EXTINF`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Start {
    /// `EXT-X-DISCONTINUITY`.
    pub discontinuity: bool,
    /// The `EXT-X-MAP` in force, as written; unknown in a delta update until it changes.
    pub map: Option<Arc<str>>,
    /// `EXT-X-PROGRAM-DATE-TIME`, microseconds since 1970 UTC.
    pub program_date_time: Option<i64>,
}

/// A whole segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// What stands before it.
    pub start: Start,
    /// Its parts, while they are listed.
    pub parts: Vec<Part>,
    /// `EXTINF`.
    pub duration: Duration,
    /// `EXT-X-GAP`: it is missing.
    pub gap: bool,
    /// Which bytes of its resource it is, where not all.
    pub range: Option<ByteRange>,
    /// As written.
    pub uri: String,
}

/// A segment in progress.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Open {
    /// What stands before it.
    pub start: Start,
    /// Its parts so far.
    pub parts: Vec<Part>,
}

/// `EXT-X-PART`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// As written.
    pub uri: String,
    /// How long it plays.
    pub duration: Duration,
    /// Whether decoding can begin with it.
    pub independent: bool,
    /// Whether it is missing.
    pub gap: bool,
    /// Which bytes of its resource it is, where not all.
    pub range: Option<ByteRange>,
}

/// Some bytes of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// How many.
    pub length: u64,
    /// From where; where the one before it ended, if not said.
    pub offset: Option<u64>,
}

/// `EXT-X-PRELOAD-HINT`: what will be needed next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// An initialization section rather than a part.
    pub is_map: bool,
    /// As written.
    pub uri: String,
    /// Whether only some bytes of it are meant.
    pub is_range: bool,
}

/// `EXT-X-RENDITION-REPORT`: how far another track has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Its media playlist, as written.
    pub uri: String,
    /// `LAST-MSN`; the same as this playlist's, if not said.
    pub last_msn: Option<u64>,
    /// `LAST-PART`; the same as this playlist's, if not said.
    pub last_part: Option<u64>,
}

impl Media {
    /// Number of the newest whole segment.
    pub fn last_msn(&self) -> Option<u64> {
        (self.media_sequence + self.skipped + self.segments.len() as u64)
            .checked_sub(1)
            .filter(|_| self.skipped > 0 || !self.segments.is_empty())
    }

    /// Segment and index of the newest part listed, or of the last segment (with `None`) where that has none.
    pub fn newest(&self) -> Option<(u64, Option<u64>)> {
        let last = |parts: &[Part]| (parts.len() as u64).checked_sub(1);
        let next = self.media_sequence + self.skipped + self.segments.len() as u64;
        match (self.open.as_ref().and_then(|open| last(&open.parts)), self.segments.last()) {
            (Some(part), _) => Some((next, Some(part))),
            (None, Some(segment)) => Some((next - 1, last(&segment.parts))),
            (None, None) => self.last_msn().map(|msn| (msn, None)),
        }
    }

    /// The segments with their numbers.
    pub fn numbered(&self) -> impl DoubleEndedIterator<Item = (u64, &Segment)> {
        let first = self.media_sequence + self.skipped;
        self.segments.iter().enumerate().map(move |(n, segment)| (first + n as u64, segment))
    }

    /// The hinted part.
    pub fn hinted_part(&self) -> Option<&Hint> {
        self.hints.iter().find(|hint| !hint.is_map)
    }
}

/// Reads a playlist of either kind. Costs time in proportion to its length, which is at most [`MAX_BYTES`].
///
/// # Errors
/// See [`Problem`]: the first line that is wrong.
///
/// # Specification
/// draft-pantos-hls-rfc8216bis §4.
pub fn parse(text: &[u8]) -> Result<Playlist, ReadError> {
    let at = |line, problem| ReadError { line, problem };
    if text.len() > MAX_BYTES {
        return Err(at(1, Problem::TooMuch { what: "bytes", limit: MAX_BYTES }));
    }
    let text = std::str::from_utf8(text).map_err(|e| {
        let before = &text[..e.valid_up_to()];
        at(1 + before.iter().filter(|&&byte| byte == b'\n').count(), Problem::NotUtf8)
    })?;
    let lines = lines(text)?;
    let has =
        |tags: &[&str]| lines.iter().any(|line| matches!(line.content, Content::Tag(tag, _) if tags.contains(&tag)));
    match (has(multivariant::TAGS), has(media::TAGS)) {
        (true, true) => Err(at(1, Problem::Mixed)),
        (true, false) => multivariant::read(&lines).map(Playlist::Multivariant),
        (false, _) => media::read(&lines).map(Playlist::Media),
    }
}

/// Reads a media playlist or a delta update of one; see [`parse`].
pub fn parse_media(text: &[u8]) -> Result<Media, ReadError> {
    match parse(text)? {
        Playlist::Media(media) => Ok(media),
        Playlist::Multivariant(_) => Err(ReadError { line: 1, problem: Problem::MissingTag("EXT-X-TARGETDURATION") }),
    }
}

/// A line that says something.
#[derive(Debug, Clone, Copy)]
struct Line<'a> {
    number: usize,
    content: Content<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Content<'a> {
    /// Name without `#`, and what follows the colon.
    Tag(&'a str, &'a str),
    Uri(&'a str),
}

impl Line<'_> {
    fn error(&self, problem: Problem) -> ReadError {
        ReadError { line: self.number, problem }
    }
}

/// Splits into lines; leaves out the first, empty ones and comments.
fn lines(text: &str) -> Result<Vec<Line<'_>>, ReadError> {
    let mut out = Vec::new();
    for (n, line) in text.split('\n').enumerate() {
        let number = n + 1;
        let line = line.strip_suffix('\r').unwrap_or(line);
        check_line(number, line).map_err(|problem| ReadError { line: number, problem })?;
        let content = match line.strip_prefix('#') {
            _ if number == 1 || line.is_empty() => continue,
            Some(tag) if tag.starts_with("EXT") => {
                let (name, value) = tag.split_once(':').unwrap_or((tag, ""));
                Content::Tag(name, value)
            }
            Some(_) => continue,
            None => Content::Uri(line),
        };
        out.push(Line { number, content });
    }
    Ok(out)
}

fn check_line(number: usize, line: &str) -> Result<(), Problem> {
    if line.len() > MAX_LINE {
        return Err(Problem::TooMuch { what: "bytes in a line", limit: MAX_LINE });
    }
    if number == 1 && line.starts_with('\u{feff}') {
        return Err(Problem::ByteOrderMark);
    }
    if number == 1 && line != "#EXTM3U" {
        return Err(Problem::NotAPlaylist);
    }
    if line.chars().any(char::is_control) {
        return Err(Problem::ControlCharacter);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
