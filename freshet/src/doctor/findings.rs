//! What was found: each check with a verdict, what was seen, and what to do.

use std::fmt::Write;

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It works, and would work better otherwise.
    Advice,
    /// The node won't start, or will fail its viewers.
    Fault,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: String,
    /// How bad it is.
    pub verdict: Verdict,
    /// What was seen.
    pub saw: String,
    /// What to do; nothing where all is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// Everything that was looked at, in order.
#[derive(Debug, Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// As it should be.
    pub fn good(&mut self, check: impl Into<String>, saw: String) {
        self.0.push(Finding { check: check.into(), verdict: Verdict::Good, saw, remedy: None });
    }

    /// It works, and would work better otherwise.
    pub fn advise(&mut self, check: impl Into<String>, saw: String, remedy: impl Into<String>) {
        self.0.push(Finding { check: check.into(), verdict: Verdict::Advice, saw, remedy: Some(remedy.into()) });
    }

    /// The node won't start, or will fail its viewers.
    pub fn fault(&mut self, check: impl Into<String>, saw: String, remedy: impl Into<String>) {
        self.0.push(Finding { check: check.into(), verdict: Verdict::Fault, saw, remedy: Some(remedy.into()) });
    }

    /// Whether anything will fail.
    pub fn has_fault(&self) -> bool {
        self.0.iter().any(|finding| finding.verdict == Verdict::Fault)
    }

    /// For people: a line a check, and the remedy below it.
    pub fn table(&self) -> String {
        let width = self.0.iter().map(|finding| finding.check.chars().count()).max().unwrap_or(0);
        let mut out = String::new();
        for Finding { check, verdict, saw, remedy } in &self.0 {
            let word = match verdict {
                Verdict::Good => "ok",
                Verdict::Advice => "advice",
                Verdict::Fault => "FAULT",
            };
            let _ = writeln!(out, "{word:6}  {check:width$}  {saw}");
            if let Some(remedy) = remedy {
                let _ = writeln!(out, "{:8}{:width$}  → {remedy}", "", "");
            }
        }
        let count = |verdict| self.0.iter().filter(|finding| finding.verdict == verdict).count();
        let _ = writeln!(out, "{} faults, {} pieces of advice", count(Verdict::Fault), count(Verdict::Advice));
        out
    }

    /// For programs: an array of findings.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(&self.0).unwrap_or_default() + "\n"
    }

    /// The findings, for tests.
    #[cfg(test)]
    pub fn all(&self) -> &[Finding] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_remedy_stands_below_what_it_mends() {
        let mut findings = Findings::default();
        findings.good("disk", "12 GB free".into());
        assert!(!findings.has_fault());
        findings.advise("UDP buffers", "208 KiB".into(), "sysctl -w net.core.rmem_max=4194304");
        findings.fault("RTMP port", "taken".into(), "stop that");
        assert!(findings.has_fault());
        let expected = "\
ok      disk         12 GB free
advice  UDP buffers  208 KiB
                     → sysctl -w net.core.rmem_max=4194304
FAULT   RTMP port    taken
                     → stop that
1 faults, 1 pieces of advice
";
        assert_eq!(findings.table(), expected);
        let json: serde_json::Value = serde_json::from_str(&findings.json()).unwrap();
        assert_eq!(json[0], serde_json::json!({"check": "disk", "verdict": "good", "saw": "12 GB free"}));
        assert_eq!(json[2]["verdict"], "fault");
    }
}
