//! What a viewer must know of a playlist, scanned once for however many viewers receive the same bytes.
//!
//! The strict reader is `freshet_media::playlist::read`; this one only finds parts, and is fast, because every new
//! version is scanned in every process. It still refuses what would make a player stumble.

use std::{collections::BTreeMap, rc::Rc};

/// The tracks of a multivariant playlist: variants first, then renditions.
#[derive(Debug, PartialEq, Eq)]
pub struct Index {
    /// Relative URIs.
    pub tracks: Vec<Rc<str>>,
}

/// The parts of a media playlist, or of a delta update of one.
#[derive(Debug, PartialEq, Eq)]
pub struct Listing {
    /// The parts that are listed, in order.
    pub parts: Vec<ListedPart>,
    /// The newest `EXT-X-MAP`.
    pub init: Option<Rc<str>>,
    /// `PART-HOLD-BACK`, microseconds.
    pub hold_back_us: u64,
    /// Whether it has `EXT-X-ENDLIST`.
    pub ended: bool,
}

/// One `EXT-X-PART`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPart {
    /// Media sequence number and index.
    pub id: (u64, u32),
    /// Relative URI.
    pub uri: Rc<str>,
    /// `DURATION`, microseconds.
    pub duration_us: u64,
    /// When its last frame ended by `EXT-X-PROGRAM-DATE-TIME`, microseconds since 1970.
    pub end_us: u64,
    /// Whether a player may begin here.
    pub independent: bool,
    /// Whether it can't be fetched.
    pub gap: bool,
}

impl Listing {
    /// Where a player begins: the last independent part that is PART-HOLD-BACK away from the end, else the first
    /// independent one.
    pub fn start(&self) -> usize {
        let mut behind_us = 0;
        let mut start = self.parts.len();
        for (index, part) in self.parts.iter().enumerate().rev() {
            behind_us += part.duration_us;
            if part.independent {
                start = index;
                if behind_us >= self.hold_back_us {
                    break;
                }
            }
        }
        start
    }
}

/// The newest playlists of a process's viewers, so that equal bytes are scanned once. Holds at most
/// [`Memo::PLAYLISTS`] of them and [`Memo::LENGTHS`] lengths; the oldest is forgotten.
#[derive(Default)]
pub struct Memo {
    index: Option<(Vec<u8>, Rc<Index>)>,
    listings: Vec<(Vec<u8>, Rc<Listing>)>,
    lengths: BTreeMap<Rc<str>, u64>,
}

impl Memo {
    const PLAYLISTS: usize = 16;
    const LENGTHS: usize = 512;

    /// The tracks of a multivariant playlist.
    pub fn index(&mut self, body: &[u8]) -> Result<Rc<Index>, String> {
        if let Some((_, index)) = self.index.as_ref().filter(|(known, _)| known == body) {
            return Ok(index.clone());
        }
        let index = Rc::new(scan_index(text(body)?)?);
        self.index = Some((body.to_vec(), index.clone()));
        Ok(index)
    }

    /// The parts of a media playlist.
    pub fn listing(&mut self, body: &[u8]) -> Result<Rc<Listing>, String> {
        if let Some((_, listing)) = self.listings.iter().rev().find(|(known, _)| known == body) {
            return Ok(listing.clone());
        }
        let listing = Rc::new(scan_listing(text(body)?)?);
        if self.listings.len() == Self::PLAYLISTS {
            self.listings.remove(0);
        }
        self.listings.push((body.to_vec(), listing.clone()));
        Ok(listing)
    }

    /// Whether `uri` has the length that it had for every viewer before.
    pub fn same_length(&mut self, uri: &Rc<str>, length: u64) -> bool {
        if self.lengths.len() >= Self::LENGTHS && !self.lengths.contains_key(uri) {
            self.lengths.clear();
        }
        *self.lengths.entry(uri.clone()).or_insert(length) == length
    }
}

fn text(body: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(body).map_err(|_| "not UTF-8".to_owned())
}

pub(super) fn scan_index(text: &str) -> Result<Index, String> {
    let mut variants = Vec::new();
    let mut renditions = Vec::new();
    for line in text.lines() {
        if let Some(attributes) = line.strip_prefix("#EXT-X-MEDIA:") {
            renditions.extend(attribute(attributes, "URI").map(Rc::from));
        } else if !line.starts_with('#') && !line.is_empty() {
            variants.push(line.into());
        }
    }
    variants.append(&mut renditions);
    let mut tracks: Vec<Rc<str>> = Vec::new();
    for uri in variants {
        if !tracks.contains(&uri) {
            tracks.push(uri);
        }
    }
    if tracks.is_empty() { Err("no tracks".to_owned()) } else { Ok(Index { tracks }) }
}

fn scan_listing(text: &str) -> Result<Listing, String> {
    let mut listing = Listing { parts: Vec::new(), init: None, hold_back_us: 0, ended: false };
    let (mut msn, mut part, mut clock_us) = (0, 0, 0);
    let mut segment_start_us = 0;
    for line in text.lines() {
        let (tag, value) = line.split_once(':').unwrap_or((line, ""));
        match tag {
            "#EXT-X-MEDIA-SEQUENCE" => msn = value.parse().map_err(|_| format!("MEDIA-SEQUENCE is {value:?}"))?,
            "#EXT-X-SKIP" => msn += number::<u64>(value, "SKIPPED-SEGMENTS")?,
            "#EXT-X-SERVER-CONTROL" => listing.hold_back_us = seconds(value, "PART-HOLD-BACK").unwrap_or(0),
            "#EXT-X-MAP" => listing.init = attribute(value, "URI").map(Rc::from),
            "#EXT-X-PROGRAM-DATE-TIME" => {
                clock_us = unix_us(value).ok_or_else(|| format!("PROGRAM-DATE-TIME is {value:?}"))?;
                segment_start_us = clock_us;
            }
            "#EXT-X-PART" => {
                let listed = scan_part(value, (msn, part), &mut clock_us)?;
                listing.parts.push(listed);
                part += 1;
            }
            "#EXTINF" => {
                let duration =
                    value.trim_end_matches(',').parse::<f64>().map_err(|_| format!("EXTINF is {value:?}"))?;
                clock_us = segment_start_us + (duration * 1e6) as u64;
                segment_start_us = clock_us;
            }
            "#EXT-X-ENDLIST" => listing.ended = true,
            _ if !line.starts_with('#') && !line.is_empty() => (msn, part) = (msn + 1, 0),
            _ => {}
        }
    }
    Ok(listing)
}

fn scan_part(value: &str, id: (u64, u32), clock_us: &mut u64) -> Result<ListedPart, String> {
    let uri = attribute(value, "URI").ok_or("a part without URI")?;
    let stem = uri.rsplit('/').next().and_then(|file| file.strip_suffix(".m4s")).unwrap_or_default();
    if stem != format!("{}.{}", id.0, id.1) {
        return Err(format!("part {stem} is listed where {}.{} should be", id.0, id.1));
    }
    let duration_us = seconds(value, "DURATION")?;
    *clock_us += duration_us;
    Ok(ListedPart {
        id,
        uri: uri.into(),
        duration_us,
        end_us: *clock_us,
        independent: attribute(value, "INDEPENDENT") == Some("YES"),
        gap: attribute(value, "GAP") == Some("YES"),
    })
}

/// The value of `name` in an attribute list [4.2], without quotes. Quoted values may hold commas.
fn attribute<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = list;
    while let Some((key, after)) = rest.split_once('=') {
        let (value, tail) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').map_or((after, ""), |(value, tail)| (value, tail)),
        };
        if key == name {
            return Some(value);
        }
        rest = tail.trim_start_matches(',');
    }
    None
}

fn number<T: std::str::FromStr>(list: &str, name: &str) -> Result<T, String> {
    attribute(list, name).and_then(|value| value.parse().ok()).ok_or_else(|| format!("no {name}"))
}

fn seconds(list: &str, name: &str) -> Result<u64, String> {
    number::<f64>(list, name).map(|seconds| (seconds * 1e6).round() as u64)
}

/// `1970-01-01T00:00:10.000Z` as microseconds since 1970; only UTC, as we and most packagers write it.
fn unix_us(text: &str) -> Option<u64> {
    let (date, time) = text.trim().strip_suffix('Z').or_else(|| text.trim().strip_suffix("+00:00"))?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(|field| field.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.splitn(3, ':');
    let (hours, minutes): (u64, u64) = (time.next()?.parse().ok()?, time.next()?.parse().ok()?);
    let seconds: f64 = time.next()?.parse().ok()?;
    let days = u64::try_from(days_from_civil(year, month, day)).ok()?;
    Some(((days * 24 + hours) * 60 + minutes) * 60_000_000 + (seconds * 1e6).round() as u64)
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar, counted in years that begin in March.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_utc() {
        assert_eq!(unix_us("1970-01-01T00:00:00.000Z"), Some(0));
        assert_eq!(unix_us("2026-11-21T08:00:00.250Z"), Some(1_795_248_000_250_000));
        assert_eq!(unix_us("2024-02-29T23:59:59.999+00:00"), Some(1_709_251_199_999_000));
        assert_eq!(unix_us("yesterday"), None);
    }

    #[test]
    fn a_delta_update_counts_from_what_it_skips() {
        let listing = scan_listing(
            "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:10\n#EXT-X-SKIP:SKIPPED-SEGMENTS=5\n\
             #EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:01:00.000Z\n#EXTINF:2.0,\n1/v0/15.m4s\n\
             #EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:01:02.000Z\n#EXT-X-PART:DURATION=0.5,URI=\"1/v0/16.0.m4s\",INDEPENDENT=YES\n",
        )
        .expect("legal");
        let part = &listing.parts[0];
        assert_eq!((part.id, part.end_us, part.independent), ((16, 0), 62_500_000, true));
    }

    #[test]
    fn attributes_may_be_quoted_and_hold_commas() {
        assert_eq!(attribute("A=\"x,y\",URI=\"v0.m3u8\",B=1", "URI"), Some("v0.m3u8"));
        assert_eq!(attribute("A=\"x,y\",B=1", "B"), Some("1"));
        assert_eq!(attribute("A=1", "URI"), None);
    }
}
