//! Reads a line of CMCD: a dictionary of structured fields (RFC 9651 §3.2), as CTA-5004-B writes its reports.
//!
//! ```text
//! bl=(1300),e=t,pr=1.1,sid="9f…",bs ──members──▶ (bl, List[Integer 1300]) (e, Token t) (pr, Decimal) (sid, Text) (bs, Flag true)
//! ```
//! Parameters are read and left out; dates, bytes and display strings, which CMCD has none of, are refused.

use std::borrow::Cow;

/// The most keys on a line: CTA-5004-B has fewer than 60.
pub const MAX_KEYS: usize = 96;

/// The longest key, in bytes.
pub const MAX_KEY: usize = 64;

/// The most items in an inner list.
pub const MAX_ITEMS: usize = 16;

/// The most digits that a number may have before its point (RFC 9651 §3.3.1).
const MAX_DIGITS: usize = 15;

/// Why a line is not read. The player's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// What stands there is no key.
    #[error("a key is expected at byte {0}")]
    Key(usize),
    /// What stands there is no value.
    #[error("a value is expected at byte {0}: a number, a token, \"text\", ?0, ?1, or a list of them in parentheses")]
    Value(usize),
    /// What stands there is neither a comma nor the end.
    #[error("a comma is expected at byte {0}")]
    Comma(usize),
    /// Too many keys.
    #[error("a line has at most {MAX_KEYS} keys")]
    Keys,
    /// A key is too long.
    #[error("a key has at most {MAX_KEY} bytes")]
    LongKey,
    /// A list is too long.
    #[error("a list has at most {MAX_ITEMS} items")]
    Items,
}

/// What a key says.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// One thing.
    Item(Item<'a>),
    /// Several.
    List(Vec<Item<'a>>),
}

/// One thing.
#[derive(Debug, Clone, PartialEq)]
pub enum Item<'a> {
    /// A whole number.
    Integer(i64),
    /// A number with a point.
    Decimal(f64),
    /// In quotes.
    Text(Cow<'a, str>),
    /// A word.
    Token(&'a str),
    /// Yes or no; a key alone is yes.
    Flag(bool),
}

impl Value<'_> {
    /// The sum of its whole numbers that are not negative: what the types of a track add up to. `None` for anything else.
    pub fn sum(&self) -> Option<u64> {
        let one = |item: &Item<'_>| match item {
            Item::Integer(number) => u64::try_from(*number).ok(),
            _ => None,
        };
        match self {
            Self::Item(item) => one(item),
            Self::List(items) => items.iter().map(one).try_fold(0u64, |sum, item| sum.checked_add(item?)),
        }
    }

    /// The text, in quotes or as a token.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Item(Item::Text(text)) => Some(text),
            Self::Item(Item::Token(token)) => Some(token),
            _ => None,
        }
    }
}

/// The keys of a line and what they say, in order. Costs time in proportion to the line.
///
/// # Errors
/// See [`Unreadable`]. The first thing wrong is reported.
pub fn members(line: &str) -> Result<Vec<(&str, Value<'_>)>, Unreadable> {
    let mut reader = Reader { line, at: 0 };
    let mut members = Vec::new();
    loop {
        reader.skip_blanks();
        if members.len() == MAX_KEYS {
            return Err(Unreadable::Keys);
        }
        let key = reader.key()?;
        let value = if reader.eats(b'=') { reader.value()? } else { Value::Item(Item::Flag(true)) };
        reader.skip_parameters()?;
        members.push((key, value));
        reader.skip_blanks();
        if reader.peek().is_none() {
            return Ok(members);
        }
        if !reader.eats(b',') {
            return Err(Unreadable::Comma(reader.at));
        }
    }
}

struct Reader<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.line.as_bytes().get(self.at).copied()
    }

    fn eats(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    /// Takes bytes, all of them ASCII, as long as they are of a kind.
    fn take_while(&mut self, is_of_it: impl Fn(u8) -> bool) -> &'a str {
        let from = self.at;
        while self.peek().is_some_and(&is_of_it) {
            self.at += 1;
        }
        self.line.get(from..self.at).unwrap_or_default()
    }

    fn key(&mut self) -> Result<&'a str, Unreadable> {
        if !self.peek().is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'*') {
            return Err(Unreadable::Key(self.at));
        }
        let key = self.take_while(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.*".contains(&b));
        if key.len() > MAX_KEY { Err(Unreadable::LongKey) } else { Ok(key) }
    }

    fn value(&mut self) -> Result<Value<'a>, Unreadable> {
        if !self.eats(b'(') {
            return self.item().map(Value::Item);
        }
        let mut items = Vec::new();
        loop {
            self.skip_blanks();
            if self.eats(b')') {
                return Ok(Value::List(items));
            }
            if items.len() == MAX_ITEMS {
                return Err(Unreadable::Items);
            }
            items.push(self.item()?);
            self.skip_parameters()?;
            if !matches!(self.peek(), Some(b' ' | b')')) {
                return Err(Unreadable::Value(self.at));
            }
        }
    }

    fn item(&mut self) -> Result<Item<'a>, Unreadable> {
        match self.peek() {
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'"') => self.text(),
            Some(b'?') => self.flag(),
            Some(byte) if byte.is_ascii_alphabetic() || byte == b'*' => {
                let is_of_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&b);
                Ok(Item::Token(self.take_while(is_of_token)))
            }
            _ => Err(Unreadable::Value(self.at)),
        }
    }

    fn number(&mut self) -> Result<Item<'a>, Unreadable> {
        let from = self.at;
        let refused = Err(Unreadable::Value(from));
        self.eats(b'-');
        let digits = self.take_while(|b| b.is_ascii_digit()).len();
        if digits == 0 || digits > MAX_DIGITS {
            return refused;
        }
        let is_decimal = self.eats(b'.');
        if is_decimal && !(1..=MAX_DIGITS).contains(&self.take_while(|b| b.is_ascii_digit()).len()) {
            return refused;
        }
        let text = self.line.get(from..self.at).unwrap_or_default();
        let number =
            if is_decimal { text.parse().map(Item::Decimal).ok() } else { text.parse().map(Item::Integer).ok() };
        number.map_or(refused, Ok)
    }

    fn text(&mut self) -> Result<Item<'a>, Unreadable> {
        let from = self.at;
        self.at += 1;
        let plain = self.take_while(|b| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\');
        if self.eats(b'"') {
            return Ok(Item::Text(Cow::Borrowed(plain)));
        }
        let mut text = plain.to_owned();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Item::Text(Cow::Owned(text)));
                }
                Some(b'\\') => {
                    self.at += 1;
                    let Some(byte @ (b'"' | b'\\')) = self.peek() else { return Err(Unreadable::Value(from)) };
                    text.push(char::from(byte));
                }
                Some(byte @ b' '..=b'~') => text.push(char::from(byte)),
                _ => return Err(Unreadable::Value(from)),
            }
            self.at += 1;
        }
    }

    fn flag(&mut self) -> Result<Item<'a>, Unreadable> {
        self.at += 1;
        let flag = match self.peek() {
            Some(b'0') => false,
            Some(b'1') => true,
            _ => return Err(Unreadable::Value(self.at)),
        };
        self.at += 1;
        Ok(Item::Flag(flag))
    }

    fn skip_parameters(&mut self) -> Result<(), Unreadable> {
        while self.eats(b';') {
            self.skip_blanks();
            self.key()?;
            if self.eats(b'=') {
                self.item()?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_players_write_it() {
        let line = r#"bl=(1300),br=(1000;v 128;a=?1),bs,cid="ch\"1",e=t,pr=1.10, su=?0,v=2;x=1"#;
        let integer = |number| Item::Integer(number);
        let expected = vec![
            ("bl", Value::List(vec![integer(1300)])),
            ("br", Value::List(vec![integer(1000), integer(128)])),
            ("bs", Value::Item(Item::Flag(true))),
            ("cid", Value::Item(Item::Text("ch\"1".into()))),
            ("e", Value::Item(Item::Token("t"))),
            ("pr", Value::Item(Item::Decimal(1.1))),
            ("su", Value::Item(Item::Flag(false))),
            ("v", Value::Item(integer(2))),
        ];
        assert_eq!(members(line), Ok(expected));
        assert_eq!(members("com.freshet-g2g=1900").unwrap()[0].0, "com.freshet-g2g");
        assert_eq!(members("bl=()").unwrap()[0].1, Value::List(vec![]));
    }

    #[test]
    fn what_is_no_such_line_is_refused_at_the_place() {
        for (line, expected) in [
            ("", Unreadable::Key(0)),
            ("E=t", Unreadable::Key(0)),
            ("e=t,", Unreadable::Key(4)),
            ("e=", Unreadable::Value(2)),
            ("e=t x", Unreadable::Comma(4)),
            ("bl=(1", Unreadable::Value(5)),
            ("bl=(1,2)", Unreadable::Value(5)),
            ("bl=((1))", Unreadable::Value(4)),
            ("sid=\"x", Unreadable::Value(4)),
            ("sid=\"\\x\"", Unreadable::Value(4)),
            ("sid=\"ä\"", Unreadable::Value(4)),
            ("sid=ä", Unreadable::Value(4)),
            ("bs=?2", Unreadable::Value(4)),
            ("pr=1.", Unreadable::Value(3)),
            ("ts=1234567890123456", Unreadable::Value(3)),
            ("ts=-", Unreadable::Value(3)),
            ("d=@1", Unreadable::Value(2)),
            ("d=:YQ==:", Unreadable::Value(2)),
            ("a;=1", Unreadable::Key(2)),
        ] {
            assert_eq!(members(line), Err(expected), "{line}");
        }
    }

    #[test]
    fn a_line_has_its_limits() {
        let keys = |count: usize| vec!["a=1"; count].join(",");
        assert_eq!(members(&keys(MAX_KEYS)).map(|members| members.len()), Ok(MAX_KEYS));
        assert_eq!(members(&keys(MAX_KEYS + 1)), Err(Unreadable::Keys));
        assert!(members(&"k".repeat(MAX_KEY)).is_ok());
        assert_eq!(members(&"k".repeat(MAX_KEY + 1)), Err(Unreadable::LongKey));
        assert!(members(&format!("bl=({})", vec!["1"; MAX_ITEMS].join(" "))).is_ok());
        assert_eq!(members(&format!("bl=({})", vec!["1"; MAX_ITEMS + 1].join(" "))), Err(Unreadable::Items));
    }

    #[test]
    fn what_tracks_have_adds_up() {
        let sum = |text: &str| members(text).unwrap()[0].1.sum();
        assert_eq!((sum("br=(1000;v 128;a)"), sum("br=1128"), sum("br=()")), (Some(1128), Some(1128), Some(0)));
        assert_eq!((sum("br=(-1)"), sum("br=(a)"), sum("br=1.5"), sum("br")), (None, None, None, None));
    }
}
