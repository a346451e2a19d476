//! What was compared, run by run, and whether it holds.

use std::fmt::Write as _;

use serde::Serialize;

/// The gate of a comparison that has none, where more is better: every ratio keeps it.
pub const NO_GATE_BELOW: f64 = 0.0;
/// The gate of a comparison that has none, where less is better.
pub const NO_GATE_ABOVE: f64 = f64::INFINITY;

/// One comparison with a peer: our figure and the peer's, measured in turns.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// What was measured.
    pub what: String,
    /// Who it was compared with.
    pub peer: String,
    /// Unit of the figures.
    pub unit: &'static str,
    /// Our figure, a run each.
    pub ours: Vec<f64>,
    /// The peer's, a run each.
    pub theirs: Vec<f64>,
    /// Whether more is better.
    pub more_is_better: bool,
    /// The ratio (ours to theirs) that must hold.
    pub gate: f64,
    /// The ratio we are after.
    pub goal: f64,
}

/// A figure with a limit of its own, that needs no peer.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// What was measured.
    pub what: String,
    /// Unit of the figures.
    pub unit: &'static str,
    /// A run each.
    pub values: Vec<f64>,
    /// What must not be exceeded.
    pub gate: f64,
    /// What we are after.
    pub goal: f64,
}

/// Everything that a suite measured.
#[derive(Debug, Default, Serialize)]
pub struct Findings {
    /// How many times each side was measured.
    pub runs: usize,
    /// Which share of the machine others had meanwhile, in percent.
    pub others_percent: f64,
    /// Whether to also tell what each side measured, and not only the ratios.
    pub medians: bool,
    /// Comparisons with peers.
    pub comparisons: Vec<Comparison>,
    /// Figures.
    pub figures: Vec<Figure>,
}

impl Comparison {
    /// Our figure to the peer's: median, least and greatest over the runs.
    pub fn ratios(&self) -> (f64, f64, f64) {
        spread(&self.ours.iter().zip(&self.theirs).map(|(ours, theirs)| ours / theirs).collect::<Vec<_>>())
    }

    /// Whether the median keeps the gate.
    pub fn holds(&self) -> bool {
        keeps(self.ratios().0, self.gate, self.more_is_better)
    }

    fn verdict(&self) -> &'static str {
        let goal = keeps(self.ratios().0, self.goal, self.more_is_better);
        match (self.gate_in_words(), self.holds(), goal) {
            (None, true, false) => "goal missed",
            (_, holds, goal) => verdict(holds, goal),
        }
    }

    fn sign(&self) -> &'static str {
        if self.more_is_better { "≥" } else { "≤" }
    }

    /// `None` where there is none.
    fn gate_in_words(&self) -> Option<String> {
        let none = self.gate == if self.more_is_better { NO_GATE_BELOW } else { NO_GATE_ABOVE };
        (!none).then(|| format!("{} {}", self.sign(), self.gate))
    }
}

impl Figure {
    /// Whether the median keeps the gate.
    pub fn holds(&self) -> bool {
        keeps(spread(&self.values).0, self.gate, false)
    }
}

impl Findings {
    /// Whether every gate holds, and anything was measured at all.
    pub fn hold(&self) -> bool {
        let any = !self.comparisons.is_empty() || !self.figures.is_empty();
        any && self.comparisons.iter().all(Comparison::holds) && self.figures.iter().all(Figure::holds)
    }

    /// The tables, and under which circumstances they were measured.
    pub fn section(&self, machine: &str, day: &str) -> String {
        format!(
            "{}\n<sub>{day}, {} runs; other programs had {:.0} % of the machine meanwhile. {machine}.</sub>\n",
            self.tables(),
            self.runs,
            self.others_percent,
        )
    }

    /// What each side measured.
    fn medians(&self) -> String {
        let mut text = "\n| what, median over the runs | ours | theirs | |\n|---|---|---|---|\n".to_owned();
        for row in &self.comparisons {
            let (ours, theirs) = (median(&row.ours), median(&row.theirs));
            let digits = if ours.min(theirs) < 100.0 { 1 } else { 0 };
            let _ = writeln!(text, "| {} | {ours:.digits$} | {theirs:.digits$} | {} |", row.what, row.unit);
        }
        text
    }

    /// Markdown tables.
    fn tables(&self) -> String {
        let mut text = String::new();
        if !self.comparisons.is_empty() {
            text += "| what | beside | ours ÷ theirs | spread | gate | goal | |\n|---|---|---|---|---|---|---|\n";
        }
        for row in &self.comparisons {
            let (median, least, most) = row.ratios();
            let gate = row.gate_in_words().unwrap_or_else(|| "none".to_owned());
            let (sign, verdict) = (row.sign(), row.verdict());
            let _ = writeln!(
                text,
                "| {} | {} | **{median:.2}** | {least:.2}–{most:.2} | {gate} | {sign} {} | {verdict} |",
                row.what, row.peer, row.goal
            );
        }
        if self.medians {
            text += &self.medians();
        }
        if !self.figures.is_empty() {
            text += if text.is_empty() { "" } else { "\n" };
            text += "| what | measured | spread | gate | goal | |\n|---|---|---|---|---|---|\n";
        }
        for row in &self.figures {
            let (median, least, most) = spread(&row.values);
            let verdict = verdict(row.holds(), keeps(median, row.goal, false));
            // A figure is rounded so that one which misses its gate does not look as if it met it.
            let digits = if row.gate < 10.0 { 2 } else { 1 };
            let _ = writeln!(
                text,
                "| {} | **{median:.digits$}** {} | {least:.digits$}–{most:.digits$} | ≤ {} | ≤ {} | {verdict} |",
                row.what, row.unit, row.gate, row.goal
            );
        }
        text
    }
}

/// The middle one.
pub fn median(values: &[f64]) -> f64 {
    spread(values).0
}

fn verdict(gate: bool, goal: bool) -> &'static str {
    match (gate, goal) {
        (true, true) => "goal met",
        (true, false) => "gate met",
        (false, _) => "**missed**",
    }
}

fn keeps(value: f64, limit: f64, more_is_better: bool) -> bool {
    value.is_finite() && if more_is_better { value >= limit } else { value <= limit }
}

/// Median, least and greatest.
fn spread(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    (at(sorted.len() / 2), at(0), at(sorted.len().saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(ours: &[f64], theirs: &[f64], more_is_better: bool) -> Comparison {
        let (ours, theirs) = (ours.to_vec(), theirs.to_vec());
        let (what, peer) = ("requests".to_owned(), "nginx".to_owned());
        Comparison { what, peer, unit: "1/s", ours, theirs, more_is_better, gate: 1.0, goal: 1.5 }
    }

    #[test]
    fn the_median_of_the_ratios_decides() {
        let row = comparison(&[10.0, 30.0, 12.0], &[10.0, 10.0, 10.0], true);
        assert_eq!(row.ratios(), (1.2, 1.0, 3.0));
        assert!(row.holds());
        assert!(!comparison(&[9.0], &[10.0], true).holds());
        assert!(comparison(&[9.0], &[10.0], false).holds());
    }

    #[test]
    fn a_section_has_both_tables_and_the_circumstances() {
        let figure = Figure { what: "age".to_owned(), unit: "ms", values: vec![3.0, 9.0, 4.0], gate: 20.0, goal: 3.5 };
        let comparisons = vec![comparison(&[10.0, 14.0, 12.0], &[10.0, 10.0, 10.0], true)];
        let mut findings =
            Findings { runs: 3, others_percent: 12.3, medians: false, comparisons, figures: vec![figure] };
        assert_eq!(
            findings.section("A machine", "2026-11-25"),
            "| what | beside | ours ÷ theirs | spread | gate | goal | |\n|---|---|---|---|---|---|---|\n\
             | requests | nginx | **1.20** | 1.00–1.40 | ≥ 1 | ≥ 1.5 | gate met |\n\n\
             | what | measured | spread | gate | goal | |\n|---|---|---|---|---|---|\n\
             | age | **4.0** ms | 3.0–9.0 | ≤ 20 | ≤ 3.5 | gate met |\n\n\
             <sub>2026-11-25, 3 runs; other programs had 12 % of the machine meanwhile. A machine.</sub>\n"
        );
        findings.medians = true;
        let section = findings.section("A machine", "2026-11-25");
        let medians = "\n\n| what, median over the runs | ours | theirs | |\n|---|---|---|---|\n\
                       | requests | 12.0 | 10.0 | 1/s |\n\n| what | measured |";
        assert!(section.contains(medians), "{section}");
    }

    #[test]
    fn a_comparison_without_a_gate_holds_whatever_it_is_but_not_unmeasured() {
        let row = |ours: &[f64], more, gate| Comparison { gate, goal: 1.0, ..comparison(ours, &[10.0], more) };
        for (ours, verdict) in [(9.0, "goal missed"), (10.0, "goal met")] {
            let row = row(&[ours], true, NO_GATE_BELOW);
            assert_eq!((row.gate_in_words(), row.holds(), row.verdict()), (None, true, verdict));
        }
        let slower = row(&[900.0], false, NO_GATE_ABOVE);
        assert_eq!((slower.gate_in_words(), slower.holds(), slower.verdict()), (None, true, "goal missed"));
        let gated = row(&[9.0], true, 0.8);
        assert_eq!((gated.gate_in_words().as_deref(), gated.verdict()), (Some("≥ 0.8"), "gate met"));
        assert!(!row(&[], true, NO_GATE_BELOW).holds() && !row(&[], false, NO_GATE_ABOVE).holds());
    }

    #[test]
    fn nothing_measured_is_not_a_success() {
        assert!(!Findings::default().hold());
        assert!(!comparison(&[], &[], true).holds());
    }
}
