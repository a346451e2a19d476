//! What is taken out of a text before anybody sees it.

use freshet_proto::chat::{Code, Text};
use unicode_normalization::char::is_combining_mark;

/// How many combining marks may follow one another: four are more than any orthography stacks, and hundreds cover other
/// people's lines.
const MAX_MARKS: usize = 4;

/// The text as it is shown: on one line, without control characters and bidirectional overrides, trimmed.
///
/// # Errors
/// [`Code::TooLong`] beyond [`Text::MAX_CHARS`]; [`Code::BadCharacters`] where nothing visible is left.
pub fn clean(text: &str) -> Result<Text, Code> {
    let mut cleaned = String::with_capacity(text.len());
    let mut marks = 0;
    for c in text.chars() {
        let is_taken_out = !is_line_break(c) && (c.is_control() || is_format_control(c));
        let is_mark = is_combining_mark(c);
        marks = match c {
            _ if is_mark => marks + 1,
            // Marks on both sides of what is not seen lie on one letter.
            _ if is_taken_out || is_invisible(c) => marks,
            _ => 0,
        };
        match c {
            _ if is_line_break(c) => cleaned.push(' '),
            _ if is_taken_out || (is_mark && marks > MAX_MARKS) => {}
            _ => cleaned.push(c),
        }
    }
    let cleaned = cleaned.trim();
    if cleaned.chars().all(is_blank) {
        return Err(Code::BadCharacters);
    }
    Text::try_from(cleaned).map_err(|_| Code::TooLong)
}

fn is_line_break(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// What turns the direction of the text after it (Unicode UAX #9 §2.1, §2.2, §2.4), and what has no meaning in plain text.
fn is_format_control(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// What shows nothing by itself: spaces, joiners, fillers.
pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace() || is_invisible(c)
}

/// What is not seen within a word (mostly Unicode's Default_Ignorable_Code_Point).
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2065}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<String, Code> {
        clean(text).map(String::from)
    }

    #[test]
    fn controls_and_overrides_are_taken_out_and_lines_joined() {
        assert_eq!(shown(" a\u{0}b\u{1b}[31m\r\nc\td "), Ok("ab[31m  c d".to_owned()));
        assert_eq!(shown("\u{202e}evil\u{202c} \u{2066}x\u{2069}\u{feff}"), Ok("evil x".to_owned()));
        assert_eq!(shown("<b>&amp;</b>"), Ok("<b>&amp;</b>".to_owned()));
    }

    #[test]
    fn joined_emoji_and_right_to_left_text_stay() {
        for text in ["👩‍👩‍👧", "שלום", "\u{200f}مرحبا", "नमस्ते", "e\u{301}"] {
            assert_eq!(shown(text), Ok(text.to_owned()));
        }
    }

    #[test]
    fn what_shows_nothing_is_refused() {
        for blank in ["", "   ", "\n\t", "\u{200b}\u{200d}", "\u{3164}", "\u{2800} \u{ad}", "\u{202e}", "\u{e0061}"] {
            assert_eq!(shown(blank), Err(Code::BadCharacters), "{blank:?}");
        }
    }

    #[test]
    fn five_hundred_characters_are_the_limit_after_cleaning() {
        assert_eq!(shown(&format!("{}\n", "ü".repeat(500))), Ok("ü".repeat(500)));
        assert_eq!(shown(&"ü".repeat(501)), Err(Code::TooLong));
    }

    #[test]
    fn marks_are_not_piled_up() {
        assert_eq!(shown(&format!("a{}b", "\u{301}".repeat(100))), Ok(format!("a{}b", "\u{301}".repeat(4))));
        assert_eq!(shown("a\u{301} b\u{301}\u{301}\nc"), Ok("a\u{301} b\u{301}\u{301} c".to_owned()));
    }

    #[test]
    fn what_is_not_seen_between_marks_does_not_let_them_be_piled_up() {
        let four = "\u{301}".repeat(4);
        for unseen in ["\u{7f}", "\u{202e}", "\u{feff}"] {
            assert_eq!(
                shown(&format!("a{}", format!("{four}{unseen}").repeat(9))),
                Ok(format!("a{four}")),
                "{unseen:?}"
            );
        }
        let joined = shown(&format!("a{}", format!("{four}\u{200d}").repeat(3)));
        assert_eq!(joined, Ok(format!("a{four}{}", "\u{200d}".repeat(3))));
    }
}
