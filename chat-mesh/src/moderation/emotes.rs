//! What an emote is: an emoji, or a name between colons.

use unicode_properties::{UnicodeEmoji, emoji::EmojiStatus};

/// What makes a key of the digit before it.
const KEYCAP: char = '\u{20e3}';

/// Whether a text has emotes and nothing else: emoji, and `:names:` of at most 32 letters, digits and underscores.
pub fn only_emotes(text: &str) -> bool {
    let mut words = text.split_whitespace().peekable();
    words.peek().is_some() && words.all(|word| is_named(word) || is_emoji(word))
}

fn is_named(word: &str) -> bool {
    let name = word.strip_prefix(':').and_then(|word| word.strip_suffix(':'));
    name.is_some_and(|name| {
        (1..=32).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    })
}

/// Digits, `#` and `*` are parts of emoji (keycaps) and by themselves none.
fn is_emoji(word: &str) -> bool {
    word.chars().any(|c| c == KEYCAP || (!c.is_ascii() && c.is_emoji_char()))
        && word.chars().all(|c| c.emoji_status() != EmojiStatus::NonEmoji && (!c.is_ascii() || word.contains(KEYCAP)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emoji_and_names_between_colons_are_emotes() {
        for text in ["😀", "👩‍👩‍👧 ❤️", ":wave:", "🇫🇷", "1️⃣", ":a_1: 😀😀"] {
            assert!(only_emotes(text), "{text}");
        }
        for text in ["", " ", "hi", "1", "#", "😀hi", ":)", "::", ":a b:", "😀 hi", "12 😀"] {
            assert!(!only_emotes(text), "{text}");
        }
    }
}
