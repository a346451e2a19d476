//! Bytes → lines → messages: the grammar of RFC 1459 §2.3.1 with the tags of IRCv3.
//!
//! ```text
//! [@key=value;key=value SPACE] [:prefix SPACE] COMMAND {SPACE param} [SPACE :last param, with spaces] CR LF
//! ```
//! A bare LF ends a line too. A line that is too long, or has a NUL, is an error: nothing after it can be trusted.

use std::borrow::Cow;

use bytes::{Buf, BytesMut};

use super::Line;

/// The most bytes of a line's tags, with the `@` before and the space after them (IRCv3 message-tags, "Size limit").
pub const MAX_TAGS: usize = 8191;

/// The most bytes of the rest of a line. IRC has 512, which 500 characters of most scripts exceed: a text may have
/// 2,000 bytes, and a token that is written in hexadecimal not many fewer.
pub const MAX_REST: usize = 4096;

/// The most parameters of a message; what follows belongs to the last (RFC 1459 §2.3: 15).
pub const MAX_PARAMS: usize = 15;

/// Why a line was not taken. The client's doing, and the end of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// Its tags are too long.
    #[error("a line has at most {MAX_TAGS} bytes of tags")]
    TagsTooLong,
    /// The rest is too long.
    #[error("a line has at most {MAX_REST} bytes besides its tags")]
    TooLong,
    /// It has a NUL.
    #[error("a line has no NUL")]
    Nul,
    /// It has no command of letters or digits.
    #[error("a line has a command")]
    NoCommand,
}

/// Cuts a connection's bytes into lines. It owns nothing but how far it has looked, so that no byte is looked at twice.
#[derive(Debug, Default)]
pub struct LineReader {
    looked: usize,
    /// Where the tags of the line that is coming end.
    tags: Option<usize>,
}

impl LineReader {
    /// Takes the next line out of `input`, without its end; `None` where it is not whole yet. Empty lines are passed over.
    /// What is no UTF-8 becomes U+FFFD.
    ///
    /// `input` never needs to hold more than [`MAX_TAGS`] and [`MAX_REST`].
    ///
    /// # Errors
    /// See [`LineError`]; nothing more is to be read then.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<String>, LineError> {
        loop {
            let end = input[self.looked..].iter().position(|byte| *byte == b'\n').map(|at| self.looked + at);
            let there = &input[..end.unwrap_or(input.len())];
            if there[self.looked..].contains(&0) {
                return Err(LineError::Nul);
            }
            let space = || there[self.looked..].iter().position(|byte| *byte == b' ');
            let tags = match there.first() {
                Some(b'@') => self.tags.or_else(|| space().map(|at| self.looked + at + 1)),
                _ => Some(0),
            };
            let without_cr = there.strip_suffix(b"\r").unwrap_or(there);
            limit(without_cr.len(), tags)?;
            let Some(end) = end else {
                *self = Self { looked: input.len(), tags: tags.filter(|tags| *tags > 0) };
                return Ok(None);
            };
            let line = (!without_cr.is_empty()).then(|| String::from_utf8_lossy(without_cr).into_owned());
            input.advance(end + 1);
            *self = Self::default();
            if line.is_some() {
                return Ok(line);
            }
        }
    }
}

/// Whether so many bytes are within the limits, of which the tags are the first `tags`, or where they have no end all.
fn limit(bytes: usize, tags: Option<usize>) -> Result<(), LineError> {
    match tags.unwrap_or(bytes) {
        tags if tags > MAX_TAGS => Err(LineError::TagsTooLong),
        tags if bytes - tags.min(bytes) > MAX_REST => Err(LineError::TooLong),
        _ => Ok(()),
    }
}

/// Reads one line, without its end.
///
/// # Errors
/// See [`LineError`].
pub fn parse(line: &str) -> Result<Line<'_>, LineError> {
    if line.contains('\0') {
        return Err(LineError::Nul);
    }
    limit(line.len(), if line.starts_with('@') { line.find(' ').map(|at| at + 1) } else { Some(0) })?;
    let mut rest = line;
    let tags = match rest.strip_prefix('@') {
        Some(tagged) => {
            let (tags, after) = tagged.split_once(' ').ok_or(LineError::NoCommand)?;
            rest = after;
            tags.split(';').filter(|tag| !tag.is_empty()).map(tag).collect()
        }
        None => Vec::new(),
    };
    rest = rest.trim_start_matches(' ');
    let prefix = match rest.strip_prefix(':') {
        Some(prefixed) => {
            let (prefix, after) = prefixed.split_once(' ').ok_or(LineError::NoCommand)?;
            rest = after.trim_start_matches(' ');
            Some(Cow::Borrowed(prefix))
        }
        None => None,
    };
    let (command, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    if command.is_empty() || !command.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(LineError::NoCommand);
    }
    Ok(Line { tags, prefix, command: Cow::Borrowed(command), params: params(rest) })
}

/// A tag without a value has an empty one (IRCv3 message-tags, "Rules for naming").
fn tag(tag: &str) -> (Cow<'_, str>, Cow<'_, str>) {
    let (key, value) = tag.split_once('=').unwrap_or((tag, ""));
    (Cow::Borrowed(key), unescape(value))
}

fn params(mut rest: &str) -> Vec<Cow<'_, str>> {
    let mut params = Vec::new();
    loop {
        rest = rest.trim_start_matches(' ');
        if let Some(last) = rest.strip_prefix(':') {
            params.push(Cow::Borrowed(last));
            return params;
        }
        if rest.is_empty() {
            return params;
        }
        if params.len() + 1 == MAX_PARAMS {
            params.push(Cow::Borrowed(rest));
            return params;
        }
        let (param, after) = rest.split_once(' ').unwrap_or((rest, ""));
        params.push(Cow::Borrowed(param));
        rest = after;
    }
}

/// A tag's value as it was before it was escaped: `\:` is `;`, `\s` a space; a backslash before anything else, and one at
/// the end, is dropped (IRCv3 message-tags, "Escaping values").
fn unescape(value: &str) -> Cow<'_, str> {
    if !value.contains('\\') {
        return Cow::Borrowed(value);
    }
    let mut plain = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => plain.extend(chars.next().map(|escaped| match escaped {
                ':' => ';',
                's' => ' ',
                'r' => '\r',
                'n' => '\n',
                other => other,
            })),
            _ => plain.push(c),
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&[u8]]) -> Result<Vec<String>, LineError> {
        let (mut reader, mut input, mut lines) = (LineReader::default(), BytesMut::new(), Vec::new());
        for piece in pieces {
            input.extend_from_slice(piece);
            while let Some(line) = reader.next(&mut input)? {
                lines.push(line);
            }
        }
        Ok(lines)
    }

    #[test]
    fn lines_end_with_lf_whatever_the_pieces() {
        let all = b"PING\r\nNICK a\n\r\n\nJOIN #ada\r\nPART";
        let expected = ["PING", "NICK a", "JOIN #ada"];
        assert_eq!(read(&[all]).unwrap(), expected);
        assert_eq!(read(&all.chunks(1).collect::<Vec<_>>()).unwrap(), expected);
        assert_eq!(read(&[b"a\xff\n"]).unwrap(), ["a\u{fffd}"]);
    }

    #[test]
    fn a_line_that_is_too_long_is_an_error_as_soon_as_it_is() {
        let line = |tags: usize, rest: usize| {
            let tags = if tags > 0 { format!("@{} ", "t".repeat(tags - 2)) } else { String::new() };
            format!("{tags}{}", "x".repeat(rest))
        };
        let whole = |tags, rest| read(&[line(tags, rest).as_bytes(), b"\r\n"]).map(|lines| lines.len());
        assert_eq!((whole(MAX_TAGS, MAX_REST), whole(0, MAX_REST)), (Ok(1), Ok(1)));
        assert_eq!(
            (whole(0, MAX_REST + 1), whole(9, MAX_REST + 1)),
            (Err(LineError::TooLong), Err(LineError::TooLong))
        );
        assert_eq!(whole(MAX_TAGS + 1, 1), Err(LineError::TagsTooLong));
        assert_eq!(read(&[b"@", "t".repeat(MAX_TAGS).as_bytes()]), Err(LineError::TagsTooLong), "it has no end yet");
        assert_eq!(read(&["x".repeat(MAX_REST + 1).as_bytes()]), Err(LineError::TooLong), "it has no end yet");
        assert_eq!(read(&[b"PRIVMSG #ada :a\0b\r\n"]), Err(LineError::Nul));
    }

    #[test]
    fn a_message_has_tags_prefix_command_and_params() {
        let line = parse("@a=1;b;+c=\\s\\:\\\\\\r\\n\\x\\ :bob!b@c   PRIVMSG  #ada   :a :b ").unwrap();
        assert_eq!((line.tag("a"), line.tag("b"), line.tag("d")), (Some("1"), Some(""), None));
        assert_eq!(line.tag("+c"), Some(" ;\\\r\nx"));
        assert_eq!((line.prefix.as_deref(), &*line.command), (Some("bob!b@c"), "PRIVMSG"));
        assert_eq!(line.params, ["#ada", "a :b "]);
        assert_eq!(parse("JOIN #a,#b key").unwrap().params, ["#a,#b", "key"]);
        assert_eq!(parse("PING").unwrap().params, [""; 0]);
        assert_eq!(parse("PING :").unwrap().params, [""]);
        assert_eq!(parse(&format!("X{}", " y".repeat(20))).unwrap().params[14], "y y y y y y");
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        for bad in ["", " ", "@a", "@a=1 ", ":x", ":x ", "PRIV/MSG x", "@a :b "] {
            assert_eq!(parse(bad), Err(LineError::NoCommand), "{bad:?}");
        }
        assert_eq!(parse("PING \0"), Err(LineError::Nul));
    }
}
