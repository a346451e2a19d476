use std::{collections::BTreeSet, convert::Infallible};

use bytes::Bytes;
use freshet_media::lint::Severity;
use http::Response;
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::*;

#[test]
fn how_long_to_watch_is_written_in_seconds_minutes_or_hours() {
    assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
    assert_eq!(duration("45"), Ok(Duration::from_secs(45)));
    assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
    assert_eq!(duration("1h"), Ok(Duration::from_secs(3600)));
    for bad in ["", "s", "1d", "-1s", "1.5s"] {
        assert!(duration(bad).is_err(), "{bad}");
    }
}

const INDEX: &str = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000,CODECS=\"avc1.64001f\"\nv0.m3u8\n";
const ENDED: &str = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:7\n\
                     #EXT-X-MAP:URI=\"3/v0/init-0.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:2026-11-21T08:00:00.000Z\n\
                     #EXTINF:2.0,\n3/v0/7.m4s\n#EXT-X-ENDLIST\n";

/// An ended stream behind a redirect. Its segment is no MP4.
fn answer(path: &str) -> Response<Full<Bytes>> {
    let reply = Response::builder().header("access-control-allow-origin", "*");
    let playlist = |text: &'static str| (200, "application/vnd.apple.mpegurl", text);
    let (status, kind, body) = match path {
        "/index.m3u8" => (302, "text/plain", ""),
        "/p/index.m3u8" => playlist(INDEX),
        "/p/v0.m3u8" => playlist(ENDED),
        "/p/3/v0/7.m4s" => (200, "video/mp4", "no boxes at all"),
        _ => (404, "text/plain", "no such thing"),
    };
    let reply = reply.status(status).header("content-type", kind).header("location", "/p/index.m3u8");
    reply.body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap_or_default()
}

/// A server on loopback that answers until the test ends.
async fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/index.m3u8", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let service = service_fn(|request: http::Request<Incoming>| async move {
                Ok::<_, Infallible>(answer(request.uri().path()))
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
        }
    });
    url
}

async fn report_on(url: &str) -> Report {
    let client = Arc::new(Client::new(false).unwrap());
    watch(Lint::new(url).unwrap(), client, Duration::from_secs(30), false).await
}

#[tokio::test]
async fn an_ended_stream_is_read_over_http_through_a_redirect_and_watched_no_longer_than_needed() {
    let report = report_on(&serve().await).await;
    assert_eq!((report.playlists, report.objects), (2, 1), "the init is missing");
    let violated: BTreeSet<_> = report
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Violation)
        .map(|finding| (finding.rule, finding.saw.as_str()))
        .collect();
    assert_eq!(violated, BTreeSet::from([("C01", "404")]));
    let advised = |rule| report.findings.iter().any(|f| f.rule == rule && f.severity == Severity::Advice);
    assert!(advised("L40") && advised("L41") && advised("L42") && advised("L45"));
}

#[tokio::test]
async fn the_result_is_a_table_for_people_and_json_for_programs() {
    let url = serve().await;
    let report = report_on(&url).await;
    let table = report::table(&url, &report);
    assert!(table.contains("C01  VIOLATED"), "{table}");
    assert!(table.contains("L48  ok"), "{table}");
    assert!(table.contains("C01 violation, 1×: serve the init that EXT-X-MAP names\n"), "{table}");
    let json = report::json(&url, &report);
    assert_eq!(json["violations"], 1);
    assert_eq!(json["findings"][0]["rule"], "C01");
    assert_eq!(json["rules"][0]["id"], "L01");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_finding() {
    // Nobody listens on this port, which no test is given.
    let client = Arc::new(Client::new(false).unwrap());
    let report =
        watch(Lint::new("http://127.0.0.1:1/index.m3u8").unwrap(), client, Duration::from_millis(500), false).await;
    assert_eq!(report.violations(), 1);
    assert!(report.findings[0].saw.contains("refused"), "{}", report.findings[0].saw);
}
