//! Keys that may be unset: an empty text stands for "not set", so that every key has a line in the example file and can
//! be unset from the environment.

use std::{fmt::Display, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Writes the value, or an empty text.
pub fn serialize<T: Serialize, S: Serializer>(value: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => value.serialize(to),
        None => to.serialize_str(""),
    }
}

/// Reads a text; an empty one is `None`.
pub fn deserialize<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
where
    T: FromStr,
    T::Err: Display,
    D: Deserializer<'de>,
{
    match String::deserialize(from)?.as_str() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(D::Error::custom),
    }
}

/// The same for numbers, which may be written as such or as texts.
pub mod number {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(f64),
        Text(String),
    }

    /// Writes the number, or an empty text.
    pub fn serialize<S: Serializer>(value: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => value.serialize(to),
            None => to.serialize_str(""),
        }
    }

    /// Reads a number; an empty text is `None`.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
        match Written::deserialize(from)? {
            Written::Number(number) => Ok(Some(number)),
            Written::Text(text) if text.is_empty() => Ok(None),
            Written::Text(text) => {
                text.parse().map(Some).map_err(|_| D::Error::custom(format!("{text:?} is no number")))
            }
        }
    }
}
