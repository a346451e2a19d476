//! What was found, and how often each rule was looked at.

use std::collections::BTreeMap;

use super::rule::rules;

/// The most findings that are kept; what comes after is counted under the last of its kind only if that is there.
pub const MAX_FINDINGS: usize = 1000;

/// The most characters that a finding tells of what it saw.
const MAX_SAW: usize = 300;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Players may fail.
    Violation,
    /// It could be better.
    Advice,
}

/// One thing that is not as a rule asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule's id.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Where it was seen first.
    pub url: String,
    /// What was seen there.
    pub saw: String,
    /// What to do about it.
    pub remedy: &'static str,
    /// How often it was seen.
    pub times: u64,
}

/// Collects findings; the same remedy in the same playlist is one.
#[derive(Debug, Default)]
pub(super) struct Log {
    findings: Vec<Finding>,
    known: BTreeMap<(&'static str, &'static str, String), usize>,
    checked: BTreeMap<&'static str, u64>,
    /// The playlist that is being looked at.
    scope: String,
}

impl Log {
    /// What is checked from here on concerns this playlist.
    pub(super) fn scope(&mut self, playlist: &str) {
        if self.scope != playlist {
            self.scope = playlist.to_owned();
        }
    }

    /// A rule is broken unless `good`.
    pub(super) fn must(
        &mut self,
        rule: &'static str,
        good: bool,
        url: &str,
        saw: impl FnOnce() -> String,
        remedy: &'static str,
    ) {
        self.check(rule, Severity::Violation, good, url, saw, remedy);
    }

    /// A recommendation is not followed unless `good`.
    pub(super) fn should(
        &mut self,
        rule: &'static str,
        good: bool,
        url: &str,
        saw: impl FnOnce() -> String,
        remedy: &'static str,
    ) {
        self.check(rule, Severity::Advice, good, url, saw, remedy);
    }

    fn check(
        &mut self,
        rule: &'static str,
        severity: Severity,
        good: bool,
        url: &str,
        saw: impl FnOnce() -> String,
        remedy: &'static str,
    ) {
        debug_assert!(rules().iter().any(|known| known.id == rule), "{rule} is not in the list");
        *self.checked.entry(rule).or_default() += 1;
        if good {
            return;
        }
        let key = (rule, remedy, self.scope.clone());
        if let Some(&at) = self.known.get(&key) {
            self.findings[at].times += 1;
        } else if self.findings.len() < MAX_FINDINGS {
            self.known.insert(key, self.findings.len());
            let saw = saw().chars().take(MAX_SAW).collect();
            self.findings.push(Finding { rule, severity, url: url.to_owned(), saw, remedy, times: 1 });
        }
    }

    pub(super) fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// How often a rule was looked at.
    pub(super) fn checked(&self, rule: &str) -> u64 {
        self.checked.get(rule).copied().unwrap_or(0)
    }
}
