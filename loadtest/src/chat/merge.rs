//! What all processes saw, laid over one another: is it one order, and does it hold all that was acknowledged? A machine.

use std::collections::{BTreeMap, BTreeSet};

use super::job::Seen;

/// See the module.
#[derive(Debug, Default)]
pub struct Merge {
    /// By number: the newest epoch's event.
    order: BTreeMap<u64, Seen>,
    acked: Vec<Seen>,
    differing: BTreeSet<u64>,
}

/// What is wrong with what was acknowledged, and with the one order.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Posts that were acknowledged and that nobody saw.
    pub lost: u64,
    /// Posts that stand at two places.
    pub doubled: u64,
    /// Numbers under which processes saw different events, and posts that stand elsewhere than was acknowledged.
    pub reordered: u64,
}

impl Merge {
    /// Takes what one process saw first.
    pub fn seen(&mut self, news: &[Seen]) {
        for &seen in news {
            match self.order.get(&seen.seq) {
                Some(known) if known.epoch > seen.epoch => {}
                Some(known) if known.epoch == seen.epoch => {
                    if known.digest != seen.digest {
                        self.differing.insert(seen.seq);
                    }
                }
                _ => drop(self.order.insert(seen.seq, seen)),
            }
        }
    }

    /// Takes what was acknowledged to one process.
    pub fn acked(&mut self, acked: &[Seen]) {
        self.acked.extend_from_slice(acked);
    }

    /// Judges all of it.
    pub fn verdict(&self) -> Verdict {
        let mut places: BTreeMap<u64, u64> = BTreeMap::new();
        for seen in self.order.values() {
            *places.entry(seen.digest).or_default() += 1;
        }
        let stands = |acked: &&Seen| self.order.get(&acked.seq).is_some_and(|seen| seen.digest == acked.digest);
        let elsewhere = self.acked.iter().filter(|acked| !stands(acked));
        let (moved, lost): (Vec<&Seen>, Vec<&Seen>) = elsewhere.partition(|acked| places.contains_key(&acked.digest));
        Verdict {
            lost: lost.len() as u64,
            doubled: places.values().map(|count| count - 1).sum(),
            reordered: (moved.len() + self.differing.len()) as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(words: &str) -> Vec<Seen> {
        let one = |word: &str| {
            let numbers: Vec<u64> = word.split(['.', '=']).map(|n| n.parse().expect("a number")).collect();
            Seen { epoch: numbers[0], seq: numbers[1], digest: numbers[2] }
        };
        words.split(' ').map(one).collect()
    }

    fn verdict(processes: &[&str], acked: &str) -> (u64, u64, u64) {
        let mut merge = Merge::default();
        processes.iter().for_each(|words| merge.seen(&seen(words)));
        merge.acked(&seen(acked));
        let Verdict { lost, doubled, reordered } = merge.verdict();
        (lost, doubled, reordered)
    }

    #[test]
    fn one_order_with_all_that_was_acknowledged_is_right() {
        assert_eq!(verdict(&["1.4=70 1.5=71", "1.4=70 1.5=71 1.6=72"], "1.5=71 1.6=72"), (0, 0, 0));
    }

    #[test]
    fn acknowledged_and_seen_by_nobody_is_lost() {
        assert_eq!(verdict(&["1.4=70"], "1.4=70 1.5=71"), (1, 0, 0));
        assert_eq!(verdict(&["1.4=70 1.5=71 2.5=80"], "1.5=71"), (1, 0, 0), "a newer epoch has taken its place");
    }

    #[test]
    fn a_post_at_two_places_is_doubled_and_one_at_another_is_out_of_order() {
        assert_eq!(verdict(&["1.4=70 1.5=71 1.6=70"], "1.4=70"), (0, 1, 0));
        assert_eq!(verdict(&["1.4=70 1.5=71"], "1.4=71"), (0, 0, 1));
        assert_eq!(verdict(&["1.4=70 1.5=71", "1.4=71 1.5=70"], "1.4=70"), (0, 0, 2));
    }

    #[test]
    fn what_a_newer_epoch_says_stands_whoever_is_asked_first() {
        assert_eq!(verdict(&["2.5=80", "1.5=71"], "2.5=80"), (0, 0, 0));
    }
}
