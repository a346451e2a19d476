//! What `freshet dev` keeps under DATA.
//!
//! ```text
//! DATA/stream.key      the stream key, made at the first start
//! DATA/ca/             the authority of the certificate for viewers
//! DATA/tls/            viewers.pem and viewers.key, for HTTPS and RTMPS, issued by that authority
//! DATA/control/        the control node's papers, and what it keeps: channels, sessions, epochs, media sequence numbers
//! DATA/origin/, edge/  the papers of the other two roles, and the last view of the platform
//! DATA/dev.json        where everything listens, written whole once it does
//! ```
//! The directory can be entered by this user alone.

use std::{
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use freshet_control_plane::ca::{self, Ca};
use freshet_proto::{clock::WallClock, random::Random};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair};

use crate::{config::Config, files, tls::Certificate};

const DAY: Duration = Duration::from_secs(86_400);
/// What browsers accept of a certificate at most is 398 days.
const VALID: Duration = Duration::from_secs(390 * 86_400);
/// A certificate older than this is made again.
const FRESH: Duration = Duration::from_secs(300 * 86_400);

/// The directory DATA.
pub struct Home {
    dir: PathBuf,
}

impl Home {
    /// Makes the directory where there is none. What an earlier run told of its addresses is gone then.
    ///
    /// # Errors
    /// The system's, with the directory's name.
    pub fn open(dir: &Path) -> anyhow::Result<Self> {
        files::private_dir(dir).with_context(|| format!("making the directory {}", dir.display()))?;
        let home = Self { dir: dir.to_owned() };
        match fs::remove_file(home.addresses()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).context("removing the old dev.json"),
            _ => Ok(home),
        }
    }

    /// DATA itself.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn addresses(&self) -> PathBuf {
        self.dir.join("dev.json")
    }

    /// Writes `dev.json`, whole.
    ///
    /// # Errors
    /// The system's.
    pub fn write_addresses(&self, json: &str) -> anyhow::Result<()> {
        files::write_private(&self.addresses(), json).context("writing dev.json")
    }

    /// The stream key, made where there is none.
    ///
    /// # Errors
    /// The system's, or a file that holds no key.
    pub fn stream_key(&self, random: &Random) -> anyhow::Result<String> {
        let path = self.dir.join("stream.key");
        match fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
            Ok(_) => anyhow::bail!("{} is empty: remove it, and a new key is made", path.display()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = random.token();
                files::write_private(&path, &format!("{key}\n")).context("writing the stream key")?;
                Ok(key)
            }
            Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
        }
    }

    /// The certificate for viewers and encoders: the configured one, else one of our own for this machine, kept so
    /// that a browser's exception for it stays good.
    ///
    /// # Errors
    /// Files that can't be read or written.
    pub fn certificate(&self, config: &Config, clock: &WallClock) -> anyhow::Result<Certificate> {
        if let (Some(certificate), Some(key)) = (&config.tls.certificate, &config.tls.key) {
            return Ok(Certificate::load(certificate, key)?);
        }
        let dir = self.dir.join("tls");
        files::private_dir(&dir).context("making the directory for certificates")?;
        let authority = self.dir.join("ca");
        files::private_dir(&authority).context("making the authority's directory")?;
        Ca::load_or_create(&authority, clock)?;
        let (certificate, key) = (dir.join("viewers.pem"), dir.join("viewers.key"));
        if !self.still_good(&certificate, clock) {
            self.make_certificate(&certificate, &key, &[config.listen.https.ip(), config.listen.rtmps.ip()], clock)?;
        }
        Ok(Certificate::load(&certificate, &key)?)
    }

    /// Younger than [`FRESH`], and not older than the authority.
    fn still_good(&self, certificate: &Path, clock: &WallClock) -> bool {
        let modified = |path: &Path| {
            let at = fs::metadata(path).and_then(|data| data.modified()).ok()?;
            at.duration_since(std::time::UNIX_EPOCH).ok()
        };
        let now = Duration::from_millis(clock.now_ms());
        match (modified(certificate), modified(&self.dir.join("ca").join(ca::CERTIFICATE))) {
            (Some(made), Some(authority)) => made >= authority && now < made + FRESH,
            _ => false,
        }
    }

    /// ECDSA, for browsers know no Ed25519.
    fn make_certificate(&self, certificate: &Path, key: &Path, at: &[IpAddr], clock: &WallClock) -> anyhow::Result<()> {
        let authority = self.dir.join("ca");
        let pair = KeyPair::from_pem(&fs::read_to_string(authority.join(ca::KEY))?)?;
        let chain = fs::read_to_string(authority.join(ca::CERTIFICATE))?;
        let issuer = Issuer::from_ca_cert_pem(&chain, pair)?;
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into_iter();
        let others = at.iter().filter(|ip| !ip.is_loopback() && !ip.is_unspecified()).map(IpAddr::to_string);
        let mut params = CertificateParams::new(names.chain(others).collect::<Vec<_>>())?;
        params.distinguished_name.push(DnType::CommonName, "freshet dev");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let now = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_millis(clock.now_ms());
        (params.not_before, params.not_after) = (now - DAY, now + VALID);
        let pair = KeyPair::generate()?;
        let signed = params.signed_by(&pair, &issuer)?;
        files::write_private(key, &pair.serialize_pem()).context("writing the key for viewers")?;
        files::write_private(certificate, &format!("{}{chain}", signed.pem())).context("writing the certificate")
    }
}
