//! `GET /api/oembed?url=…`: how another site shows a channel (oembed.com).
//!
//! address of a channel's page ──▶ an `<iframe>` of `/embed/{channel}` that fits, and what the link says

use http::{StatusCode, request::Parts};
use serde_json::{Value, json};

use super::{
    cards::{Card, Kind},
    links::Link,
    opengraph::{AVATAR, SITE, display_name},
};

/// Where it is.
pub const PATH: &str = "/api/oembed";

/// The size of a player where nobody says how large it may be.
const SIZE: (u32, u32) = (640, 360);

/// For how many seconds who asks may keep the answer.
pub const FRESH_S: u32 = 300;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked {
    /// The page.
    pub link: Link,
    /// The authority of its address, in lower case.
    pub authority: String,
    size: (u32, u32),
    picture: bool,
}

/// Why there is no answer: the status of `oembed.com` §2.3.4, and words.
pub type Refused = (StatusCode, &'static str);

impl Asked {
    /// What a request asks for.
    ///
    /// # Errors
    /// 501 for any form but JSON, 400 without an address, 404 for one that is no channel's.
    pub fn of(request: &Parts) -> Result<Self, Refused> {
        let query = request.uri.query().unwrap_or_default();
        let value = |key: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.filter(|(name, _)| *name == key).map(|(_, value)| decoded(value)).next()
        };
        if value("format").is_some_and(|format| format != "json") {
            return Err((StatusCode::NOT_IMPLEMENTED, "there is only JSON"));
        }
        let url = value("url").ok_or((StatusCode::BAD_REQUEST, "say what to embed with `url`"))?;
        let not_found = (StatusCode::NOT_FOUND, "this is the address of no channel here");
        let url: http::Uri = url.parse().map_err(|_| not_found)?;
        let authority = url.authority().ok_or(not_found)?.as_str().to_ascii_lowercase();
        let link = Link::of(url.path()).filter(|link| link.kind == Kind::Channel).ok_or(not_found)?;
        let most = |key: &str| value(key).and_then(|value| value.parse().ok()).unwrap_or(u32::MAX).max(1);
        let (width, height) = (most("maxwidth"), most("maxheight"));
        Ok(Self { link, authority, size: fit(width, height), picture: width >= AVATAR && height >= AVATAR })
    }

    /// The answer, for the site at `origin`.
    pub fn answer(&self, origin: &str, card: Option<&Card>) -> Value {
        let (link, (width, height)) = (&self.link, self.size);
        let name = display_name(link, card);
        let on = card.map(|card| card.title.as_str()).filter(|title| !title.is_empty());
        let title = on.map_or_else(|| name.to_owned(), |on| format!("{on} · {name}"));
        // A channel's name has nothing that would need escaping.
        let html = format!(
            "<iframe src=\"{origin}/embed/{}\" width=\"{width}\" height=\"{height}\" title=\"{} · {SITE}\" \
             allow=\"autoplay; fullscreen; picture-in-picture\" allowfullscreen frameborder=\"0\"></iframe>",
            link.name, link.name
        );
        let mut answer = json!({
            "version": "1.0", "type": "video", "title": title, "html": html, "width": width, "height": height,
            "author_name": name, "author_url": format!("{origin}{}", link.path()),
            "provider_name": SITE, "provider_url": origin, "cache_age": FRESH_S,
        });
        let picture = card.and_then(|card| card.avatar_url.as_deref()).filter(|_| self.picture);
        if let (Some(path), Some(answer)) = (picture, answer.as_object_mut()) {
            answer.insert("thumbnail_url".to_owned(), format!("{origin}{path}").into());
            answer.insert("thumbnail_width".to_owned(), AVATAR.into());
            answer.insert("thumbnail_height".to_owned(), AVATAR.into());
        }
        answer
    }
}

/// Where the answer for a page is asked for.
pub fn address(origin: &str, url: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    let byte = |b: u8| if is_plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") };
    format!("{origin}{PATH}?url={}&format=json", url.bytes().map(byte).collect::<String>())
}

/// The largest player of 16:9 that fits, [`SIZE`] where anything does.
fn fit(most_width: u32, most_height: u32) -> (u32, u32) {
    let by_height = u64::from(most_height) * 16 / 9;
    let width = if (most_width, most_height) == (u32::MAX, u32::MAX) { SIZE.0 } else { most_width.min(1920) };
    let width = u32::try_from(by_height).map_or(width, |by_height| width.min(by_height)).max(1);
    (width, (width * 9 / 16).max(1))
}

/// A query's value without `%41` and `+`; what is no such escape stays.
fn decoded(value: &str) -> String {
    let (bytes, mut at, mut plain) = (value.as_bytes(), 0, Vec::with_capacity(value.len()));
    while let Some(&byte) = bytes.get(at) {
        let digits = value.get(at + 1..at + 3).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let escape = digits.filter(|_| byte == b'%');
        match escape.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                plain.push(byte);
                at += 3;
            }
            None => {
                plain.push(if byte == b'+' { b' ' } else { byte });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Result<Asked, u16> {
        let request = http::Request::get(format!("/api/oembed{query}")).body(()).unwrap();
        Asked::of(&request.into_parts().0).map_err(|(status, _)| status.as_u16())
    }

    #[test]
    fn what_is_asked_is_read_or_refused_as_the_specification_says() {
        let good = asked("?format=json&url=https%3A%2F%2FTV.example.org%3A8443%2Fc%2Fada%3Fx%3D1").unwrap();
        assert_eq!((good.link.path(), good.authority.as_str()), ("/c/ada".to_owned(), "tv.example.org:8443"));
        assert!(asked("?url=http://x/embed/ada").is_ok());
        for (query, status) in [
            ("", 400),
            ("?url=", 404),
            ("?url=%", 404),
            ("?url=/c/ada", 404),
            ("?url=http://x/u/ada", 404),
            ("?url=http://x/c/Ada", 404),
            ("?url=http://x/c/ada&format=xml", 501),
        ] {
            assert_eq!(asked(query).err(), Some(status), "{query}");
        }
    }

    #[test]
    fn the_player_fits() {
        for (most, expected) in [
            ((u32::MAX, u32::MAX), (640, 360)),
            ((320, u32::MAX), (320, 180)),
            ((u32::MAX, 360), (640, 360)),
            ((800, 90), (160, 90)),
            ((u32::MAX - 1, u32::MAX - 1), (1920, 1080)),
            ((1, 1), (1, 1)),
        ] {
            assert_eq!(fit(most.0, most.1), expected, "{most:?}");
        }
    }

    #[test]
    fn the_answer_has_a_frame_and_says_whose_it_is() {
        let card = Card {
            display_name: "Ada".to_owned(),
            title: "Looms".to_owned(),
            avatar_url: Some("/api/users/ada/avatar?v=1".to_owned()),
            ..Card::default()
        };
        let answer = |query: &str| asked(query).unwrap().answer("https://tv.example.org", Some(&card));
        let whole = answer("?url=http://x/c/ada");
        assert_eq!(
            whole["html"],
            "<iframe src=\"https://tv.example.org/embed/ada\" width=\"640\" height=\"360\" title=\"ada · Freshet\" \
             allow=\"autoplay; fullscreen; picture-in-picture\" allowfullscreen frameborder=\"0\"></iframe>"
        );
        let told = ["version", "type", "title", "author_name", "author_url", "thumbnail_url", "thumbnail_width"];
        let told = told.map(|key| whole[key].to_string().replace('"', ""));
        let picture = "https://tv.example.org/api/users/ada/avatar?v=1";
        let expected = ["1.0", "video", "Looms · Ada", "Ada", "https://tv.example.org/c/ada", picture, "256"];
        assert_eq!(told, expected);
        assert_eq!(answer("?url=http://x/c/ada&maxwidth=200")["thumbnail_url"], Value::Null);
    }

    #[test]
    fn an_address_survives_the_way_through_a_query() {
        let url = "https://tv.example.org/c/ada?a=b&c=d e";
        let address = address("https://x", url);
        let value = address.split_once("url=").unwrap().1.split_once('&').unwrap().0;
        assert_eq!(decoded(value), url);
        assert_eq!(
            (decoded("a+b%2"), decoded("%zz%41"), decoded("%+1")),
            ("a b%2".into(), "%zzA".into(), "% 1".into())
        );
    }
}
