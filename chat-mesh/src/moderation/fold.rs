//! Texts that look alike become the same text, so that a term is found however it is written.

use unicode_normalization::UnicodeNormalization;
use unicode_security::skeleton;

use super::text::is_invisible;

/// Compatibility forms, case, accents, letters of other scripts that look like ASCII (UTS #39 §4), invisible characters
/// and runs of spaces: all made one. Terms and messages are folded alike; nobody is shown a folded text.
///
/// ASCII stays what it is. UTS #39 also takes `m` for `rn` and `1` for `l`; a term "bum" must not refuse "burn".
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.nfkc().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfd().filter(|c| !is_dropped(*c)) {
        match lookalike(c) {
            c if !c.is_whitespace() => folded.push(c),
            _ if folded.ends_with(' ') => {}
            _ => folded.push(' '),
        }
    }
    folded
}

/// Accents of European scripts; vowel signs elsewhere are letters of their own right.
fn is_dropped(c: char) -> bool {
    is_invisible(c) || matches!(c, '\u{300}'..='\u{36f}')
}

fn lookalike(c: char) -> char {
    if c.is_ascii() {
        return c;
    }
    let mut buffer = [0; 4];
    let mut skeleton = skeleton(c.encode_utf8(&mut buffer));
    match (skeleton.next(), skeleton.next()) {
        (Some(like), None) if like.is_ascii() => like.to_ascii_lowercase(),
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_alike_is_alike() {
        for text in ["paypal", "PayPal", "ｐａｙｐａｌ", "раураl", "pa\u{200b}ypal", "páýpäl", "𝓹𝓪𝔂𝓹𝓪𝓵"]
        {
            assert_eq!(fold(text), "paypal", "{text:?}");
        }
        assert_eq!(fold("Straße"), fold("STRASSE"));
        assert_eq!(fold("ΣΊΣΥΦΟΣ"), fold("σίσυφος"));
    }

    #[test]
    fn what_differs_stays_different() {
        assert_ne!(fold("burn"), fold("bum"));
        assert_ne!(fold("कि"), fold("का"));
        assert_eq!(fold("a \t\u{3000} b"), "a b");
    }
}
