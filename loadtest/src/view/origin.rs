//! Asks the origin itself, over the node protocol, what the bodies should be that viewers were served.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use freshet_proto::{
    clock::WallClock,
    message::{FetchReply, FetchStatus, MAX_FRAME, MAX_OBJECT, Request},
    object::ResourceName,
    quic::{Doors, Endpoint, Identity, Pool, QuicError, Tuning, within},
    random::Random,
};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep};

/// How long the origin may take to answer, and how long a line that was lost is made again.
const PATIENCE: Duration = Duration::from_secs(10);
/// After how long it is asked again over a new line.
const AGAIN: Duration = Duration::from_millis(100);

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
        let name: ResourceName =
            path.split_once("/live/").map(|(_, name)| name).context("not below /live/")?.parse()?;
        let (reply, body) = patiently(async || self.fetch(name.clone()).await).await?;
        if reply.status != FetchStatus::Found {
            bail!("the origin answered {:?}", reply.status);
        }
        Ok(hex(&Sha256::digest(&body)))
    }

    async fn fetch(&self, name: ResourceName) -> Result<(FetchReply, Bytes), QuicError> {
        let request = Request::Fetch { name, list_parts: false };
        let mut reader = self.pool.request(self.address, &self.name, &request).await?;
        let reply: FetchReply = within(PATIENCE, reader.read_frame(MAX_FRAME)).await?;
        if reply.length > MAX_OBJECT {
            return Err(QuicError::TooLong { length: reply.length, limit: MAX_OBJECT });
        }
        let body = within(PATIENCE, reader.read_payload(reply.length)).await?;
        Ok((reply, body))
    }
}

/// Asks again while the line is lost: a machine under load stands still for longer than lines live without a word.
async fn patiently<T>(mut ask: impl AsyncFnMut() -> Result<T, QuicError>) -> Result<T, QuicError> {
    let until = Instant::now() + PATIENCE;
    loop {
        match ask().await {
            Err(QuicError::Lost(_) | QuicError::Unreachable { .. }) if Instant::now() < until => sleep(AGAIN).await,
            answer => return answer,
        }
    }
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreachable() -> QuicError {
        let peer = ([127, 0, 0, 1], 4430).into();
        QuicError::Unreachable { peer, server_name: "origin".into(), why: "timed out".into(), retry_in: AGAIN }
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_that_was_lost_is_made_again_for_a_while_and_a_refusal_is_final() {
        let mut answers = [Ok(7), Err(unreachable()), Err(unreachable())].into_iter();
        let answer = patiently(async || answers.next_back().expect("it is asked three times")).await;
        assert_eq!((answer.unwrap(), answers.len()), (7, 0));

        let began = Instant::now();
        let error = patiently(async || Err::<(), _>(unreachable())).await.unwrap_err();
        assert!(error.to_string().starts_with("cannot reach origin at 127.0.0.1:4430"), "{error}");
        assert_eq!(began.elapsed(), PATIENCE);

        let mut asked = 0;
        let error = patiently(async || {
            asked += 1;
            Err::<(), _>(QuicError::Trailing)
        });
        assert_eq!((error.await.unwrap_err().to_string(), asked), (QuicError::Trailing.to_string(), 1));
    }
}
