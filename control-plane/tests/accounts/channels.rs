//! What channels are like, and who helps there.

use freshet_control_plane::accounts::{ChannelChange, ChannelError, ChannelRole, GoLive, Visibility};
use freshet_proto::{id::ChannelName, registry::Policy};

use crate::bench::{Bench, name, register};

pub async fn a_channel_changes_as_a_whole_or_not_at_all(bench: Bench) {
    let accounts = bench.open().await;
    register(&accounts, "ada").await;
    let change = ChannelChange {
        title: Some(" Notes on the engine ".to_owned()),
        category: Some("Science".to_owned()),
        tags: Some(vec!["Maths".to_owned(), "engines".to_owned()]),
        visibility: Some(Visibility::Private),
        takeover: Some(Policy::Reject),
        go_live: Some(GoLive::Manual),
    };
    let changed = accounts.update_channel(&name("ada"), change).await.expect("a channel");
    assert_eq!((changed.title.as_str(), changed.category.as_str()), ("Notes on the engine", "Science"));
    assert_eq!(changed.tags, ["maths", "engines"]);
    assert_eq!(
        (changed.visibility, changed.takeover, changed.go_live),
        (Visibility::Private, Policy::Reject, GoLive::Manual)
    );

    let wrong = ChannelChange {
        visibility: Some(Visibility::Public),
        title: Some("x".repeat(141)),
        ..ChannelChange::default()
    };
    assert!(matches!(accounts.update_channel(&name("ada"), wrong).await, Err(ChannelError::Invalid(_))));
    let one = ChannelChange { title: Some(String::new()), ..ChannelChange::default() };
    let untitled = accounts.update_channel(&name("ada"), one).await.expect("a channel");
    assert_eq!(untitled, freshet_control_plane::accounts::ChannelSettings { title: String::new(), ..changed });
    let nobody = accounts.update_channel(&name("nobody"), ChannelChange::default()).await;
    assert!(matches!(nobody, Err(ChannelError::NoSuchChannel)));
}

pub async fn many_channels_are_looked_up_at_once(bench: Bench) {
    let accounts = bench.open().await;
    for username in ["ada", "grace", "hedy"] {
        register(&accounts, username).await;
    }
    let names: Vec<ChannelName> = ["hedy", "nobody", "ada"].map(name).to_vec();
    let found = accounts.channels(&names).await.expect("an answer");
    assert_eq!(found.iter().map(|channel| channel.name.as_str()).collect::<Vec<_>>(), ["ada", "hedy"]);
    assert_eq!(accounts.channels(&[]).await.expect("an answer"), []);
}

pub async fn moderators_and_vips_come_and_go_but_the_owner_stays(bench: Bench) {
    let accounts = bench.open().await;
    let [ada, grace, hedy] =
        [register(&accounts, "ada").await, register(&accounts, "grace").await, register(&accounts, "hedy").await];
    let channel = &ada.username;
    let role = async |user| accounts.channel_role(channel, user).await.expect("an answer");
    accounts.set_channel_role(channel, &grace.id, Some(ChannelRole::Vip)).await.expect("set");
    accounts.set_channel_role(channel, &grace.id, Some(ChannelRole::Moderator)).await.expect("set");
    accounts.set_channel_role(channel, &hedy.id, Some(ChannelRole::Vip)).await.expect("set");
    assert_eq!(role(&ada.id).await, Some(ChannelRole::Owner));
    assert_eq!((role(&grace.id).await, role(&hedy.id).await), (Some(ChannelRole::Moderator), Some(ChannelRole::Vip)));
    assert!(ChannelRole::Owner > ChannelRole::Moderator && ChannelRole::Moderator > ChannelRole::Vip);

    let first = accounts.channel_members(channel, None, 1).await.expect("an answer");
    let rest = accounts.channel_members(channel, first.next.as_deref(), 1).await.expect("an answer");
    let names: Vec<_> = first.items.iter().chain(&rest.items).map(|member| member.username.as_str()).collect();
    assert_eq!((names, rest.next), (vec!["grace", "hedy"], None));

    accounts.set_channel_role(channel, &grace.id, None).await.expect("taken");
    assert_eq!(role(&grace.id).await, None);
    for (user, wanted) in [(&ada.id, None), (&ada.id, Some(ChannelRole::Vip)), (&grace.id, Some(ChannelRole::Owner))] {
        let refused = accounts.set_channel_role(channel, user, wanted).await;
        assert!(matches!(refused, Err(ChannelError::IsOwner)), "{refused:?}");
    }
    let nobody = accounts.set_channel_role(channel, &"nobody".into(), Some(ChannelRole::Vip)).await;
    assert!(matches!(nobody, Err(ChannelError::NoSuchUser)));
    let nowhere = accounts.set_channel_role(&name("nowhere"), &ada.id, Some(ChannelRole::Vip)).await;
    assert!(matches!(nowhere, Err(ChannelError::NoSuchChannel)));
}
