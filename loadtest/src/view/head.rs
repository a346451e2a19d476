//! The head of an HTTP/1.1 response: as little of it as a viewer needs.

/// What a viewer needs of a response head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Length of the head itself, the empty line included.
    pub size: usize,
    /// The status code.
    pub status: u16,
    /// `Content-Length`.
    pub length: u64,
    /// Whether the server closes after this response.
    pub close: bool,
}

/// The longest head that is accepted, in bytes.
pub const LONGEST: usize = 16 * 1024;

/// Reads the head at the start of `bytes`; `None` while it is incomplete.
///
/// # Errors
/// Words for a head that is no HTTP/1.1 or does not tell its length.
pub fn parse(bytes: &[u8]) -> Result<Option<Head>, &'static str> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return if bytes.len() > LONGEST { Err("head too long") } else { Ok(None) };
    };
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| "head not UTF-8")?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).and_then(|rest| rest.get(..3));
    let status = status.and_then(|code| code.parse().ok()).ok_or("no HTTP/1.1 status line")?;
    let (mut length, mut close) = (None, false);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok();
        } else if name.eq_ignore_ascii_case("connection") {
            close = value.trim().eq_ignore_ascii_case("close");
        }
    }
    let length = if matches!(status, 204 | 304) { Some(0) } else { length }.ok_or("no Content-Length")?;
    Ok(Some(Head { size: end + 4, status, length, close }))
}

/// Where a head sends a viewer on to: the path of a redirect within the same server.
pub fn redirect(head: &Head, bytes: &[u8]) -> Option<String> {
    if !matches!(head.status, 302 | 307) {
        return None;
    }
    let text = std::str::from_utf8(bytes.get(..head.size)?).ok()?;
    let mut fields = text.split("\r\n").filter_map(|line| line.split_once(':'));
    let (_, place) = fields.find(|(name, _)| name.eq_ignore_ascii_case("location"))?;
    Some(place.trim().to_owned()).filter(|place| place.starts_with('/') && !place.starts_with("//"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_tells_status_length_and_whether_the_connection_stays() {
        let bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\nAge: 0\r\n\r\nbody";
        assert_eq!(parse(bytes), Ok(Some(Head { size: 47, status: 200, length: 12, close: false })));
        assert_eq!(parse(&bytes[..20]), Ok(None));
        let closing = b"HTTP/1.1 503 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(parse(closing).map(|head| head.map(|head| (head.status, head.close))), Ok(Some((503, true))));
        assert!(parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(parse(b"SSH-2.0\r\n\r\n").is_err());
    }

    #[test]
    fn a_redirect_leads_to_a_path_of_the_same_server_and_nowhere_else() {
        let to = |status: u16, place: &str| {
            let bytes = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\nLocation: {place}\r\n\r\nnext");
            redirect(&parse(bytes.as_bytes()).unwrap().unwrap(), bytes.as_bytes())
        };
        assert_eq!(to(302, "/p/x/live/ada/index.m3u8"), Some("/p/x/live/ada/index.m3u8".to_owned()));
        assert_eq!([to(200, "/a"), to(302, "http://elsewhere/"), to(302, "//elsewhere/")], [None, None, None]);
    }
}
