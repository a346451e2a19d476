//! Streams as a few words: `1.4a` is event 4 of epoch 1 with the nonce `a`, `j1.3` a join there, `g1.9` a stated gap.

use super::*;

/// What the streams of several connections come to, one after the other.
fn check(streams: &[&str]) -> String {
    let mut checker = Checker::new(Dialect::Chat, 1);
    for stream in streams {
        let mut cursor = Cursor::default();
        for word in stream.split(' ') {
            checker.take(&mut cursor, object(word).as_bytes(), 0);
        }
    }
    let Counts { deliveries, lost, doubled, reordered, gaps, missed, taken_back, repeated, .. } = checker.counts;
    let named = [
        ("lost", lost),
        ("doubled", doubled),
        ("reordered", reordered),
        ("gaps", gaps),
        ("missed", missed),
        ("taken back", taken_back),
        ("repeated", repeated),
    ];
    let faults = named.iter().filter(|(_, count)| *count > 0).map(|(name, count)| format!(", {count} {name}"));
    format!("{deliveries}{}", faults.collect::<String>())
}

fn object(word: &str) -> String {
    let position = |text: &str| text.trim_end_matches(char::is_alphabetic).to_owned();
    match word.split_at(1) {
        ("j", at) => format!(r#"{{"type":"joined","position":"{}","follow":0}}"#, position(at)),
        ("r", at) => format!(r#"{{"type":"joined","position":"{}","follow":2,"gap":{{"missed":5}}}}"#, position(at)),
        ("g", at) => format!(r#"{{"type":"gap","missed":3,"position":"{}"}}"#, position(at)),
        ("c", _) => r#"{"type":"count","connections":7}"#.to_owned(),
        _ => {
            let nonce = word.trim_start_matches(|c: char| !c.is_alphabetic());
            format!(r#"{{"type":"message","position":"{}","nonce":"{nonce}"}}"#, position(word))
        }
    }
}

#[test]
fn a_stream_that_is_as_it_should_be_has_no_fault() {
    assert_eq!(check(&["j1.3 1.4a 1.5b c 1.6c", "j1.4 1.5b 1.6c"]), "5");
}

#[test]
fn what_is_left_out_is_lost_and_a_late_one_is_out_of_order() {
    assert_eq!(check(&["j1.3 1.4a 1.7d"]), "2, 2 lost");
    assert_eq!(check(&["j1.3 1.4a 1.6c 1.5b 1.7d"]), "3, 1 reordered");
    assert_eq!(check(&["j1.3 1.5b 1.6c 1.4a 1.4a"]), "2, 1 doubled, 1 reordered");
    assert_eq!(check(&["j1.3 1.9a 1.6b 1.5c 1.7d"]), "1, 2 lost, 3 reordered");
}

#[test]
fn what_comes_twice_is_doubled_but_not_right_after_a_join() {
    assert_eq!(check(&["j1.3 1.4a 1.4a 1.5b"]), "2, 1 doubled");
    assert_eq!(check(&["j1.3 1.2x 1.3y 1.4a 1.5b"]), "2, 2 repeated");
    assert_eq!(check(&["j1.3 1.4a 1.3y"]), "1, 1 doubled");
}

#[test]
fn another_event_under_the_same_number_is_out_of_order() {
    assert_eq!(check(&["j1.3 1.4a 1.5b", "j1.3 1.4b 1.5a"]), "4, 2 reordered");
    assert_eq!(check(&["j1.3 1.4a 1.5b", "j1.3 1.4a 1.6c 1.7d", "j1.3 1.4a 1.5x 1.6c 1.7e"]), "9, 1 lost, 2 reordered");
}

#[test]
fn a_stated_gap_is_counted_apart() {
    assert_eq!(check(&["j1.3 1.4a g1.7 1.8b"]), "2, 1 gaps, 3 missed");
    assert_eq!(check(&["j1.3 1.4a g1.7 1.9b"]), "2, 1 lost, 1 gaps, 3 missed");
    // Resumed too late: two from before come, with holes, and then all.
    assert_eq!(check(&["j1.3 1.4a r1.20 1.15b 1.20c 1.21d"]), "4, 1 gaps, 5 missed");
}

#[test]
fn a_resumed_stream_goes_on_where_it_was() {
    assert_eq!(check(&["j1.3 1.4a j1.6 1.5b 1.6c 1.7d"]), "4");
    assert_eq!(check(&["j1.3 1.4a 1.5b j1.6 1.4a 1.5b 1.6c 1.7d"]), "4, 2 repeated");
    assert_eq!(check(&["j1.3 1.4a j1.6 1.6c 1.7d"]), "3, 1 lost");
}

#[test]
fn a_newer_epoch_takes_back_and_goes_on() {
    assert_eq!(check(&["j1.3 1.4a 1.5b 2.5c 2.6b"]), "4, 1 taken back");
    assert_eq!(check(&["j1.3 1.4a 1.5b 2.6c", "j1.3 1.4a 1.5b 2.6c"]), "6");
    assert_eq!(
        check(&["j1.3 1.4a 1.5b 2.5c 2.6d", "j1.3 1.4a 1.5b 2.5c 2.6d", "j1.3 1.4a 2.5c 2.6x"]),
        "11, 1 reordered, 2 taken back"
    );
    assert_eq!(check(&["j1.3 1.4a 2.5c 1.6b"]), "2, 1 reordered", "no epoch comes back");
}

#[test]
fn who_ends_early_has_lost_the_rest() {
    let mut checker = Checker::new(Dialect::Chat, 1);
    let mut cursor = Cursor::default();
    for word in ["j1.3", "1.4a"] {
        checker.take(&mut cursor, object(word).as_bytes(), 0);
    }
    assert!(cursor.has(4) && !cursor.has(6));
    checker.end(&cursor, 6);
    assert_eq!(checker.counts.lost, 2);
}

#[test]
fn an_echo_is_checked_by_the_order_of_the_first_connection() {
    let mut checker = Checker::new(Dialect::Echo, 1);
    for stream in [["a", "b", "c"], ["a", "b", "c"], ["a", "c", "b"]] {
        let mut cursor = Cursor::counting();
        for nonce in stream {
            checker.take(&mut cursor, format!(r#"{{"nonce":"{nonce}"}}"#).as_bytes(), 0);
        }
    }
    assert_eq!((checker.counts.deliveries, checker.counts.reordered), (9, 2));
}

#[test]
fn several_lines_are_taken_one_by_one() {
    let mut checker = Checker::new(Dialect::Chat, 1);
    let lines = [object("j1.3"), object("1.4a"), object("1.5b")].join("\n");
    for _ in 0..2 {
        let (mut cursor, mut at) = (Cursor::default(), 0);
        while at < lines.len() {
            at += checker.take(&mut cursor, &lines.as_bytes()[at..], 0).1 + 1;
        }
        assert!(cursor.has(5));
    }
    assert_eq!((checker.counts.deliveries, checker.counts.faults()), (4, 0));
}

#[test]
fn a_delay_is_counted_from_when_the_post_was_due() {
    let mut checker = Checker::new(Dialect::Chat, 1);
    checker.measured_from_us = 1000;
    let mut cursor = Cursor::default();
    checker.take(&mut cursor, object("j1.3").as_bytes(), 0);
    for (seq, due_us) in [(4, 900), (5, 1000)] {
        let nonce = Nonce { run: 1, number: seq, due_us };
        let event = format!(r#"{{"type":"message","position":"1.{seq}","nonce":"{nonce}"}}"#);
        let taken = checker.take(&mut cursor, event.as_bytes(), 31_000);
        assert!(matches!(taken, (Taken::Event(Some(of), 1), len) if of == nonce && len == event.len()));
    }
    assert_eq!(checker.delay.count(), 1);
    assert!((checker.delay.summary().max - 30.0).abs() < 0.1);
}
