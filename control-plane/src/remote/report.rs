//! A node's side of its reports: it tells the leader where it is, how busy and how its sessions do, and keeps what it is told
//! of the others.

use std::sync::Arc;

use freshet_proto::{
    annex::Loads,
    message::{Report, Request},
};
use tokio::{
    sync::watch,
    time::{Duration, sleep},
};
use tracing::debug;

use super::Remote;
use crate::loads::EVERY;

/// How long one attempt may take. There is a newer report soon.
const ATTEMPT: Duration = Duration::from_secs(2);

/// Tells the leader what `tell` says every [`EVERY`], until every receiver is dropped. The receiver has what the leader said
/// last of all nodes, for as long as nobody says anything newer: a node that can ask nobody goes on with that.
///
/// `remote` should be the reports' own: it remembers where the leader is, and takes turns with nobody.
pub fn report(remote: Remote, tell: impl Fn() -> Report + Send + 'static) -> watch::Receiver<Arc<Loads>> {
    let (sender, receiver) = watch::channel(Arc::new(Loads::default()));
    tokio::spawn(async move {
        loop {
            let (request, body) = encode(tell());
            tokio::select! {
                biased;
                () = sender.closed() => return,
                answer = remote.ask_with::<Loads>(&request, body.into(), ATTEMPT) => match answer {
                    Ok(loads) => drop(sender.send_replace(Arc::new(loads))),
                    // The lease says it louder.
                    Err(why) => debug!(%why, "a report was not heard"),
                },
            }
            tokio::select! {
                biased;
                () = sender.closed() => return,
                () = sleep(EVERY) => {}
            }
        }
    });
    receiver
}

/// A report that is too long goes without how viewers fare, one that is so still without the numbers of viewers, and one that is so still without its sessions. Of the
/// sessions beyond [`Report::MAX_SESSIONS`], and the channels beyond [`Report::MAX_AUDIENCES`], the last ones by name, nothing is told.
fn encode(mut report: Report) -> (Request, Vec<u8>) {
    if let Some((beyond, _)) = report.health.iter().nth(Report::MAX_SESSIONS) {
        let beyond = beyond.clone();
        report.health.split_off(&beyond);
    }
    if let Some((beyond, _)) = report.audience.iter().nth(Report::MAX_AUDIENCES) {
        let beyond = beyond.clone();
        report.audience.split_off(&beyond);
    }
    let bytes = |report: &Report| postcard::to_stdvec(report).unwrap_or_default();
    let mut body = bytes(&report);
    if body.len() > Report::MAX {
        report.audience.clear();
        body = bytes(&report);
    }
    if body.len() > Report::MAX {
        report.viewers.clear();
        body = bytes(&report);
    }
    if body.len() > Report::MAX {
        report.health.clear();
        body = bytes(&report);
    }
    (Request::Report { length: body.len() as u32 }, body)
}

#[cfg(test)]
mod tests {
    use freshet_proto::{
        audience::Audience,
        health::{Advice, Health},
    };

    use super::*;

    #[test]
    fn a_report_that_is_too_long_goes_without_the_numbers_of_viewers() {
        let viewers = |count: u32| (0..count).map(|n| (format!("channel-{n:024}").parse().unwrap(), 1)).collect();
        let sent = |count| sent(Report { viewers: viewers(count), ..Report::default() });
        assert_eq!(sent(20_000).viewers.len(), 20_000);
        assert_eq!(sent(100_000).viewers.len(), 0);
    }

    #[test]
    fn a_report_tells_of_as_many_sessions_as_are_read_and_fit() {
        let told = |count: u32, text: usize| -> usize {
            let alerts = vec![Advice { kind: String::new(), advice: "x".repeat(text) }];
            let health = Health { alerts, ..Health::default() };
            let name = |n: u32| format!("channel-{n:05}").parse().unwrap();
            let health = (0..count).map(|n| (name(n), health.clone())).collect();
            sent(Report { health, ..Report::default() }).health.len()
        };
        assert_eq!((told(1000, 250), told(4001, 250)), (1000, 4000));
        assert_eq!(told(4000, 600), 0, "more than may be sent");
    }

    #[test]
    fn how_viewers_fare_is_left_out_first() {
        let mut audience = Audience::default();
        (0..131_072).step_by(64).for_each(|ms| audience.latency.see(ms));
        let told = |count: u32, names: u32| {
            let name = |n: u32| format!("channel-{n:024}").parse().unwrap();
            let viewers = (0..names).map(|n| (name(n), 1)).collect();
            let audience = (0..count).map(|n| (name(n), audience.clone())).collect();
            let sent = sent(Report { viewers, audience, ..Report::default() });
            (sent.viewers.len(), sent.audience.len())
        };
        assert_eq!((told(4001, 10), told(4000, 50_000)), ((10, 4000), (50_000, 0)));
    }

    /// What the leader reads.
    fn sent(report: Report) -> Report {
        let (request, body) = encode(report);
        assert_eq!(request.body_length() as usize, body.len());
        assert!(body.len() <= Report::MAX);
        freshet_proto::quic::decode(&body).unwrap()
    }
}
