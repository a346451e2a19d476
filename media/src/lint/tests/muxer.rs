//! Writes as little CMAF as the rules ask for.

pub const VIDEO_SCALE: u32 = 90_000;
pub const AUDIO_SCALE: u32 = 48_000;
/// Samples of a part, and how long each is: 0.512 s.
const VIDEO: (u32, u32) = (16, 2880);
const AUDIO: (u32, u32) = (24, 1024);

fn mp4(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [&(body.len() as u32 + 8).to_be_bytes()[..], kind, &body].concat()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

pub fn init(video: bool, tracks: usize) -> Vec<u8> {
    let ftyp = mp4(b"ftyp", &[b"cmf2", &[0; 4], b"iso6cmfc"]);
    let mvhd = mp4(b"mvhd", &[&words(&[0, 0, 0, 1000, 0]), &[0; 80]]);
    let trak = trak(video);
    let mvex = mp4(b"mvex", &[&mp4(b"trex", &[&words(&[0, 1, 1, 0, 0, 0])])]);
    [ftyp, mp4(b"moov", &[&mvhd, &trak.repeat(tracks), &mvex])].concat()
}

fn trak(video: bool) -> Vec<u8> {
    let tkhd = mp4(b"tkhd", &[&words(&[0, 0, 0, 1, 0, 0]), &[0; 60]]);
    let scale = if video { VIDEO_SCALE } else { AUDIO_SCALE };
    let mdhd = mp4(b"mdhd", &[&words(&[0, 0, 0, scale, 0, 0])]);
    let handler: &[u8] = if video { b"vide" } else { b"soun" };
    let hdlr = mp4(b"hdlr", &[&words(&[0, 0]), handler, &[0; 13]]);
    let dref = mp4(b"dref", &[&words(&[0, 1]), &mp4(b"url ", &[&words(&[1])])]);
    let entry = if video { avc1() } else { mp4a() };
    let stsd = mp4(b"stsd", &[&words(&[0, 1]), &entry]);
    let empty = |kind| mp4(kind, &[&words(&[0, 0])]);
    let stsz = mp4(b"stsz", &[&words(&[0, 0, 0])]);
    let stbl = mp4(b"stbl", &[&stsd, &empty(b"stts"), &empty(b"stsc"), &stsz, &empty(b"stco")]);
    let minf = mp4(b"minf", &[&mp4(b"dinf", &[&dref]), &stbl]);
    mp4(b"trak", &[&tkhd, &mp4(b"free", &[]), &mp4(b"mdia", &[&mdhd, &hdlr, &minf])])
}

fn avc1() -> Vec<u8> {
    let avcc = mp4(b"avcC", &[&[1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 2, 0x67, 0, 1, 0, 2, 0x68, 0]]);
    mp4(b"avc1", &[&[0; 78], &avcc])
}

fn mp4a() -> Vec<u8> {
    let esds = mp4(b"esds", &[&words(&[0]), &[3, 22, 0, 0, 0, 4, 17], &[0; 13], &[5, 2, 0x11, 0x90]]);
    mp4(b"mp4a", &[&[0; 24], &AUDIO_SCALE.to_be_bytes()[2..], &[0, 0], &esds])
}

/// The `k`-th part of a track; every fourth begins with an IDR picture.
pub fn part(video: bool, k: u64) -> Vec<u8> {
    let (count, duration) = if video { VIDEO } else { AUDIO };
    let tfhd = mp4(b"tfhd", &[&words(&[0x02_0000, 1])]);
    let start = k * u64::from(count * duration);
    let tfdt = mp4(b"tfdt", &[&words(&[0x0100_0000]), &start.to_be_bytes()]);
    let mut samples = Vec::new();
    let mut data = Vec::new();
    for n in 0..count {
        let idr = n == 0 && k.is_multiple_of(4);
        let flags = if idr || !video { 0x0200_0000 } else { 0x0101_0000 };
        let sample = [0, 0, 0, 4, if idr { 5 } else { 1 }, k as u8, n as u8, 9];
        samples.extend(words(&[duration, sample.len() as u32, flags, 0]));
        data.extend(sample);
    }
    let trun = mp4(b"trun", &[&words(&[0x0100_0f01, count, 0]), &samples]);
    let moof = mp4(b"moof", &[&mp4(b"mfhd", &[&words(&[0, k as u32])]), &mp4(b"traf", &[&tfhd, &tfdt, &trun])]);
    [moof, mp4(b"mdat", &[&data])].concat()
}

fn find(bytes: &[u8], kind: &[u8; 4]) -> Option<usize> {
    bytes.windows(4).position(|window| window == kind)
}

/// Writes a word into the body of the first box of a kind.
pub fn poke(bytes: &mut [u8], kind: &[u8; 4], at: usize, word: u32) {
    if let Some(found) = find(bytes, kind) {
        bytes[found + 4 + at..found + 8 + at].copy_from_slice(&word.to_be_bytes());
    }
}

/// Calls the first box of a kind something else.
pub fn rename(bytes: &mut [u8], from: &[u8; 4], to: &[u8; 4]) {
    if let Some(found) = find(bytes, from) {
        bytes[found..found + 4].copy_from_slice(to);
    }
}
