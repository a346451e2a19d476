//! A node's papers: what it was given when it joined, kept in its data directory.
//!
//! ```text
//! DATA/node.json   its number, name and role, and the control nodes it knows
//! DATA/node.pem    its certificate, renewed by itself after two thirds of its life
//! DATA/node.key    the key of that certificate
//! DATA/ca.pem      the certificate of the platform's authority
//! ```

use std::{fs, io, net::SocketAddr, path::Path, sync::Arc};

use anyhow::Context;
use freshet_control_plane::{
    ca::{self, Ca, Issued},
    join::JoinToken,
    remote::Remote,
};
use freshet_proto::{
    clock::WallClock,
    id::NodeId,
    message::{Certified, Join, Joined, Request},
    quic::{Endpoint, Identity, Pool, Tuning},
    view::{NodeView, Role},
};
use serde::{Deserialize, Serialize};
use tokio::time::{Duration, sleep};
use tracing::{info, warn};

use super::{World, any_port};
use crate::files;

/// What a node was given when it joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Papers {
    /// Its number.
    pub id: NodeId,
    /// Its name, which its certificate carries.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// The control nodes there were when it joined; none for the one that founded the platform.
    pub control: Vec<NodeView>,
}

const PAPERS: &str = "node.json";
/// The stem of the certificate's files.
const STEM: &str = "node";

/// How long a renewal that failed waits for the next attempt.
const RETRY: Duration = Duration::from_secs(600);
/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(30);

impl Papers {
    /// Reads those in `data`; `None` where this node has not joined.
    ///
    /// # Errors
    /// The system's, or papers that can't be read.
    pub fn load(data: &Path) -> anyhow::Result<Option<Self>> {
        let path = data.join(PAPERS);
        match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map(Some).with_context(|| {
                format!("{} is damaged; restore it, or remove this node and join it anew", path.display())
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
        }
    }

    /// Writes them, the certificate first: papers that are there are whole.
    ///
    /// # Errors
    /// The system's.
    pub fn save(&self, data: &Path, issued: &Issued) -> anyhow::Result<()> {
        files::private_dir(data).with_context(|| format!("making the directory {}", data.display()))?;
        issued.write(data, STEM)?;
        let text = serde_json::to_string_pretty(self)?;
        files::write_private(&data.join(PAPERS), &text).context("writing node.json")
    }

    /// Presents a join token for a node `name`, and writes the papers that come of it to `data`.
    ///
    /// # Errors
    /// What the control plane answered; files that can't be written.
    pub async fn obtain(token: JoinToken, name: &str, data: &Path, world: &World) -> anyhow::Result<Self> {
        let seed = |(name, addr): &(String, SocketAddr)| NodeView::new(Role::Control, *addr, name);
        let seeds: Vec<NodeView> = token.control.iter().map(seed).collect();
        let first = seeds.first().context("the token names no control node; make a new one")?;
        let at = any_port(first.quic);
        let endpoint = Endpoint::bind_stranger(at, token.authority, world.doors(), Tuning::default())?;
        let asked = ca::request()?;
        let request = Request::Join(Join { token: token.secret, name: name.to_owned(), request: asked.request });
        let remote = Remote::new(Pool::new(&endpoint), seeds, None, world.random.clone());
        let Joined { node, role, certified, control } = remote.ask(&request, ATTEMPT).await?;
        endpoint.close().await;
        let issued = Issued { certificate: certified.certificate, key: asked.key, authority: certified.authority };
        let papers = Self { id: node, name: name.to_owned(), role, control };
        papers.save(data, &issued)?;
        Ok(papers)
    }

    /// The identity that goes with them.
    ///
    /// # Errors
    /// Files that can't be read, or are no certificate.
    pub fn identity(&self, data: &Path) -> anyhow::Result<Identity> {
        let file = |suffix: &str| data.join(format!("{STEM}.{suffix}"));
        Ok(Identity::load(&file("pem"), &file("key"), &data.join(ca::CERTIFICATE))?)
    }

    /// Papers for the node that founds a platform, and its authority, which is made where there is none yet: a founding
    /// that was interrupted goes on with the same.
    ///
    /// # Errors
    /// Files that can't be written; a name that no certificate can carry.
    pub fn found(data: &Path, name: &str, clock: &WallClock) -> anyhow::Result<(Self, Ca)> {
        files::private_dir(data).with_context(|| format!("making the directory {}", data.display()))?;
        let authority = Ca::load_or_create(&founding(data), clock)?;
        let papers = Self { id: FOUNDER, name: name.to_owned(), role: Role::Control, control: Vec::new() };
        papers.save(data, &authority.issue(name, &[], ca::JOINED_DAYS, clock)?)?;
        Ok((papers, authority))
    }

    /// The key of the authority of a founding that is under way.
    ///
    /// # Errors
    /// The system's.
    pub fn founding_key(data: &Path) -> anyhow::Result<String> {
        let path = founding(data).join(ca::KEY);
        fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
    }

    /// The platform is founded: the control nodes agree on its authority, and the copy on disk goes.
    pub fn founded(data: &Path) {
        if let Err(error) = fs::remove_dir_all(founding(data))
            && error.kind() != io::ErrorKind::NotFound
        {
            warn!(%error, "the authority's copy in founding/ could not be removed: remove it by hand");
        }
    }
}

/// The number of the node that founds a platform; joiners get log indices, which are higher.
pub const FOUNDER: NodeId = NodeId(1);

fn founding(data: &Path) -> std::path::PathBuf {
    data.join("founding")
}

/// Asks for a new certificate whenever two thirds of the present one's life are over, and shows it from then on.
pub async fn keep_certified(
    data: std::path::PathBuf,
    endpoint: Endpoint,
    remote: Remote,
    clock: WallClock,
    dress: Arc<dyn Fn(Identity) -> Identity + Send + Sync>,
) {
    loop {
        let due = fs::read_to_string(data.join(format!("{STEM}.pem"))).ok().and_then(|pem| ca::validity_of(&pem));
        let wait = due.map_or(RETRY, |(from, to)| renewal_in(from, to, clock.now_ms()));
        sleep(wait).await;
        if !wait.is_zero() && due.is_some() {
            continue;
        }
        match renew(&data, &endpoint, &remote, &dress).await {
            Ok(()) => info!("this node's certificate is renewed"),
            Err(error) => {
                warn!(%error, "this node's certificate could not be renewed; trying again in ten minutes");
                sleep(RETRY).await;
            }
        }
    }
}

/// The longest sleep: timers are not exact over weeks, and clocks are set.
const LOOK: Duration = Duration::from_secs(3600);

/// How long to wait before looking again; zero when it is time to renew.
fn renewal_in(from_ms: u64, to_ms: u64, now_ms: u64) -> Duration {
    let at = from_ms + to_ms.saturating_sub(from_ms) / 3 * 2;
    Duration::from_millis(at.saturating_sub(now_ms)).min(LOOK)
}

async fn renew(
    data: &Path,
    endpoint: &Endpoint,
    remote: &Remote,
    dress: &Arc<dyn Fn(Identity) -> Identity + Send + Sync>,
) -> anyhow::Result<()> {
    let asked = ca::request()?;
    let request = Request::Certify { request: asked.request };
    let Certified { certificate, authority } = remote.ask(&request, ATTEMPT).await?;
    let issued = Issued { certificate, key: asked.key, authority };
    endpoint.renew(&dress(issued.identity()?))?;
    issued.write(data, STEM)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn papers_are_read_as_they_were_written_and_absent_ones_are_told_from_damaged_ones() {
        let (dir, clock) = (tempfile::tempdir().unwrap(), WallClock::system());
        assert_eq!(Papers::load(dir.path()).unwrap(), None);
        let (papers, _) = Papers::found(dir.path(), "control-1", &clock).unwrap();
        assert_eq!(Papers::load(dir.path()).unwrap(), Some(papers.clone()));
        assert_eq!(papers.identity(dir.path()).unwrap().name(), "control-1");
        let (_, again) = Papers::found(dir.path(), "control-1", &clock).unwrap();
        assert_eq!(again.pem(), Ca::load(&founding(dir.path())).unwrap().pem(), "an interrupted founding goes on");
        Papers::founded(dir.path());
        assert!(Papers::founding_key(dir.path()).is_err());
        fs::write(dir.path().join(PAPERS), "{").unwrap();
        assert!(Papers::load(dir.path()).unwrap_err().to_string().contains("is damaged"));
    }

    #[test]
    fn a_certificate_is_renewed_after_two_thirds_of_its_life_and_looked_at_every_hour() {
        let day = 86_400_000;
        assert_eq!(renewal_in(0, 30 * day, 10 * day), LOOK);
        assert_eq!(renewal_in(0, 30 * day, 20 * day - 5000), Duration::from_secs(5));
        assert_eq!(renewal_in(0, 30 * day, 20 * day), Duration::ZERO);
    }
}
