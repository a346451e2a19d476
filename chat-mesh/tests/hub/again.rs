//! Who comes back at once, while the hub still knows the channel.

use std::time::Duration;

use freshet_chat_mesh::hub::{Arrival, Format, Inbox, Join, Letter};
use freshet_proto::chat::{Author, DisplayName, Nonce, Submit, Text, User, UserId};
use tokio::time::{Instant, sleep};

use crate::house::House;

async fn join(house: &House) -> Arrival {
    let inbox = Inbox::new(Instant::now(), None);
    house.hub.join(Join {
        channel: "ada".parse().unwrap(),
        join: 1,
        format: Format::Json,
        resume: None,
        history: 0,
        identity: None,
        follows_since_ms: None,
        watches: false,
        inbox: inbox.clone(),
    });
    match inbox.next().await {
        Letter::Joined(arrival) => *arrival,
        _ => panic!("not joined"),
    }
}

async fn say(house: &House, nonce: &str) {
    let (id, login) = (UserId::try_from("1").unwrap(), "bob".parse().unwrap());
    let user = User { id, login, name: DisplayName::cut("Bob"), color: None };
    let submit = Submit {
        channel: "ada".parse().unwrap(),
        author: Author { user, admin: false, follows_since_ms: None },
        nonce: Nonce::cut(nonce),
        text: Text::try_from(nonce).unwrap(),
        reply_to: None,
        pdt_ms: None,
    };
    house.hub.post(submit).await.expect("it is taken");
}

#[tokio::test(start_paused = true)]
async fn a_channel_whose_only_reader_comes_again_is_kept_for_as_long_as_it_reads() {
    let house = House::open(Default::default()).await;
    let first = join(&house).await;
    say(&house, "one").await;
    drop(first);
    house.hub.settled().await;
    let second = join(&house).await;
    assert_eq!(second.joined.head.seq, 1);
    // Longer than a channel without readers is kept.
    sleep(Duration::from_secs(60)).await;
    say(&house, "two").await;
    house.hub.settled().await;
    assert_eq!(second.log.head().next_seq(), second.cursor.next_seq() + 1, "it is told what is said");
}
