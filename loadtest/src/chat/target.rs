//! URLs of hubs.

use anyhow::{Context, bail, ensure};

use super::job::Target;
use crate::view::probe;

/// Reads the URLs of one channel at several hubs.
///
/// # Errors
/// For what is no such URL, and for two channels.
pub fn all(urls: &[String]) -> anyhow::Result<Vec<Target>> {
    let targets = urls.iter().map(|url| one(url)).collect::<anyhow::Result<Vec<_>>>()?;
    let channel = &targets.first().context("no hub")?.channel;
    let other = targets.iter().find(|target| target.channel != *channel);
    ensure!(other.is_none(), "all hubs must be asked for the same channel, which is {channel} at the first");
    Ok(targets)
}

fn one(url: &str) -> anyhow::Result<Target> {
    let http = match url.split_once("://") {
        Some(("ws", rest)) => format!("http://{rest}"),
        Some(("wss", rest)) => format!("https://{rest}"),
        _ => bail!("{url}: only ws:// and wss:// can be tested"),
    };
    let crate::view::job::Target { address, host, tls, path } = probe::target(&http)?;
    let bare = path.split('?').next().unwrap_or_default();
    let channel = bare.strip_prefix("/chat/").filter(|name| !name.is_empty() && !name.contains('/'));
    let channel = channel.with_context(|| format!("{url}: the path must be /chat/CHANNEL"))?.to_owned();
    Ok(Target { address, host, tls, path, channel })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_one_channel_are_read() {
        let read = |urls: &[&str]| {
            let urls: Vec<String> = urls.iter().map(|url| (*url).to_owned()).collect();
            all(&urls).map_err(|error| error.to_string())
        };
        let targets = read(&["ws://127.0.0.1:8080/chat/ada", "wss://localhost:8443/chat/ada?x=1"]).expect("two hubs");
        assert_eq!(
            (targets[0].tls, targets[0].channel.as_str(), targets[0].path.as_str()),
            (false, "ada", "/chat/ada")
        );
        assert_eq!((targets[1].tls, targets[1].host.as_str(), targets[1].address.port()), (true, "localhost", 8443));
        for (urls, why) in [
            (&["http://127.0.0.1/chat/ada"][..], "only ws://"),
            (&["ws://127.0.0.1/live/ada"], "/chat/CHANNEL"),
            (&["ws://192.0.2.1/chat/ada"], "loopback"),
            (&["ws://127.0.0.1/chat/ada", "ws://127.0.0.1/chat/bob"], "the same channel"),
        ] {
            assert!(read(urls).expect_err("refused").contains(why), "{urls:?}");
        }
    }
}
