//! What people may write into their accounts: names, addresses, descriptions, each with its limit and its one form.

use std::fmt;

use freshet_proto::id::ChannelName;
use serde::{Deserialize, Serialize};

/// The longest e-mail address, in bytes (RFC 5321 §4.5.3.1.3, less the angle brackets).
pub const MAX_EMAIL: usize = 254;
/// The longest part of an e-mail address before the `@`, in bytes (RFC 5321 §4.5.3.1.1).
pub const MAX_EMAIL_LOCAL: usize = 64;
/// The longest display name, in characters.
pub const MAX_DISPLAY_NAME: usize = 50;
/// The longest biography, in characters.
pub const MAX_BIO: usize = 500;
/// The longest title of a channel, in characters.
pub const MAX_TITLE: usize = 140;
/// The longest category of a channel, in characters.
pub const MAX_CATEGORY: usize = 64;
/// The longest tag, in characters.
pub const MAX_TAG: usize = 25;
/// How many tags a channel may have.
pub const MAX_TAGS: usize = 10;
/// The longest label of a stream key, in characters.
pub const MAX_LABEL: usize = 40;
/// The shortest password, in characters.
pub const MIN_PASSWORD: usize = 8;
/// The longest password, in characters.
pub const MAX_PASSWORD: usize = 1024;

/// What is wrong with something that a person wrote. The remedy is in the text: write it otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {
    /// Usernames become the names of channels.
    #[error("a username is 1 to 32 of a-z, 0-9, _ and -, starting with a letter or digit")]
    Username,
    /// Not an address, or too long a one.
    #[error("an e-mail address is name@domain, at most {MAX_EMAIL} bytes")]
    Email,
    /// Too short or too long.
    #[error("a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")]
    Password,
    /// Empty, too long, or with control characters.
    #[error("a display name has 1 to {MAX_DISPLAY_NAME} characters on one line")]
    DisplayName,
    /// Too long, or with control characters other than line breaks.
    #[error("a bio has at most {MAX_BIO} characters")]
    Bio,
    /// Too long, or with control characters.
    #[error("a title has at most {MAX_TITLE} characters on one line")]
    Title,
    /// Too long, or with control characters.
    #[error("a category has at most {MAX_CATEGORY} characters on one line")]
    Category,
    /// Too many, too long, twice the same, or with anything but letters, digits, `-` and `_`.
    #[error("there are at most {MAX_TAGS} tags, all different, each 1 to {MAX_TAG} letters, digits, - and _")]
    Tags,
    /// Not `#rrggbb`.
    #[error("a colour is # and six hexadecimal digits, as in #1e90ff")]
    Color,
    /// Empty, too long, or with control characters.
    #[error("the label of a stream key has 1 to {MAX_LABEL} characters on one line")]
    Label,
}

impl Invalid {
    /// The field that it concerns, as the REST API calls it.
    pub fn field(self) -> &'static str {
        match self {
            Self::Username => "username",
            Self::Email => "email",
            Self::Password => "password",
            Self::DisplayName => "display_name",
            Self::Bio => "bio",
            Self::Title => "title",
            Self::Category => "category",
            Self::Tags => "tags",
            Self::Color => "color",
            Self::Label => "label",
        }
    }
}

/// A username in its one form: `Ada` and `ada` are the same person.
///
/// # Errors
/// [`Invalid::Username`].
pub fn username(text: &str) -> Result<ChannelName, Invalid> {
    text.trim().to_ascii_lowercase().parse().map_err(|_| Invalid::Username)
}

/// An e-mail address in its one form, lower case.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(String);

impl Email {
    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads what a person wrote.
    ///
    /// # Errors
    /// [`Invalid::Email`].
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let text = text.trim().to_lowercase();
        let (local, domain) = text.rsplit_once('@').ok_or(Invalid::Email)?;
        let local_is_well = !local.is_empty()
            && local.len() <= MAX_EMAIL_LOCAL
            && !local.contains(|c: char| c.is_whitespace() || c.is_control() || "@<>()[],;:\\\"".contains(c));
        let label_is_well = |label: &str| {
            let legal = |c: char| c.is_alphanumeric() || c == '-';
            !label.is_empty() && label.chars().all(legal) && !label.starts_with('-') && !label.ends_with('-')
        };
        let well = local_is_well && text.len() <= MAX_EMAIL && domain.split('.').all(label_is_well);
        if well { Ok(Self(text)) } else { Err(Invalid::Email) }
    }
}

impl fmt::Debug for Email {
    /// Leaves the address out: it is personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email")
    }
}

impl TryFrom<String> for Email {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

/// A password that somebody chooses. Never logged.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    /// Takes a new password.
    ///
    /// # Errors
    /// [`Invalid::Password`].
    pub fn new(text: impl Into<String>) -> Result<Self, Invalid> {
        let text = text.into();
        if (MIN_PASSWORD..=MAX_PASSWORD).contains(&text.chars().count()) {
            Ok(Self(text))
        } else {
            Err(Invalid::Password)
        }
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// A display name: one line, not empty, without the invisible characters that make two names look alike.
pub(super) fn display_name(text: &str) -> Result<String, Invalid> {
    line(text, MAX_DISPLAY_NAME).filter(|name| !name.is_empty()).ok_or(Invalid::DisplayName)
}

pub(super) fn bio(text: &str) -> Result<String, Invalid> {
    let fits = text.chars().count() <= MAX_BIO;
    let text = text.trim().replace("\r\n", "\n");
    let well = fits && !text.contains(|c: char| c != '\n' && is_hidden(c));
    if well { Ok(text) } else { Err(Invalid::Bio) }
}

pub(super) fn title(text: &str) -> Result<String, Invalid> {
    line(text, MAX_TITLE).ok_or(Invalid::Title)
}

pub(super) fn category(text: &str) -> Result<String, Invalid> {
    line(text, MAX_CATEGORY).ok_or(Invalid::Category)
}

pub(super) fn label(text: &str) -> Result<String, Invalid> {
    line(text, MAX_LABEL).filter(|label| !label.is_empty()).ok_or(Invalid::Label)
}

/// Tags in lower case, in the order in which they were written.
pub(super) fn tags(texts: &[String]) -> Result<Vec<String>, Invalid> {
    let mut tags: Vec<String> = Vec::with_capacity(texts.len().min(MAX_TAGS));
    for text in texts {
        let tag = text.trim().to_lowercase();
        let legal = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
        let well = !tag.is_empty() && text.chars().count() <= MAX_TAG && tag.chars().all(legal);
        if !well || tags.len() == MAX_TAGS || tags.contains(&tag) {
            return Err(Invalid::Tags);
        }
        tags.push(tag);
    }
    Ok(tags)
}

/// A colour in its one form, lower case.
pub(super) fn color(text: &str) -> Result<String, Invalid> {
    let digits = text.strip_prefix('#').ok_or(Invalid::Color)?;
    let well = digits.len() == 6 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if well { Ok(text.to_ascii_lowercase()) } else { Err(Invalid::Color) }
}

/// What a client calls itself, cut to what a list of sessions shows.
pub(super) fn agent(text: &str) -> String {
    const SHOWN: usize = 200;
    text.chars().filter(|&c| !is_hidden(c)).take(SHOWN).collect()
}

/// What is around it counts, as the API's description says.
fn line(text: &str, max: usize) -> Option<String> {
    let fits = text.chars().count() <= max;
    let text = text.trim();
    (fits && !text.contains(is_hidden)).then(|| text.to_owned())
}

/// Control characters (NUL among them, which PostgreSQL can't store), and those that turn or hide what follows.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_username_has_one_form_whatever_its_case() {
        assert_eq!(username(" Ada ").map(String::from), Ok("ada".to_owned()));
        for bad in ["", "a b", "ädä", "-a", "a@b", &"x".repeat(33)] {
            assert_eq!(username(bad), Err(Invalid::Username), "{bad:?}");
        }
    }

    #[test]
    fn an_e_mail_address_has_one_form_and_cannot_smuggle_a_header() {
        assert_eq!(Email::parse(" Ada@Example.ORG ").map(String::from), Ok("ada@example.org".to_owned()));
        let long = format!("{}@example.org", "x".repeat(65));
        for bad in
            ["", "ada", "@example.org", "ada@", "a da@x.org", "a@b@x.org", "ada@x..org", "a\r\nBcc:b@x.org", &long]
        {
            assert_eq!(Email::parse(bad).err(), Some(Invalid::Email), "{bad:?}");
        }
    }

    #[test]
    fn passwords_have_8_to_1024_characters_and_never_show() {
        assert!(
            Password::new("1234567").is_err()
                && Password::new("ääääääö").is_err()
                && Password::new("x".repeat(1025)).is_err()
        );
        assert!(Password::new("ä".repeat(1024)).is_ok());
        let password = Password::new("correct horse").expect("long enough");
        assert_eq!(format!("{password:?}"), "Password");
    }

    #[test]
    fn what_is_shown_on_one_line_hides_and_turns_nothing() {
        assert_eq!(display_name("  Ada Lovelace "), Ok("Ada Lovelace".to_owned()));
        for bad in ["", " ", "a\nb", "a\0b", "a\u{202e}b", "a\u{200b}b", &"x".repeat(51)] {
            assert_eq!(display_name(bad), Err(Invalid::DisplayName), "{bad:?}");
        }
        assert_eq!(title(""), Ok(String::new()));
        assert_eq!(bio("one\r\ntwo"), Ok("one\ntwo".to_owned()));
        assert_eq!(title(&format!("{:140}x", "")), Err(Invalid::Title), "spaces count");
        assert_eq!((bio("a\0"), bio(&"x".repeat(501))), (Err(Invalid::Bio), Err(Invalid::Bio)));
    }

    #[test]
    fn a_colour_is_six_digits_in_lower_case() {
        assert_eq!(color("#1E90ff"), Ok("#1e90ff".to_owned()));
        for bad in ["", "#", "1e90ff", "#1e90f", "#1e90fff", "#1e90fg", "#é90f", "#+e90ff", " #1e90ff", "red"] {
            assert_eq!(color(bad), Err(Invalid::Color), "{bad:?}");
        }
    }

    #[test]
    fn tags_are_few_and_all_different() {
        let list = |tags: &[&str]| tags.iter().map(|&tag| tag.to_owned()).collect::<Vec<_>>();
        assert_eq!(tags(&list(&["Music", "co-op"])), Ok(list(&["music", "co-op"])));
        let many: Vec<String> = (0..11).map(|n| format!("t{n}")).collect();
        for bad in [list(&["a", "A"]), list(&[""]), list(&["a b"]), many, vec!["x".repeat(26)]] {
            assert_eq!(tags(&bad), Err(Invalid::Tags), "{bad:?}");
        }
    }
}
