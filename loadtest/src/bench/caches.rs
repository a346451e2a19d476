//! Our edge, nginx and pingora, each in front of the same made-up origin.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use freshet_control_plane::ca::{Ca, NODE_DAYS};
use freshet_proto::clock::WallClock;

use super::{
    clients::Cache,
    process::{CLIENT_CORE, SERVER_CORE, Server, free_address},
};

/// The made-up origin and the certificates of everybody.
pub struct Ground {
    /// Where logs, certificates and caches go.
    pub dir: PathBuf,
    stub: Server,
    /// Where the stub speaks HTTP.
    pub http: SocketAddr,
    quic: SocketAddr,
}

impl Ground {
    /// Starts the stub on the clients' core.
    ///
    /// # Errors
    /// When certificates can't be made or the stub does not start. Must be called in a tokio runtime.
    pub fn new(dir: &Path) -> anyhow::Result<Self> {
        let clock = WallClock::system();
        let ca = Ca::load_or_create(&dir.join("ca"), &clock)?;
        for name in ["stub", "edge"] {
            ca.issue(name, &["127.0.0.1".parse()?], NODE_DAYS, &clock)?.write(dir, name)?;
        }
        viewers_certificate(dir)?;
        let identity = identity(dir, "stub");
        let args = ["stub", "--http", "127.0.0.1:0", "--quic", "127.0.0.1:0", "--identity", &identity];
        let mut stub = Server::start(CLIENT_CORE, &std::env::current_exe()?, &args, &dir.join("stub.log"))?;
        let line: serde_json::Value = serde_json::from_str(&stub.first_line()?)?;
        let address =
            |name: &str| -> anyhow::Result<SocketAddr> { Ok(line[name].as_str().context("no address")?.parse()?) };
        Ok(Self { dir: dir.to_owned(), http: address("http")?, quic: address("quic")?, stub })
    }

    /// Whether the stub still runs.
    ///
    /// # Errors
    /// When it does not.
    pub fn check(&self) -> anyhow::Result<()> {
        self.stub.usage().map(drop)
    }

    /// Our edge.
    ///
    /// # Errors
    /// When it does not start.
    pub fn freshet(&self, binary: &Path) -> anyhow::Result<Cache> {
        let (http, https, admin) = (free_address()?, free_address()?, free_address()?);
        let file = |name: &str| self.dir.join(name).display().to_string();
        let settings = [
            format!("quic.certificate={}", file("edge.pem")),
            format!("quic.key={}", file("edge.key")),
            format!("quic.ca={}", file("ca.pem")),
            format!("quic.origin=stub@{}", self.quic),
            format!("tls.certificate={}", file("localhost.pem")),
            format!("tls.key={}", file("localhost.key")),
            "tls.redirect_http=false".to_owned(),
            "edge.http.connections=19000".to_owned(),
            "edge.http.connections_per_address=19000".to_owned(),
            "edge.reload.held=19000".to_owned(),
            "edge.reload.held_per_address=19000".to_owned(),
            // The stub says nothing until a part is released; an origin that is silent for so long is followed anew.
            "edge.follow.silence_ms=3600000".to_owned(),
        ];
        let addresses = [http.to_string(), https.to_string(), admin.to_string()];
        let data = file("edge-data");
        let mut args =
            vec!["edge", "--data", &data, "--http", &addresses[0], "--https", &addresses[1], "--admin", &addresses[2]];
        args.extend(settings.iter().flat_map(|setting| ["--set", setting.as_str()]));
        let mut server = Server::start(SERVER_CORE, binary, &args, &self.dir.join("edge.log"))?;
        server.wait_for(http)?;
        server.wait_for(https)?;
        server.wait_until_ready(admin)?;
        Ok(Cache { server, http, https })
    }

    /// nginx with `proxy_cache`, its cache in memory.
    ///
    /// # Errors
    /// When it does not start (Debian's `nginx`).
    pub fn nginx(&self) -> anyhow::Result<Cache> {
        let (http, https) = (free_address()?, free_address()?);
        let dir = self.dir.join("nginx");
        let config = [
            ("@DIR@", dir.display().to_string()),
            ("@UPSTREAM@", self.http.to_string()),
            ("@CERT@", self.dir.join("localhost.pem").display().to_string()),
            ("@KEY@", self.dir.join("localhost.key").display().to_string()),
            ("@HTTP@", http.to_string()),
            ("@HTTPS@", https.to_string()),
        ];
        let mut server = nginx(&dir, include_str!("../../peers/nginx-cache.conf"), &config)?;
        server.wait_for(http)?;
        Ok(Cache { server, http, https })
    }

    /// The proxy on pingora that stands in `loadtest/peers/pingora`.
    ///
    /// # Errors
    /// When it does not start.
    pub fn pingora(&self, binary: &Path) -> anyhow::Result<Cache> {
        ensure!(binary.exists(), "{} is missing: `make bench` builds it", binary.display());
        let http = free_address()?;
        let args = [http.to_string(), self.http.to_string()];
        let mut server = Server::start(SERVER_CORE, binary, &[&args[0], &args[1]], &self.dir.join("pingora.log"))?;
        server.wait_for(http)?;
        Ok(Cache { server, http, https: http })
    }
}

/// Starts nginx with `template`, its `@…@` filled in, in `dir`.
///
/// # Errors
/// When it does not start.
pub fn nginx(dir: &Path, template: &str, fill: &[(&str, String)]) -> anyhow::Result<Server> {
    fs::create_dir_all(dir)?;
    let text = fill.iter().fold(template.to_owned(), |text, (key, value)| text.replace(key, value));
    let config = dir.join("nginx.conf");
    fs::write(&config, text)?;
    let (config, prefix) = (config.display().to_string(), dir.display().to_string());
    Server::start(SERVER_CORE, Path::new("/usr/sbin/nginx"), &["-c", &config, "-p", &prefix], &dir.join("stderr.log"))
}

/// The certificate that all caches show viewers: P-256, by OpenSSL, because Debian's nginx can't read the form in which
/// nodes' keys are written (RFC 5958 with the public key).
///
/// # Errors
/// When OpenSSL can't be started or refuses.
pub fn viewers_certificate(dir: &Path) -> anyhow::Result<()> {
    let made = Command::new("openssl")
        .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost".split(' '))
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout"])
        .arg(dir.join("localhost.key"))
        .arg("-out")
        .arg(dir.join("localhost.pem"))
        .output()
        .context("openssl could not be started")?;
    ensure!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

fn identity(dir: &Path, name: &str) -> String {
    let file = |suffix: &str| dir.join(suffix).display().to_string();
    [file(&format!("{name}.pem")), file(&format!("{name}.key")), file("ca.pem")].join(",")
}
