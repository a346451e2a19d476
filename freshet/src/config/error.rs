//! What can be wrong with a configuration, in words that name the place and the remedy.

use std::path::PathBuf;

use freshet_proto::id::ChannelName;

/// Why the configuration can't be used. Always the operator's to mend; the binary then exits with code 78.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file named by `--config` can't be read.
    #[error("can't read the configuration file {}: {error}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Something in the file is wrong.
    #[error("{}:{line}: {what}", file.display())]
    InFile {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What, with a suggestion.
        what: String,
    },
    /// An environment variable or flag sets something wrong.
    #[error("{place}: {what}")]
    InOverride {
        /// The variable or flag.
        place: String,
        /// What, with a suggestion.
        what: String,
    },
    /// `--set` without a value.
    #[error("--set {text}: write it as SECTION.KEY=VALUE, e.g. --set listen.http=127.0.0.1:8080")]
    MalformedSet {
        /// What was given.
        text: String,
    },
    /// Something that the role needs is not set.
    #[error("{key} is not set: {remedy}")]
    Missing {
        /// The key.
        key: &'static str,
        /// What to do.
        remedy: String,
    },
    /// Values that can't stand together or are out of range.
    #[error("{key}: {what}")]
    Invalid {
        /// The key.
        key: &'static str,
        /// What is wrong and what would be right.
        what: String,
    },
    /// A value of a service is out of range; the text names key and range.
    #[error("{0}")]
    Range(String),
    /// A stream key can't be had.
    #[error("channel {channel}: stream_key_file {}: {reason}; make one with: openssl rand -hex 16", file.display())]
    StreamKey {
        /// The channel.
        channel: ChannelName,
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Rewords serde's complaint: unknown keys get the nearest known one suggested.
///
/// `all_keys` are the dotted names of every key, searched when the key may stand in the wrong section.
pub fn explain(message: &str, all_keys: &[String]) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let (true, Some(unknown)) = (message.starts_with("unknown field"), quoted.next()) else {
        return message.trim().replace('\n', " ");
    };
    let expected: Vec<&str> = quoted.collect();
    format!("unknown key `{unknown}`; {}", suggest(unknown, &expected, all_keys))
}

/// Below this likeness two words are not taken for misspellings of each other.
const ALIKE: f64 = 0.78;

fn suggest(unknown: &str, expected: &[&str], all_keys: &[String]) -> String {
    let likeness = |candidate: &str| strsim::jaro_winkler(unknown, candidate);
    if let Some(near) = most_like(expected.iter().copied(), likeness) {
        return format!("did you mean `{near}`?");
    }
    let last_word = |key: &str| likeness(key.rsplit('.').next().unwrap_or(key));
    if let Some(near) = most_like(all_keys.iter().map(String::as_str), last_word) {
        return format!("did you mean `{near}`?");
    }
    format!("known here: {}", expected.join(", "))
}

fn most_like<'a>(candidates: impl Iterator<Item = &'a str>, likeness: impl Fn(&str) -> f64) -> Option<&'a str> {
    let scored = candidates.map(|candidate| (likeness(candidate), candidate)).filter(|(score, _)| *score >= ALIKE);
    scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, candidate)| candidate)
}
