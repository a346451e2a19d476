//! `rtmp://host[:port]/app` ──▶ an address and what `connect` says.

use std::{net::SocketAddr, str::FromStr};

use anyhow::{Context, bail, ensure};
use freshet_media::rtmp::client::Target;

/// Where to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtmpUrl {
    url: String,
    authority: String,
    app: String,
}

const DEFAULT_PORT: u16 = 1935;

impl FromStr for RtmpUrl {
    type Err = anyhow::Error;

    fn from_str(url: &str) -> anyhow::Result<Self> {
        let Some(rest) = url.strip_prefix("rtmp://") else { bail!("{url} does not begin with rtmp://") };
        let (host, app) = rest.split_once('/').with_context(|| format!("{url} lacks the application: {url}/live"))?;
        let app = app.trim_end_matches('/');
        ensure!(!host.is_empty() && !app.is_empty(), "{url} is not rtmp://HOST[:PORT]/APP");
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let authority = if has_port { host.to_owned() } else { format!("{host}:{DEFAULT_PORT}") };
        Ok(Self { url: format!("rtmp://{host}/{app}"), authority, app: app.to_owned() })
    }
}

impl RtmpUrl {
    /// The first address of the host.
    ///
    /// # Errors
    /// Where it has none.
    pub async fn resolve(&self) -> anyhow::Result<SocketAddr> {
        let mut addresses = tokio::net::lookup_host(&self.authority).await.with_context(|| self.authority.clone())?;
        addresses.next().with_context(|| format!("{} has no address", self.authority))
    }

    /// What to say to publish under `key`.
    pub fn target(&self, key: String) -> Target {
        let encoder = concat!("loadtest/", env!("CARGO_PKG_VERSION")).to_owned();
        Target { app: self.app.clone(), tc_url: self.url.clone(), key, encoder }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(url: &str) -> Result<(String, String), String> {
        url.parse::<RtmpUrl>().map(|url| (url.authority, url.app)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_port_is_1935_unless_said() {
        assert_eq!(parts("rtmp://h/live/"), Ok(("h:1935".into(), "live".into())));
        assert_eq!(parts("rtmp://127.0.0.1:99/a/b"), Ok(("127.0.0.1:99".into(), "a/b".into())));
        assert_eq!(parts("rtmp://[::1]/live"), Ok(("[::1]:1935".into(), "live".into())));
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(parts("rtmps://h/live"), Err("rtmps://h/live does not begin with rtmp://".into()));
        assert_eq!(parts("rtmp://h"), Err("rtmp://h lacks the application: rtmp://h/live".into()));
        assert_eq!(parts("rtmp:///live"), Err("rtmp:///live is not rtmp://HOST[:PORT]/APP".into()));
    }
}
