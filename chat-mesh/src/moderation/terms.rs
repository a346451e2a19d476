//! Terms that a channel does not want to read.
//!
//! A term is words; it is found as whole words, folded. `*` stands for any letters without a space: `spam*` finds
//! "spammer", `*spam*` finds it within a word, `sp*m` finds "spaaam". Scripts without spaces between words want `*` at both
//! ends. One pass of Aho–Corasick over the message looks for every term's longest piece; only terms whose piece is there
//! are then looked at closely.

use std::collections::BTreeSet;

use aho_corasick::AhoCorasick;
use freshet_proto::chat::{MAX_TERMS, Term, TermAction};

use super::fold;

/// The longest folded term, in characters: as many states as a `u128` has bits, less the end.
const MAX_STATES: usize = 127;

/// The text is no term. Whoever wrote it is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a term has at most {MAX_STATES} characters, and some that are not *")]
pub struct InvalidTerm;

/// A channel's terms, ready to be looked for.
#[derive(Debug, Clone)]
pub struct Terms {
    pieces: Option<AhoCorasick>,
    globs: Vec<(Glob, TermAction)>,
}

impl Terms {
    /// Makes `terms` ready. Costs a few milliseconds for 500. What is no term is left out.
    pub fn new(terms: &[Term]) -> Self {
        let globs: Vec<_> = terms
            .iter()
            .take(MAX_TERMS)
            .filter_map(|term| Some((Glob::new(term.pattern.as_str()).ok()?, term.action)))
            .collect();
        let pieces = AhoCorasick::new(globs.iter().map(|(glob, _)| glob.piece())).ok().filter(|_| !globs.is_empty());
        Self { pieces, globs }
    }

    /// Whether this could be a term.
    ///
    /// # Errors
    /// [`InvalidTerm`].
    pub fn check(pattern: &str) -> Result<(), InvalidTerm> {
        Glob::new(pattern).map(|_| ())
    }

    /// The strictest of what the terms in `text` ask for.
    pub fn find(&self, text: &str) -> Option<TermAction> {
        let pieces = self.pieces.as_ref()?;
        let text = fold(text);
        let near: BTreeSet<_> = pieces.find_overlapping_iter(&text).map(|found| found.pattern().as_usize()).collect();
        let chars: Vec<_> = text.chars().collect();
        near.into_iter().map(|n| &self.globs[n]).filter(|(glob, _)| glob.is_in(&chars)).map(|(_, action)| *action).max()
    }
}

/// A folded term; `None` is a `*`.
#[derive(Debug, Clone)]
struct Glob(Vec<Option<char>>);

impl Glob {
    fn new(pattern: &str) -> Result<Self, InvalidTerm> {
        let mut states: Vec<_> = fold(pattern).trim().chars().map(|c| (c != '*').then_some(c)).collect();
        states.dedup_by(|a, b| a.is_none() && b.is_none());
        let says_something = states.iter().flatten().any(|c| !c.is_whitespace());
        if says_something && states.len() <= MAX_STATES { Ok(Self(states)) } else { Err(InvalidTerm) }
    }

    /// The longest run of characters between two `*`.
    fn piece(&self) -> String {
        let runs = self.0.split(Option::is_none).max_by_key(|run| run.len());
        runs.unwrap_or_default().iter().flatten().collect()
    }

    /// Runs over the text once, with the set of all places in the pattern at which we might be.
    fn is_in(&self, text: &[char]) -> bool {
        let mut states = 0u128;
        for at in 0..=text.len() {
            if self.begins(text, at) {
                states |= 1;
            }
            states = self.past_stars(states);
            if states >> self.0.len() & 1 == 1 && self.ends(text, at) {
                return true;
            }
            let Some(&c) = text.get(at) else { break };
            states = self.step(states, c);
        }
        false
    }

    /// A `*` may stand for nothing.
    fn past_stars(&self, mut states: u128) -> u128 {
        for (n, place) in self.0.iter().enumerate() {
            if place.is_none() && states >> n & 1 == 1 {
                states |= 1 << (n + 1);
            }
        }
        states
    }

    fn step(&self, states: u128, c: char) -> u128 {
        let mut next = 0;
        for (n, place) in self.0.iter().enumerate().filter(|(n, _)| states >> n & 1 == 1) {
            match place {
                None if !c.is_whitespace() => next |= 1 << n,
                Some(wanted) if *wanted == c => next |= 1 << (n + 1),
                _ => {}
            }
        }
        next
    }

    /// Whether a match may begin before `text[at]`: not within a word, unless the term begins with no letter.
    fn begins(&self, text: &[char], at: usize) -> bool {
        let within = at > 0 && is_letter(text[at - 1]);
        !within || !self.0.first().copied().flatten().is_some_and(is_letter)
    }

    fn ends(&self, text: &[char], at: usize) -> bool {
        let within = text.get(at).is_some_and(|c| is_letter(*c));
        !within || !self.0.last().copied().flatten().is_some_and(is_letter)
    }
}

fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(pattern: &str, text: &str) -> bool {
        let term = Term { pattern: pattern.try_into().unwrap(), action: TermAction::Block };
        Terms::new(&[term]).find(text).is_some()
    }

    #[test]
    fn a_term_is_found_as_whole_words() {
        for text in ["spam", "SPAM!", "some spam.", "ｓｐａｍ", "sраm", "s\u{200b}pam", "spàm"] {
            assert!(finds("spam", text), "{text}");
        }
        for text in ["spammer", "antispam", "spa m", "", "spam_1"] {
            assert!(!finds("spam", text), "{text}");
        }
        assert!(finds("buy  now", "BUY\tNOW please") && !finds("buy now", "buy it now"));
        assert!(finds("$$$", "x$$$y"));
    }

    #[test]
    fn a_star_stands_for_letters_without_a_space() {
        for (pattern, text) in [
            ("spam*", "spammer"),
            ("*spam", "antispam"),
            ("*spam*", "antispammer"),
            ("sp*m", "spaaam"),
            ("s*p*m", "spm"),
        ] {
            assert!(finds(pattern, text), "{pattern} in {text}");
        }
        for (pattern, text) in [("spam*", "antispam"), ("sp*m", "sp am"), ("sp*m", "spams"), ("*spam", "spams")] {
            assert!(!finds(pattern, text), "{pattern} in {text}");
        }
    }

    #[test]
    fn the_strictest_of_many_counts() {
        let term = |pattern: &str, action| Term { pattern: pattern.try_into().unwrap(), action };
        let terms =
            Terms::new(&[term("meh", TermAction::Hold), term("bad*", TermAction::Block), term("*", TermAction::Block)]);
        assert_eq!(terms.find("meh"), Some(TermAction::Hold));
        assert_eq!(terms.find("meh baddest"), Some(TermAction::Block));
        assert_eq!(terms.find("fine"), None);
        assert_eq!(Terms::new(&[]).find("meh"), None);
    }

    #[test]
    fn what_would_find_everything_or_is_too_long_is_no_term() {
        for bad in ["", "*", " * *", &"x".repeat(128)] {
            assert_eq!(Terms::check(bad), Err(InvalidTerm), "{bad:?}");
        }
        assert_eq!(Terms::check(&"x".repeat(127)), Ok(()));
        assert!(finds(&"x".repeat(127), &"x".repeat(127)));
    }
}
