//! What is compared with etcd, and what must hold of ours alone.

use crate::{
    bench::verdict::{Comparison, Figure, Findings, NO_GATE_ABOVE, NO_GATE_BELOW, median},
    report::Summary,
};

/// The rows of both tables while they fill.
pub struct Rows {
    writes: Vec<Comparison>,
    spread: [Comparison; 2],
    killed: Comparison,
    /// Every kill of ours.
    standstills: Vec<f64>,
}

impl Rows {
    /// Empty rows: one for each number of clients that write.
    pub fn new(clients: impl IntoIterator<Item = usize>, kills: usize) -> Self {
        let writes = clients.into_iter().map(|count| {
            let clients = if count == 1 { "1 client".to_owned() } else { format!("{count} clients") };
            more(format!("committed writes/s, {clients} at the leader"))
        });
        let spread = |which: &str| less(format!("{which} delay of a change to 1,000 watchers, 50 changes/s"));
        Self {
            writes: writes.collect(),
            spread: [spread("median"), spread("p99")],
            killed: less(format!("next committed write after the leader was killed, median of a run; {kills} kills")),
            standstills: Vec::with_capacity(kills),
        }
    }

    /// Takes writes a second with the number of clients of this index.
    pub fn wrote(&mut self, index: usize, ours: f64, theirs: f64) {
        let row = &mut self.writes[index];
        row.ours.push(ours);
        row.theirs.push(theirs);
    }

    /// Takes the delays of one run.
    pub fn spread(&mut self, ours: Summary, theirs: Summary) {
        let [median, p99] = &mut self.spread;
        median.ours.push(ours.p50);
        median.theirs.push(theirs.p50);
        p99.ours.push(ours.p99);
        p99.theirs.push(theirs.p99);
    }

    /// Takes the milliseconds that writes stood still, in one run.
    pub fn killed(&mut self, ours: Vec<f64>, theirs: Vec<f64>) {
        self.killed.ours.push(median(&ours));
        self.killed.theirs.push(median(&theirs));
        self.standstills.extend(ours);
    }

    /// The tables. What is compared with etcd has no gate: the project states none.
    pub fn into_findings(self, findings: &mut Findings) {
        let kills = self.standstills.len();
        let longest = self.standstills.iter().copied().fold(f64::NAN, f64::max);
        let standstill = |which: &str, values, gate| Figure {
            what: format!("next committed write after the leader was killed (SIGKILL), {which} of {kills}"),
            unit: "ms",
            values,
            gate,
            goal: gate,
        };
        findings.medians = true;
        findings.comparisons.extend(self.writes);
        findings.comparisons.extend(self.spread);
        findings.comparisons.push(self.killed);
        findings.figures.push(standstill("median", self.standstills, 1000.0));
        findings.figures.push(standstill("longest", vec![longest], 1500.0));
    }
}

fn more(what: String) -> Comparison {
    row(what, "writes/s", true, NO_GATE_BELOW)
}

fn less(what: String) -> Comparison {
    row(what, "ms", false, NO_GATE_ABOVE)
}

fn row(what: String, unit: &'static str, more_is_better: bool, gate: f64) -> Comparison {
    let peer = "etcd 3.4".to_owned();
    Comparison { what, peer, unit, ours: Vec::new(), theirs: Vec::new(), more_is_better, gate, goal: 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(ours_ms: &[f64]) -> Findings {
        let mut rows = Rows::new([1, 16], ours_ms.len());
        rows.wrote(0, 10.0, 20.0);
        rows.wrote(1, 30.0, 20.0);
        let delays = |p50, p99| Summary { p50, p99, ..Summary::default() };
        rows.spread(delays(1.0, 9.0), delays(2.0, 3.0));
        rows.killed(ours_ms.to_vec(), vec![1200.0, 1600.0, 1100.0]);
        let mut findings = Findings::default();
        rows.into_findings(&mut findings);
        findings
    }

    #[test]
    fn being_slower_than_etcd_is_told_and_fails_nothing() {
        let findings = findings(&[800.0, 900.0, 700.0]);
        assert!(findings.hold());
        let section = findings.section("A machine", "2026-11-25");
        assert!(section.contains("| committed writes/s, 1 client at the leader | etcd 3.4 | **0.50** | 0.50–0.50 | none | ≥ 1 | goal missed |"), "{section}");
        assert!(section.contains("| committed writes/s, 16 clients at the leader | etcd 3.4 | **1.50** | 1.50–1.50 | none | ≥ 1 | goal met |"), "{section}");
        assert!(section.contains("| p99 delay of a change to 1,000 watchers, 50 changes/s | etcd 3.4 | **3.00** | 3.00–3.00 | none | ≤ 1 | goal missed |"), "{section}");
        assert!(
            section.contains("(SIGKILL), median of 3 | **800.0** ms | 700.0–900.0 | ≤ 1000 | ≤ 1000 | goal met |"),
            "{section}"
        );
    }

    #[test]
    fn one_standstill_that_is_too_long_fails_the_suite() {
        assert!(!findings(&[800.0, 900.0, 1501.0]).hold());
        assert!(!findings(&[1001.0, 1001.0, 700.0]).hold());
        assert!(!findings(&[]).hold(), "without a kill nothing is known");
    }
}
