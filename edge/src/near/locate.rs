//! Where a client is, by its address: from a database in MaxMind's format (MaxMind DB 2.0), which the operator has.
//!
//! address ──▶ `location.latitude`, `location.longitude` ──else──▶ the country's position ──else──▶ nothing
//!
//! The address is that of the connection. Behind a proxy it is the proxy's: what clients or proxies say in `X-Forwarded-For`
//! and the like is not believed.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use maxminddb::{MaxMindDbError, Reader};
use serde::Deserialize;

use super::countries;

/// Tells where addresses are. Cheap to clone; clones share one database.
#[derive(Clone, Default)]
pub struct Locator(Option<Arc<Shared>>);

struct Shared {
    file: PathBuf,
    /// All of it in memory: a database of cities has some 60 MB, one of countries 10 MB.
    database: RwLock<Arc<Database>>,
}

type Database = Reader<Vec<u8>>;

/// Why a database can't be used. The operator's doing.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}; get a database in MaxMind's format (.mmdb), of cities or countries", file.display())]
pub struct LocateError {
    /// The file.
    pub file: PathBuf,
    /// Why.
    pub error: MaxMindDbError,
}

/// What is read of an entry. Databases of cities have the first two, those of countries the second or the third.
#[derive(Deserialize)]
struct Entry<'a> {
    location: Option<Location>,
    #[serde(borrow)]
    country: Option<Country<'a>>,
    country_code: Option<&'a str>,
}

#[derive(Deserialize)]
struct Location {
    latitude: Option<f64>,
    longitude: Option<f64>,
}

#[derive(Deserialize)]
struct Country<'a> {
    iso_code: Option<&'a str>,
}

impl Locator {
    /// One that knows nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads the database in `file`.
    ///
    /// # Errors
    /// See [`LocateError`].
    pub fn open(file: &Path) -> Result<Self, LocateError> {
        let database = RwLock::new(Arc::new(read(file)?));
        Ok(Self(Some(Arc::new(Shared { file: file.to_owned(), database }))))
    }

    /// Reads the file again, for all clones; tells whether there is one.
    ///
    /// # Errors
    /// See [`LocateError`]; what was read before then stays.
    pub fn reload(&self) -> Result<bool, LocateError> {
        let Some(shared) = &self.0 else { return Ok(false) };
        let database = Arc::new(read(&shared.file)?);
        *shared.database.write().unwrap_or_else(PoisonError::into_inner) = database;
        Ok(true)
    }

    /// Latitude and longitude of an address in ten-thousandths of a degree, where they are known.
    pub fn position(&self, address: IpAddr) -> Option<(i32, i32)> {
        let database = {
            let database = self.0.as_ref()?.database.read().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(&database)
        };
        let found = database.lookup(address.to_canonical()).ok()?;
        let entry: Entry<'_> = found.decode().ok()??;
        let exact = entry.location.and_then(|at| Some((at.latitude?, at.longitude?))).and_then(position);
        exact.or_else(|| {
            let code = entry.country.and_then(|country| country.iso_code).or(entry.country_code)?;
            countries::position(code)
        })
    }
}

fn read(file: &Path) -> Result<Database, LocateError> {
    Reader::open_readfile(file).map_err(|error| LocateError { file: file.to_owned(), error })
}

/// Degrees in ten-thousandths, if they are on the globe.
pub fn position((latitude, longitude): (f64, f64)) -> Option<(i32, i32)> {
    let on_globe = (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude);
    let tenths = |degrees: f64| (degrees * 10_000.0).round() as i32;
    on_globe.then(|| (tenths(latitude), tenths(longitude)))
}

#[cfg(test)]
mod tests {
    use maxminddb_writer::{Database as Writer, metadata::IpVersion, paths::IpAddrWithMask};
    use serde_json::{Value, json};

    use super::*;

    fn write(file: &Path, entries: &[(&str, Value)]) {
        let mut database = Writer::default();
        database.metadata.ip_version = IpVersion::V6;
        database.metadata.binary_format_major_version = 2;
        database.metadata.database_type = "Test".to_owned();
        for (network, value) in entries {
            let data = database.insert_value(value).unwrap();
            database.insert_node(network.parse::<IpAddrWithMask>().unwrap(), data);
        }
        database.write_to(std::fs::File::create(file).unwrap()).unwrap();
    }

    fn of(locator: &Locator, address: &str) -> Option<(i32, i32)> {
        locator.position(address.parse().unwrap())
    }

    #[test]
    fn an_address_is_where_its_city_or_else_its_country_is() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("test.mmdb");
        write(
            &file,
            &[
                (
                    "2001:db8:1::/48",
                    json!({"location": {"latitude": 50.1109, "longitude": 8.6821}, "country": {"iso_code": "DE"}}),
                ),
                ("2001:db8:2::/48", json!({"country": {"iso_code": "DE", "names": {"en": "Germany"}}})),
                ("2001:db8:3::/48", json!({"country_code": "DE"})),
                ("2001:db8:4::/48", json!({"location": {"latitude": 91.0, "longitude": 8.0}, "country_code": "US"})),
                ("2001:db8:5::/48", json!({"location": {"time_zone": "Europe/Berlin"}})),
                ("2001:db8:6::/48", json!("no entry")),
                ("2001:db8:7::/48", json!({"country_code": 7})),
            ],
        );
        let locator = Locator::open(&file).unwrap();
        for (address, expected) in [
            ("2001:db8:1::7", Some((501_109, 86_821))),
            ("2001:db8:2::7", Some((510_000, 100_000))),
            ("2001:db8:3::7", Some((510_000, 100_000))),
            ("2001:db8:4::7", Some((390_000, -920_000))),
            ("2001:db8:5::7", None),
            ("2001:db8:6::7", None),
            ("2001:db8:7::7", None),
            ("2001:db8:8::7", None),
            ("192.0.2.1", None),
        ] {
            assert_eq!(of(&locator, address), expected, "{address}");
        }
        assert_eq!(of(&Locator::none(), "2001:db8:1::7"), None);
    }

    #[test]
    fn what_is_no_database_never_replaces_one_that_is() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("test.mmdb");
        write(&file, &[("::/0", json!({"country_code": "DE"}))]);
        let locator = Locator::open(&file).unwrap();
        std::fs::write(&file, "no database").unwrap();
        assert!(locator.reload().unwrap_err().to_string().contains("test.mmdb"));
        assert!(Locator::open(&file).is_err() && Locator::open(&dir.path().join("none")).is_err());
        assert_eq!(of(&locator, "2001:db8::1"), Some((510_000, 100_000)));
        write(&file, &[("::/0", json!({"country_code": "US"}))]);
        assert!(locator.clone().reload().unwrap());
        assert_eq!(of(&locator, "2001:db8::1"), Some((390_000, -920_000)));
        assert!(!Locator::none().reload().unwrap());
    }
}
