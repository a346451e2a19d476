//! FLV files: bytes ⇄ tags (Adobe Flash Video File Format Specification 10.1, annex E).

use bytes::{BufMut, Bytes};

use super::TagKind;

/// One tag of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// What it carries.
    pub kind: TagKind,
    /// Decode time in milliseconds.
    pub timestamp_ms: u32,
    /// What an RTMP message of this kind carries; a slice of the file.
    pub payload: Bytes,
}

/// Why a file can't be read. The remedy: another file, for instance `ffmpeg -i IN -c copy OUT.flv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It doesn't begin with `FLV` and version 1 (E.2).
    #[error("not an FLV file")]
    NotFlv,
    /// It ends inside a tag.
    #[error("the file ends inside a tag at byte {at}")]
    Truncated {
        /// Where the tag begins.
        at: usize,
    },
}

/// Yields a file's audio, video and script tags in order; after an error nothing. Other and encrypted tags are skipped.
#[derive(Debug, Clone)]
pub struct Reader {
    file: Bytes,
    at: usize,
}

const TAG_HEADER: usize = 11;
const BACK_POINTER: usize = 4;

impl Reader {
    /// Reads `file`, of which the tags will be slices.
    ///
    /// # Errors
    /// [`FileError::NotFlv`].
    pub fn new(file: Bytes) -> Result<Self, FileError> {
        let header: &[u8; 9] = file.first_chunk().ok_or(FileError::NotFlv)?;
        let [b'F', b'L', b'V', 1, _, a, b, c, d] = *header else { return Err(FileError::NotFlv) };
        let first = u32::from_be_bytes([a, b, c, d]) as usize;
        Ok(Self { at: first.max(9).saturating_add(BACK_POINTER), file })
    }

    fn tag(&mut self) -> Option<Result<Tag, FileError>> {
        loop {
            let rest = self.file.get(self.at..)?;
            if rest.is_empty() {
                return None;
            }
            let Some((kind, timestamp_ms, length)) = header(rest) else { return Some(self.truncated()) };
            let begin = self.at + TAG_HEADER;
            if begin + length > self.file.len() {
                return Some(self.truncated());
            }
            self.at = begin + length + BACK_POINTER;
            if let Some(kind) = kind {
                return Some(Ok(Tag { kind, timestamp_ms, payload: self.file.slice(begin..begin + length) }));
            }
        }
    }

    fn truncated(&mut self) -> Result<Tag, FileError> {
        let at = std::mem::replace(&mut self.at, self.file.len());
        Err(FileError::Truncated { at })
    }
}

impl Iterator for Reader {
    type Item = Result<Tag, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.tag()
    }
}

/// E.4.1: kind (`None`: skip it), timestamp, length of the data.
fn header(bytes: &[u8]) -> Option<(Option<TagKind>, u32, usize)> {
    let &[kind, l2, l1, l0, t2, t1, t0, t3, ..] = bytes.first_chunk::<TAG_HEADER>()?;
    // Bit 5 marks encrypted tags.
    let kind = if kind & 0x20 == 0 { TagKind::from_type_id(kind & 0x1F) } else { None };
    Some((kind, u32::from_be_bytes([t3, t2, t1, t0]), u32::from_be_bytes([0, l2, l1, l0]) as usize))
}

/// Writes a file's bytes into a buffer of the caller's.
#[derive(Debug, Clone, Copy, Default)]
pub struct Writer;

impl Writer {
    /// Begins a file that has these kinds of tags (E.2).
    pub fn begin(audio: bool, video: bool, out: &mut Vec<u8>) -> Self {
        let flags = u8::from(audio) << 2 | u8::from(video);
        out.put_slice(&[b'F', b'L', b'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0]);
        Self
    }

    /// Appends a tag. A payload above 16 MiB − 1 can't be written and is left out (`false`).
    pub fn tag(&mut self, tag: &Tag, out: &mut Vec<u8>) -> bool {
        let length = tag.payload.len();
        if length > 0xFF_FFFF {
            return false;
        }
        let [t3, t2, t1, t0] = tag.timestamp_ms.to_be_bytes();
        out.put_u32(u32::from(tag.kind.type_id()) << 24 | length as u32);
        out.put_slice(&[t2, t1, t0, t3, 0, 0, 0]);
        out.put_slice(&tag.payload);
        out.put_u32((TAG_HEADER + length) as u32);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(kind: TagKind, timestamp_ms: u32, payload: &'static [u8]) -> Tag {
        Tag { kind, timestamp_ms, payload: Bytes::from_static(payload) }
    }

    #[test]
    fn a_written_file_is_the_specifications_bytes_and_reads_back() {
        let mut file = Vec::new();
        let mut writer = Writer::begin(true, true, &mut file);
        let tags = [tag(TagKind::Video, 0, &[0x17, 1]), tag(TagKind::Audio, 0x0102_0304, &[0xAF])];
        for tag in &tags {
            assert!(writer.tag(tag, &mut file));
        }
        assert_eq!(
            file,
            [
                &b"FLV\x01\x05\0\0\0\x09\0\0\0\0"[..],
                &[9, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0x17, 1, 0, 0, 0, 13],
                &[8, 0, 0, 1, 2, 3, 4, 1, 0, 0, 0, 0xAF, 0, 0, 0, 12],
            ]
            .concat()
        );
        let read: Result<Vec<_>, _> = Reader::new(file.into()).unwrap().collect();
        assert_eq!(read.unwrap(), tags);
    }

    #[test]
    fn a_file_that_ends_inside_a_tag_is_an_error_once() {
        let mut file = Vec::new();
        let mut writer = Writer::begin(false, true, &mut file);
        writer.tag(&tag(TagKind::Video, 0, &[0x17, 1, 0, 0, 0]), &mut file);
        file.truncate(file.len() - 6);
        let read: Vec<_> = Reader::new(file.into()).unwrap().collect();
        assert_eq!(read, [Err(FileError::Truncated { at: 13 })]);
    }

    #[test]
    fn other_files_are_refused() {
        assert_eq!(Reader::new(Bytes::from_static(b"\0\0\0\x20ftypisom")).err(), Some(FileError::NotFlv));
        assert_eq!(Reader::new(Bytes::from_static(b"FLV")).err(), Some(FileError::NotFlv));
    }
}
