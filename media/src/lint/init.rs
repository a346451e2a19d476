//! What an initialization section says, and whether it may (rules C01 to C06).

use super::{
    boxes::{Mp4Box, boxes, u16_at, u32_at},
    log::Log,
};

/// What fragments need to know of their init.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Init {
    pub(super) timescale: u32,
    pub(super) is_video: bool,
    /// RFC 6381, where we know how to tell.
    pub(super) codec: Option<String>,
    /// H.264 with parameter sets in the sample entry only.
    pub(super) is_avc1: bool,
    pub(super) tracks: usize,
    /// `default_sample_duration`, `default_sample_flags` of `trex`.
    pub(super) defaults: (u32, u32),
}

const REMEDY_SHAPE: &str = "write ftyp and moov, with mvex after the last trak, and nothing else of weight";

/// Checks an init and tells what it says; `None` where it can't be read at all.
pub(super) fn check(log: &mut Log, url: &str, bytes: &[u8]) -> Option<Init> {
    let top = match boxes(bytes) {
        Ok(top) => top,
        Err(saw) => {
            log.must("C01", false, url, || saw, REMEDY_SHAPE);
            return None;
        }
    };
    let kinds = || top.iter().map(Mp4Box::name).collect::<Vec<_>>().join(" ");
    let shape = top.first().is_some_and(|first| &first.kind == b"ftyp")
        && top.iter().filter(|one| &one.kind == b"moov").count() == 1
        && top.iter().all(|one| [b"ftyp", b"moov", b"free", b"skip", b"udta", b"meta"].contains(&&one.kind));
    log.must("C01", shape, url, kinds, REMEDY_SHAPE);
    let moov = *top.iter().find(|one| &one.kind == b"moov")?;
    let brands = top.first().map(|ftyp| brands(ftyp.body)).unwrap_or_default();
    let tracks: Vec<_> = moov.children().into_iter().filter(|one| &one.kind == b"trak").collect();
    check_brands(log, url, &brands, tracks.len());
    check_empty(log, url, &moov, &tracks);
    let init = read(&moov, &tracks)?;
    check_track(log, url, &init, tracks.first()?);
    Some(init)
}

fn brands(ftyp: &[u8]) -> Vec<&[u8]> {
    ftyp.chunks_exact(4).enumerate().filter(|(n, _)| *n != 1).map(|(_, brand)| brand).collect()
}

fn check_brands(log: &mut Log, url: &str, brands: &[&[u8]], tracks: usize) {
    let saw = || format!("brands {}", brands.iter().map(|b| String::from_utf8_lossy(b)).collect::<Vec<_>>().join(" "));
    let modern = brands.iter().any(|b| matches!(*b, b"iso6" | b"iso7" | b"iso8" | b"iso9" | b"cmfc" | b"cmf2"));
    log.must("C01", modern, url, saw, "name iso6 or a later brand in ftyp");
    let cmaf = brands.iter().any(|b| matches!(*b, b"cmfc" | b"cmf2"));
    log.must("C05", tracks < 2 || !cmaf, url, saw, "leave out cmfc and cmf2 where a file has more than one track");
    log.should("C05", tracks < 2, url, || format!("{tracks} tracks"), "put each track into files of its own");
    log.must("C02", cmaf || tracks > 1, url, saw, "name cmfc or cmf2 in ftyp");
    log.must("C02", tracks > 0, url, || "no trak".into(), "write a trak");
}

fn check_empty(log: &mut Log, url: &str, moov: &Mp4Box<'_>, tracks: &[Mp4Box<'_>]) {
    let order: Vec<_> = moov.children().iter().map(|one| one.kind).collect();
    let mvex = order.iter().rposition(|kind| kind == b"mvex");
    let trak = order.iter().rposition(|kind| kind == b"trak");
    log.must("C01", mvex > trak, url, || "no mvex after the last trak".into(), REMEDY_SHAPE);
    let duration = |one: Option<Mp4Box<'_>>, long: usize, short: usize| {
        let one = one?;
        match one.version_flags()?.0 {
            1 => super::boxes::u64_at(one.body, long),
            _ => u32_at(one.body, short).map(u64::from),
        }
    };
    let movie = duration(moov.find(&[b"mvhd"]), 24, 16);
    log.must("C01", movie == Some(0), url, || format!("mvhd with duration {movie:?}"), "write 0 as duration in mvhd");
    for track in tracks {
        let length = duration(track.find(&[b"tkhd"]), 28, 20);
        log.must(
            "C01",
            length == Some(0),
            url,
            || format!("tkhd with duration {length:?}"),
            "write 0 as duration in tkhd",
        );
        let stbl = track.find(&[b"mdia", b"minf", b"stbl"]);
        for (kind, at) in [(b"stts", 4), (b"stsc", 4), (b"stsz", 8), (b"stco", 4)] {
            let count = stbl.and_then(|stbl| stbl.find(&[kind])).and_then(|table| u32_at(table.body, at));
            let saw = || format!("{} with {count:?} entries", String::from_utf8_lossy(kind));
            log.must("C01", count == Some(0), url, saw, "write empty sample tables: the samples are in fragments");
        }
        let entry = track
            .find(&[b"mdia", b"minf", b"dinf", b"dref"])
            .and_then(|dref| boxes(dref.body.get(8..)?).ok()?.first()?.version_flags());
        let own = entry.is_some_and(|(_, flags)| flags & 1 == 1);
        log.must("C01", own, url, || format!("dref entry {entry:?}"), "refer to the same file in dref");
        let edit = track.find(&[b"edts"]);
        log.must("C03", edit.is_none(), url, || "an edit list".into(), "leave out edts; shift timestamps instead");
    }
}

fn read(moov: &Mp4Box<'_>, tracks: &[Mp4Box<'_>]) -> Option<Init> {
    let track = tracks.first()?;
    let mdhd = track.find(&[b"mdia", b"mdhd"])?;
    let timescale = u32_at(mdhd.body, if mdhd.version_flags()?.0 == 1 { 20 } else { 12 })?;
    let is_video = track.find(&[b"mdia", b"hdlr"])?.body.get(8..12)? == b"vide";
    let stsd = track.find(&[b"mdia", b"minf", b"stbl", b"stsd"])?;
    let entry = *boxes(stsd.body.get(8..)?).ok()?.first()?;
    let defaults =
        moov.find(&[b"mvex", b"trex"]).and_then(|trex| Some((u32_at(trex.body, 12)?, u32_at(trex.body, 20)?)));
    Some(Init {
        timescale,
        is_video,
        codec: codec(&entry),
        is_avc1: &entry.kind == b"avc1",
        tracks: tracks.len(),
        defaults: defaults.unwrap_or_default(),
    })
}

fn codec(entry: &Mp4Box<'_>) -> Option<String> {
    match &entry.kind {
        b"avc1" | b"avc3" => {
            let inside = boxes(entry.body.get(78..)?).ok()?;
            let avcc = inside.iter().find(|one| &one.kind == b"avcC")?;
            let [profile, constraints, level] = avcc.body.get(1..4)? else { return None };
            Some(format!("{}.{profile:02x}{constraints:02x}{level:02x}", entry.name()))
        }
        b"mp4a" => {
            let inside = boxes(entry.body.get(28..)?).ok()?;
            let esds = inside.iter().find(|one| &one.kind == b"esds")?.body;
            Some(format!("mp4a.40.{}", audio_object_type(esds)?))
        }
        _ => None,
    }
}

/// The audio object type in the decoder-specific info of an `esds`: the descriptor with tag 5.
fn audio_object_type(esds: &[u8]) -> Option<u8> {
    let mut at = 4;
    loop {
        let tag = *esds.get(at)?;
        at += 1;
        while *esds.get(at)? & 0x80 != 0 {
            at += 1;
        }
        at += 1;
        at += match tag {
            3 => 3,
            4 => 13,
            5 => return esds.get(at).map(|byte| byte >> 3),
            _ => return None,
        };
    }
}

fn check_track(log: &mut Log, url: &str, init: &Init, track: &Mp4Box<'_>) {
    let scale = init.timescale;
    if init.is_video {
        let usual = scale == 90_000 || scale.is_multiple_of(1000) || scale.is_multiple_of(24);
        log.should("C06", usual, url, || format!("time scale {scale}"), "use 90,000 as time scale of video");
    } else {
        let rate = sample_rate(track);
        let good = rate.is_none_or(|rate| rate == 0 || rate == scale);
        let saw = || format!("time scale {scale} at {rate:?} Hz");
        log.should("C06", good, url, saw, "use the sample rate as time scale of audio");
    }
    if init.is_avc1 {
        let sets = parameter_sets(track);
        let saw = || format!("avcC with (length size, sequence sets, picture sets) {sets:?}");
        let good = matches!(sets, Some((4, 1.., 1..)));
        log.must("C04", good, url, saw, "write 4-byte lengths and at least one SPS and PPS into avcC");
    }
}

fn sample_entry<'a>(track: &Mp4Box<'a>) -> Option<Mp4Box<'a>> {
    let stsd = track.find(&[b"mdia", b"minf", b"stbl", b"stsd"])?;
    boxes(stsd.body.get(8..)?).ok()?.first().copied()
}

fn sample_rate(track: &Mp4Box<'_>) -> Option<u32> {
    u16_at(sample_entry(track)?.body, 24).map(u32::from)
}

/// Length size, number of sequence and of picture parameter sets.
fn parameter_sets(track: &Mp4Box<'_>) -> Option<(u8, u8, u8)> {
    let inside = boxes(sample_entry(track)?.body.get(78..)?).ok()?;
    let avcc = inside.iter().find(|one| &one.kind == b"avcC")?.body;
    let sequence_sets = avcc.get(5)? & 0x1f;
    let mut at = 6;
    for _ in 0..sequence_sets {
        at += 2 + usize::from(u16_at(avcc, at)?);
    }
    Some(((avcc.get(4)? & 3) + 1, sequence_sets, *avcc.get(at)?))
}
