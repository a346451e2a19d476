//! A node's papers: what it was given when it joined, kept in its data directory.
//!
//! ```text
//! DATA/node.json   its number, name and role, and the control nodes it knows
//! DATA/node.pem    its certificate, renewed by itself after two thirds of its life
//! DATA/node.key    the key of that certificate, and the certificate once more
//! DATA/ca.pem      the certificate of the platform's authority
//! ```
//! Key and certificate are renewed together by replacing one file, so that a node which dies meanwhile has a pair that fits.

use std::{fs, io, net::SocketAddr, path::Path, sync::Arc};

use anyhow::Context;
use freshet_control_plane::{
    ca::{self, Ca, Issued},
    control::Control,
    join::JoinToken,
    remote::Remote,
};
use freshet_proto::{
    clock::WallClock,
    id::NodeId,
    message::{Certified, Denied, Join, Joined, Request},
    quic::{Endpoint, Identity, Pool, Tuning},
    view::{NodeView, Role},
};
use serde::{Deserialize, Serialize};
use tokio::time::{Duration, sleep};
use tracing::{error, info, warn};

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

/// How long a renewal that failed waits for the next attempt, at most.
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
        write(data, issued)?;
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
        let (certificate, key) = (file("pem"), file("key"));
        // Nodes that joined before had the key alone in its file.
        let both = fs::read_to_string(&key).is_ok_and(|text| text.contains("BEGIN CERTIFICATE"));
        Ok(Identity::load(if both { &key } else { &certificate }, &key, &data.join(ca::CERTIFICATE))?)
    }

    /// Papers for the node that founds a platform, and its authority, which is made where there is none yet: a founding
    /// that was interrupted goes on with the same.
    ///
    /// # Errors
    /// Files that can't be written; a name that no certificate can carry.
    pub fn found(data: &Path, name: &str, certified_for: Duration, clock: &WallClock) -> anyhow::Result<(Self, Ca)> {
        files::private_dir(data).with_context(|| format!("making the directory {}", data.display()))?;
        let authority = Ca::load_or_create(&founding(data), clock)?;
        let papers = Self { id: FOUNDER, name: name.to_owned(), role: Role::Control, control: Vec::new() };
        papers.save(data, &authority.issue_for(name, &[], certified_for, clock)?)?;
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

/// Who certifies a node.
pub enum Authority {
    /// The control nodes, as long as they let it in: until its certificate has run out.
    Asked(Remote),
    /// A control node itself.
    Own(Control),
}

impl Authority {
    async fn certify(&self, request: Vec<u8>) -> Result<Certified, Denied> {
        match self {
            Self::Asked(remote) => remote.ask(&Request::Certify { request }, ATTEMPT).await,
            Self::Own(control) => control.certify(&request),
        }
    }
}

/// Asks for a new certificate whenever two thirds of the present one's life are over, and shows it from then on.
pub async fn keep_certified(
    data: std::path::PathBuf,
    endpoint: Endpoint,
    authority: Authority,
    clock: WallClock,
    dress: Arc<dyn Fn(Identity) -> Identity + Send + Sync>,
) {
    loop {
        let due = fs::read_to_string(data.join(format!("{STEM}.pem"))).ok().and_then(|pem| ca::validity_of(&pem));
        let due = due.map(|(from, to)| Due { issued_ms: from + ca::BACKDATED.as_millis() as u64, expires_ms: to });
        let (wait, pause) = due.map_or((Duration::ZERO, RETRY), |due| (due.renewal_in(clock.now_ms()), due.pause()));
        sleep(wait).await;
        if !wait.is_zero() {
            continue;
        }
        let over = due.is_some_and(|due| due.expires_ms <= clock.now_ms());
        if let (true, Authority::Asked(_)) = (over, &authority) {
            error!(
                data = %data.display(),
                "this node's certificate has run out, so that no other node lets it in: set the clock right if it is wrong; \
                 if not, remove the node (`freshet node remove`), empty its data directory and join it anew"
            );
        }
        match renew(&data, &endpoint, &authority, &dress).await {
            Ok(()) => info!("this node's certificate is renewed"),
            Err(error) => {
                warn!(%error, ?pause, "this node's certificate could not be renewed; trying again after a pause");
            }
        }
        // Also after a success: an authority whose clock is behind may have given what is due at once.
        sleep(pause).await;
    }
}

/// The longest sleep: timers are not exact over weeks, and clocks are set.
const LOOK: Duration = Duration::from_secs(3600);

/// A certificate's life.
#[derive(Debug, Clone, Copy)]
struct Due {
    issued_ms: u64,
    expires_ms: u64,
}

impl Due {
    fn life_ms(&self) -> u64 {
        self.expires_ms.saturating_sub(self.issued_ms)
    }

    /// How long to wait before looking again; zero when it is time to renew.
    fn renewal_in(&self, now_ms: u64) -> Duration {
        let at = self.issued_ms + self.life_ms() / 3 * 2;
        Duration::from_millis(at.saturating_sub(now_ms)).min(LOOK)
    }

    /// How long to wait after an attempt: six fit into what is left, or many more.
    fn pause(&self) -> Duration {
        Duration::from_millis(self.life_ms() / 20).clamp(Duration::from_secs(1), RETRY)
    }
}

async fn renew(
    data: &Path,
    endpoint: &Endpoint,
    authority: &Authority,
    dress: &Arc<dyn Fn(Identity) -> Identity + Send + Sync>,
) -> anyhow::Result<()> {
    let asked = ca::request()?;
    let Certified { certificate, authority } = authority.certify(asked.request).await?;
    let issued = Issued { certificate, key: asked.key, authority };
    endpoint.renew(&dress(issued.identity()?))?;
    write(data, &issued)?;
    Ok(())
}

fn write(data: &Path, issued: &Issued) -> anyhow::Result<()> {
    let key = format!("{}{}", issued.key, issued.certificate);
    Ok(Issued { key, ..issued.clone() }.write(data, STEM)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn papers_are_read_as_they_were_written_and_absent_ones_are_told_from_damaged_ones() {
        let (dir, clock) = (tempfile::tempdir().unwrap(), WallClock::system());
        assert_eq!(Papers::load(dir.path()).unwrap(), None);
        let (papers, _) = Papers::found(dir.path(), "control-1", ca::JOINED, &clock).unwrap();
        assert_eq!(Papers::load(dir.path()).unwrap(), Some(papers.clone()));
        assert_eq!(papers.identity(dir.path()).unwrap().name(), "control-1");
        let (_, again) = Papers::found(dir.path(), "control-1", ca::JOINED, &clock).unwrap();
        assert_eq!(again.pem(), Ca::load(&founding(dir.path())).unwrap().pem(), "an interrupted founding goes on");
        Papers::founded(dir.path());
        assert!(Papers::founding_key(dir.path()).is_err());
        fs::write(dir.path().join(PAPERS), "{").unwrap();
        assert!(Papers::load(dir.path()).unwrap_err().to_string().contains("is damaged"));
    }

    #[test]
    fn a_node_that_died_in_the_middle_of_a_renewal_has_a_key_and_a_certificate_that_fit() {
        let (dir, clock) = (tempfile::tempdir().unwrap(), WallClock::system());
        let (papers, authority) = Papers::found(dir.path(), "control-1", ca::JOINED, &clock).unwrap();
        let former = fs::read_to_string(dir.path().join("node.pem")).unwrap();
        write(dir.path(), &authority.issue("control-1", &[], 1, &clock).unwrap()).unwrap();
        assert_ne!(fs::read_to_string(dir.path().join("node.pem")).unwrap(), former);
        fs::write(dir.path().join("node.pem"), former).unwrap();
        let doors = World::system().doors();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let bind = |identity: &Identity| {
            runtime.block_on(async {
                let any = any_port(([127, 0, 0, 1], 0).into());
                Endpoint::bind(any, identity, doors.clone(), Tuning::default()).map(drop)
            })
        };
        bind(&papers.identity(dir.path()).unwrap()).unwrap();
        let file = |name: &str| dir.path().join(name);
        let mixed = Identity::load(&file("node.pem"), &file("node.key"), &file(ca::CERTIFICATE)).unwrap();
        assert!(bind(&mixed).is_err(), "the former certificate and the new key are no pair");
    }

    #[test]
    fn a_certificate_is_renewed_after_two_thirds_of_its_life_and_looked_at_every_hour() {
        let day = 86_400_000;
        let due = Due { issued_ms: 0, expires_ms: 30 * day };
        assert_eq!(due.renewal_in(10 * day), LOOK);
        assert_eq!(due.renewal_in(20 * day - 5000), Duration::from_secs(5));
        assert_eq!(due.renewal_in(20 * day), Duration::ZERO);
        assert_eq!(due.pause(), RETRY);
        let short = Due { issued_ms: day, expires_ms: day + 60_000 };
        assert_eq!(short.renewal_in(day), Duration::from_secs(40), "though it is backdated by an hour");
        assert_eq!(short.pause(), Duration::from_secs(3));
    }
}
