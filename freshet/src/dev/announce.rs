//! Tells people and programs where everything listens.

use std::{fmt::Write, net::SocketAddr, path::Path, time::Duration};

use freshet_proto::id::ChannelName;

use crate::{cli, metrics, node::IrcAddresses};

/// Where everything listens.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// HTTP for viewers.
    pub http: SocketAddr,
    /// HTTPS for viewers.
    pub https: SocketAddr,
    /// RTMP for encoders.
    pub rtmp: SocketAddr,
    /// RTMPS for encoders.
    pub rtmps: SocketAddr,
    /// QUIC for other nodes.
    pub quic: SocketAddr,
    /// `/metrics` and the like.
    pub admin: SocketAddr,
    /// Where IRC clients come.
    pub irc: IrcAddresses,
}

/// What is told.
pub struct Told<'a> {
    /// Where everything listens.
    pub addresses: &'a Addresses,
    /// The channel.
    pub channel: &'a ChannelName,
    /// Its stream key.
    pub key: &'a str,
    /// The secret of the first administrator's one-time login link, until there is a password.
    pub link: Option<&'a str>,
}

/// The application that encoders are pointed at.
const APP: &str = "live";

impl Told<'_> {
    /// For programs: the content of `dev.json`.
    pub fn json(&self) -> String {
        let Addresses { http, https, rtmp, rtmps, quic, admin, irc } = self.addresses;
        let irc_url = |scheme: &str, at: Option<SocketAddr>| at.map(|at| format!("{scheme}://{}", reachable(at)));
        let http = format!("http://{}", reachable(*http));
        let json = serde_json::json!({
            "http_url": http,
            "https_url": format!("https://{}", reachable(*https)),
            "rtmp_url": format!("rtmp://{}/{APP}", reachable(*rtmp)),
            "rtmps_url": format!("rtmps://{}/{APP}", reachable(*rtmps)),
            "stream_key": self.key,
            "channel": self.channel,
            "hls_url": format!("{http}/live/{}/index.m3u8", self.channel),
            "quic_address": reachable(*quic).to_string(),
            "irc_url": irc_url("irc", irc.irc),
            "ircs_url": irc_url("ircs", irc.ircs),
            "irc_ws_url": irc_url("ws", irc.ws),
            "irc_wss_url": irc_url("wss", irc.wss),
            "admin_url": format!("http://{}", reachable(*admin)),
            "admin_link": self.link,
            "pid": std::process::id(),
        });
        format!("{json:#}\n")
    }

    /// For people.
    pub fn text(&self, demo: bool, data: &Path) -> String {
        let Addresses { http, https, rtmp, rtmps, admin, irc, .. } = self.addresses;
        let (channel, key) = (self.channel, self.key);
        let (rtmp, rtmps) = (reachable(*rtmp), reachable(*rtmps));
        let playing = if demo { "the demo clip is playing" } else { "waiting for an encoder" };
        let mut text = format!("{}: {playing}\n\n", cli::version());
        let mut row = |name: &str, value: String| {
            let _ = writeln!(text, "  {name:10} {value}");
        };
        row("watch", format!("http://{}/c/{channel}", named(*http)));
        row("", format!("https://{}/c/{channel}   (the certificate is this machine's own)", named(*https)));
        row("HLS", format!("http://{}/live/{channel}/index.m3u8", named(*http)));
        row("RTMP", format!("rtmp://{rtmp}/{APP}"));
        row("RTMPS", format!("rtmps://{rtmps}/{APP}"));
        row("key", key.to_owned());
        if let (Some(irc), Some(ws)) = (irc.irc, irc.ws) {
            row("IRC", format!("irc://{}, ws://{}   (for Twitch bots: docs/irc.md)", reachable(irc), reachable(ws)));
        }
        if let Some(link) = self.link {
            row("admin", format!("http://{}/login#link={link}   (works once, for a day)", named(*http)));
        }
        row("metrics", format!("http://{}/metrics", reachable(*admin)));
        row("data", data.display().to_string());
        let _ = write!(
            text,
            "\n  OBS: Settings, Stream, Service \"Custom\"; Server and Stream Key as above. Output: H.264, keyframe \
             interval 2 s.\n\n  Or, with ffmpeg:\n\n  ffmpeg -re -f lavfi -i testsrc2=size=1280x720:rate=30 -f lavfi -i \
             sine=frequency=440 -c:v libx264 -preset veryfast -tune zerolatency -pix_fmt yuv420p -g 60 -b:v 2500k \
             -c:a aac -b:a 128k -f flv rtmp://{rtmp}/{APP}/{key}\n\n  Ctrl-C ends it.\n\n"
        );
        text
    }
}

/// An address that a client on this machine can use.
fn reachable(addr: SocketAddr) -> SocketAddr {
    match (addr.ip().is_unspecified(), addr) {
        (false, addr) => addr,
        (true, SocketAddr::V4(_)) => SocketAddr::from(([127, 0, 0, 1], addr.port())),
        (true, SocketAddr::V6(_)) => SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], addr.port())),
    }
}

/// The same for people, to whom this machine is `localhost`.
fn named(addr: SocketAddr) -> String {
    let addr = reachable(addr);
    if addr.ip().is_loopback() { format!("localhost:{}", addr.port()) } else { addr.to_string() }
}

/// What was done since the start, for the end; from the text of the metrics.
pub fn totals(lived: Duration, metrics: &str) -> String {
    let total = |name| metrics::total(metrics, name);
    let (minutes, seconds) = (lived.as_secs() / 60, lived.as_secs() % 60);
    format!(
        "{minutes} min {seconds} s: {} from encoders, {} parts made, {} transferred to the edge, {} requests of viewers \
         answered with {}",
        size(total("freshet_origin_ingest_bytes_total")),
        total("freshet_origin_parts_total"),
        size(total("freshet_origin_sent_bytes_total")),
        total("freshet_edge_requests_total"),
        size(total("freshet_edge_bytes_total")),
    )
}

fn size(bytes: f64) -> String {
    if bytes < 1e9 { format!("{:.1} MB", bytes / 1e6) } else { format!("{:.2} GB", bytes / 1e9) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_told_addresses_that_they_can_use() {
        let addresses = Addresses {
            http: "0.0.0.0:8080".parse().unwrap(),
            https: "127.0.0.1:8443".parse().unwrap(),
            rtmp: "[::]:1935".parse().unwrap(),
            rtmps: "192.0.2.7:1936".parse().unwrap(),
            quic: "0.0.0.0:4430".parse().unwrap(),
            admin: "127.0.0.1:9090".parse().unwrap(),
            irc: IrcAddresses { ws: Some("0.0.0.0:6680".parse().unwrap()), ..IrcAddresses::default() },
        };
        let channel = "ada".parse().unwrap();
        let json = Told { addresses: &addresses, channel: &channel, key: "secret", link: None }.json();
        let told: serde_json::Value = serde_json::from_str(&json).unwrap();
        for (key, value) in [
            ("http_url", "http://127.0.0.1:8080"),
            ("https_url", "https://127.0.0.1:8443"),
            ("rtmp_url", "rtmp://[::1]:1935/live"),
            ("rtmps_url", "rtmps://192.0.2.7:1936/live"),
            ("quic_address", "127.0.0.1:4430"),
            ("irc_ws_url", "ws://127.0.0.1:6680"),
            ("stream_key", "secret"),
            ("channel", "ada"),
            ("hls_url", "http://127.0.0.1:8080/live/ada/index.m3u8"),
        ] {
            assert_eq!(told[key], value, "{key}");
        }
    }

    #[test]
    fn the_totals_are_read_from_the_metrics() {
        let metrics = "freshet_origin_parts_total 12\nfreshet_edge_requests_total{kind=\"part\"} 3\n";
        let text = totals(Duration::from_secs(61), metrics);
        assert!(text.starts_with("1 min 1 s: 0.0 MB from encoders, 12 parts made"), "{text}");
        assert!(text.contains("3 requests"), "{text}");
    }
}
