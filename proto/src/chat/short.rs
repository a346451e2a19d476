//! Texts with a limit that holds wherever they come from.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// A text is longer than it may be. Whoever wrote it is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("longer than {max} {unit}")]
pub struct TooLong {
    max: usize,
    unit: &'static str,
}

/// A text of at most `MAX` bytes. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Short<const MAX: usize>(Arc<str>);

impl<const MAX: usize> Short<MAX> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As much of the beginning of `text` as fits, whole characters.
    pub fn cut(text: &str) -> Self {
        Self(text[..text.floor_char_boundary(MAX)].into())
    }
}

impl<const MAX: usize> TryFrom<&str> for Short<MAX> {
    type Error = TooLong;

    fn try_from(text: &str) -> Result<Self, TooLong> {
        match text.len() <= MAX {
            true => Ok(Self(text.into())),
            false => Err(TooLong { max: MAX, unit: "bytes" }),
        }
    }
}

impl<const MAX: usize> TryFrom<String> for Short<MAX> {
    type Error = TooLong;

    fn try_from(text: String) -> Result<Self, TooLong> {
        text.as_str().try_into()
    }
}

impl<const MAX: usize> From<Short<MAX>> for String {
    fn from(text: Short<MAX>) -> Self {
        text.0.as_ref().to_owned()
    }
}

impl<const MAX: usize> fmt::Display for Short<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What somebody writes: at most [`Text::MAX_CHARS`] characters. It is plain text, whatever it looks like. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Text(Arc<str>);

impl Text {
    /// The longest message, in characters (Unicode scalar values).
    pub const MAX_CHARS: usize = 500;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// No text: what is left of a message that was deleted.
    pub fn empty() -> Self {
        Self("".into())
    }
}

impl TryFrom<&str> for Text {
    type Error = TooLong;

    fn try_from(text: &str) -> Result<Self, TooLong> {
        match text.chars().nth(Self::MAX_CHARS) {
            None => Ok(Self(text.into())),
            Some(_) => Err(TooLong { max: Self::MAX_CHARS, unit: "characters" }),
        }
    }
}

impl TryFrom<String> for Text {
    type Error = TooLong;

    fn try_from(text: String) -> Result<Self, TooLong> {
        text.as_str().try_into()
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.0.as_ref().to_owned()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_holds_for_what_is_read_too() {
        let written = postcard::to_stdvec("ünü").unwrap();
        assert_eq!(postcard::from_bytes::<Short<5>>(&written).unwrap().as_str(), "ünü");
        assert!(postcard::from_bytes::<Short<4>>(&written).is_err());
        let long = postcard::to_stdvec(&"ü".repeat(501)).unwrap();
        assert!(postcard::from_bytes::<Text>(&long).is_err());
        assert_eq!(Text::try_from("ü".repeat(501)).unwrap_err().to_string(), "longer than 500 characters");
        assert!(Text::try_from("ü".repeat(500)).is_ok());
    }

    #[test]
    fn what_is_cut_ends_with_a_whole_character() {
        assert_eq!(Short::<4>::cut("ünü").as_str(), "ün");
        assert_eq!(Short::<5>::cut("ünü").as_str(), "ünü");
    }
}
