//! Whether a text has a link.

use unicode_normalization::UnicodeNormalization;

/// Top-level domains by which a bare `name.tld` is taken for a link; without such a list "ok.then" would be one. Behind
/// `://` or before `/` any host counts. The commonest ones, those of link shorteners, and those that abuse is cheap under.
const DOMAINS: &[&str] = &[
    "ai", "app", "at", "au", "be", "biz", "br", "ca", "cc", "ch", "click", "club", "cn", "co", "com", "cz", "de",
    "dev", "dk", "edu", "es", "eu", "fi", "fr", "fun", "gg", "gl", "gov", "icu", "in", "info", "io", "it", "jp", "kr",
    "link", "live", "ly", "me", "mil", "mx", "net", "nl", "no", "online", "org", "pl", "pro", "pt", "pw", "ru", "se",
    "shop", "site", "sh", "store", "tech", "tk", "to", "top", "tv", "ua", "uk", "us", "vip", "ws", "xyz",
];

/// Whether a text has something that a person can follow: `scheme://host`, `www.host`, `host.tld`, `host.any/path`.
pub fn has_link(text: &str) -> bool {
    let text: String = text.nfkc().flat_map(char::to_lowercase).filter(|c| !super::text::is_invisible(*c)).collect();
    text.split_whitespace().any(is_link)
}

fn is_link(word: &str) -> bool {
    if let Some((scheme, rest)) = word.split_once("://") {
        return scheme.ends_with(|c: char| c.is_ascii_alphanumeric()) && rest.starts_with(char::is_alphanumeric);
    }
    let separates = |c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-' | '/' | ':' | '。' | '．'));
    word.split(separates).any(|word| is_host(word.trim_matches(['.', ':', '-'])))
}

fn is_host(word: &str) -> bool {
    let host = word.split(['/', ':']).next().unwrap_or_default();
    let has_path = word[host.len()..].starts_with(['/', ':']) && word.len() > host.len() + 1;
    let labels: Vec<_> = host.split(['.', '。', '．']).collect();
    let &[.., before, top] = labels.as_slice() else { return false };
    if labels.iter().any(|label| label.is_empty() || label.starts_with('-') || label.ends_with('-')) {
        return false;
    }
    let is_address = labels.len() == 4 && labels.iter().all(|label| label.parse::<u8>().is_ok());
    let is_top = top.starts_with("xn--") || (top.chars().count() >= 2 && top.chars().all(char::is_alphabetic));
    (labels[0] == "www" && labels.len() > 2 && is_top)
        || (is_top && has_path)
        || (is_address && has_path)
        || (is_top && before.chars().any(char::is_alphanumeric) && (DOMAINS.contains(&top) || top.starts_with("xn--")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_however_they_are_written() {
        for text in [
            "https://example.com/a",
            "see http://x",
            "ftp://files.example",
            "WWW.Example.museum",
            "go to example.com!",
            "(example.com)",
            "a@example.org",
            "bit.ly/2x",
            "evil.zip/x",
            "ｅｘａｍｐｌｅ．ｃｏｍ",
            "exam\u{200b}ple.com",
            "10.0.0.1:8080",
            "sub.domain.co.uk",
            "bücher.de",
            "x.xn--p1ai",
            "discord.gg/abc",
            "example。com",
        ] {
            assert!(has_link(text), "{text}");
        }
    }

    #[test]
    fn sentences_are_no_links() {
        for text in [
            "hello",
            "wait...what",
            "ok.then",
            "3.14",
            "v1.2.3",
            "10.0.0.1",
            "e.g. this",
            "and/or",
            "12:30",
            "a.b",
            "://",
            "...",
            "-.com",
            ".com",
            "1/2",
            "he said:yes",
        ] {
            assert!(!has_link(text), "{text}");
        }
    }
}
