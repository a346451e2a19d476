//! The other nodes: whether they can be reached from here, how far they are, and what time they have.
//!
//! ```text
//! papers or quic.origin ──WATCH──▶ every node there is ──CLOCK──▶ round trip, difference of clocks
//! ```

use std::collections::BTreeMap;

use freshet_proto::{
    clock::WallClock,
    message::{MAX_FRAME, Request, WatchEvent},
    quic::{Doors, Endpoint, Identity, Pool, QuicError, Tuning},
    random::Random,
    view::{NodeState, NodeView, Role},
};
use tokio::{
    task::JoinSet,
    time::{Duration, Instant},
};

use super::{Findings, Patient};
use crate::{node::any_port, role};

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// A difference of clocks that leases, tokens and dates of segments bear (design: `/readyz`).
const SKEW_MS: i64 = 250;

/// Asks every node that this one has to do with.
pub async fn look(patient: &Patient, findings: &mut Findings) {
    let seeds = match seeds(patient).await {
        Ok(seeds) => seeds,
        Err(error) => return findings.fault("peers", error, "mend quic.origin"),
    };
    if seeds.is_empty() {
        return findings.good("peers", "none: it has none, or has not joined".to_owned());
    }
    let pool = match door(patient, &seeds[0]) {
        Ok(pool) => pool,
        Err(error) => return findings.fault("peers", error, "mend the node's certificate, key and authority"),
    };
    let mut asked = JoinSet::new();
    for (name, node) in everyone(&pool, &seeds).await {
        let pool = pool.clone();
        asked.spawn(async move {
            let answer = ask(&pool, &node).await;
            (name, node, answer)
        });
    }
    let mut answers: Vec<_> = asked.join_all().await;
    answers.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    for (name, node, answer) in answers {
        judge(&name, &node, answer, findings);
    }
}

async fn seeds(patient: &Patient) -> Result<Vec<NodeView>, String> {
    match &patient.papers {
        Some(papers) => Ok(papers.control.clone()),
        None if patient.config.quic.origin.is_some() => {
            role::upstream(&patient.config).await.map(|origin| vec![origin]).map_err(|error| error.to_string())
        }
        None => Ok(Vec::new()),
    }
}

fn door(patient: &Patient, first: &NodeView) -> Result<Pool, String> {
    let [certificate, key, authority] =
        patient.identity_files().ok_or("quic.certificate, key and ca are not all set")?;
    let identity = Identity::load(&certificate, &key, &authority).map_err(|error| error.to_string())?;
    let doors = Doors { clock: WallClock::system(), random: Random::system() };
    let endpoint = Endpoint::bind(any_port(first.quic), &identity, doors, Tuning::default());
    endpoint.map(|endpoint| Pool::new(&endpoint)).map_err(|error| error.to_string())
}

/// The seeds, and whom one of them knows.
async fn everyone(pool: &Pool, seeds: &[NodeView]) -> BTreeMap<String, NodeView> {
    let mut all: BTreeMap<_, _> = seeds.iter().map(|node| (node.server_name.clone(), node.clone())).collect();
    for seed in seeds {
        let watch = Request::Watch { after: None };
        let view = tokio::time::timeout(PATIENCE, async {
            pool.request(seed.quic, &seed.server_name, &watch).await?.read_frame::<WatchEvent>(MAX_FRAME).await
        });
        if let Ok(Ok(WatchEvent::Snapshot(view))) = view.await {
            let started = view.nodes.into_values().filter(|node| node.state != NodeState::Joined);
            all.extend(started.map(|node| (node.server_name.clone(), node)));
            break;
        }
    }
    all
}

/// What a node said: how long it took, and how far its clock is ahead of ours.
struct Answer {
    round_trip: Duration,
    ahead_ms: i64,
}

/// Asks twice, since the first time has the handshake in it.
async fn ask(pool: &Pool, node: &NodeView) -> Result<Answer, QuicError> {
    let clock = WallClock::system();
    let call = || pool.call::<u64>(node.quic, &node.server_name, &Request::Clock, PATIENCE);
    call().await?;
    let (start, before_ms) = (Instant::now(), clock.now_ms());
    let theirs_ms = call().await?;
    let round_trip = start.elapsed();
    let ours_ms = before_ms + round_trip.as_millis() as u64 / 2;
    Ok(Answer { round_trip, ahead_ms: theirs_ms.cast_signed() - ours_ms.cast_signed() })
}

fn judge(name: &str, node: &NodeView, answer: Result<Answer, QuicError>, findings: &mut Findings) {
    let check = format!("{} {name}", node.role);
    let at = node.quic;
    match answer {
        Err(error) if node.state == NodeState::Lost => {
            findings.advise(check, format!("{at}: {error}"), "the platform has lost it too: start it, or remove it");
        }
        Err(error) => {
            let remedy = format!("see that it runs, and that UDP to {at} is let through both ways");
            let saw = format!("{at}: {error}");
            if node.role == Role::Edge {
                findings.advise(check, saw, remedy)
            } else {
                findings.fault(check, saw, remedy)
            }
        }
        Ok(Answer { round_trip, ahead_ms }) => {
            let ms = round_trip.as_secs_f64() * 1000.0;
            let saw = format!("{at}: {ms:.1} ms away, its clock {ahead_ms:+} ms");
            if ahead_ms.abs() <= SKEW_MS {
                findings.good(check, saw);
            } else {
                findings.fault(
                    check,
                    saw,
                    "run a time service (chrony, systemd-timesyncd) on both, then restart the node that was off",
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::findings::Verdict;

    fn verdict(role: Role, answer: Result<Answer, QuicError>) -> Verdict {
        let mut findings = Findings::default();
        let node = NodeView::new(role, "192.0.2.1:4430".parse().unwrap(), "node-1");
        judge("node-1", &node, answer, &mut findings);
        findings.all()[0].verdict
    }

    #[test]
    fn a_node_is_judged_by_its_answer_and_by_its_clock() {
        let answer = |ahead_ms| Ok(Answer { round_trip: Duration::from_millis(3), ahead_ms });
        assert_eq!(verdict(Role::Control, answer(250)), Verdict::Good);
        assert_eq!(verdict(Role::Control, answer(-251)), Verdict::Fault);
        assert_eq!(verdict(Role::Control, Err(QuicError::Timeout(PATIENCE))), Verdict::Fault);
        assert_eq!(verdict(Role::Edge, Err(QuicError::Timeout(PATIENCE))), Verdict::Advice);
    }
}
