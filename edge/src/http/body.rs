//! Bodies: shared bytes, handed to the engine piece by piece and never copied per viewer.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::wire::Busy;

/// Bytes in pieces that others share.
#[derive(Debug, Clone)]
pub(crate) struct Rope {
    pieces: Arc<[Bytes]>,
    len: u64,
}

impl Rope {
    pub(crate) fn new(pieces: Vec<Bytes>) -> Self {
        let len = pieces.iter().map(|piece| piece.len() as u64).sum();
        Self { pieces: pieces.into(), len }
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }
}

/// Why a body ended before its length.
#[derive(Debug, thiserror::Error)]
#[error("the object's bytes stopped coming")]
pub(crate) struct Broken;

/// A source of pieces that are still to come.
pub(crate) trait Pieces: Send {
    /// The next piece; `None` after the last.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>>;
}

/// A body of known length.
pub(crate) struct Body {
    source: Source,
    /// Bytes of the source still to be passed over.
    skip: u64,
    /// Bytes still to be given.
    left: u64,
    /// The most bytes given at once.
    most: usize,
    /// What of a piece is still to be given.
    rest: Bytes,
    busy: Option<Busy>,
}

enum Source {
    One(Bytes),
    Rope(Rope, usize),
    Coming(Box<dyn Pieces>),
}

impl Body {
    pub(crate) fn empty() -> Self {
        Self::from(Bytes::new())
    }

    /// `len` bytes of `rope` from `from` on.
    pub(crate) fn rope(rope: Rope, from: u64, len: u64) -> Self {
        Self { source: Source::Rope(rope, 0), skip: from, left: len, ..Self::empty() }
    }

    /// `len` bytes from `from` on of what comes.
    pub(crate) fn coming(pieces: Box<dyn Pieces>, from: u64, len: u64) -> Self {
        Self { source: Source::Coming(pieces), skip: from, left: len, ..Self::empty() }
    }

    /// Keeps `busy` until the body has been handed over or dropped.
    pub(crate) fn with(mut self, mut busy: Busy) -> Self {
        if self.left > 0 {
            busy.owe();
        }
        self.busy = Some(busy);
        self
    }

    /// Gives at most `most` bytes at once, so that what a viewer does not take stays here and is seen as owed.
    pub(crate) fn in_pieces_of(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    pub(crate) fn len(&self) -> u64 {
        self.left
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        Poll::Ready(match &mut self.source {
            Source::One(bytes) => (!bytes.is_empty()).then(|| Ok(std::mem::take(bytes))),
            Source::Rope(rope, at) => {
                *at += 1;
                rope.pieces.get(*at - 1).map(|piece| Ok(piece.clone()))
            }
            Source::Coming(pieces) => return pieces.poll_piece(cx),
        })
    }

    /// The part of `piece` that is wanted.
    fn cut(&mut self, mut piece: Bytes) -> Bytes {
        let passed = self.skip.min(piece.len() as u64);
        self.skip -= passed;
        piece = piece.slice(passed as usize..);
        piece.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        piece
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        let (left, most, rest) = (bytes.len() as u64, usize::MAX, Bytes::new());
        Self { left, source: Source::One(bytes), skip: 0, most, rest, busy: None }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        while self.left > 0 {
            if !self.rest.is_empty() {
                let n = self.most.min(self.rest.len());
                let piece = self.rest.split_to(n);
                self.left -= piece.len() as u64;
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            let piece = match std::task::ready!(self.poll_source(cx)) {
                Some(piece) => piece?,
                None => return Poll::Ready(Some(Err(Broken))),
            };
            self.rest = self.cut(piece);
        }
        self.busy = None;
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn rope(pieces: &[&'static str]) -> Rope {
        Rope::new(pieces.iter().map(|piece| Bytes::from_static(piece.as_bytes())).collect())
    }

    async fn text(body: Body) -> String {
        String::from_utf8(body.collect().await.expect("whole").to_bytes().to_vec()).expect("text")
    }

    #[tokio::test]
    async fn a_range_is_cut_out_of_the_pieces() {
        for (from, len, expected) in [(0, 9, "abcdefghi"), (2, 3, "cde"), (3, 3, "def"), (8, 1, "i"), (4, 0, "")] {
            assert_eq!(text(Body::rope(rope(&["abc", "def", "", "ghi"]), from, len)).await, expected);
        }
    }

    #[tokio::test]
    async fn large_pieces_are_given_in_smaller_ones() {
        let mut body = Body::rope(rope(&["abcdefg", "hi"]), 1, 7).in_pieces_of(3);
        let mut given = Vec::new();
        while let Some(frame) = body.frame().await {
            given.push(frame.expect("a frame").into_data().expect("data"));
        }
        assert_eq!(given, ["bcd", "efg", "h"]);
    }

    #[tokio::test]
    async fn a_body_that_ends_short_is_an_error() {
        assert!(Body::rope(rope(&["abc"]), 0, 4).collect().await.is_err());
    }
}
