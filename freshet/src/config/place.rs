//! Where this node is and how clients reach it: what it tells the control plane, and through it everybody.

use std::path::PathBuf;

use freshet_edge::near::{Locator, position};
use freshet_proto::{annex, place::InvalidPlace};
use serde::{Deserialize, Serialize};

use super::{ConfigError, optional};

/// Where this node is (origin, edge). All of it is told to clients, but for the database.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Place {
    /// A short name for where it is, as in `fra`: at most 32 of a-z, 0-9 and -. Nodes of one region are near each other.
    pub region: String,
    /// Where that is, in degrees, north positive.
    #[serde(with = "optional::number")]
    pub latitude: Option<f64>,
    /// The same, east positive.
    #[serde(with = "optional::number")]
    pub longitude: Option<f64>,
    /// Where viewers reach this edge from anywhere: `https://HOST` or `https://HOST:PORT`. Empty: nobody is sent here.
    pub public_url: String,
    /// Where encoders reach this origin from anywhere: `rtmp://HOST` or `rtmp://HOST:PORT`.
    pub rtmp_url: String,
    /// The same with TLS: `rtmps://HOST` or `rtmps://HOST:PORT`.
    pub rtmps_url: String,
    /// How many viewers this edge, or publishers this origin, is meant for. 0: `edge.near.max_viewers`, else
    /// `edge.http.connections`; `origin.max_publishers`. The fuller a node, the fewer are sent there.
    pub capacity: u32,
    /// A database in MaxMind's format (.mmdb) that tells where viewers and encoders are by their addresses (edge), read again on
    /// SIGHUP. It is kept in memory. Empty: all are taken to be near this edge.
    #[serde(with = "optional")]
    pub database: Option<PathBuf>,
}

impl Place {
    /// What of it is told to the control plane.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with the key and what would be right.
    pub fn told(&self) -> Result<annex::Place, ConfigError> {
        let invalid = |key, what: String| ConfigError::Invalid { key, what };
        let position = match (self.latitude, self.longitude) {
            (None, None) => None,
            (Some(latitude), Some(longitude)) => match position((latitude, longitude)) {
                Some(position) => Some(position),
                None => return Err(invalid("place.latitude", InvalidPlace::Position.to_string())),
            },
            (Some(_), None) => return Err(invalid("place.longitude", GO_TOGETHER.to_owned())),
            (None, Some(_)) => return Err(invalid("place.latitude", GO_TOGETHER.to_owned())),
        };
        let told = annex::Place {
            region: self.region.clone(),
            position,
            https: self.public_url.clone(),
            rtmp: self.rtmp_url.clone(),
            rtmps: self.rtmps_url.clone(),
            capacity: self.capacity,
        };
        told.check().map_err(|why| invalid(key_of(&why), why.to_string()))?;
        Ok(told)
    }

    /// Reads the database, where there is one.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] when it can't be read.
    pub fn locator(&self) -> Result<Locator, ConfigError> {
        let Some(file) = &self.database else { return Ok(Locator::none()) };
        Locator::open(file).map_err(|error| ConfigError::Invalid { key: "place.database", what: error.to_string() })
    }
}

const GO_TOGETHER: &str = "latitude and longitude go together; set both or neither";

fn key_of(why: &InvalidPlace) -> &'static str {
    match why {
        InvalidPlace::Region => "place.region",
        InvalidPlace::Position => "place.latitude",
        InvalidPlace::Url { which: "rtmp", .. } => "place.rtmp_url",
        InvalidPlace::Url { which: "rtmps", .. } => "place.rtmps_url",
        _ => "place.public_url",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Result<annex::Place, String> {
        let place: Place = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        place.told().map_err(|error| error.to_string())
    }

    #[test]
    fn a_place_is_told_as_it_is_written() {
        let text = r#"
region = "fra"
latitude = 50.1109
longitude = "8.6821"
public_url = "https://fra-1.example.org"
rtmps_url = "rtmps://fra-1.example.org:1936"
capacity = 5000
"#;
        let expected = annex::Place {
            region: "fra".into(),
            position: Some((501_109, 86_821)),
            https: "https://fra-1.example.org".into(),
            rtmp: String::new(),
            rtmps: "rtmps://fra-1.example.org:1936".into(),
            capacity: 5000,
        };
        assert_eq!(told(text), Ok(expected));
        assert_eq!(told(""), Ok(annex::Place::default()));
        assert_eq!(told("latitude = -34\nlongitude = 18").unwrap().position, Some((-340_000, 180_000)));
    }

    #[test]
    fn what_is_wrong_with_a_place_is_told_with_the_remedy() {
        for (text, complaint) in [
            ("region = \"Frankfurt\"", "place.region: a region is at most 32 of a-z, 0-9 and -, as in \"fra\""),
            ("latitude = 50.1", "place.longitude: latitude and longitude go together; set both or neither"),
            ("longitude = 8", "place.latitude: latitude and longitude go together; set both or neither"),
            (
                "latitude = 91\nlongitude = 8",
                "place.latitude: latitude is from -90 to 90 and longitude from -180 to 180, in degrees",
            ),
            (
                "public_url = \"fra-1.example.org\"",
                "place.public_url: write it as https://HOST or https://HOST:PORT, with nothing behind",
            ),
            (
                "rtmp_url = \"rtmp://host/live\"",
                "place.rtmp_url: write it as rtmp://HOST or rtmp://HOST:PORT, with nothing behind",
            ),
            (
                "rtmps_url = \"rtmp://host\"",
                "place.rtmps_url: write it as rtmps://HOST or rtmps://HOST:PORT, with nothing behind",
            ),
            ("latitude = \"north\"\nlongitude = 8", "\"north\" is no number"),
        ] {
            assert_eq!(told(text), Err(complaint.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_database_that_cannot_be_read_is_named() {
        let place = Place { database: Some("/nowhere/cities.mmdb".into()), ..Place::default() };
        let error = place.locator().map(drop).unwrap_err().to_string();
        assert!(error.starts_with("place.database: /nowhere/cities.mmdb: "), "{error}");
        assert!(Place::default().locator().is_ok());
    }
}
