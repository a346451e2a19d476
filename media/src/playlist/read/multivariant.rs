//! Reads a multivariant playlist (§4.4.6).

use super::{
    Content, Line, MAX_ENTRIES, Multivariant, Problem, ReadError, Rendition, Variant,
    attributes::Attributes,
    value::{integer, number, resolution},
};

/// Tags that only a multivariant playlist has.
pub(super) const TAGS: &[&str] = &[
    "EXT-X-STREAM-INF",
    "EXT-X-MEDIA",
    "EXT-X-I-FRAME-STREAM-INF",
    "EXT-X-SESSION-DATA",
    "EXT-X-SESSION-KEY",
    "EXT-X-CONTENT-STEERING",
];

const STREAM_INF: &str = "EXT-X-STREAM-INF";

pub(super) fn read(lines: &[Line<'_>]) -> Result<Multivariant, ReadError> {
    let mut out = Multivariant { version: 1, ..Multivariant::default() };
    let mut announced: Option<(Line<'_>, Variant)> = None;
    for line in lines {
        if let (Some((at, _)), Content::Tag(..)) = (&announced, line.content) {
            return Err(at.error(Problem::MissingUri(STREAM_INF)));
        }
        match line.content {
            Content::Uri(uri) => {
                let (_, variant) = announced.take().ok_or_else(|| line.error(Problem::StrayUri))?;
                out.variants.push(Variant { uri: uri.to_owned(), ..variant });
            }
            Content::Tag("EXT-X-VERSION", value) => {
                out.version = integer(value).ok_or_else(|| line.error(Problem::BadValue("EXT-X-VERSION")))?;
            }
            Content::Tag("EXT-X-INDEPENDENT-SEGMENTS", _) => out.independent_segments = true,
            Content::Tag("EXT-X-STREAM-INF", value) => announced = Some((*line, variant(*line, value)?)),
            Content::Tag("EXT-X-MEDIA", value) => out.renditions.push(rendition(*line, value)?),
            Content::Tag(..) => {}
        }
        if out.variants.len().max(out.renditions.len()) > MAX_ENTRIES {
            return Err(line.error(Problem::TooMuch { what: "variants or renditions", limit: MAX_ENTRIES }));
        }
    }
    announced.map_or(Ok(out), |(at, _)| Err(at.error(Problem::MissingUri(STREAM_INF))))
}

fn variant(line: Line<'_>, text: &str) -> Result<Variant, ReadError> {
    let list = Attributes::parse(line, STREAM_INF, text)?;
    Ok(Variant {
        uri: String::new(),
        bandwidth: list.need("BANDWIDTH", list.plain("BANDWIDTH", integer)?)?,
        average_bandwidth: list.plain("AVERAGE-BANDWIDTH", integer)?,
        codecs: list.string("CODECS")?,
        resolution: list.plain("RESOLUTION", resolution)?,
        frame_rate: list.plain("FRAME-RATE", number)?,
        audio: list.string("AUDIO")?,
    })
}

fn rendition(line: Line<'_>, text: &str) -> Result<Rendition, ReadError> {
    let list = Attributes::parse(line, "EXT-X-MEDIA", text)?;
    Ok(Rendition {
        kind: list.need("TYPE", list.plain("TYPE", |text| Some(text.to_owned()))?)?,
        group_id: list.need("GROUP-ID", list.string("GROUP-ID")?)?,
        name: list.need("NAME", list.string("NAME")?)?,
        uri: list.string("URI")?,
        default: list.flag("DEFAULT")?,
        channels: list.string("CHANNELS")?,
    })
}
