//! Reads a media playlist or a delta update of one (§4.4.3 to §4.4.5).

use std::{sync::Arc, time::Duration};

use super::{
    ByteRange, Content, Hint, Line, MAX_ENTRIES, MAX_SEGMENTS, Media, Open, Part, Problem, ReadError, Report, Segment,
    ServerControl,
    attributes::Attributes,
    value::{byte_range, date_time, integer, seconds},
};

/// Tags that only a media playlist has.
pub(super) const TAGS: &[&str] = &[
    "EXT-X-TARGETDURATION",
    "EXT-X-MEDIA-SEQUENCE",
    "EXT-X-DISCONTINUITY-SEQUENCE",
    "EXT-X-ENDLIST",
    "EXT-X-PLAYLIST-TYPE",
    "EXT-X-I-FRAMES-ONLY",
    "EXT-X-PART-INF",
    "EXT-X-SERVER-CONTROL",
    "EXTINF",
    "EXT-X-BYTERANGE",
    "EXT-X-DISCONTINUITY",
    "EXT-X-KEY",
    "EXT-X-MAP",
    "EXT-X-PROGRAM-DATE-TIME",
    "EXT-X-GAP",
    "EXT-X-PART",
    "EXT-X-SKIP",
    "EXT-X-PRELOAD-HINT",
    "EXT-X-RENDITION-REPORT",
];

pub(super) fn read(lines: &[Line<'_>]) -> Result<Media, ReadError> {
    let mut reader = Reader::default();
    for line in lines {
        match line.content {
            Content::Uri(uri) => reader.uri(*line, uri)?,
            Content::Tag(tag, value) => reader.tag(*line, tag, value)?,
        }
    }
    reader.finish(lines.last().map_or(1, |line| line.number))
}

/// What has been read so far.
#[derive(Default)]
struct Reader<'a> {
    version: Option<u64>,
    independent_segments: bool,
    target_duration: Option<Duration>,
    control: Option<ServerControl>,
    part_target: Option<Duration>,
    playlist_type: Option<String>,
    media_sequence: Option<u64>,
    discontinuity_sequence: Option<u64>,
    skipped: Option<u64>,
    segments: Vec<Segment>,
    hints: Vec<Hint>,
    reports: Vec<Report>,
    ended: bool,
    parts: usize,
    map: Option<Arc<str>>,
    /// The segment that the next URI completes.
    next: Open,
    extinf: Option<(Line<'a>, Duration)>,
    gap: bool,
    range: Option<ByteRange>,
}

impl<'a> Reader<'a> {
    fn tag(&mut self, line: Line<'a>, tag: &str, text: &'a str) -> Result<(), ReadError> {
        match tag {
            "EXT-X-VERSION" => once(line, "EXT-X-VERSION", &mut self.version, integer(text)),
            "EXT-X-INDEPENDENT-SEGMENTS" => {
                self.independent_segments = true;
                Ok(())
            }
            "EXT-X-TARGETDURATION" => {
                let value = integer(text).filter(|&n| n < 1_000_000_000).map(Duration::from_secs);
                once(line, "EXT-X-TARGETDURATION", &mut self.target_duration, value)
            }
            "EXT-X-PLAYLIST-TYPE" => {
                let value = matches!(text, "EVENT" | "VOD").then(|| text.to_owned());
                once(line, "EXT-X-PLAYLIST-TYPE", &mut self.playlist_type, value)
            }
            "EXT-X-MEDIA-SEQUENCE" => {
                self.before_segments(line, "EXT-X-MEDIA-SEQUENCE")?;
                once(line, "EXT-X-MEDIA-SEQUENCE", &mut self.media_sequence, number(text))
            }
            "EXT-X-DISCONTINUITY-SEQUENCE" => {
                self.before_segments(line, "EXT-X-DISCONTINUITY-SEQUENCE")?;
                once(line, "EXT-X-DISCONTINUITY-SEQUENCE", &mut self.discontinuity_sequence, number(text))
            }
            "EXT-X-ENDLIST" => {
                self.ended = true;
                Ok(())
            }
            "EXT-X-SERVER-CONTROL" => {
                let control = control(line, text)?;
                once(line, "EXT-X-SERVER-CONTROL", &mut self.control, Some(control))
            }
            "EXT-X-PART-INF" => {
                let list = Attributes::parse(line, "EXT-X-PART-INF", text)?;
                let target = list.need("PART-TARGET", list.plain("PART-TARGET", seconds)?)?;
                once(line, "EXT-X-PART-INF", &mut self.part_target, Some(target))
            }
            "EXT-X-SKIP" => self.skip(line, text),
            "EXT-X-PRELOAD-HINT" => self.hint(line, text),
            "EXT-X-RENDITION-REPORT" => self.report(line, text),
            _ => self.segment_tag(line, tag, text),
        }
    }

    fn segment_tag(&mut self, line: Line<'a>, tag: &str, text: &'a str) -> Result<(), ReadError> {
        match tag {
            "EXT-X-DISCONTINUITY" => {
                self.before_parts(line, "EXT-X-DISCONTINUITY")?;
                self.next.start.discontinuity = true;
            }
            "EXT-X-MAP" => {
                self.before_parts(line, "EXT-X-MAP")?;
                self.map = Some(Attributes::parse(line, "EXT-X-MAP", text)?.uri()?.into());
                self.next.start.map.clone_from(&self.map);
            }
            "EXT-X-PROGRAM-DATE-TIME" => {
                self.before_parts(line, "EXT-X-PROGRAM-DATE-TIME")?;
                if let (Some(_), Some((at, _))) = (self.next.start.program_date_time, &self.extinf) {
                    return Err(at.error(Problem::MissingUri("EXTINF")));
                }
                once(line, "EXT-X-PROGRAM-DATE-TIME", &mut self.next.start.program_date_time, date_time(text))?;
            }
            "EXT-X-GAP" => self.gap = true,
            "EXT-X-BYTERANGE" => once(line, "EXT-X-BYTERANGE", &mut self.range, byte_range(text))?,
            "EXT-X-PART" => self.part(line, text)?,
            "EXTINF" => {
                let length = text.split(',').next().and_then(seconds);
                let length = length.ok_or_else(|| line.error(Problem::BadValue("EXTINF")))?;
                if let Some((at, _)) = self.extinf.replace((line, length)) {
                    return Err(at.error(Problem::MissingUri("EXTINF")));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn uri(&mut self, line: Line<'_>, uri: &str) -> Result<(), ReadError> {
        let (_, duration) = self.extinf.take().ok_or_else(|| line.error(Problem::StrayUri))?;
        let Open { mut start, parts } = std::mem::take(&mut self.next);
        start.map.clone_from(&self.map);
        let (gap, range) = (std::mem::take(&mut self.gap), self.range.take());
        self.segments.push(Segment { start, parts, duration, gap, range, uri: uri.to_owned() });
        self.check_size(line)
    }

    fn part(&mut self, line: Line<'_>, text: &str) -> Result<(), ReadError> {
        let list = Attributes::parse(line, "EXT-X-PART", text)?;
        if self.extinf.is_some() {
            return Err(line.error(Problem::Misplaced { tag: "EXT-X-PART", place: "before its segment's EXTINF" }));
        }
        let range = list.string("BYTERANGE")?;
        let range = range.map(|text| byte_range(&text).ok_or_else(|| list.bad("BYTERANGE"))).transpose()?;
        self.next.start.map.clone_from(&self.map);
        self.next.parts.push(Part {
            uri: list.uri()?,
            duration: list.need("DURATION", list.plain("DURATION", seconds)?)?,
            independent: list.flag("INDEPENDENT")?,
            gap: list.flag("GAP")?,
            range,
        });
        self.parts += 1;
        self.check_size(line)
    }

    fn skip(&mut self, line: Line<'_>, text: &str) -> Result<(), ReadError> {
        let list = Attributes::parse(line, "EXT-X-SKIP", text)?;
        self.before_segments(line, "EXT-X-SKIP")?;
        let skipped = list.need("SKIPPED-SEGMENTS", list.plain("SKIPPED-SEGMENTS", integer)?)?;
        let value = (skipped as usize <= MAX_SEGMENTS).then_some(skipped);
        once(line, "EXT-X-SKIP", &mut self.skipped, value)
    }

    fn hint(&mut self, line: Line<'_>, text: &str) -> Result<(), ReadError> {
        let list = Attributes::parse(line, "EXT-X-PRELOAD-HINT", text)?;
        let is_map = |text| match text {
            "PART" => Some(false),
            "MAP" => Some(true),
            _ => None,
        };
        let is_map = list.need("TYPE", list.plain("TYPE", is_map)?)?;
        let start = list.plain("BYTERANGE-START", integer)?;
        let length = list.plain("BYTERANGE-LENGTH", integer)?;
        self.hints.push(Hint { is_map, uri: list.uri()?, is_range: start.is_some() || length.is_some() });
        self.check_size(line)
    }

    fn report(&mut self, line: Line<'_>, text: &str) -> Result<(), ReadError> {
        let list = Attributes::parse(line, "EXT-X-RENDITION-REPORT", text)?;
        self.reports.push(Report {
            uri: list.uri()?,
            last_msn: list.plain("LAST-MSN", number)?,
            last_part: list.plain("LAST-PART", number)?,
        });
        self.check_size(line)
    }

    fn before_segments(&self, line: Line<'_>, tag: &'static str) -> Result<(), ReadError> {
        if self.segments.is_empty() && self.next.parts.is_empty() && !self.next.start.discontinuity {
            Ok(())
        } else {
            Err(line.error(Problem::Misplaced { tag, place: "before the first segment" }))
        }
    }

    fn before_parts(&self, line: Line<'_>, tag: &'static str) -> Result<(), ReadError> {
        match &self.extinf {
            _ if self.next.parts.is_empty() => Ok(()),
            Some((at, _)) => Err(at.error(Problem::MissingUri("EXTINF"))),
            None => Err(line.error(Problem::Misplaced { tag, place: "before the first part of its segment" })),
        }
    }

    fn check_size(&self, line: Line<'_>) -> Result<(), ReadError> {
        if self.segments.len() + self.skipped.unwrap_or(0) as usize > MAX_SEGMENTS || self.parts > MAX_SEGMENTS {
            return Err(line.error(Problem::TooMuch { what: "segments or parts", limit: MAX_SEGMENTS }));
        }
        if self.hints.len().max(self.reports.len()) > MAX_ENTRIES {
            return Err(line.error(Problem::TooMuch { what: "hints or reports", limit: MAX_ENTRIES }));
        }
        Ok(())
    }

    fn finish(self, last: usize) -> Result<Media, ReadError> {
        if let Some((at, _)) = self.extinf {
            return Err(at.error(Problem::MissingUri("EXTINF")));
        }
        let missing = ReadError { line: last, problem: Problem::MissingTag("EXT-X-TARGETDURATION") };
        Ok(Media {
            version: self.version.unwrap_or(1),
            independent_segments: self.independent_segments,
            target_duration: self.target_duration.ok_or(missing)?,
            control: self.control,
            part_target: self.part_target,
            playlist_type: self.playlist_type,
            media_sequence: self.media_sequence.unwrap_or(0),
            discontinuity_sequence: self.discontinuity_sequence.unwrap_or(0),
            skipped: self.skipped.unwrap_or(0),
            segments: self.segments,
            open: Some(self.next).filter(|open| !open.parts.is_empty()),
            hints: self.hints,
            reports: self.reports,
            ended: self.ended,
        })
    }
}

/// A sequence number; ours end a million years before this does.
fn number(text: &str) -> Option<u64> {
    integer(text).filter(|&n| n < 1 << 62)
}

fn once<T>(line: Line<'_>, tag: &'static str, slot: &mut Option<T>, value: Option<T>) -> Result<(), ReadError> {
    let value = value.ok_or_else(|| line.error(Problem::BadValue(tag)))?;
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(line.error(Problem::RepeatedTag(tag))),
    }
}

fn control(line: Line<'_>, text: &str) -> Result<ServerControl, ReadError> {
    let list = Attributes::parse(line, "EXT-X-SERVER-CONTROL", text)?;
    Ok(ServerControl {
        can_block_reload: list.flag("CAN-BLOCK-RELOAD")?,
        can_skip_until: list.plain("CAN-SKIP-UNTIL", seconds)?,
        can_skip_dateranges: list.flag("CAN-SKIP-DATERANGES")?,
        hold_back: list.plain("HOLD-BACK", seconds)?,
        part_hold_back: list.plain("PART-HOLD-BACK", seconds)?,
    })
}
