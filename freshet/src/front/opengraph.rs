//! What a page says of itself to whoever shows a link to it: OpenGraph (ogp.me), Twitter's player card, and where oEmbed is.
//!
//! index.html, what is known of the channel ──▶ the same page with a title and `<meta>` of its own

use super::{
    cards::{Card, Kind},
    links::{Link, escaped},
};
use crate::front::oembed;

/// What the site is called.
pub const SITE: &str = "Freshet";

/// The picture of who has none, and its sides in pixels.
const PICTURE: (&str, u32, u32) = ("/og.png", 1200, 630);

/// The sides of an avatar, in pixels.
pub const AVATAR: u32 = 256;

/// The sides of a player, in pixels.
const PLAYER: (u32, u32) = (1280, 720);

/// The page that is to be shown at `link` of the site at `origin`. Without a card it says the name alone.
pub fn page(index: &str, origin: &str, link: &Link, card: Option<&Card>) -> String {
    let texts = Texts::of(link, card);
    let mut page = String::with_capacity(index.len() + 4096);
    let Some((head, rest)) = index.split_once("</head>") else { return index.to_owned() };
    page.push_str(&without(&without(head, "<title>", "</title>"), "<meta name=\"description\"", "/>"));
    page.push_str(&tags(origin, link, card, &texts));
    page.push_str("</head>");
    page.push_str(rest);
    page
}

/// The words of a page.
struct Texts {
    /// Above the window.
    title: String,
    /// The link's.
    heading: String,
    about: String,
}

impl Texts {
    fn of(link: &Link, card: Option<&Card>) -> Self {
        let name = display_name(link, card);
        let (on, bio) = card.map_or(("", ""), |card| (card.title.as_str(), card.bio.as_str()));
        let heading = match on {
            "" => name.to_owned(),
            on => format!("{on} · {name}"),
        };
        let about = match (link.kind, bio) {
            (Kind::Channel, _) => format!("Watch {name} live, seconds from the camera."),
            (Kind::Person, "") => format!("{name} streams live on {SITE}."),
            (Kind::Person, bio) => bio.to_owned(),
        };
        Self { title: format!("{name} · {SITE}"), heading, about }
    }
}

/// What the owner is called; by name where nobody knows.
pub fn display_name<'a>(link: &'a Link, card: Option<&'a Card>) -> &'a str {
    card.map(|card| card.display_name.as_str()).filter(|name| !name.is_empty()).unwrap_or(link.name.as_str())
}

fn tags(origin: &str, link: &Link, card: Option<&Card>, texts: &Texts) -> String {
    let url = format!("{origin}{}", link.path());
    let avatar = card.and_then(|card| card.avatar_url.as_deref());
    let (picture, width, height) = avatar.map_or(PICTURE, |path| (path, AVATAR, AVATAR));
    let picture = format!("{origin}{picture}");
    let (width, height) = (width.to_string(), height.to_string());
    let mut tags = Tags(format!("<title>{}</title>", escaped(&texts.title)));
    tags.meta("name", "description", &texts.about);
    tags.property("og:site_name", SITE);
    tags.property("og:title", &texts.heading);
    tags.property("og:description", &texts.about);
    tags.property("og:url", &url);
    tags.property("og:image", &picture);
    tags.property("og:image:width", &width);
    tags.property("og:image:height", &height);
    tags.meta("name", "twitter:title", &texts.heading);
    tags.meta("name", "twitter:description", &texts.about);
    tags.meta("name", "twitter:image", &picture);
    match link.kind {
        Kind::Channel => player(&mut tags, origin, link, &url, &texts.heading),
        Kind::Person => {
            tags.property("og:type", "profile");
            tags.property("profile:username", link.name.as_str());
            tags.meta("name", "twitter:card", "summary");
        }
    }
    tags.0
}

fn player(tags: &mut Tags, origin: &str, link: &Link, url: &str, heading: &str) {
    let player = format!("{origin}/embed/{}", link.name);
    let (width, height) = (PLAYER.0.to_string(), PLAYER.1.to_string());
    tags.property("og:type", "video.other");
    tags.property("og:video", &player);
    if player.starts_with("https:") {
        tags.property("og:video:secure_url", &player);
    }
    tags.property("og:video:type", "text/html");
    tags.property("og:video:width", &width);
    tags.property("og:video:height", &height);
    tags.meta("name", "twitter:card", "player");
    tags.meta("name", "twitter:player", &player);
    tags.meta("name", "twitter:player:width", &width);
    tags.meta("name", "twitter:player:height", &height);
    let (href, title) = (escaped(&oembed::address(origin, url)), escaped(heading));
    tags.0
        .push_str(&format!(r#"<link rel="alternate" type="application/json+oembed" href="{href}" title="{title}" />"#));
}

struct Tags(String);

impl Tags {
    fn property(&mut self, name: &str, content: &str) {
        self.meta("property", name, content);
    }

    fn meta(&mut self, kind: &str, name: &str, content: &str) {
        self.0.push_str(&format!("<meta {kind}=\"{name}\" content=\"{}\" />", escaped(content)));
    }
}

/// The text without its first piece that goes from `from` through `to`.
fn without(text: &str, from: &str, to: &str) -> String {
    let piece = text.split_once(from).and_then(|(before, rest)| Some((before, rest.split_once(to)?.1)));
    piece.map_or_else(|| text.to_owned(), |(before, after)| format!("{before}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = concat!(
        "<html><head><meta charset=\"utf-8\" /><meta name=\"description\" content=\"Live.\" /><title>Freshet</title>",
        "<meta http-equiv=\"content-security-policy\" content=\"default-src 'self'\"></head><body>x</body></html>"
    );

    fn shown(path: &str, card: Option<&Card>) -> String {
        page(INDEX, "https://tv.example.org", &Link::of(path).unwrap(), card)
    }

    fn ada() -> Card {
        Card {
            display_name: "Ada \"L\"".to_owned(),
            title: "<b>Looms & more</b>".to_owned(),
            bio: "I weave.".to_owned(),
            avatar_url: None,
        }
    }

    #[test]
    fn a_channel_is_a_video_with_a_player() {
        let page = shown("/c/ada", Some(&ada()));
        for expected in [
            "<title>Ada &quot;L&quot; · Freshet</title>",
            r#"<meta property="og:type" content="video.other" />"#,
            r#"<meta property="og:title" content="&lt;b&gt;Looms &amp; more&lt;/b&gt; · Ada &quot;L&quot;" />"#,
            r#"<meta property="og:url" content="https://tv.example.org/c/ada" />"#,
            r#"<meta property="og:image" content="https://tv.example.org/og.png" /><meta property="og:image:width" content="1200" />"#,
            r#"<meta property="og:video" content="https://tv.example.org/embed/ada" />"#,
            r#"<meta property="og:video:secure_url" content="https://tv.example.org/embed/ada" />"#,
            r#"<meta name="twitter:player" content="https://tv.example.org/embed/ada" />"#,
            r#"type="application/json+oembed" href="https://tv.example.org/api/oembed?url=https%3A%2F%2Ftv.example.org%2Fc%2Fada&amp;format=json""#,
            r#"content="default-src 'self'"><title>Ada"#,
        ] {
            assert!(page.contains(expected), "{expected}\n{page}");
        }
        assert_eq!((page.matches("<title>").count(), page.matches("name=\"description\"").count()), (1, 1));
        assert!(!page.contains("<b>Looms"));
    }

    #[test]
    fn a_person_is_a_profile_with_a_picture() {
        let card = Card { title: String::new(), avatar_url: Some("/api/users/ada/avatar?v=1".to_owned()), ..ada() };
        let page = shown("/u/ada", Some(&card));
        for expected in [
            r#"<meta property="og:type" content="profile" />"#,
            r#"<meta property="og:description" content="I weave." />"#,
            r#"<meta property="og:image" content="https://tv.example.org/api/users/ada/avatar?v=1" />"#,
            r#"<meta property="og:image:width" content="256" />"#,
        ] {
            assert!(page.contains(expected), "{expected}\n{page}");
        }
        assert!(!page.contains("og:video") && !page.contains("oembed"));
    }

    #[test]
    fn where_nobody_knows_more_the_name_is_said() {
        let page = shown("/c/ada", None);
        assert!(page.contains("<title>ada · Freshet</title>") && page.contains(r#"og:title" content="ada""#), "{page}");
        let odd = super::page("no head", "http://x", &Link::of("/c/ada").unwrap(), None);
        assert_eq!(odd, "no head");
    }
}
