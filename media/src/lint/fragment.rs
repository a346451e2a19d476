//! What a part or segment says, and whether it may (rules C01 to C06).

use super::{
    boxes::{Mp4Box, boxes, u32_at, u64_at},
    init::Init,
    log::Log,
};

/// What a run of chunks says of its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// Decode time of its first sample, in units of the init's time scale.
    pub(super) start: u64,
    /// Decode time after its last sample.
    pub(super) end: u64,
    /// Whether decoding can begin with its first sample.
    pub(super) starts_sync: bool,
    /// Whether it has a sample that decoding can begin with.
    pub(super) has_sync: bool,
}

struct Sample<'a> {
    duration: u32,
    flags: u32,
    composition: i64,
    data: &'a [u8],
}

const NON_SYNC: u32 = 0x0001_0000;

/// Checks the chunks of a part or segment; `None` where they can't be read.
pub(super) fn check(log: &mut Log, url: &str, init: &Init, bytes: &[u8]) -> Option<Span> {
    let top = match boxes(bytes) {
        Ok(top) => top,
        Err(saw) => {
            log.must("C02", false, url, || saw, "send whole boxes: a part is one or more chunks");
            return None;
        }
    };
    let mut span: Option<Span> = None;
    let mut rest = &top[..];
    while let Some(at) = rest.iter().position(|one| &one.kind == b"moof") {
        let alone = rest[..at].iter().all(|one| [b"styp", b"prft", b"emsg", b"sidx", b"free"].contains(&&one.kind));
        let mdat = rest.get(at + 1).filter(|one| &one.kind == b"mdat");
        let saw = || rest.iter().map(Mp4Box::name).collect::<Vec<_>>().join(" ");
        log.must("C02", alone && mdat.is_some(), url, saw, "write chunks of [styp] [prft] [emsg] moof mdat");
        let chunk = chunk(log, url, init, &rest[at], mdat?)?;
        let joined = span.is_none_or(|span| span.end == chunk.start);
        let saw = || format!("a chunk at {} after {span:?}", chunk.start);
        log.must("C02", joined, url, saw, "let each tfdt be the one before plus the durations of its samples");
        span =
            Some(span.map_or(chunk, |span| Span { end: chunk.end, has_sync: span.has_sync || chunk.has_sync, ..span }));
        rest = &rest[at + 2..];
    }
    log.must("C02", span.is_some(), url, || "no moof".into(), "write chunks of [styp] [prft] [emsg] moof mdat");
    span
}

fn chunk(log: &mut Log, url: &str, init: &Init, moof: &Mp4Box<'_>, mdat: &Mp4Box<'_>) -> Option<Span> {
    let trafs: Vec<_> = moof.children().into_iter().filter(|one| &one.kind == b"traf").collect();
    let saw = || format!("{} trafs", trafs.len());
    log.must("C02", trafs.len() == 1 || init.tracks > 1, url, saw, "write one traf a moof");
    let traf = trafs.first()?;
    let truns: Vec<_> = traf.children().into_iter().filter(|one| &one.kind == b"trun").collect();
    log.must("C02", truns.len() == 1, url, || format!("{} truns", truns.len()), "write one trun a traf");
    let tfdt = traf.find(&[b"tfdt"]).and_then(|tfdt| Some((tfdt.version_flags()?.0, tfdt)));
    let saw = || format!("tfdt of version {:?}", tfdt.map(|(version, _)| version));
    log.must("C01", matches!(tfdt, Some((1, _))), url, saw, "write a tfdt of version 1");
    let tfhd = traf.find(&[b"tfhd"])?;
    let (_, flags) = tfhd.version_flags()?;
    let relative = flags & 0x02_0000 != 0 && flags & 1 == 0;
    let saw = || format!("tfhd with flags {flags:#08x}");
    log.must("C01", relative, url, saw, "set default-base-is-moof and no base-data-offset in tfhd");
    let (version, tfdt) = tfdt?;
    let start = if version == 1 { u64_at(tfdt.body, 4)? } else { u64::from(u32_at(tfdt.body, 4)?) };
    let samples = samples(init, &tfhd, truns.first()?, mdat.body)?;
    check_samples(log, url, init, truns.first()?, &samples);
    let sync = |sample: &Sample<'_>| !init.is_video || sample.flags & NON_SYNC == 0;
    Some(Span {
        start,
        end: start + samples.iter().map(|sample| u64::from(sample.duration)).sum::<u64>(),
        starts_sync: samples.first().is_some_and(sync),
        has_sync: samples.iter().any(sync),
    })
}

/// The samples of a `trun`, whose data is taken to begin the `mdat`.
fn samples<'a>(init: &Init, tfhd: &Mp4Box<'_>, trun: &Mp4Box<'_>, mdat: &'a [u8]) -> Option<Vec<Sample<'a>>> {
    let (duration, size, flags) = defaults(init, tfhd)?;
    let (version, has) = trun.version_flags()?;
    let count = u32_at(trun.body, 4)? as usize;
    let mut at = 8 + 4 * (has & 1) as usize;
    let first_flags = if has & 4 != 0 { u32_at(trun.body, at) } else { None };
    at += usize::from(has & 4 != 0) * 4;
    let mut out = Vec::with_capacity(count.min(4096));
    let mut data = mdat;
    for n in 0..count {
        let mut field = |bit: u32, other: u32| {
            if has & bit == 0 {
                return Some(other);
            }
            at += 4;
            u32_at(trun.body, at - 4)
        };
        let duration = field(0x100, duration)?;
        let length = field(0x200, size)? as usize;
        let flags = field(0x400, if n == 0 { first_flags.unwrap_or(flags) } else { flags })?;
        let offset = field(0x800, 0)?;
        let composition = if version == 0 { i64::from(offset) } else { i64::from(offset as i32) };
        let (own, rest) = data.split_at_checked(length)?;
        data = rest;
        out.push(Sample { duration, flags, composition, data: own });
    }
    Some(out)
}

/// Duration, size and flags of a sample that doesn't say: from `tfhd`, else from the init's `trex`.
fn defaults(init: &Init, tfhd: &Mp4Box<'_>) -> Option<(u32, u32, u32)> {
    let (_, has) = tfhd.version_flags()?;
    let mut at = 8 + 8 * usize::from(has & 1 != 0) + 4 * usize::from(has & 2 != 0);
    let mut field = |bit: u32, other: u32| {
        if has & bit == 0 {
            return Some(other);
        }
        at += 4;
        u32_at(tfhd.body, at - 4)
    };
    Some((field(8, init.defaults.0)?, field(0x10, 0)?, field(0x20, init.defaults.1)?))
}

fn check_samples(log: &mut Log, url: &str, init: &Init, trun: &Mp4Box<'_>, samples: &[Sample<'_>]) {
    let (version, has) = trun.version_flags().unwrap_or_default();
    let saw = || format!("trun of version {version} with composition offsets");
    log.must("C03", version == 1 || has & 0x800 == 0, url, saw, "write trun of version 1: signed offsets");
    if init.is_video {
        check_earliest(log, url, init, samples);
        if init.is_avc1 {
            check_pictures(log, url, samples);
        }
    } else {
        // A clock that drifts may be followed by a sample a frame.
        let odd =
            samples.iter().find(|sample| [1024, 960, 2048].iter().all(|usual| sample.duration.abs_diff(*usual) > 1));
        let saw = || format!("an audio frame of {:?} ticks", odd.map(|sample| sample.duration));
        log.should(
            "C06",
            odd.is_none(),
            url,
            saw,
            "give every AAC frame its 1,024 samples; follow a clock that drifts by one sample a frame at most",
        );
    }
}

/// Nothing after an IDR picture is shown before it, so that its composition offset is that of the earliest.
fn check_earliest(log: &mut Log, url: &str, init: &Init, samples: &[Sample<'_>]) {
    let Some(first) = samples.first().filter(|first| first.flags & NON_SYNC == 0) else { return };
    let saw = || format!("presentation starts {} ticks after tfdt", first.composition);
    // RTMP's milliseconds make it jitter.
    let good = first.composition.unsigned_abs() <= u64::from(init.timescale / 500);
    log.should("C03", good, url, saw, "shift composition offsets so that the earliest presentation is tfdt");
}

fn check_pictures(log: &mut Log, url: &str, samples: &[Sample<'_>]) {
    for sample in samples {
        let kinds = nal_types(sample.data);
        let idr = kinds.contains(&5);
        let sync = sample.flags & NON_SYNC == 0;
        let saw = || format!("NAL unit types {kinds:?} in a sample with flags {:#010x}", sample.flags);
        log.must("C04", kinds.is_empty() || idr == sync, url, saw, "mark exactly the IDR pictures as sync samples");
        let depends = sample.flags >> 24 & 3;
        log.should("C04", !idr || depends == 2, url, saw, "say sample_depends_on 2 of IDR pictures");
        let sets = kinds.iter().any(|kind| matches!(kind, 7 | 8 | 13));
        log.must("C04", !sets, url, saw, "take parameter sets out of the samples: avc1 has them in avcC");
    }
}

fn nal_types(mut data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(length) = u32_at(data, 0) {
        let Some(unit) = data.get(4..4 + length as usize) else { break };
        out.extend(unit.first().map(|byte| byte & 0x1f));
        data = &data[4 + length as usize..];
    }
    out
}
