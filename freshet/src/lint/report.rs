//! What was found, for people and for programs.

use std::{fmt::Write, io::Write as _, time::Duration};

use freshet_media::lint::{Finding, Level, Report, Severity};
use serde_json::{Value, json};

/// One line on the terminal that is written over and over.
pub fn progress(second: u64, length: Duration, report: &Report) {
    let advice = report.findings.len() - report.violations();
    eprint!(
        "\r\x1b[K{second} of {} s · {} playlists · {} objects · {} violations · {advice} pieces of advice",
        length.as_secs(),
        report.playlists,
        report.objects,
        report.violations(),
    );
    let _ = std::io::stderr().flush();
}

/// The rules with how often each was looked at, then what was found.
pub fn table(url: &str, report: &Report) -> String {
    let mut out = format!("{url}: {} playlists, {} objects\n\n", report.playlists, report.objects);
    for (rule, checked) in &report.checked {
        let verdict = match worst(report, rule.id) {
            Some(Severity::Violation) => "VIOLATED",
            Some(Severity::Advice) => "advice",
            None if *checked == 0 => "not seen",
            None => "ok",
        };
        let _ = writeln!(out, "{:4} {verdict:9} {checked:>7}  {}", rule.id, rule.says);
    }
    out.push('\n');
    for finding in ordered(report) {
        let kind = if finding.severity == Severity::Violation { "violation" } else { "advice" };
        let Finding { rule, url, saw, remedy, times, .. } = finding;
        let _ = writeln!(out, "{rule} {kind}, {times}×: {remedy}\n     at {url}\n     saw {saw}");
    }
    let advice = report.findings.len() - report.violations();
    let _ = writeln!(out, "{} violations, {advice} pieces of advice", report.violations());
    out
}

fn worst(report: &Report, rule: &str) -> Option<Severity> {
    report.findings.iter().filter(|finding| finding.rule == rule).map(|finding| finding.severity).min()
}

/// Violations first, each kind in the order of rules.
fn ordered(report: &Report) -> Vec<&Finding> {
    let place = |id| report.checked.iter().position(|(rule, _)| rule.id == id);
    let mut findings: Vec<_> = report.findings.iter().collect();
    findings.sort_by_key(|finding| (finding.severity, place(finding.rule)));
    findings
}

/// The same for programs.
pub fn json(url: &str, report: &Report) -> Value {
    let kind = |severity| if severity == Severity::Violation { "violation" } else { "advice" };
    let rules: Vec<_> = report
        .checked
        .iter()
        .map(|(rule, checked)| {
            json!({
                "id": rule.id,
                "level": if rule.level == Level::Must { "must" } else { "should" },
                "says": rule.says,
                "checked": checked,
                "worst": worst(report, rule.id).map(kind),
            })
        })
        .collect();
    let findings: Vec<_> = ordered(report)
        .into_iter()
        .map(|finding| {
            json!({
                "rule": finding.rule,
                "severity": kind(finding.severity),
                "url": finding.url,
                "saw": finding.saw,
                "remedy": finding.remedy,
                "times": finding.times,
            })
        })
        .collect();
    json!({
        "url": url,
        "playlists": report.playlists,
        "objects": report.objects,
        "violations": report.violations(),
        "advice": report.findings.len() - report.violations(),
        "rules": rules,
        "findings": findings,
    })
}
