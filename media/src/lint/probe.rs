//! Requests that a player would not send, to see what the server makes of them.

use std::time::Duration;

use super::{
    http::Response,
    log::Log,
    url::{resolve, with},
};
use crate::playlist::read::Media;

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probe {
    /// `_HLS_part` without `_HLS_msn`.
    PartAlone,
    /// `_HLS_msn` that is no number.
    NoNumber,
    /// A segment far in the future.
    SegmentTooFar,
    /// A part far in the future.
    PartTooFar,
    /// A directive twice.
    Twice,
    /// A directive that nobody knows.
    Unknown,
    /// A blocking reload for what is there.
    Satisfied,
    /// The same playlist, without gzip.
    Again,
    /// A segment that never was.
    DeadName,
    /// What a browser asks before it asks.
    Preflight,
    /// After the end: a blocking reload for more.
    EndedBlocking,
    /// After the end: a delta update.
    EndedSkip,
    /// The first bytes of a segment.
    RangeStart,
    /// All bytes of a segment and then some, as RFC 8673 has it.
    RangeOpen,
}

/// What is tried of a live playlist.
pub(super) const LIVE: &[Probe] = &[
    Probe::PartAlone,
    Probe::NoNumber,
    Probe::SegmentTooFar,
    Probe::PartTooFar,
    Probe::Twice,
    Probe::Unknown,
    Probe::Satisfied,
    Probe::Again,
    Probe::DeadName,
    Probe::Preflight,
];

/// What is tried of an ended playlist.
pub(super) const ENDED: &[Probe] = &[Probe::EndedBlocking, Probe::EndedSkip, Probe::Again];

/// "At once", for what the server must not hold: a slow link is not the server's doing.
const AT_ONCE: Duration = Duration::from_millis(1500);

impl Probe {
    /// The URL to ask for; `None` where it makes no sense for this playlist.
    pub(super) fn url(self, playlist: &str, media: &Media) -> Option<String> {
        let next = media.last_msn().map_or(media.media_sequence, |last| last + 1);
        let blocking = media.control.unwrap_or_default().can_block_reload;
        let query = match self {
            Self::PartAlone => "_HLS_part=0".to_owned(),
            Self::NoNumber => "_HLS_msn=next".to_owned(),
            Self::SegmentTooFar if blocking => format!("_HLS_msn={}", next + 20),
            Self::PartTooFar if blocking && media.open.is_some() => format!("_HLS_msn={next}&_HLS_part=10000"),
            Self::Twice if blocking => format!("_HLS_msn={0}&_HLS_msn={0}", media.media_sequence),
            Self::Satisfied if blocking => format!("_HLS_msn={}", media.media_sequence),
            Self::EndedBlocking => format!("_HLS_msn={}&_HLS_part=0", next + 20),
            Self::EndedSkip => "_HLS_skip=YES".to_owned(),
            Self::Unknown => "_HLS_freshet_lint=1".to_owned(),
            Self::Again | Self::Preflight => return Some(playlist.to_owned()),
            Self::DeadName => {
                let whole = media.segments.last().map(|segment| &segment.uri);
                let uri = whole.or_else(|| media.hinted_part().map(|hint| &hint.uri))?;
                let (directory, name) =
                    uri.rsplit_once('/').map_or(("", &uri[..]), |(directory, name)| (directory, name));
                let extension = name.split(['?', '#']).next()?.rsplit_once('.')?.1;
                let slash = if directory.is_empty() { "" } else { "/" };
                return resolve(playlist, &format!("{directory}{slash}999999999999.{extension}"));
            }
            Self::RangeStart | Self::RangeOpen => return resolve(playlist, &media.segments.last()?.uri),
            _ => return None,
        };
        Some(with(playlist, &query))
    }

    /// Request headers beside the usual.
    pub(super) fn headers(self) -> Vec<(&'static str, String)> {
        let one = |name, value: &str| vec![(name, value.to_owned())];
        match self {
            Self::Again => one("accept-encoding", "identity"),
            Self::RangeStart => one("range", "bytes=0-99"),
            Self::RangeOpen => one("range", "bytes=0-9007199254740991"),
            Self::Preflight => vec![
                ("origin", "https://freshet.invalid".to_owned()),
                ("access-control-request-method", "GET".to_owned()),
                ("access-control-request-headers", "range".to_owned()),
            ],
            _ => Vec::new(),
        }
    }

    /// Checks a reply whose body is not a playlist that matters.
    pub(super) fn check(self, log: &mut Log, url: &str, response: &Response) {
        let status = response.status;
        let saw = || format!("{status} after {:?}", response.held());
        let at_once = response.held() <= AT_ONCE;
        match self {
            Self::PartAlone => log.must("L22", status == 400, url, saw, "answer _HLS_part without _HLS_msn with 400"),
            Self::NoNumber => log.must("L22", status == 400, url, saw, "answer an _HLS_msn that is no number with 400"),
            Self::Twice => log.should("L26", status == 400, url, saw, "answer a directive that comes twice with 400"),
            Self::SegmentTooFar => {
                let good = status == 400 && at_once;
                log.should("L23", good, url, saw, "answer an _HLS_msn more than 2 ahead with 400 at once");
            }
            Self::PartTooFar => {
                let good = status == 400 && at_once;
                log.should("L23", good, url, saw, "answer an _HLS_part far ahead with 400 at once");
            }
            Self::Unknown => log.must("L26", status == 200, url, saw, "ignore _HLS_ parameters that are unknown"),
            Self::DeadName => {
                let good = matches!(status, 404 | 410) && at_once;
                log.should("L31", good, url, saw, "answer a name that nothing has with 404 at once");
            }
            Self::Preflight => {
                let age = response.header("access-control-max-age");
                let saw = || format!("{status}, Access-Control-Max-Age {age:?}");
                let good = matches!(status, 200 | 204) && age.is_some();
                log.should("L47", good, url, saw, "answer OPTIONS, with Access-Control-Max-Age");
            }
            _ => {}
        }
    }

    /// Checks the reply to a range of a segment whose bytes are known.
    pub(super) fn check_range(self, log: &mut Log, url: &str, response: &Response, whole: &[u8]) {
        let status = response.status;
        let range = response.header("content-range");
        let saw = || format!("{status}, Content-Range {range:?}, {} of {} bytes", response.body.len(), whole.len());
        let (good, remedy) = if self == Self::RangeStart {
            let good = status == 206 && response.body == whole[..whole.len().min(100)];
            (good, "answer Range with 206 and those bytes")
        } else {
            let good = matches!(status, 200 | 206) && response.body == whole;
            (good, "answer a Range that goes beyond the end with all there is")
        };
        log.should("L32", good, url, saw, remedy);
    }

    /// Checks a playlist that came with 200, where `known` was known when it was asked for.
    pub(super) fn check_playlist(self, log: &mut Log, url: &str, response: &Response, media: &Media, known: &Media) {
        let saw = || format!("{:?} after {:?}, skipped {}", media.newest(), response.held(), media.skipped);
        let at_once = response.held() <= AT_ONCE;
        let current = media.newest() >= known.newest();
        if known.ended && !media.ended && Some(media.media_sequence) > known.last_msn() {
            // The channel is live again: another playlist under the same URL.
            return;
        }
        match self {
            Self::Satisfied => {
                let good = at_once && current && media.skipped == 0;
                log.must(
                    "L21",
                    good,
                    url,
                    saw,
                    "answer a satisfied blocking reload at once with the newest playlist, whole",
                );
            }
            Self::Again => {
                log.must("L27", current, url, saw, "never answer with an older version than before");
                if known.ended {
                    let same = media == known;
                    log.must("L48", same, url, saw, "change nothing after EXT-X-ENDLIST");
                }
            }
            Self::EndedBlocking => {
                log.must(
                    "L24",
                    at_once && media.ended,
                    url,
                    saw,
                    "ignore _HLS_msn and _HLS_part once the stream has ended",
                );
            }
            Self::EndedSkip => {
                log.must("L24", media.skipped == 0, url, saw, "ignore _HLS_skip once the stream has ended");
            }
            _ => {}
        }
    }
}
