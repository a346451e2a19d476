//! A server that plays a stream by its own clock and can be made to err.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};

use super::{super::*, muxer};
use crate::{
    frame::TrackId,
    output::Rendered,
    playlist::{
        AudioRendition, Hint, MediaPlaylist, Multivariant, PartEntry, PlaylistConfig, SegmentStart, VideoRendition,
        multivariant,
    },
};

const PART: Duration = Duration::from_millis(512);
const PARTS: u64 = 108;
/// When the last part is published, and the playlists end.
pub const END: Duration = Duration::from_millis(512 * PARTS);
/// When the first request is sent.
const START: Duration = Duration::from_millis(512 * 40 + 100);
const FIRST: u64 = 100;
/// The segment that begins with a discontinuity and a new init.
const BREAK: u64 = FIRST + 15;
const SITE: &str = "https://edge/live/ada/";

/// A stream, all of it, and when each piece of it is published.
pub struct Server {
    versions: BTreeMap<&'static str, Vec<(Duration, Arc<Rendered>)>>,
    objects: BTreeMap<String, (Duration, Bytes)>,
    index: Bytes,
}

/// A request and the reply to it, before it is sent.
pub struct Exchange {
    /// After the site, with its query.
    pub path: String,
    request_headers: Vec<(&'static str, String)>,
    pub at: Duration,
    /// When the reply is sent.
    pub release: Duration,
    took: Duration,
    pub status: u16,
    pub protocol: Protocol,
    headers: Vec<(String, String)>,
    pub gzip: bool,
    text: Option<String>,
    body: Vec<u8>,
    published: Duration,
}

fn place(k: u64) -> (u64, u32) {
    (FIRST + k / 4, (k % 4) as u32)
}

impl Server {
    pub fn new() -> Self {
        let config = PlaylistConfig {
            target_duration: Duration::from_secs(2),
            part_target: Duration::from_micros(533_333),
            window: Duration::from_secs(14),
        };
        let mut lists = [TrackId::V0, TrackId::A0].map(|track| MediaPlaylist::new(config, track, FIRST));
        let names = ["v0", "a0"];
        let mut server = Self { versions: BTreeMap::new(), objects: BTreeMap::new(), index: index() };
        for k in 0..PARTS {
            let at = PART * (k as u32 + 1);
            for (list, name) in lists.iter_mut().zip(names) {
                push(list, k);
                server.publish(name, k, at);
            }
            if k + 1 == PARTS {
                lists.iter_mut().for_each(MediaPlaylist::end);
            }
            let reports: Vec<_> = lists.iter().filter_map(MediaPlaylist::report).collect();
            for (list, name) in lists.iter_mut().zip(names) {
                server.versions.entry(name).or_default().push((at, list.render(&reports)));
            }
        }
        server
    }

    /// A server of versions and objects that were made elsewhere. The last version of each track has its end.
    pub fn of(
        index: Bytes,
        versions: BTreeMap<&'static str, Vec<(Duration, Arc<Rendered>)>>,
        objects: BTreeMap<String, (Duration, Bytes)>,
    ) -> Self {
        Self { versions, objects, index }
    }

    fn publish(&mut self, name: &str, k: u64, at: Duration) {
        let (msn, part) = place(k);
        let video = name == "v0";
        for n in 0..2 {
            self.objects.insert(format!("3/{name}/init-{n}.mp4"), (Duration::ZERO, muxer::init(video, 1).into()));
        }
        self.objects.insert(format!("3/{name}/{msn}.{part}.m4s"), (at, muxer::part(video, k).into()));
        if part == 3 {
            let parts: Vec<_> = (k - 3..=k).map(|k| muxer::part(video, k)).collect();
            self.objects.insert(format!("3/{name}/{msn}.m4s"), (at, parts.concat().into()));
        }
    }

    fn version(&self, track: &str, at: Duration) -> &(Duration, Arc<Rendered>) {
        let versions = &self.versions[track];
        let next = versions.partition_point(|(published, _)| *published <= at);
        &versions[next.saturating_sub(1)]
    }

    fn reply(&self, request: &Request, at: Duration) -> Exchange {
        let path = request.url.strip_prefix(SITE).unwrap_or("elsewhere").to_owned();
        let mut x = Exchange {
            path,
            request_headers: request.headers.clone(),
            at,
            release: at,
            took: Duration::from_millis(1),
            status: 200,
            protocol: Protocol::Http2,
            headers: Vec::new(),
            gzip: request.headers.iter().all(|(name, _)| *name != "accept-encoding"),
            text: None,
            body: Vec::new(),
            published: at,
        };
        let (path, query) = x.path.split_once('?').unwrap_or((&x.path, ""));
        let (path, query) = (path.to_owned(), query.to_owned());
        if request.is_options {
            x.status = 204;
            x.set("access-control-max-age", "86400");
        } else if path == "index.m3u8" {
            x.text = Some(String::from_utf8(self.index.to_vec()).unwrap());
        } else if let Some(track) = path.strip_suffix(".m3u8").filter(|track| self.versions.contains_key(track)) {
            self.playlist(&mut x, track, &query);
        } else {
            self.object(&mut x, &path);
        }
        x
    }

    fn playlist(&self, x: &mut Exchange, track: &str, query: &str) {
        let mut directives = BTreeMap::new();
        let twice =
            query.split('&').filter_map(|one| one.split_once('=')).any(|(k, v)| directives.insert(k, v).is_some());
        let number = |name| directives.get(name).map(|text: &&str| text.parse::<u64>());
        let (msn, part) = match (number("_HLS_msn"), number("_HLS_part")) {
            (None, None) => (None, None),
            (Some(Ok(msn)), None) if !twice => (Some(msn), None),
            (Some(Ok(msn)), Some(Ok(part))) if !twice => (Some(msn), Some(part)),
            _ => return x.status = 400,
        };
        let (mut published, mut rendered) = self.version(track, x.at).clone();
        if let Some(msn) = msn.filter(|_| !rendered.ended) {
            let last = rendered.version.msn;
            if msn > last + 2 || part.is_some_and(|part| part > 10) {
                return x.status = 400;
            }
            let satisfies = |version: &&(Duration, Arc<Rendered>)| {
                let (at, rendered) = version;
                let have = (rendered.version.msn, u64::from(rendered.version.part));
                let whole = rendered.complete.is_some_and(|(last, _)| last >= msn);
                *at >= published && (rendered.ended || whole || part.is_some_and(|part| have >= (msn, part)))
            };
            (published, rendered) = self.versions[track].iter().find(satisfies).unwrap().clone();
            x.release = x.at.max(published);
        }
        let delta = rendered.delta_gz.as_ref().filter(|_| directives.get("_HLS_skip") == Some(&"YES"));
        let gz = delta.unwrap_or(&rendered.full_gz);
        let mut text = String::new();
        GzDecoder::new(&gz[..]).read_to_string(&mut text).unwrap();
        x.text = Some(text);
        x.published = published;
    }

    fn object(&self, x: &mut Exchange, path: &str) {
        let Some((published, bytes)) = self.objects.get(path) else { return x.status = 404 };
        x.release = x.at.max(*published);
        x.published = *published;
        x.body = bytes.to_vec();
        let range = x.request_headers.iter().find(|(name, _)| *name == "range").map(|(_, value)| value.clone());
        if let Some((from, to)) = range.as_deref().and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) {
            let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
            x.body = bytes[from..bytes.len().min(to.saturating_add(1))].to_vec();
            x.status = 206;
        }
    }
}

fn index() -> Bytes {
    let video = VideoRendition {
        track: TrackId::V0,
        codecs: "avc1.64001f".into(),
        width: 1280,
        height: 720,
        frame_rate_milli: 31_250,
        bandwidth: 3_000_000,
        average_bandwidth: 2_500_000,
    };
    let audio = AudioRendition {
        track: TrackId::A0,
        codecs: "mp4a.40.2".into(),
        channels: 2,
        bandwidth: 140_000,
        average_bandwidth: 128_000,
    };
    multivariant(&Multivariant { independent_segments: true, video: vec![video], audio: vec![audio] })
}

fn push(list: &mut MediaPlaylist, k: u64) {
    let (msn, part) = place(k);
    let init = Some(u32::from(msn >= BREAK));
    if part == 0 {
        let program_date_time = 1_795_250_000_000_000 + k as i64 * 512_000;
        list.begin_segment(SegmentStart { epoch: 3, msn, program_date_time, discontinuity: msn == BREAK, init });
    }
    let video = list.report().is_none_or(|report| report.track == TrackId::V0);
    list.push_part(PartEntry { part, duration: PART, independent: part == 0 || !video, gap: false });
    if part == 3 {
        list.end_segment();
    }
    let (msn, part) = place(k + 1);
    list.set_hint(Some(Hint { epoch: 3, msn, part, init: ((msn, part) == (BREAK, 0)).then_some(1) }));
}

/// Lets a fresh lint watch the server, which errs as `fault` has it, until some seconds after the end.
pub fn watch(server: &Server, fault: impl Fn(&Server, &mut Exchange)) -> Report {
    let mut lint = Lint::new(&format!("{SITE}index.m3u8")).unwrap();
    let mut now = START;
    let mut under_way: BTreeMap<(Duration, u64), Response> = BTreeMap::new();
    loop {
        for request in lint.requests() {
            let mut x = server.reply(&request, now + request.after);
            x.finish_headers();
            fault(server, &mut x);
            let response = x.response();
            under_way.insert((response.done_at, request.id), response);
        }
        let Some(((at, id), response)) = under_way.pop_first() else { break };
        if at > END + Duration::from_secs(6) {
            break;
        }
        now = at;
        lint.respond(id, &response);
    }
    lint.stop();
    lint.report()
}

impl Exchange {
    fn set(&mut self, name: &str, value: &str) {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    fn finish_headers(&mut self) {
        self.set("access-control-allow-origin", "*");
        self.set("access-control-expose-headers", "Age, Date, Server-Timing");
        self.set("timing-allow-origin", "*");
        if self.text.is_some() {
            self.set("content-type", "application/vnd.apple.mpegurl");
            self.set("vary", "Accept-Encoding");
            self.set("priority", "u=1");
            self.set("cache-control", "max-age=1");
            self.set("age", &self.release.saturating_sub(self.published).as_secs().to_string());
        } else if !self.body.is_empty() {
            self.set("content-type", "video/mp4");
            self.set("priority", "u=3");
            self.set("cache-control", "public, max-age=31536000, immutable");
        }
    }

    fn response(mut self) -> Response {
        if let Some(text) = self.text.filter(|_| self.status == 200) {
            self.body = text.into_bytes();
            if self.gzip {
                let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
                gz.write_all(&self.body).unwrap();
                self.body = gz.finish().unwrap();
                self.headers.push(("content-encoding".into(), "gzip".into()));
            }
        }
        let head_at = self.release + Duration::from_millis(2);
        Response {
            status: self.status,
            protocol: self.protocol,
            headers: self.headers,
            body: self.body.into(),
            asked_at: self.at,
            head_at,
            done_at: head_at + self.took,
        }
    }
}

/// Faults.
impl Exchange {
    fn is_playlist(&self, name: &str) -> bool {
        self.path.split('?').next().is_some_and(|path| path.ends_with(name))
    }

    pub fn is_media(&self) -> bool {
        self.path.ends_with(".m4s")
    }

    pub fn is_segment(&self) -> bool {
        self.is_media() && self.path.matches('.').count() == 1
    }

    pub fn is_part(&self) -> bool {
        self.is_media() && !self.is_segment()
    }

    /// Whether the object was published long ago.
    pub fn is_old(&self) -> bool {
        self.at > self.published + Duration::from_secs(5)
    }

    pub fn edit(&mut self, name: &str, from: &str, to: &str) {
        self.edit_from(0, name, from, to);
    }

    pub fn edit_from(&mut self, second: u64, name: &str, from: &str, to: &str) {
        if self.is_playlist(name)
            && self.release >= Duration::from_secs(second)
            && let Some(text) = &mut self.text
        {
            *text = text.replace(from, to);
        }
    }

    pub fn edit_delta(&mut self, from: &str, to: &str) {
        if self.text.as_ref().is_some_and(|text| text.contains("EXT-X-SKIP")) {
            self.edit(".m3u8", from, to);
        }
    }

    pub fn edit_uncompressed(&mut self, from: &str, to: &str) {
        if !self.gzip {
            self.edit(".m3u8", from, to);
        }
    }

    pub fn drop_lines(&mut self, name: &str, start: &str) {
        if self.is_playlist(name)
            && let Some(text) = &mut self.text
        {
            *text = text.lines().filter(|line| !line.starts_with(start)).map(|line| format!("{line}\n")).collect();
        }
    }

    pub fn drop_line_after(&mut self, name: &str, line: &str) {
        if self.is_playlist(name)
            && let Some(text) = &mut self.text
            && let Some((before, after)) = text.split_once(line)
        {
            let rest = after.trim_start_matches('\n').split_once('\n').map_or("", |(_, rest)| rest);
            *text = format!("{before}{line}\n{rest}");
        }
    }

    pub fn header(&mut self, name: &str, header: &str, value: Option<&str>) {
        if name.is_empty() || self.is_playlist(name) {
            self.headers.retain(|(known, _)| known != header);
            self.headers.extend(value.map(|value| (header.to_owned(), value.to_owned())));
        }
    }

    pub fn refuse(&mut self, when: bool, status: u16) {
        if when {
            self.status = status;
            self.release = self.at;
        }
    }

    pub fn spoil(&mut self, when: bool, spoil: impl Fn(&mut Vec<u8>)) {
        if when && !self.body.is_empty() {
            spoil(&mut self.body);
        }
    }

    pub fn delay(&mut self, when: bool) {
        if when {
            self.release += Duration::from_secs(5);
        }
    }

    pub fn delay_from(&mut self, second: u64, name: &str, by: Duration) {
        if self.is_playlist(name) && self.at > Duration::from_secs(second) {
            self.release += by;
        }
    }

    /// Sends the version of some time ago.
    fn send_version_of(&mut self, server: &Server, at: Duration) {
        let Some(track) = self.path.split(".m3u8").next().filter(|track| server.versions.contains_key(track)) else {
            return;
        };
        let (_, rendered) = server.version(track, at);
        self.text = self.text.take().map(|_| String::from_utf8(rendered.full.to_vec()).unwrap());
    }

    pub fn answer_at_once(&mut self, server: &Server) {
        if self.path.contains("_HLS_msn") && self.status == 200 {
            self.send_version_of(server, self.at);
            self.release = self.at;
        }
    }

    pub fn go_back(&mut self, server: &Server) {
        if !self.gzip {
            self.send_version_of(server, self.at.saturating_sub(Duration::from_secs(5)));
        }
    }

    pub fn lag(&mut self, server: &Server, name: &str, by: Duration) {
        if self.is_playlist(name) && self.release < END {
            self.send_version_of(server, self.release.saturating_sub(by));
        }
    }

    pub fn trickle(&mut self) {
        if self.is_part() {
            self.took = Duration::from_millis(450);
        }
    }

    pub fn ignore_range(&mut self) {
        if self.status == 206 {
            self.status = 200;
        }
    }
}
