//! AMF0: the values in commands and metadata (Adobe, "Action Message Format -- AMF 0").
//!
//! bytes ──[`Decoder`]──▶ [`Value`]s, at most so deep and so many as the limits allow: this runs before anybody has
//! shown a key. Every marker of §2.1 is read; what comes after an AMF3 switch is not, and ends the message.

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// §2.2.
    Number(f64),
    /// §2.3.
    Boolean(bool),
    /// §2.4 and §2.14; bytes that aren't UTF-8 are replaced.
    String(String),
    /// §2.5, §2.10 and §2.18: properties in the order in which they came. A typed object's class name is dropped.
    Object(Vec<(String, Value)>),
    /// §2.7.
    Null,
    /// §2.8 and §2.15.
    Undefined,
    /// §2.9: an index into the complex values of the message, not followed.
    Reference(u16),
    /// §2.12.
    Array(Vec<Value>),
    /// §2.13: milliseconds since 1970. The time zone is reserved and dropped.
    Date(f64),
    /// §2.17.
    Xml(String),
}

impl Value {
    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The property `name`, if it is an object that has it.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Object(properties) => properties.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }
}

/// Why bytes are no AMF0. The peer's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Amf0Error {
    /// The value goes on after the end of the message.
    #[error("AMF0 value is cut off")]
    Truncated,
    /// Objects and arrays nest too deeply.
    #[error("AMF0 values nest deeper than {limit}")]
    TooDeep {
        /// [`Limits::amf_depth`](super::Limits::amf_depth).
        limit: usize,
    },
    /// Too many values.
    #[error("more than {limit} AMF0 values in a message")]
    TooMany {
        /// [`Limits::amf_values`](super::Limits::amf_values).
        limit: usize,
    },
    /// A marker that is reserved (§2.6, §2.16) or doesn't exist.
    #[error("AMF0 marker {0:#04x} has no meaning")]
    BadMarker(u8),
}

/// Reads the values of one message one by one.
#[derive(Debug)]
pub struct Decoder<'a> {
    rest: &'a [u8],
    depth_limit: usize,
    values_limit: usize,
    values: usize,
}

const NUMBER: u8 = 0x00;
const BOOLEAN: u8 = 0x01;
const STRING: u8 = 0x02;
const OBJECT: u8 = 0x03;
const NULL: u8 = 0x05;
const UNDEFINED: u8 = 0x06;
const REFERENCE: u8 = 0x07;
const ECMA_ARRAY: u8 = 0x08;
const OBJECT_END: u8 = 0x09;
const STRICT_ARRAY: u8 = 0x0A;
const DATE: u8 = 0x0B;
const LONG_STRING: u8 = 0x0C;
const UNSUPPORTED: u8 = 0x0D;
const XML: u8 = 0x0F;
const TYPED_OBJECT: u8 = 0x10;
const AVM_PLUS: u8 = 0x11;

impl<'a> Decoder<'a> {
    /// Reads `bytes`, nesting at most `limits.amf_depth` deep, `limits.amf_values` values in all.
    pub fn new(bytes: &'a [u8], limits: &super::Limits) -> Self {
        Self { rest: bytes, depth_limit: limits.amf_depth, values_limit: limits.amf_values, values: 0 }
    }

    /// The next value; `None` at the end of the message or where AMF3 begins.
    ///
    /// # Errors
    /// See [`Amf0Error`]; the message can't be read further then.
    pub fn value(&mut self) -> Result<Option<Value>, Amf0Error> {
        match self.rest.first() {
            None | Some(&AVM_PLUS) => Ok(None),
            Some(_) => self.nested(self.depth_limit).map(Some),
        }
    }

    /// All values up to the end.
    ///
    /// # Errors
    /// See [`Amf0Error`].
    pub fn values(&mut self) -> Result<Vec<Value>, Amf0Error> {
        let mut values = Vec::new();
        while let Some(value) = self.value()? {
            values.push(value);
        }
        Ok(values)
    }

    fn nested(&mut self, depth: usize) -> Result<Value, Amf0Error> {
        self.values += 1;
        if self.values > self.values_limit {
            return Err(Amf0Error::TooMany { limit: self.values_limit });
        }
        let marker = self.array::<1>()?[0];
        match marker {
            NUMBER => Ok(Value::Number(self.number()?)),
            BOOLEAN => Ok(Value::Boolean(self.array::<1>()?[0] != 0)),
            STRING => Ok(Value::String(self.short_text()?)),
            NULL => Ok(Value::Null),
            UNDEFINED | UNSUPPORTED => Ok(Value::Undefined),
            REFERENCE => Ok(Value::Reference(u16::from_be_bytes(self.array()?))),
            DATE => self.date(),
            LONG_STRING => Ok(Value::String(self.long_text()?)),
            XML => Ok(Value::Xml(self.long_text()?)),
            OBJECT | ECMA_ARRAY | TYPED_OBJECT | STRICT_ARRAY => self.complex(marker, depth),
            // An AMF3 value inside an AMF0 one can't be skipped: its length is known only to who can read it.
            other => Err(Amf0Error::BadMarker(other)),
        }
    }

    fn complex(&mut self, marker: u8, depth: usize) -> Result<Value, Amf0Error> {
        let depth = depth.checked_sub(1).ok_or(Amf0Error::TooDeep { limit: self.depth_limit })?;
        match marker {
            STRICT_ARRAY => self.strict_array(depth),
            TYPED_OBJECT => self.short_text().and_then(|_class| self.properties(depth)),
            // The count of an ECMA array is a hint that many writers get wrong; its end marker decides (§2.10).
            ECMA_ARRAY => self.array::<4>().and_then(|_count| self.properties(depth)),
            _ => self.properties(depth),
        }
    }

    fn properties(&mut self, depth: usize) -> Result<Value, Amf0Error> {
        let mut properties = Vec::new();
        loop {
            // Some encoders end the message where the end marker should be.
            if self.rest.is_empty() {
                return Ok(Value::Object(properties));
            }
            let name = self.short_text()?;
            if self.rest.first() == Some(&OBJECT_END) {
                self.rest = &self.rest[1..];
                return Ok(Value::Object(properties));
            }
            properties.push((name, self.nested(depth)?));
        }
    }

    fn strict_array(&mut self, depth: usize) -> Result<Value, Amf0Error> {
        let count = u32::from_be_bytes(self.array()?);
        // Grown as values come, for the count is only a claim.
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(self.nested(depth)?);
        }
        Ok(Value::Array(values))
    }

    fn date(&mut self) -> Result<Value, Amf0Error> {
        let at = self.number()?;
        self.array::<2>()?;
        Ok(Value::Date(at))
    }

    fn number(&mut self) -> Result<f64, Amf0Error> {
        Ok(f64::from_be_bytes(self.array()?))
    }

    fn short_text(&mut self) -> Result<String, Amf0Error> {
        let length = u16::from_be_bytes(self.array()?);
        self.text(length.into())
    }

    fn long_text(&mut self) -> Result<String, Amf0Error> {
        let length = u32::from_be_bytes(self.array()?);
        self.text(length as usize)
    }

    fn text(&mut self, length: usize) -> Result<String, Amf0Error> {
        let (text, rest) = self.rest.split_at_checked(length).ok_or(Amf0Error::Truncated)?;
        self.rest = rest;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Amf0Error> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Amf0Error::Truncated)?;
        self.rest = rest;
        Ok(*bytes)
    }
}
