//! Inits, parts and segments: which to ask for, and what to make of them.

use std::time::Duration;

use super::{
    super::{MAX_TRACKS, Response, http, init, presentation, probe::Probe, track::Object, url::resolve},
    Lint, Named, Purpose, Tried,
};
use crate::playlist::read::{Media, Part};

/// How many URLs are remembered as asked for.
const MAX_REQUESTED: usize = 20_000;
/// Of how many removed segments and parts it is checked that they stay.
const MAX_KEPT_CHECKS: u32 = 8;

impl Lint {
    pub(super) fn plan_objects(&mut self, track: usize, before: Option<&Media>) {
        let Some(media) = self.tracks[track].latest.clone() else { return };
        let newest = if before.is_none() { 1 } else { 3 };
        let base = self.tracks[track].url.clone();
        for segment in &media.segments[media.segments.len().saturating_sub(newest)..] {
            self.want_map(track, &base, segment.start.map.as_deref());
            self.want_parts(track, &base, &segment.parts);
            if !segment.gap && segment.range.is_none() {
                let named = Named { uri: segment.uri.clone(), is_segment: true, is_hinted: false };
                self.want(track, &base, &segment.uri, Purpose::Object(track, named));
            }
        }
        if let Some(open) = &media.open {
            self.want_map(track, &base, open.start.map.as_deref());
            self.want_parts(track, &base, &open.parts);
        }
        for hint in media.hints.iter().filter(|hint| !hint.is_range) {
            if hint.is_map {
                self.want_map(track, &base, Some(&hint.uri));
            } else {
                let named = Named { uri: hint.uri.clone(), is_segment: false, is_hinted: true };
                self.want(track, &base, &hint.uri, Purpose::Object(track, named));
            }
        }
    }

    fn want_parts(&mut self, track: usize, base: &str, parts: &[Part]) {
        for part in parts.iter().filter(|part| !part.gap && part.range.is_none()) {
            let named = Named { uri: part.uri.clone(), is_segment: false, is_hinted: false };
            self.want(track, base, &part.uri, Purpose::Object(track, named));
        }
    }

    fn want_map(&mut self, track: usize, base: &str, uri: Option<&str>) {
        if let Some(uri) = uri {
            self.want(track, base, uri, Purpose::Init(track, uri.to_owned()));
        }
    }

    fn want(&mut self, track: usize, base: &str, uri: &str, purpose: Purpose) {
        let Some(url) = resolve(base, uri) else { return };
        let requested = &mut self.tracks[track].requested;
        if requested.len() > MAX_REQUESTED {
            requested.clear();
        }
        if requested.insert(url.clone()) {
            self.ask(url, purpose, Vec::new(), Duration::ZERO);
        }
    }

    /// Asks again for what this version no longer lists.
    pub(super) fn plan_kept(&mut self, track: usize, before: Option<&Media>) {
        let (Some(before), Some(after)) = (before, &self.tracks[track].latest) else { return };
        if self.kept_checks >= MAX_KEPT_CHECKS {
            return;
        }
        let gone = before.numbered().find(|(msn, segment)| *msn < after.media_sequence && !segment.gap);
        let gone = gone.map(|(_, segment)| (segment.uri.clone(), "keep segments for as long as §6.2.2 asks"));
        let without = after.numbered().rfind(|(_, segment)| segment.parts.is_empty()).map(|(msn, _)| msn);
        let part = before.numbered().find(|(msn, _)| Some(*msn) == without);
        let part = part.and_then(|(_, segment)| segment.parts.iter().find(|part| !part.gap && part.range.is_none()));
        let part = part.map(|part| (part.uri.clone(), "keep parts for three target durations after they were listed"));
        let base = self.tracks[track].url.clone();
        for (uri, remedy) in gone.into_iter().chain(part) {
            if let Some(url) = resolve(&base, &uri) {
                self.kept_checks += 1;
                self.ask(url, Purpose::Kept(remedy), Vec::new(), Duration::ZERO);
            }
        }
    }

    pub(super) fn init(&mut self, track: usize, uri: String, url: &str, response: &Response) {
        self.log.scope(&self.tracks[track].url);
        let saw = || format!("{}", response.status);
        self.log.must("C01", response.status == 200, url, saw, "serve the init that EXT-X-MAP names");
        if response.status != 200 {
            return;
        }
        self.objects += 1;
        http::check_object(&mut self.log, url, response);
        let Some(init) = init::check(&mut self.log, url, &response.body) else { return };
        if let (Some(codec), Some(multivariant)) = (&init.codec, &self.multivariant) {
            presentation::check_codec(&mut self.log, multivariant, &self.entry, &self.tracks[track].url, codec);
        }
        let inits = &mut self.tracks[track].inits;
        inits.insert(uri, init);
        while inits.len() > MAX_TRACKS {
            inits.pop_first();
        }
        self.tracks[track].judge_waiting(&mut self.log);
    }

    pub(super) fn object(&mut self, track: usize, named: &Named, url: &str, response: &Response) {
        let hinted = named.is_hinted;
        self.log.scope(&self.tracks[track].url);
        let saw = || format!("{} after {:?}, hinted: {hinted}", response.status, response.held());
        let ended = self.tracks[track].latest.as_ref().is_none_or(|media| media.ended);
        if hinted && response.status == 404 && ended {
            return;
        }
        if hinted && response.status == 404 {
            self.tracks[track].refuse(&named.uri, url, response.held());
            self.tracks[track].judge_refused(&mut self.log);
            return;
        }
        let remedy = if hinted { "hold a request for a hinted part until it is there" } else { "serve what is listed" };
        self.log.must("L30", response.status == 200, url, saw, remedy);
        if response.status != 200 {
            return;
        }
        self.objects += 1;
        http::check_object(&mut self.log, url, response);
        if !named.is_segment {
            let took = response.done_at.saturating_sub(response.head_at);
            let target = self.tracks[track].latest.as_ref().and_then(|media| media.part_target).unwrap_or_default();
            let paces = &mut self.tracks[track].paces;
            paces.0 += 1;
            paces.1 += u64::from(took > (target / 2).max(Duration::from_millis(200)));
            let (all, slow) = *paces;
            let saw = || format!("{} bytes in {took:?}; {slow} of {all} parts were as slow", response.body.len());
            // A busy machine delays some; a server that sends frames as they come delays all.
            let good = slow < 3 || slow * 4 < all;
            self.log.must("L30", good, url, saw, "send no byte of a part before all of it is there");
        }
        let object = Object { url: url.to_owned(), uri: named.uri.clone(), bytes: response.body.clone() };
        self.tracks[track].take(&mut self.log, object);
        presentation::check_mapping(&mut self.log, &self.tracks, track);
        if named.is_segment && !self.ranges_tried && response.body.len() > 100 {
            self.ranges_tried = true;
            for probe in [Probe::RangeStart, Probe::RangeOpen] {
                let tried = Tried { probe, whole: response.body.clone(), playlist: None };
                self.ask(url.to_owned(), Purpose::Probe(track, tried), probe.headers(), Duration::ZERO);
            }
        }
    }
}
