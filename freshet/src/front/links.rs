//! Where the pages of channels and people are, as others link to them: `https://tv.example.org/c/ada`.

use freshet_proto::id::ChannelName;
use http::{header, request::Parts};

use super::cards::Kind;

/// What a page is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// A channel or a person.
    pub kind: Kind,
    /// Whose.
    pub name: ChannelName,
}

impl Link {
    /// That of a page's path. A channel's player alone (`/embed/ada`) is the channel's.
    pub fn of(path: &str) -> Option<Self> {
        let mut pieces = path.strip_prefix('/')?.trim_end_matches('/').split('/');
        let kind = match pieces.next()? {
            "c" | "embed" => Kind::Channel,
            "u" => Kind::Person,
            _ => return None,
        };
        let name = pieces.next()?.parse().ok()?;
        pieces.next().is_none().then_some(Self { kind, name })
    }

    /// Its page's path.
    pub fn path(&self) -> String {
        match self.kind {
            Kind::Channel => format!("/c/{}", self.name),
            Kind::Person => format!("/u/{}", self.name),
        }
    }
}

/// Whether a path is that of a player that other sites may show.
pub fn is_embed(path: &str) -> bool {
    path.starts_with("/embed/")
}

/// Where whoever asks reaches this site, as in `https://tv.example.org`: by the name that they ask for, with TLS where `public`,
/// what the edge is said to be reached at, has it. `None` where they say no name that could be one.
pub fn origin(request: &Parts, public: &str) -> Option<String> {
    let authority = authority(request)?;
    let is_tls = request.uri.scheme_str() == Some("https") || public.starts_with("https://");
    Some(format!("{}://{authority}", if is_tls { "https" } else { "http" }))
}

/// Host and port that a request is for, in lower case.
pub fn authority(request: &Parts) -> Option<String> {
    let of_target = request.uri.authority().map(http::uri::Authority::as_str);
    let authority = of_target.or_else(|| request.headers.get(header::HOST)?.to_str().ok())?;
    let is_of_one = |b: u8| b.is_ascii_alphanumeric() || b".-:[]".contains(&b);
    let is_one = (1..=255).contains(&authority.len()) && authority.bytes().all(is_of_one);
    is_one.then(|| authority.to_ascii_lowercase())
}

/// Text as it may stand in HTML, in quotes too.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_channels_and_people_are_known_by_their_paths() {
        let of = |path: &str| Link::of(path).map(|link| link.path());
        for (path, expected) in [
            ("/c/ada", Some("/c/ada")),
            ("/c/ada/", Some("/c/ada")),
            ("/embed/ada", Some("/c/ada")),
            ("/u/ada", Some("/u/ada")),
            ("/c/Ada", None),
            ("/c/ada/chat", None),
            ("/c", None),
            ("/", None),
            ("/x/ada", None),
            ("c/ada", None),
        ] {
            assert_eq!(of(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn the_site_is_where_it_is_asked_for() {
        let of = |host: &str, public: &str| {
            let request = http::Request::get("/c/ada").header("host", host).body(()).unwrap();
            origin(&request.into_parts().0, public)
        };
        assert_eq!(of("TV.example.org:8080", "").as_deref(), Some("http://tv.example.org:8080"));
        assert_eq!(of("tv.example.org", "https://fra.example.org").as_deref(), Some("https://tv.example.org"));
        assert_eq!(of("[::1]:80", "http://x").as_deref(), Some("http://[::1]:80"));
        assert_eq!((of("a\"b", ""), of("a/b", ""), of("", ""), of("u@h", "")), (None, None, None, None));
        let http2 = http::Request::get("https://tv.example.org/c/ada").body(()).unwrap();
        assert_eq!(origin(&http2.into_parts().0, "").as_deref(), Some("https://tv.example.org"));
    }

    #[test]
    fn nothing_leaves_the_attribute_that_it_stands_in() {
        assert_eq!(escaped(r#"<b a="1">'&'</b>"#), "&lt;b a=&quot;1&quot;&gt;&#39;&amp;&#39;&lt;/b&gt;");
    }
}
