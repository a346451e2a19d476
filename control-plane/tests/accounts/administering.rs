//! Running the platform.

use freshet_control_plane::accounts::{
    Actor, AdminError, AuditFilter, LoginError, Password, RefreshError, RegisterError, Role, UserFilter,
    outbox::Desired,
};
use futures_util::future::join;
use serde_json::json;

use crate::bench::{Bench, PASSWORD, client, name, new_account, register};

const OPERATOR: &Actor = &Actor::Operator;

pub async fn the_first_start_lets_an_administrator_in_without_a_password(bench: Bench) {
    let accounts = bench.open().await;
    let (admin, first) = accounts.first_admin().await.expect("an answer").expect("a link");
    assert_eq!((admin.username.as_str(), admin.role, admin.has_password), ("admin", Role::Admin, false));
    assert!(matches!(accounts.login(&client(), "admin", "admin").await, Err(LoginError::Refused)));
    // Not used in time, or lost: the next start gives another one.
    let (same, second) = accounts.first_admin().await.expect("an answer").expect("a link");
    assert_eq!(same, admin);
    assert!(matches!(accounts.login_by_link(&client(), first.reveal()).await, Err(LoginError::Refused)));
    let signed_in = accounts.login_by_link(&client(), second.reveal()).await.expect("signed in");
    assert_eq!(signed_in.identity.role, Role::Admin);
    let password = Password::new(PASSWORD).expect("long enough");
    accounts.change_password(&signed_in.identity, client().address, None, &password).await.expect("set");
    assert!(accounts.first_admin().await.expect("an answer").is_none());
}

pub async fn somebody_else_called_admin_does_not_keep_the_first_administrator_out(bench: Bench) {
    let accounts = bench.open().await;
    register(&accounts, "admin").await;
    let (admin, link) = accounts.first_admin().await.expect("an answer").expect("a link");
    assert!(admin.username.as_str().starts_with("admin-") && admin.role == Role::Admin);
    let signed_in = accounts.login_by_link(&client(), link.reveal()).await.expect("signed in");
    assert_eq!(signed_in.identity.user, admin.id);
}

pub async fn the_last_administrator_stays(bench: Bench) {
    let accounts = bench.open().await;
    let ada = register(&accounts, "ada").await;
    accounts.set_role(OPERATOR, &ada.id, Role::Admin).await.expect("set");
    assert!(matches!(accounts.set_role(OPERATOR, &ada.id, Role::User).await, Err(AdminError::LastAdmin)));
    assert!(matches!(accounts.set_disabled(OPERATOR, &ada.id, true).await, Err(AdminError::LastAdmin)));
    assert!(matches!(accounts.delete_account(OPERATOR, &ada.id).await, Err(AdminError::LastAdmin)));
    let grace = register(&accounts, "grace").await;
    accounts.set_role(OPERATOR, &grace.id, Role::Admin).await.expect("set");
    accounts.set_disabled(OPERATOR, &grace.id, true).await.expect("disabled");
    assert!(matches!(accounts.set_role(OPERATOR, &ada.id, Role::User).await, Err(AdminError::LastAdmin)));
    accounts.set_disabled(OPERATOR, &grace.id, false).await.expect("enabled");
    accounts.set_role(OPERATOR, &ada.id, Role::User).await.expect("set");
    assert!(matches!(accounts.set_role(OPERATOR, &"nobody".into(), Role::User).await, Err(AdminError::NoSuchUser)));
}

pub async fn two_administrators_who_demote_each_other_at_once_leave_one(bench: Bench) {
    let accounts = bench.open().await;
    let (ada, grace) = (register(&accounts, "ada").await, register(&accounts, "grace").await);
    for _ in 0..5 {
        for user in [&ada, &grace] {
            accounts.set_role(OPERATOR, &user.id, Role::Admin).await.expect("set");
        }
        let demote = |id| {
            let accounts = accounts.clone();
            tokio::spawn(async move { accounts.set_role(OPERATOR, &id, Role::User).await })
        };
        let (one, other) = join(demote(ada.id.clone()), demote(grace.id.clone())).await;
        let (one, other) = (one.expect("no panic"), other.expect("no panic"));
        let refused = [&one, &other].into_iter().filter(|result| matches!(result, Err(AdminError::LastAdmin))).count();
        assert_eq!((refused, one.is_ok() || other.is_ok()), (1, true), "{one:?} {other:?}");
        let admins = UserFilter { role: Some(Role::Admin), ..UserFilter::default() };
        assert_eq!(accounts.user_count(&admins).await.expect("an answer"), 1);
    }
}

pub async fn a_deleted_account_leaves_nothing_personal_and_its_name_to_nobody(bench: Bench) {
    let accounts = bench.open().await;
    let (ada, grace) = (register(&accounts, "ada").await, register(&accounts, "grace").await);
    accounts.add_stream_key(&ada.username, "ada's studio").await.expect("a key");
    accounts.follow(&ada.id, &grace.username).await.expect("followed");
    accounts.follow(&grace.id, &ada.username).await.expect("followed");
    accounts
        .set_channel_role(&ada.username, &grace.id, Some(freshet_control_plane::accounts::ChannelRole::Vip))
        .await
        .expect("set");
    accounts.set_avatar(&ada.id, crate::avatars::png(8, 8)).await.expect("a picture");
    let signed_in = accounts.login(&client(), "ada", PASSWORD).await.expect("signed in");
    let before = accounts.outbox_pending(10).await.expect("an answer");

    accounts.delete_account(&Actor::User(ada.id.clone()), &ada.id).await.expect("deleted");
    assert_eq!(accounts.user(&ada.id).await.expect("an answer"), None);
    assert_eq!(accounts.channel(&ada.username).await.expect("an answer"), None);
    let refresh = accounts.refresh(&client(), signed_in.refresh.reveal()).await;
    assert!(matches!(refresh, Err(RefreshError::Unknown)));
    assert_eq!(accounts.follower_count(&grace.username).await.expect("an answer"), 0);
    let after = accounts.outbox_pending(10).await.expect("an answer");
    let seq = |entries: &[freshet_control_plane::accounts::outbox::OutboxEntry]| {
        entries.iter().find(|entry| entry.id.channel == name("ada")).map(|entry| entry.id.seq)
    };
    assert!(seq(&after) > seq(&before));
    assert!(after.iter().any(|entry| entry.id.channel == name("ada") && entry.channel == Desired::Removed));
    let again = accounts.register(client().address, new_account("ada")).await;
    assert!(matches!(again, Err(RegisterError::NameTaken)));
    assert!(matches!(accounts.delete_account(OPERATOR, &ada.id).await, Err(AdminError::NoSuchUser)));

    let dump = bench.dump().await;
    for personal in ["ada@example.org", "studio", "test/1", "192.0.2.1"] {
        assert!(!dump.contains(personal), "{personal} is in {dump}");
    }
    let left: Vec<_> = dump.lines().filter(|line| line.ends_with(": ada")).collect();
    assert_eq!(left, ["names: ada", "outbox: ada"]);
}

pub async fn users_are_found_by_any_part_of_a_name_or_address(bench: Bench) {
    let accounts = bench.open().await;
    for username in ["Grace", "ada", "hedy", "a_a"] {
        register(&accounts, username).await;
    }
    let found = async |search: &str, role| {
        let filter = UserFilter { search: Some(search.to_owned()), role };
        let page = accounts.users(&filter, None, 10).await.expect("an answer");
        assert_eq!(accounts.user_count(&filter).await.expect("an answer"), page.items.len() as u64);
        page.items.into_iter().map(|user| user.username.to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(found("", None).await, "a_a ada grace hedy");
    assert_eq!(found("RAC", None).await, "grace");
    assert_eq!(found("hedy@ex", None).await, "hedy");
    assert_eq!(found("a_a", None).await, "a_a");
    assert_eq!(found("%", None).await, "");
    assert_eq!(found("\\", None).await, "");
    assert_eq!(found("", Some(Role::Admin)).await, "");
    let first = accounts.users(&UserFilter::default(), None, 2).await.expect("an answer");
    let rest = accounts.users(&UserFilter::default(), first.next.as_deref(), 2).await.expect("an answer");
    let names: Vec<_> = first.items.iter().chain(&rest.items).map(|user| user.username.as_str()).collect();
    assert_eq!((names, rest.next), (vec!["a_a", "ada", "grace", "hedy"], None));
}

pub async fn what_administrators_do_is_written_down(bench: Bench) {
    let accounts = bench.open().await;
    let ada = accounts.add_user(OPERATOR, "ada", None, None, Role::Admin).await.expect("an account");
    let actor = Actor::User(ada.id.clone());
    let grace = accounts.add_user(&actor, "grace", None, None, Role::User).await.expect("an account");
    accounts.set_disabled(&actor, &grace.id, true).await.expect("disabled");
    accounts.audit(&Actor::System, "test.entry", "somewhere", &json!({ "n": [1, 2] })).await.expect("written");
    let (mut entries, mut after) = (Vec::new(), None);
    loop {
        let page = accounts.audit_log(&AuditFilter::default(), after.as_deref(), 1).await.expect("a page");
        entries.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert!(entries.is_sorted_by(|one, next| one.at_ms >= next.at_ms), "newest first");
    let mut told: Vec<_> =
        entries.into_iter().map(|entry| (entry.action, entry.actor, entry.target, entry.details)).collect();
    told.sort_by(|one, other| (&one.0, &one.2).cmp(&(&other.0, &other.2)));
    let mut expected = vec![
        ("test.entry".to_owned(), Actor::System, "somewhere".to_owned(), json!({ "n": [1, 2] })),
        ("user.add".to_owned(), Actor::Operator, ada.id.to_string(), json!({ "role": "admin" })),
        ("user.add".to_owned(), actor.clone(), grace.id.to_string(), json!({ "role": "user" })),
        ("user.disable".to_owned(), actor, grace.id.to_string(), json!({})),
    ];
    expected.sort_by(|one, other| (&one.0, &one.2).cmp(&(&other.0, &other.2)));
    assert_eq!(told, expected);
}

pub async fn the_audit_log_is_found_by_who_what_and_whom(bench: Bench) {
    let accounts = bench.open().await;
    let ada = accounts.add_user(OPERATOR, "ada", None, None, Role::Admin).await.expect("an account");
    let actor = Actor::User(ada.id.clone());
    let grace = accounts.add_user(&actor, "grace", None, None, Role::User).await.expect("an account");
    accounts.set_role(&actor, &grace.id, Role::Admin).await.expect("set");
    accounts.audit(&actor, "node.drain", "edge-1", &json!({})).await.expect("written");
    let found = async |actor: &str, action: &str, target: &str| {
        let wanted = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let filter = AuditFilter { actor: wanted(actor), action: wanted(action), target: wanted(target) };
        let page = accounts.audit_log(&filter, None, 10).await.expect("a page");
        let told = |entry: &freshet_control_plane::accounts::AuditEntry| {
            let whom = entry.target_name.as_deref().unwrap_or(&entry.target);
            format!("{} {} {whom}", entry.actor_name.as_deref().unwrap_or("-"), entry.action)
        };
        let mut told: Vec<_> = page.items.iter().map(told).collect();
        told.sort();
        told.join(", ")
    };
    assert_eq!(
        found("", "", "").await,
        "- user.add ada, ada node.drain edge-1, ada user.add grace, ada user.role grace"
    );
    assert_eq!(found("operator", "", "").await, "- user.add ada");
    assert_eq!(found("ada", "user", "").await, "ada user.add grace, ada user.role grace");
    assert_eq!(found(ada.id.as_str(), "user.role", "").await, "ada user.role grace");
    assert_eq!(found("", "", "edge-1").await, "ada node.drain edge-1");
    assert_eq!(found("", "", " grace ").await, found("", "", grace.id.as_str()).await);
    for nothing in ["use", "user.", "%", "user.r", "\0", "'"] {
        assert_eq!(found("", nothing, "").await, if nothing == "\0" { found("", "", "").await } else { String::new() });
    }
    accounts.delete_account(OPERATOR, &grace.id).await.expect("deleted");
    assert_eq!(found("", "user.role", "").await, format!("ada user.role {}", grace.id));
}

pub async fn an_administrator_ends_all_sessions_of_somebody(bench: Bench) {
    let accounts = bench.open().await;
    let ada = register(&accounts, "ada").await;
    let one = accounts.login(&client(), "ada", PASSWORD).await.expect("signed in");
    accounts.login(&client(), "ada", PASSWORD).await.expect("signed in");
    assert_eq!(accounts.end_all_sessions(OPERATOR, &ada.id).await.expect("ended"), 2);
    assert!(accounts.sessions(&ada.id).await.expect("an answer").is_empty());
    assert!(matches!(accounts.refresh(&client(), one.refresh.reveal()).await, Err(RefreshError::Unknown)));
    let log = accounts.audit_log(&AuditFilter::default(), None, 1).await.expect("a page").items;
    assert_eq!((log[0].action.as_str(), &log[0].details), ("user.logout", &json!({ "sessions": 2 })));
    let nobody = accounts.end_all_sessions(OPERATOR, &"nobody".into()).await;
    assert!(matches!(nobody, Err(AdminError::NoSuchUser)));
}

pub async fn text_that_no_database_can_hold_is_no_failure_of_ours(bench: Bench) {
    let accounts = bench.open().await;
    let ada = register(&accounts, "ada").await;
    for odd in ["\0", "a\0b", "\u{fffe}", "' OR 1=1 --", "𝒜\u{202e}"] {
        let filter = UserFilter { search: Some(odd.to_owned()), role: None };
        accounts.users(&filter, Some(odd), 10).await.expect("an answer");
        accounts.user_count(&filter).await.expect("an answer");
        assert_eq!(accounts.user(&odd.into()).await.expect("an answer"), None);
        assert!(!accounts.logout(&ada.id, &odd.into()).await.expect("an answer"));
        assert_eq!(accounts.avatar(odd).await.expect("an answer"), None);
        accounts.following(&ada.id, Some(odd), 10).await.expect("an answer");
        accounts.followers(&ada.username, Some(odd), 10).await.expect("an answer");
        accounts.audit_log(&AuditFilter::default(), Some(odd), 10).await.expect("an answer");
        accounts.audit_log(&AuditFilter::default(), Some(&format!("{}.{odd}", i64::MAX)), 10).await.expect("an answer");
        accounts.invites(Some(&format!("5.{odd}")), 10).await.expect("an answer");
        assert!(!accounts.revoke_invite(OPERATOR, odd).await.expect("an answer"));
        let told = Some(odd.to_owned());
        let wanted = AuditFilter { actor: told.clone(), action: told.clone(), target: told };
        accounts.audit_log(&wanted, None, 10).await.expect("an answer");
        assert!(matches!(accounts.login(&client(), odd, odd).await, Err(LoginError::Refused)));
        assert!(matches!(accounts.login_by_link(&client(), odd).await, Err(LoginError::Refused)));
        assert!(matches!(accounts.refresh(&client(), odd).await, Err(RefreshError::Unknown)));
    }
    let agent = freshet_control_plane::accounts::Client { agent: "a\0\u{7f}b".to_owned(), ..client() };
    accounts.login(&agent, "ada", PASSWORD).await.expect("signed in");
    assert_eq!(accounts.sessions(&ada.id).await.expect("an answer")[0].agent, "ab");
}
