//! A node's side of its reports: it tells the leader where it is and how busy, and keeps what it is told of the others.

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

/// A report that is too long goes without the numbers of viewers.
fn encode(report: Report) -> (Request, Vec<u8>) {
    let bytes = |report: &Report| postcard::to_stdvec(report).unwrap_or_default();
    let mut body = bytes(&report);
    if body.len() > Report::MAX {
        body = bytes(&Report { viewers: Default::default(), ..report });
    }
    (Request::Report { length: body.len() as u32 }, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_that_is_too_long_goes_without_the_numbers_of_viewers() {
        let viewers = |count: u32| (0..count).map(|n| (format!("channel-{n:024}").parse().unwrap(), 1)).collect();
        let sent = |count| -> Report {
            let (request, body) = encode(Report { viewers: viewers(count), ..Report::default() });
            assert_eq!(request.body_length() as usize, body.len());
            assert!(body.len() <= Report::MAX);
            freshet_proto::quic::decode(&body).unwrap()
        };
        assert_eq!(sent(20_000).viewers.len(), 20_000);
        assert_eq!(sent(100_000).viewers.len(), 0);
    }
}
