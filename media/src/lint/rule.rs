//! The rules: their ids, how binding they are, and what they ask.

/// How binding a rule is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The draft or Apple's authoring specification demands it; players rely on it.
    Must,
    /// Recommended.
    Should,
}

/// One rule of the profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// As in `L01`.
    pub id: &'static str,
    /// How binding it is. A rule that demands one thing may recommend another; a finding has its own severity.
    pub level: Level,
    /// What it asks.
    pub says: &'static str,
}

/// Every rule that is checked, in order. Of the profile's rules L33 (budgets of held requests) and L44 (coalescing) show
/// only inside a server.
pub fn rules() -> &'static [Rule] {
    RULES
}

const fn must(id: &'static str, says: &'static str) -> Rule {
    Rule { id, level: Level::Must, says }
}

const fn should(id: &'static str, says: &'static str) -> Rule {
    Rule { id, level: Level::Should, says }
}

const RULES: &[Rule] = &[
    must("L01", "parts need EXT-X-PART-INF; each lasts as long as it says, at most PART-TARGET and mostly 85 % of it"),
    must("L02", "PART-HOLD-BACK is at least three times PART-TARGET; EXT-X-SERVER-CONTROL is alike in all playlists"),
    must("L03", "HOLD-BACK is at least three, CAN-SKIP-UNTIL at least six target durations"),
    must("L04", "EXT-X-TARGETDURATION, PART-TARGET and PART-HOLD-BACK never change, and no segment is longer"),
    must("L05", "sequence numbers count what was removed, and the same number stays the same segment"),
    must("L06", "a segment's tags come before its first part, its parts before its EXTINF, and that before its URI"),
    must("L07", "a segment is exactly the bytes of its parts, and both stay fetchable after they are removed"),
    must("L08", "something new appears within one part target, and within 1.5 target durations at the latest"),
    must("L09", "three target durations stay listed; a sliding playlist has no EXT-X-PLAYLIST-TYPE"),
    must(
        "L10",
        "INDEPENDENT=YES stands on the parts that begin with a frame decoding can begin with, and each segment has one",
    ),
    must("L11", "EXT-X-PROGRAM-DATE-TIME maps media time to the clock, alike in all playlists"),
    must("L12", "the next part is hinted, once, and later listed under the hinted URI; a new map is hinted with it"),
    must("L13", "each playlist reports how far every other has come"),
    must("L14", "EXT-X-VERSION is what the tags need, and not more"),
    must("L15", "CODECS tells what is inside; playlists move together"),
    must("L16", "playlists are well-formed UTF-8 text of type application/vnd.apple.mpegurl"),
    must("L20", "a blocking reload is held until what it asks for is listed"),
    must("L21", "a blocking reload for what is already listed is answered at once with the whole playlist"),
    must("L22", "a directive that makes no sense is refused with 400"),
    should("L23", "a blocking reload too far ahead is refused with 400 at once"),
    must("L24", "no request is held for more than three target durations, and none once the stream has ended"),
    must("L25", "a delta update skips only what lies beyond the skip boundary, and merges into the full playlist"),
    must("L26", "unknown _HLS_ parameters change nothing, and no URI carries any"),
    must("L27", "asking for a playlist changes nothing: who asks again gets the same or a newer one"),
    must("L30", "a hinted part can be requested, and arrives whole at the speed of the link"),
    should("L31", "what neither exists nor is hinted is 404 at once"),
    should("L32", "byte ranges of segments can be requested"),
    must("L40", "playlists and segments come over HTTP/2 or HTTP/3"),
    should("L41", "replies carry RFC 9218 priorities, playlists first"),
    should("L42", "playlists are compressed with gzip where that is accepted, and vary by it"),
    must("L43", "every playlist that is named can be loaded"),
    should("L45", "replies say how long caches may keep them"),
    must("L46", "Age is the time since the origin made the reply"),
    should("L47", "any page may read the replies (CORS) and their times"),
    must("L48", "an ended playlist hints at nothing, changes no more and stays"),
    must(
        "C01",
        "an init has ftyp with iso6 or later and an empty moov; fragments are self-contained; segments have EXT-X-MAP",
    ),
    must(
        "C02",
        "one track a file, one moof and mdat with one traf and trun a chunk, segments begin at a sync sample, times join",
    ),
    must("C03", "no edit list; the earliest presentation time is the fragment's decode time"),
    must("C04", "sync flags tell which frames are IDR pictures; parameter sets are in the sample entry only"),
    must("C05", "what carries two tracks in one fragment does not call itself CMAF"),
    should("C06", "time scales are 90,000 or the sample rate, and AAC frames are 1,024 samples long"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_in_order_and_unique() {
        let key = |rule: &Rule| (rule.id.as_bytes()[0] == b'C', rule.id);
        assert!(rules().is_sorted_by(|a, b| key(a) < key(b)));
    }
}
