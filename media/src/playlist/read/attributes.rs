//! Attribute lists: `NAME=value,NAME="quoted value"` (§4.2).

use super::{Line, Problem, ReadError};

/// The attributes of one tag, each name once.
pub(super) struct Attributes<'a> {
    line: Line<'a>,
    tag: &'static str,
    list: Vec<(&'a str, Value<'a>)>,
}

#[derive(Clone, Copy)]
enum Value<'a> {
    Quoted(&'a str),
    Plain(&'a str),
}

/// The most attributes of one tag; the draft's longest has fewer than 30.
const MAX_ATTRIBUTES: usize = 64;

impl<'a> Attributes<'a> {
    pub(super) fn parse(line: Line<'a>, tag: &'static str, text: &'a str) -> Result<Self, ReadError> {
        let mut list: Vec<(&str, Value<'_>)> = Vec::new();
        let mut rest = text;
        loop {
            let Some((name, value, after)) = attribute(rest) else {
                return Err(line.error(Problem::BadAttributes(tag)));
            };
            if list.len() == MAX_ATTRIBUTES || list.iter().any(|(known, _)| *known == name) {
                return Err(line.error(Problem::BadAttributes(tag)));
            }
            list.push((name, value));
            match after {
                Some(after) => rest = after,
                None => return Ok(Self { line, tag, list }),
            }
        }
    }

    /// A quoted string.
    pub(super) fn string(&self, attribute: &'static str) -> Result<Option<String>, ReadError> {
        match self.get(attribute) {
            None => Ok(None),
            Some(Value::Quoted(text)) => Ok(Some(text.to_owned())),
            Some(Value::Plain(_)) => Err(self.bad(attribute)),
        }
    }

    /// Something written without quotes, as `read` understands it.
    pub(super) fn plain<T>(
        &self,
        attribute: &'static str,
        read: impl Fn(&'a str) -> Option<T>,
    ) -> Result<Option<T>, ReadError> {
        match self.get(attribute) {
            None => Ok(None),
            Some(Value::Plain(text)) => read(text).map(Some).ok_or_else(|| self.bad(attribute)),
            Some(Value::Quoted(_)) => Err(self.bad(attribute)),
        }
    }

    /// `YES` or `NO`; absent means no.
    pub(super) fn flag(&self, attribute: &'static str) -> Result<bool, ReadError> {
        let read = |text| match text {
            "YES" => Some(true),
            "NO" => Some(false),
            _ => None,
        };
        self.plain(attribute, read).map(Option::unwrap_or_default)
    }

    pub(super) fn need<T>(&self, attribute: &'static str, value: Option<T>) -> Result<T, ReadError> {
        value.ok_or_else(|| self.line.error(Problem::MissingAttribute { tag: self.tag, attribute }))
    }

    pub(super) fn bad(&self, attribute: &'static str) -> ReadError {
        self.line.error(Problem::BadAttribute { tag: self.tag, attribute })
    }

    /// The URI, which may not be missing or empty.
    pub(super) fn uri(&self) -> Result<String, ReadError> {
        let uri = self.need("URI", self.string("URI")?)?;
        if uri.is_empty() { Err(self.bad("URI")) } else { Ok(uri) }
    }

    fn get(&self, name: &str) -> Option<Value<'a>> {
        self.list.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}

/// Name and value of the first attribute, and what follows the comma after it.
fn attribute(text: &str) -> Option<(&str, Value<'_>, Option<&str>)> {
    let (name, rest) = text.split_once('=')?;
    let legal = |c: u8| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'-';
    if name.is_empty() || !name.bytes().all(legal) {
        return None;
    }
    let (value, rest) = match rest.strip_prefix('"') {
        Some(rest) => {
            let (value, rest) = rest.split_once('"')?;
            (Value::Quoted(value), rest)
        }
        None => {
            let (value, rest) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
            let legal = !value.is_empty() && !value.contains(|c: char| c == '"' || c.is_whitespace());
            (legal.then_some(Value::Plain(value))?, rest)
        }
    };
    match rest {
        "" => Some((name, value, None)),
        _ => Some((name, value, Some(rest.strip_prefix(',')?))),
    }
}
