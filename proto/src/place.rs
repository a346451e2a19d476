//! What may be said of a node's place, wherever it is said: in its configuration, and to the control plane, which tells it
//! to everybody.
//!
//! Only addresses whose every character is meant are let through: they are put into playlists, redirects and JSON for
//! strangers.

use crate::annex::Place;

/// Why a place is no good. Whoever wrote the configuration of that node is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPlace {
    /// The remedy: a short name, as in `fra`.
    #[error("a region is at most 32 of a-z, 0-9 and -, as in \"fra\"")]
    Region,
    /// The remedy: degrees, north and east positive.
    #[error("latitude is from -90 to 90 and longitude from -180 to 180, in degrees")]
    Position,
    /// The remedy: scheme, host, and a port where it is not the scheme's own; nothing behind.
    #[error("write it as {}HOST or {}HOST:PORT, with nothing behind", schemes[0], schemes[0])]
    Url {
        /// Which of the addresses: `https`, `rtmp` or `rtmps`.
        which: &'static str,
        /// What it may begin with.
        schemes: &'static [&'static str],
    },
}

/// Where viewers come. Plain HTTP is for a machine of one's own: strangers' players refuse it on a page with HTTPS.
pub const VIEWERS: &[&str] = &["https://", "http://"];
/// Where encoders come.
pub const ENCODERS: &[&str] = &["rtmp://"];
/// Where encoders come with TLS.
pub const ENCODERS_TLS: &[&str] = &["rtmps://"];

impl Place {
    /// The longest region, in bytes.
    pub const MAX_REGION: usize = 32;

    /// Whether it can be told to others.
    ///
    /// # Errors
    /// See [`InvalidPlace`]. The first thing wrong is reported.
    pub fn check(&self) -> Result<(), InvalidPlace> {
        let of_region = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if self.region.len() > Self::MAX_REGION || !self.region.bytes().all(of_region) {
            return Err(InvalidPlace::Region);
        }
        let far = |(lat, lon): (i32, i32)| lat.unsigned_abs() > 900_000 || lon.unsigned_abs() > 1_800_000;
        if self.position.is_some_and(far) {
            return Err(InvalidPlace::Position);
        }
        let urls =
            [("https", &self.https, VIEWERS), ("rtmp", &self.rtmp, ENCODERS), ("rtmps", &self.rtmps, ENCODERS_TLS)];
        for (which, url, schemes) in urls {
            if !url.is_empty() && host_and_port(url, schemes).is_none() {
                return Err(InvalidPlace::Url { which, schemes });
            }
        }
        Ok(())
    }
}

/// Host (an IPv6 address in brackets) and port of `url`, if it has one of `schemes` and is no more than these.
pub fn host_and_port<'a>(url: &'a str, schemes: &[&str]) -> Option<(&'a str, Option<u16>)> {
    let authority = schemes.iter().find_map(|scheme| url.strip_prefix(scheme))?;
    split_port(authority).filter(|(host, _)| url.len() <= Place::MAX_TEXT && is_host(host))
}

/// Host and port of an authority, as in a `Host` field.
pub fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let end = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    match authority.get(end..)?.find(':') {
        None => Some((authority, None)),
        Some(colon) => Some((&authority[..end + colon], Some(authority[end + colon + 1..].parse().ok()?))),
    }
}

fn is_host(host: &str) -> bool {
    let of_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(of_name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(https: &str) -> Place {
        Place { https: https.to_owned(), ..Place::default() }
    }

    #[test]
    fn an_address_is_a_scheme_a_host_and_perhaps_a_port() {
        for (url, expected) in [
            ("https://fra-1.example.org", Some(("fra-1.example.org", None))),
            ("https://fra-1.example.org:8443", Some(("fra-1.example.org", Some(8443)))),
            ("http://127.0.0.2:8080", Some(("127.0.0.2", Some(8080)))),
            ("https://[2001:db8::1]", Some(("[2001:db8::1]", None))),
            ("https://[2001:db8::1]:8443", Some(("[2001:db8::1]", Some(8443)))),
            ("https://fra-1.example.org/", None),
            ("https://fra-1.example.org:", None),
            ("https://fra-1.example.org:99999", None),
            ("https://", None),
            ("https://a b", None),
            ("https://user@host", None),
            ("https://\"host\"", None),
            ("https://[::1", None),
            ("https://2001:db8::1", None),
            ("rtmp://fra-1.example.org", None),
            ("fra-1.example.org", None),
        ] {
            assert_eq!(host_and_port(url, VIEWERS), expected, "{url}");
            assert_eq!(at(url).check().is_ok(), expected.is_some(), "{url}");
        }
        assert_eq!(host_and_port(&format!("https://{}", "a".repeat(300)), VIEWERS), None);
    }

    #[test]
    fn a_place_says_only_what_can_be_told() {
        assert_eq!(Place::default().check(), Ok(()));
        let region = |region: &str| Place { region: region.to_owned(), ..Place::default() }.check();
        assert_eq!((region("eu-west-1"), region("Frankfurt")), (Ok(()), Err(InvalidPlace::Region)));
        assert_eq!(region(&"x".repeat(33)), Err(InvalidPlace::Region));
        let position = |position| Place { position: Some(position), ..Place::default() }.check();
        assert_eq!(position((-900_000, 1_800_000)), Ok(()));
        assert_eq!(position((900_001, 0)), Err(InvalidPlace::Position));
        assert_eq!(position((i32::MIN, 0)), Err(InvalidPlace::Position));
        let rtmp = Place { rtmp: "rtmps://host".to_owned(), ..Place::default() }.check();
        assert_eq!(rtmp.unwrap_err().to_string(), "write it as rtmp://HOST or rtmp://HOST:PORT, with nothing behind");
    }
}
