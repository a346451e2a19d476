//! Distributions of what many viewers met, mergeable across processes.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// A distribution of milliseconds, kept to three digits, from 1 µs to 10 minutes.
#[derive(Debug, Clone)]
pub struct Distribution(Histogram<u64>);

/// The longest time that a [`Distribution`] tells apart, in microseconds.
const LONGEST_US: u64 = 600_000_000;

impl Default for Distribution {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST_US, 3).expect("the bounds are constant and legal"))
    }
}

impl Distribution {
    /// Adds one sample of `us` microseconds; what is longer than ten minutes counts as ten minutes.
    pub fn record_us(&mut self, us: u64) {
        self.0.saturating_record(us);
    }

    /// Adds all samples of `other`.
    pub fn merge(&mut self, other: &Buckets) {
        for &(us, count) in &other.0 {
            self.0.saturating_record_n(us, count);
        }
    }

    /// The samples in a form that travels between processes.
    pub fn buckets(&self) -> Buckets {
        Buckets(self.0.iter_recorded().map(|bucket| (bucket.value_iterated_to(), bucket.count_at_value())).collect())
    }

    /// How many samples there are.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The percentiles people ask for, in milliseconds.
    pub fn summary(&self) -> Summary {
        let at = |quantile| self.0.value_at_quantile(quantile) as f64 / 1000.0;
        let max = if self.0.is_empty() { 0.0 } else { self.0.max() as f64 / 1000.0 };
        Summary { samples: self.0.len(), p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max }
    }
}

/// Sample values in microseconds, each with its count.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Buckets(Vec<(u64, u64)>);

/// Percentiles in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Summary {
    /// How many samples.
    pub samples: u64,
    /// The median.
    pub p50: f64,
    /// Nine in ten are below.
    pub p90: f64,
    /// 99 in a hundred are below.
    pub p99: f64,
    /// 999 in a thousand are below.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

/// Adds `more` to `counts`, key by key.
pub fn add_counts(counts: &mut BTreeMap<String, u64>, more: &BTreeMap<String, u64>) {
    for (key, count) in more {
        *counts.entry(key.clone()).or_default() += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_survives_the_way_between_processes() {
        let (mut here, mut there) = (Distribution::default(), Distribution::default());
        (1..=1000).for_each(|ms| there.record_us(ms * 1000));
        here.merge(&there.buckets());
        let summary = here.summary();
        assert_eq!(summary.samples, 1000);
        assert!((summary.p50 - 500.0).abs() < 1.0 && (summary.max - 1000.0).abs() < 2.0, "{summary:?}");
    }
}
