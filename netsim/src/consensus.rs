//! What must hold of the consensus beneath the registry, looked at from outside: one leader a term, nothing goes back, and
//! the log is as short as it is said to be. A machine. (That members agree on what they apply is [`crate::stage`]'s to see.)

use std::collections::BTreeMap;

use freshet_control_plane::raft::Status;

use crate::{invariants::Rule, ledger::Broken, schedule::Host};

/// The control nodes as they were seen last.
#[derive(Debug, Default)]
pub struct Consensus {
    /// Who led in which term. As many as there are elections.
    leaders: BTreeMap<u64, Host>,
    /// Those that run.
    members: BTreeMap<Host, Status>,
}

impl Consensus {
    /// Looks at a control node: whether it says that it leads, and in which term, and how far it has come. `most` is how
    /// long its log may be.
    ///
    /// # Errors
    /// When two have led in one term, when something went back within one life, or is out of order (Raft), or when its log
    /// is too long (I8).
    pub fn look(&mut self, host: Host, leads: Option<u64>, status: Status, most: u64) -> Result<(), Broken> {
        let led = leads.map(|term| (term, *self.leaders.entry(term).or_insert(host)));
        let two = led.filter(|(_, leader)| *leader != host);
        let back = self.members.get(host).and_then(|before| went_back(before, &status));
        let order = out_of_order(&status);
        let length = status.last_log.unwrap_or(0).saturating_sub(status.purged.unwrap_or(0));
        self.members.insert(host, status);
        match (two, back.or(order)) {
            (Some((term, leader)), _) => Err((Rule::Raft, format!("{leader} and {host} have both led in term {term}"))),
            (None, Some(what)) => Err((Rule::Raft, format!("{host}: {what}"))),
            (None, None) if length > most => {
                Err((Rule::I8, format!("{host} keeps {length} entries of its log; {most} are allowed")))
            }
            (None, None) => Ok(()),
        }
    }

    /// A control node's life has ended.
    pub fn ended(&mut self, host: Host) {
        self.members.remove(host);
    }

    /// Whether a running control node lacks what `leader` has removed from its log, so that a snapshot must help it.
    pub fn is_left_behind(&self, leader: Host) -> bool {
        let removed = self.members.get(leader).and_then(|leader| leader.purged);
        self.members.values().any(|member| member.last_log < removed)
    }
}

fn went_back(before: &Status, now: &Status) -> Option<String> {
    let terms = now.term < before.term;
    let committed = now.committed < before.committed || now.applied < before.applied;
    let removed = now.snapshot < before.snapshot || now.purged < before.purged;
    let back = terms || committed || removed;
    back.then(|| format!("went back from {} to {}", picture(before), picture(now)))
}

/// What is removed is covered by a snapshot, of what is applied, which is committed, and so in the log.
fn out_of_order(now: &Status) -> Option<String> {
    let marks = [now.purged, now.snapshot, now.applied, now.committed, now.last_log];
    (!marks.is_sorted()).then(|| format!("is out of order: {}", picture(now)))
}

fn picture(status: &Status) -> String {
    let Status { term, purged, snapshot, applied, committed, last_log, .. } = status;
    let number = |index: &Option<u64>| index.map_or("none".to_owned(), |index| index.to_string());
    let [purged, snapshot, applied, committed, last] = [purged, snapshot, applied, committed, last_log].map(number);
    format!(
        "term {term}, purged {purged} ≤ snapshot {snapshot} ≤ applied {applied} ≤ committed {committed} ≤ last {last}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(term: u64, marks: [u64; 5]) -> Status {
        let [purged, snapshot, applied, committed, last_log] = marks.map(Some);
        Status { term, purged, snapshot, applied, committed, last_log, ..Status::default() }
    }

    fn look(seen: &mut Consensus, host: Host, leads: Option<u64>, term: u64, marks: [u64; 5]) -> Option<Rule> {
        seen.look(host, leads, status(term, marks), 10).err().map(|(rule, _)| rule)
    }

    #[test]
    fn two_leaders_of_one_term_are_found() {
        let mut seen = Consensus::default();
        assert_eq!(look(&mut seen, "a", Some(3), 3, [0, 0, 5, 5, 5]), None);
        assert_eq!(look(&mut seen, "b", None, 3, [0, 0, 5, 5, 5]), None);
        assert_eq!(look(&mut seen, "b", Some(4), 4, [0, 0, 5, 5, 6]), None);
        assert_eq!(look(&mut seen, "a", Some(4), 4, [0, 0, 5, 5, 6]), Some(Rule::Raft));
    }

    #[test]
    fn nothing_goes_back_within_a_life_and_marks_are_in_order() {
        let mut seen = Consensus::default();
        assert_eq!(look(&mut seen, "a", None, 3, [0, 2, 5, 5, 6]), None);
        assert_eq!(look(&mut seen, "a", None, 3, [0, 2, 4, 4, 6]), Some(Rule::Raft));
        assert_eq!(look(&mut seen, "a", None, 2, [0, 2, 4, 4, 6]), Some(Rule::Raft));
        seen.ended("a");
        assert_eq!(look(&mut seen, "a", None, 1, [0, 2, 4, 4, 6]), None);
        assert_eq!(look(&mut seen, "a", None, 1, [3, 2, 4, 4, 6]), Some(Rule::Raft));
        assert_eq!(look(&mut seen, "b", None, 1, [0, 2, 5, 4, 6]), Some(Rule::Raft));
    }

    #[test]
    fn a_log_that_is_too_long_is_found_and_so_is_who_is_left_behind() {
        let mut seen = Consensus::default();
        assert_eq!(look(&mut seen, "a", None, 1, [5, 15, 15, 15, 15]), None);
        assert_eq!(look(&mut seen, "b", None, 1, [0, 0, 4, 4, 4]), None);
        assert!(seen.is_left_behind("a") && !seen.is_left_behind("b"));
        assert_eq!(look(&mut seen, "a", None, 1, [5, 15, 15, 15, 16]), Some(Rule::I8));
    }
}
