use tokio::time::Duration;

use super::*;

fn answer(ticket: u64) -> Letter {
    Letter::NotJoined {
        join: Some(ticket),
        channel: "ada".parse().unwrap(),
        refusal: freshet_proto::chat::Code::Paused.into(),
    }
}

fn which(letter: Option<Letter>) -> Option<Result<u64, End>> {
    match letter? {
        Letter::NotJoined { join, .. } => join.map(Ok),
        Letter::End(end) => Some(Err(end)),
        Letter::Ping => Some(Ok(0)),
        _ => None,
    }
}

#[test]
fn letters_come_in_order_and_too_many_of_them_are_the_end() {
    let inbox = Inbox::new(Instant::now(), None);
    for ticket in 1..=MAX_LETTERS as u64 {
        inbox.put(answer(ticket));
    }
    assert_eq!(which(inbox.try_next()), Some(Ok(1)));
    inbox.put(answer(1_000));
    inbox.put(answer(1_001));
    assert_eq!(which(inbox.try_next()), Some(Err(End::Overflow)), "nothing else matters then");
    inbox.put(answer(1_002));
    assert!(inbox.try_next().is_none());
}

#[test]
fn silence_is_pinged_then_the_end_and_so_is_being_nowhere() {
    let (patience, idle, start) = (Patience::default(), Duration::from_secs(60), Instant::now());
    let at = |s| start + Duration::from_secs(s);
    let inbox = Inbox::new(start, None);
    inbox.sits(true, start);
    let look = |s| {
        inbox.look(at(s), &patience, idle);
        which(inbox.try_next())
    };
    assert_eq!((look(44), look(45), look(64), look(65)), (None, Some(Ok(0)), None, Some(Err(End::Gone))));
    let inbox = Inbox::new(start, None);
    let look = |s| {
        inbox.look(at(s), &patience, idle);
        which(inbox.try_next())
    };
    inbox.sits(true, at(10));
    inbox.sits(false, at(20));
    inbox.heard(at(70));
    assert_eq!((look(79), look(80)), (None, Some(Err(End::Idle))));
}
