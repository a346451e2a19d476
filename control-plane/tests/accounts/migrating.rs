//! Databases of other versions.

use freshet_control_plane::accounts::{Accounts, ChannelRole, Config, OpenError, Visibility, outbox::Desired};
use freshet_proto::{clock::WallClock, random::Random};
use futures_util::future::join_all;
use sqlx::{
    SqlSafeStr,
    migrate::{Migration, MigrationType, Migrator},
};

use crate::bench::{Bench, client, config, name, pepper};

/// What a database of the first version held: an account with two keys, and one who follows it.
const OLD: &str = "
INSERT INTO names VALUES ('ada', 1), ('grace', 2);
INSERT INTO users VALUES ('u1', 'ada', 'ada@example.org',
  '$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$wzIJdHBKSpQVEZpa', 'Ada', 'a bio', NULL, 'admin', 1, NULL),
  ('u2', 'grace', NULL, NULL, 'Grace', '', NULL, 'user', 2, NULL);
INSERT INTO sessions VALUES ('s1', 'u1', 1, 1, 4000000000000, '192.0.2.1', 'old');
INSERT INTO channels VALUES ('ada', 'u1', 'Notes', 'Science', 1), ('grace', 'u2', '', '', 2);
INSERT INTO stream_keys VALUES
  ('k1', 'ada', 'studio', '0101010101010101010101010101010101010101010101010101010101010101', 'abcd', 1),
  ('k2', 'ada', 'travel', '0202020202020202020202020202020202020202020202020202020202020202', 'efgh', 1);
INSERT INTO follows VALUES ('u2', 'ada', 3);
";

fn first_version() -> Migrator {
    let sql = include_str!("../../migrations/0001_accounts.sql").into_sql_str();
    Migrator::with_migrations(vec![Migration::new(1, "accounts".into(), MigrationType::Simple, sql, false)])
}

async fn open(bench: &Bench, config: Config) -> Result<Accounts, OpenError> {
    Accounts::open(&bench.database, config, pepper(), WallClock::system(), Random::system()).await
}

/// The database as its first version left it.
async fn old(bench: &Bench) {
    if let freshet_control_plane::accounts::Database::Sqlite(file) = &bench.database {
        std::fs::File::create(file).expect("a file");
    }
    let pool = bench.raw().await;
    let mut connection = pool.acquire().await.expect("a connection");
    first_version().run_direct(None, &mut *connection, false).await.expect("migrated");
    sqlx::raw_sql(OLD).execute(&mut *connection).await.expect("filled");
    drop(connection);
    pool.close().await;
}

pub async fn an_old_database_is_brought_up_to_date_with_all_that_is_in_it(bench: Bench) {
    old(&bench).await;
    let accounts = open(&bench, config()).await.expect("migrated");
    let ada = accounts.user_by_name(&name("ada")).await.expect("an answer").expect("an account");
    assert_eq!((ada.id.as_str(), ada.bio.as_str(), ada.has_password), ("u1", "a bio", true));
    assert_eq!(accounts.sessions(&ada.id).await.expect("an answer").len(), 1);
    assert!(accounts.is_following(&"u2".into(), &name("ada")).await.expect("an answer"));
    let channel = accounts.channel(&name("ada")).await.expect("an answer").expect("a channel");
    assert_eq!((channel.title.as_str(), channel.visibility, channel.tags.len()), ("Notes", Visibility::Public, 0));
    let told = accounts.outbox_pending(10).await.expect("an answer");
    let keys = |channel: &str| {
        let entry = told.iter().find(|entry| entry.id.channel == name(channel)).expect("an entry");
        let Desired::Present(spec) = &entry.channel else { panic!("{entry:?}") };
        spec.keys.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!((keys("ada").as_str(), keys("grace").as_str(), told.len()), ("k1 k2", "", 2));
    accounts.set_channel_role(&name("ada"), &"u2".into(), Some(ChannelRole::Vip)).await.expect("set");
    accounts.close().await;
    let again = open(&bench, config()).await.expect("nothing to do");
    assert_eq!(again.channel_role(&name("ada"), &"u2".into()).await.expect("an answer"), Some(ChannelRole::Vip));
}

pub async fn a_database_of_a_newer_version_is_left_alone(bench: Bench) {
    open(&bench, config()).await.expect("made").close().await;
    let pool = bench.raw().await;
    let mut connection = pool.acquire().await.expect("a connection");
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 SELECT 1000, 'later', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
    sqlx::query(newer).execute(&mut *connection).await.expect("a newer version");
    drop(connection);
    pool.close().await;
    let refused = open(&bench, config()).await;
    assert!(matches!(refused, Err(OpenError::Newer(1000))), "{refused:?}");
}

pub async fn many_nodes_that_start_at_once_migrate_once(bench: Bench) {
    let bench = std::sync::Arc::new(bench);
    let starts = (0..6).map(|_| {
        let bench = bench.clone();
        tokio::spawn(async move { open(&bench, config()).await.map(drop) })
    });
    for started in join_all(starts).await {
        started.expect("no panic").expect("opened");
    }
    let accounts = open(&bench, config()).await.expect("opened");
    assert!(accounts.login(&client(), "nobody", "a password").await.is_err());
}
