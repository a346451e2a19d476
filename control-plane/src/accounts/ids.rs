//! The names of rows: 128 random bits, so that they tell nothing and need no counter.

use std::fmt;

use freshet_proto::random::Random;
use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The id as text, 32 hexadecimal digits where we made it.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            pub(super) fn generate(random: &Random) -> Self {
                Self(random.token())
            }
        }

        impl From<String> for $name {
            /// An id that somebody presents. That it names anything is for the database to say; what no id of ours looks
            /// like becomes one that names nothing.
            fn from(text: String) -> Self {
                let plausible = text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric());
                Self(if plausible { text } else { String::new() })
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                text.to_owned().into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    /// A person's account. Stays the same whatever else changes.
    UserId
}
id! {
    /// One login on one device, and all the refresh tokens that follow from it.
    LoginId
}
id! {
    /// A stream key. Stays the same when the key is reset.
    KeyId
}

/// An enum that is kept as a word.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// The word for it, in the database and in the REST API.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// What a word stands for.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(super) use words;
