//! Reads a request's body whole, up to a limit and a deadline.

use bytes::{Bytes, BytesMut};
use http::{header, request::Parts};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::{Duration, timeout};

use super::problem::Problem;

/// Refuses what says beforehand that it is too long: a client that waits for `100 Continue` then sends nothing.
pub(crate) fn refuse_early(request: &Parts, limit: usize) -> Result<(), Problem> {
    let Some(length) = request.headers.get(header::CONTENT_LENGTH) else { return Ok(()) };
    let length = length.to_str().ok().and_then(|text| text.parse::<u64>().ok()).ok_or(Problem::FIELD)?;
    if length > limit as u64 { Err(Problem::TOO_LARGE) } else { Ok(()) }
}

/// The whole body. What has come of one that is too long, too slow or cut off is dropped at once.
pub(crate) async fn read<B>(mut body: B, limit: usize, deadline: Duration) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    let reading = async {
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            // Trailers say nothing that the API wants to hear.
            let Ok(piece) = frame.map_err(|_| Problem::CUT_OFF)?.into_data() else { continue };
            if whole.len() + piece.len() > limit {
                return Err(Problem::TOO_LARGE);
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    };
    timeout(deadline, reading).await.unwrap_or(Err(Problem::TOO_SLOW))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use http::Request;
    use http_body::Frame;
    use http_body_util::{Full, StreamBody};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_is_taken_up_to_its_limit_and_its_deadline() {
        let second = Duration::from_secs(1);
        let full = |text: &'static str| Full::new(Bytes::from_static(text.as_bytes()));
        assert_eq!(read(full("four"), 4, second).await.ok(), Some(Bytes::from_static(b"four")));
        assert_eq!(read(full("five!"), 4, second).await.err().map(|p| p.status.as_u16()), Some(413));
        let never = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
        assert_eq!(read(never, 4, second).await.err().map(|p| p.status.as_u16()), Some(408));
    }

    #[tokio::test]
    async fn trailers_are_dropped_and_a_body_that_breaks_off_is_refused() {
        let data = |text: &'static str| Ok(Frame::data(Bytes::from_static(text.as_bytes())));
        let trailers = || Ok(Frame::trailers(http::HeaderMap::from_iter([(header::ETAG, "x".parse().expect("text"))])));
        let read_all = async |frames: Vec<Result<Frame<Bytes>, &'static str>>| {
            let body = read(StreamBody::new(stream::iter(frames)), 4, Duration::from_secs(1)).await;
            body.map_err(|problem| problem.status.as_u16())
        };
        assert_eq!(read_all(vec![data("fo"), data("ur"), trailers()]).await, Ok(Bytes::from_static(b"four")));
        assert_eq!(read_all(vec![data("fo"), Err("reset")]).await, Err(400));
        assert_eq!(read_all(vec![data("fo"), data("urs")]).await, Err(413));
    }

    #[test]
    fn a_body_that_says_it_is_too_long_is_not_read() {
        let status = |length: &str| {
            let request = Request::post("/api/me").header("content-length", length).body(()).expect("a request");
            refuse_early(&request.into_parts().0, 100).err().map(|problem| problem.status.as_u16())
        };
        assert_eq!((status("100"), status("101"), status("x")), (None, Some(413), Some(400)));
        assert_eq!((status("-1"), status("1, 1"), status("18446744073709551616")), (Some(400), Some(400), Some(400)));
    }
}
