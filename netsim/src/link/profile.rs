//! How one direction of a link is, and how it is written: `delay_ms=20 jitter_ms=5 loss_permille=10`.

use std::{fmt, str::FromStr};

/// How one direction of a link is. The default lets everything pass at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// How long each datagram takes, in milliseconds.
    pub delay_ms: u32,
    /// How much longer it may take, in milliseconds, drawn for each. Alone it changes no order: as in the queue of a
    /// router, who is late holds up those behind.
    pub jitter_ms: u32,
    /// Of a thousand datagrams, how many are lost.
    pub loss_permille: u16,
    /// Of a thousand datagrams, how many overtake those before them: they skip delay and jitter.
    pub reorder_permille: u16,
    /// Thousands of bits a second that pass (a bucket of [`Profile::BURST`] bytes); 0 sets no limit.
    pub rate_kbit: u32,
    /// How many datagrams may be on their way at once, at most [`Profile::MAX_QUEUE`]; those that come then are lost.
    pub queue: usize,
}

impl Profile {
    /// How many datagrams may be on their way in one direction of a link, whatever is asked for: 24 MB of QUIC's.
    pub const MAX_QUEUE: usize = 16_384;

    /// How many bytes pass at once after a pause where there is a rate: ten full datagrams, as QUIC sends them at first.
    pub const BURST: u64 = 15_000;
}

impl Default for Profile {
    fn default() -> Self {
        Self { delay_ms: 0, jitter_ms: 0, loss_permille: 0, reorder_permille: 0, rate_kbit: 0, queue: Self::MAX_QUEUE }
    }
}

/// Why a text is no profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadProfile {
    word: String,
    remedy: &'static str,
}

impl fmt::Display for BadProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.word, self.remedy)
    }
}

impl std::error::Error for BadProfile {}

const WORDS: &str =
    "write KEY=NUMBER; there are delay_ms, jitter_ms, loss_permille, reorder_permille, rate_kbit and queue";

impl FromStr for Profile {
    type Err = BadProfile;

    /// Words of the form `key=number`, in any order; what is left out is as by default.
    fn from_str(text: &str) -> Result<Self, BadProfile> {
        text.split_whitespace().try_fold(Self::default(), Self::with)
    }
}

impl Profile {
    fn with(mut self, word: &str) -> Result<Self, BadProfile> {
        let bad = |remedy| BadProfile { word: word.to_owned(), remedy };
        let (key, number) = word.split_once('=').ok_or(bad(WORDS))?;
        let number: u32 = number.parse().map_err(|_| bad("the value is a whole number"))?;
        let permille = || u16::try_from(number).ok().filter(|n| *n <= 1000).ok_or(bad("there are 1000 in a thousand"));
        match key {
            "delay_ms" => self.delay_ms = number,
            "jitter_ms" => self.jitter_ms = number,
            "loss_permille" => self.loss_permille = permille()?,
            "reorder_permille" => self.reorder_permille = permille()?,
            "rate_kbit" => self.rate_kbit = number,
            "queue" => {
                let within = usize::try_from(number).ok().filter(|n| (1..=Self::MAX_QUEUE).contains(n));
                self.queue = within.ok_or(bad("a queue holds 1 to 16384 datagrams"))?;
            }
            _ => return Err(bad(WORDS)),
        }
        Ok(self)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { delay_ms, jitter_ms, loss_permille, reorder_permille, rate_kbit, queue } = self;
        write!(f, "delay_ms={delay_ms} jitter_ms={jitter_ms} loss_permille={loss_permille} ")?;
        write!(f, "reorder_permille={reorder_permille} rate_kbit={rate_kbit} queue={queue}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_read_as_it_is_written() {
        let profile: Profile = "loss_permille=10 delay_ms=20 rate_kbit=500 queue=50".parse().unwrap();
        let expected = Profile { delay_ms: 20, loss_permille: 10, rate_kbit: 500, queue: 50, ..Profile::default() };
        assert_eq!(profile, expected);
        assert_eq!(profile.to_string().parse(), Ok(profile));
        assert_eq!("".parse(), Ok(Profile::default()));
    }

    #[test]
    fn what_is_no_profile_is_refused_with_the_remedy() {
        let why = |text: &str| text.parse::<Profile>().unwrap_err().to_string();
        assert_eq!(why("delay=20"), format!("\"delay=20\": {WORDS}"));
        assert_eq!(why("delay_ms=20ms"), "\"delay_ms=20ms\": the value is a whole number");
        assert_eq!(why("loss_permille=1001"), "\"loss_permille=1001\": there are 1000 in a thousand");
        assert_eq!(why("queue=0"), "\"queue=0\": a queue holds 1 to 16384 datagrams");
    }
}
