//! How long certificates are still good.

use std::{fs, path::Path};

use freshet_control_plane::ca;
use freshet_proto::clock::WallClock;

use super::{Findings, Patient};

const DAY_MS: u64 = 86_400_000;
/// A certificate that somebody has to renew is told about so long before.
const NOTICE_DAYS: u64 = 14;

/// Looks at the node's own certificate, the platform's authority, and the certificate for viewers and encoders.
pub fn look(patient: &Patient, findings: &mut Findings) {
    let now_ms = WallClock::system().now_ms();
    if let Some([certificate, _, authority]) = patient.identity_files() {
        let remedy = match &patient.papers {
            Some(papers) => format!("freshet node remove {}, then join it anew", papers.name),
            None => "freshet ca issue NAME".to_owned(),
        };
        // One that is renewed by itself has a third of its life left at least, or could not be renewed.
        judge("node certificate", &certificate, patient.papers.is_some(), &remedy, now_ms, findings);
        judge("platform authority", &authority, false, "found the platform anew before it ends", now_ms, findings);
    }
    if let Some(certificate) = &patient.config.tls.certificate {
        judge("TLS certificate", certificate, false, "renew it, then send SIGHUP", now_ms, findings);
    }
}

fn judge(check: &str, file: &Path, renews_itself: bool, remedy: &str, now_ms: u64, findings: &mut Findings) {
    let Some((from_ms, until_ms)) = fs::read_to_string(file).ok().as_deref().and_then(ca::validity_of) else {
        return findings.fault(check, format!("{} can't be read as a certificate", file.display()), remedy);
    };
    if now_ms < from_ms {
        let saw = format!("{} is good only in {} min", file.display(), (from_ms - now_ms) / 60_000 + 1);
        return findings.fault(check, saw, "set this machine's clock");
    }
    let Some(left_ms) = until_ms.checked_sub(now_ms) else {
        return findings.fault(check, format!("{} has run out", file.display()), remedy);
    };
    let saw = format!("{} is good for another {} days", file.display(), left_ms / DAY_MS);
    if renews_itself && left_ms < (until_ms - from_ms) / 4 {
        return findings.advise(check, saw, "it should have been renewed: see that a control node can be reached");
    }
    if !renews_itself && left_ms < NOTICE_DAYS * DAY_MS {
        return findings.advise(check, saw, remedy);
    }
    findings.good(check, saw);
}

#[cfg(test)]
mod tests {
    use freshet_control_plane::ca::Ca;

    use super::*;
    use crate::doctor::findings::Verdict;

    #[test]
    fn a_certificate_is_judged_by_the_days_it_has_left() {
        let dir = tempfile::tempdir().unwrap();
        let clock = WallClock::system();
        let authority = Ca::create(dir.path(), &clock).unwrap();
        authority.issue("edge-1", &[], 30, &clock).unwrap().write(dir.path(), "edge-1").unwrap();
        let file = dir.path().join("edge-1.pem");
        let verdict = |renews_itself, days: u64| {
            let mut findings = Findings::default();
            judge("certificate", &file, renews_itself, "remedy", clock.now_ms() + days * DAY_MS, &mut findings);
            findings.all()[0].verdict
        };
        assert_eq!((verdict(false, 1), verdict(true, 1)), (Verdict::Good, Verdict::Good));
        assert_eq!((verdict(false, 20), verdict(true, 20)), (Verdict::Advice, Verdict::Good));
        assert_eq!((verdict(true, 25), verdict(true, 31)), (Verdict::Advice, Verdict::Fault));
        let mut findings = Findings::default();
        judge("certificate", &dir.path().join("none.pem"), false, "remedy", clock.now_ms(), &mut findings);
        assert_eq!(findings.all()[0].verdict, Verdict::Fault);
    }
}
