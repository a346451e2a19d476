//! Asks the origin itself, over the node protocol, what the bodies should be that viewers were served.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context, bail, ensure};
use freshet_proto::{
    clock::WallClock,
    message::{FetchReply, FetchStatus, MAX_FRAME, MAX_OBJECT, Request},
    quic::{Doors, Endpoint, Identity, Pool, Tuning, within},
    random::Random,
};
use sha2::{Digest, Sha256};

/// How long the origin may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which origin, and with which certificate it is asked.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The origin's QUIC address: sampled bodies are compared with what it has. Without it, with one another only.
    #[arg(long, requires = "identity")]
    origin: Option<SocketAddr>,
    /// Name in the origin's certificate.
    #[arg(long, default_value = "origin")]
    origin_name: String,
    /// Certificate, key and authority of a node, to ask the origin with: CERT.pem,KEY.pem,CA.pem
    #[arg(long, value_delimiter = ',', value_name = "CERT.pem,KEY.pem,CA.pem")]
    identity: Vec<PathBuf>,
}

/// A line to the origin.
pub struct Origin {
    pool: Pool,
    address: SocketAddr,
    name: String,
}

impl Origin {
    /// Prepares to ask; `None` where no origin was named. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// When the certificate can't be used.
    pub fn new(options: &Options) -> anyhow::Result<Option<Self>> {
        let (Some(address), [cert, key, authority]) = (options.origin, options.identity.as_slice()) else {
            ensure!(options.origin.is_none(), "--identity takes CERT.pem,KEY.pem,CA.pem");
            return Ok(None);
        };
        let identity = Identity::load(cert, key, authority)?;
        let doors = Doors { clock: WallClock::system(), random: Random::system() };
        let endpoint = Endpoint::bind(([127, 0, 0, 1], 0).into(), &identity, doors, Tuning::default())?;
        Ok(Some(Self { pool: Pool::new(&endpoint), address, name: options.origin_name.clone() }))
    }

    /// The hash of the origin's bytes of the object at the HTTP path `path`.
    ///
    /// # Errors
    /// When the origin does not have it or does not answer.
    pub async fn hash(&self, path: &str) -> anyhow::Result<String> {
        let name = path.split_once("/live/").map(|(_, name)| name).context("not below /live/")?.parse()?;
        let mut reader =
            self.pool.request(self.address, &self.name, &Request::Fetch { name, list_parts: false }).await?;
        let reply: FetchReply = within(PATIENCE, reader.read_frame(MAX_FRAME)).await?;
        if reply.status != FetchStatus::Found || reply.length > MAX_OBJECT {
            bail!("the origin answered {:?}", reply.status);
        }
        let body = within(PATIENCE, reader.read_payload(reply.length)).await?;
        Ok(hex(&Sha256::digest(&body)))
    }
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
