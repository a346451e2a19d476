//! A reader of MP4 boxes of its own, so that what we write is not checked by what wrote it.

/// One box of ISO/IEC 14496-12.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mp4Box<'a> {
    pub(super) kind: [u8; 4],
    /// Without the header.
    pub(super) body: &'a [u8],
}

/// The most boxes in one.
const MAX_BOXES: usize = 1024;

/// The boxes that `bytes` are, or where they stop being any.
pub(super) fn boxes(bytes: &[u8]) -> Result<Vec<Mp4Box<'_>>, String> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let at = bytes.len() - rest.len();
        let (one, after) = first(rest).ok_or_else(|| format!("no whole box at byte {at} of {}", bytes.len()))?;
        if out.len() == MAX_BOXES {
            return Err(format!("more than {MAX_BOXES} boxes"));
        }
        out.push(one);
        rest = after;
    }
    Ok(out)
}

fn first(bytes: &[u8]) -> Option<(Mp4Box<'_>, &[u8])> {
    let size = u64::from(u32_at(bytes, 0)?);
    let kind = bytes.get(4..8)?.try_into().ok()?;
    let (header, size) = match size {
        1 => (16, u64_at(bytes, 8)?),
        0 => (8, bytes.len() as u64),
        size => (8, size),
    };
    let end = usize::try_from(size).ok()?;
    Some((Mp4Box { kind, body: bytes.get(header..end)? }, &bytes[end..]))
}

impl<'a> Mp4Box<'a> {
    /// The children of a plain container; none where they can't be read.
    pub(super) fn children(&self) -> Vec<Mp4Box<'a>> {
        boxes(self.body).unwrap_or_default()
    }

    /// The first box along a path of kinds.
    pub(super) fn find(&self, path: &[&[u8; 4]]) -> Option<Mp4Box<'a>> {
        let (kind, rest) = path.split_first()?;
        let child = self.children().into_iter().find(|child| child.kind == **kind)?;
        if rest.is_empty() { Some(child) } else { child.find(rest) }
    }

    /// Version and flags of a full box.
    pub(super) fn version_flags(&self) -> Option<(u8, u32)> {
        let word = u32_at(self.body, 0)?;
        Some(((word >> 24) as u8, word & 0x00ff_ffff))
    }

    pub(super) fn name(&self) -> String {
        String::from_utf8_lossy(&self.kind).into_owned()
    }
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}
