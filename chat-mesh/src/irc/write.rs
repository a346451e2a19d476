//! Messages → lines. Whatever stands in a message, it is one line, and each of its values stays where it was put.

use std::borrow::Cow;

/// A message, read or to be written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Line<'a> {
    /// Keys and values, unescaped.
    pub tags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Whose it is.
    pub prefix: Option<Cow<'a, str>>,
    /// A word or a number.
    pub command: Cow<'a, str>,
    /// What it is about. Only the last may have spaces, begin with a colon or be empty.
    pub params: Vec<Cow<'a, str>>,
}

impl<'a> Line<'a> {
    /// A message of nobody.
    pub fn new(command: &'a str) -> Self {
        Self { command: Cow::Borrowed(command), ..Self::default() }
    }

    /// Whose it is.
    pub fn from(mut self, prefix: impl Into<Cow<'a, str>>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// With one more parameter.
    pub fn param(mut self, param: impl Into<Cow<'a, str>>) -> Self {
        self.params.push(param.into());
        self
    }

    /// With these tags.
    pub fn tags(mut self, tags: Vec<(Cow<'a, str>, Cow<'a, str>)>) -> Self {
        self.tags = tags;
        self
    }

    /// The value of a tag.
    pub fn tag(&self, key: &str) -> Option<&str> {
        self.tags.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_ref())
    }

    /// Appends the line and its end to `out`.
    ///
    /// A last parameter is written after a colon where there are several, as Twitch does, or where it needs one. What can't
    /// stand where it was put is left out: CR, LF and NUL everywhere but in a tag's value, which has escapes for the first
    /// two; spaces in all but the last parameter. An empty parameter before the last is written as `*`.
    pub fn write(&self, with_tags: bool, out: &mut String) {
        if with_tags && !self.tags.is_empty() {
            for (n, (key, value)) in self.tags.iter().enumerate() {
                out.push(if n == 0 { '@' } else { ';' });
                out.extend(key.chars().filter(|c| is_of_key(*c)));
                out.push('=');
                escape(value, out);
            }
            out.push(' ');
        }
        if let Some(prefix) = &self.prefix {
            out.push(':');
            word(prefix, out);
            out.push(' ');
        }
        let begin = out.len();
        out.extend(self.command.chars().filter(char::is_ascii_alphanumeric));
        if out.len() == begin {
            out.push('*'); // or the first parameter would be the command
        }
        let last = self.params.len().saturating_sub(1);
        for (n, param) in self.params.iter().enumerate() {
            out.push(' ');
            if n < last {
                word(param, out);
                continue;
            }
            let begin = out.len();
            out.extend(param.chars().filter(|c| !matches!(c, '\r' | '\n' | '\0')));
            let written = &out[begin..];
            if n > 0 || written.is_empty() || written.contains(' ') || written.starts_with(':') {
                out.insert(begin, ':');
            }
        }
        out.push_str("\r\n");
    }
}

fn is_of_key(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '/' | '.' | '+')
}

/// One that has no end, and isn't taken for what comes last.
fn word(text: &str, out: &mut String) {
    let begin = out.len();
    out.extend(text.trim_start_matches(':').chars().filter(|c| !matches!(c, ' ' | '\r' | '\n' | '\0')));
    if out.len() == begin || out[begin..].starts_with(':') {
        out.truncate(begin);
        out.push('*');
    }
}

/// See [`super::parse`]; NUL has no escape.
fn escape(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            ';' => out.push_str("\\:"),
            ' ' => out.push_str("\\s"),
            '\\' => out.push_str("\\\\"),
            '\r' => out.push_str("\\r"),
            '\n' => out.push_str("\\n"),
            '\0' => {}
            _ => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::irc::parse::parse;

    fn written(line: &Line<'_>, with_tags: bool) -> String {
        let mut out = String::new();
        line.write(with_tags, &mut out);
        out
    }

    #[test]
    fn lines_are_written_as_twitch_writes_them() {
        let line = Line::new("PRIVMSG").from("bob!bob@bob.tmi.twitch.tv").param("#ada").param("hi there");
        let line = line.tags(vec![("display-name".into(), "Bob; the \\".into()), ("id".into(), "".into())]);
        let plain = ":bob!bob@bob.tmi.twitch.tv PRIVMSG #ada :hi there\r\n";
        assert_eq!(written(&line, true), format!("@display-name=Bob\\:\\sthe\\s\\\\;id= {plain}"));
        assert_eq!(written(&line, false), plain);
        assert_eq!(written(&Line::new("PONG"), true), "PONG\r\n");
        assert_eq!(written(&Line::new("CLEARCHAT").param("#ada"), true), "CLEARCHAT #ada\r\n");
        assert_eq!(written(&Line::new("CLEARCHAT").param("#ada").param("bob"), true), "CLEARCHAT #ada :bob\r\n");
    }

    #[test]
    fn nothing_gets_out_of_its_place() {
        let line = Line::new("NOT ICE\r\n").from("a b\r\nQUIT").param("#a da\n:x").param("").param("x\r\nQUIT :y\0");
        let line = line.tags(vec![("k;e =y".into(), "v;w x\r\n\0".into())]);
        assert_eq!(written(&line, true), "@key=v\\:w\\sx\\r\\n :abQUIT NOTICE #ada:x * :xQUIT :y\r\n");
        assert_eq!(written(&Line::new("X").param(":").param("y"), true), "X * :y\r\n");
        assert_eq!(written(&Line::new("X").param("\r"), true), "X :\r\n");
        assert_eq!(written(&Line::new("X").param("\n:y"), true), "X ::y\r\n");
        assert_eq!(written(&Line::new("X").param(" :a").param("y"), true), "X * :y\r\n");
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![any::<String>(), "[ :;@\r\n\0\\\\a=#]{0,12}"]
    }

    fn any_line() -> impl Strategy<Value = Line<'static>> {
        let tags = prop::collection::vec((text(), text()), 0..4);
        (tags, prop::option::of(text()), text(), prop::collection::vec(text(), 0..5)).prop_map(
            |(tags, prefix, command, params)| Line {
                tags: tags.into_iter().map(|(key, value)| (key.into(), value.into())).collect(),
                prefix: prefix.map(Cow::Owned),
                command: command.into(),
                params: params.into_iter().map(Cow::Owned).collect(),
            },
        )
    }

    /// A line of which nothing must be left out.
    fn proper_line() -> impl Strategy<Value = Line<'static>> {
        let word = "[^ :\r\n\0][^ \r\n\0]{0,8}";
        let tags = prop::collection::vec(("[a-z+][a-z./-]{0,5}", "[^\0]{0,8}"), 0..4);
        let params = (prop::collection::vec(word, 0..5), "[^\r\n\0]{0,20}");
        (tags, prop::option::of("[^ :\r\n\0][^ \r\n\0]{0,9}"), "[A-Z0-9]{1,8}", params).prop_map(
            |(tags, prefix, command, (words, last))| Line {
                tags: tags.into_iter().map(|(key, value)| (key.into(), value.into())).collect(),
                prefix: prefix.map(Cow::Owned),
                command: command.into(),
                params: words.into_iter().chain([last]).map(Cow::Owned).collect(),
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(line in proper_line()) {
            let written = written(&line, true);
            prop_assert_eq!(parse(written.strip_suffix("\r\n").unwrap()), Ok(line));
        }

        #[test]
        fn whatever_stands_in_a_message_it_is_one_line_with_as_many_values(line in any_line()) {
            let written = written(&line, true);
            let text = written.strip_suffix("\r\n").unwrap();
            prop_assert!(!text.contains(['\r', '\n', '\0']));
            if let Ok(read) = parse(text) {
                prop_assert_eq!(read.params.len(), line.params.len());
                prop_assert_eq!(read.tags.len(), line.tags.len());
                prop_assert_eq!(read.prefix.is_some(), line.prefix.is_some());
                for ((_, value), (_, given)) in read.tags.iter().zip(&line.tags) {
                    prop_assert_eq!(value.as_ref(), given.replace('\0', ""));
                }
            } else {
                prop_assert!(!line.command.contains(|c: char| c.is_ascii_alphanumeric()));
            }
        }
    }
}
