//! What the cases run on: accounts in a database of their own.

use std::time::Duration;

use freshet_control_plane::{
    accounts::{Accounts, Client, Config, Cost, Database, NewAccount, User},
    key::Pepper,
};
use freshet_proto::{clock::WallClock, id::ChannelName, random::Random};
use sqlx::{AnyPool, AssertSqlSafe, Row};

use crate::databases::Place;

/// When the tests begin, in ms since 1970.
pub const START_MS: u64 = 1_800_000_000_000;

/// The password of everybody.
pub const PASSWORD: &str = "correct horse battery staple";

/// Accounts in one database, opened as often as a case likes.
pub struct Bench {
    pub database: Database,
    url: String,
    _place: Place,
}

impl From<Place> for Bench {
    fn from(place: Place) -> Self {
        Self { database: place.database.clone(), url: place.url.clone(), _place: place }
    }
}

impl Bench {
    pub async fn open(&self) -> Accounts {
        self.open_after(Duration::ZERO).await
    }

    /// Opens it as it is so much later.
    pub async fn open_after(&self, later: Duration) -> Accounts {
        self.open_as(config(), later).await
    }

    pub async fn open_as(&self, config: Config, later: Duration) -> Accounts {
        let clock = WallClock::anchored(Duration::from_millis(START_MS) + later);
        let opened = Accounts::open(&self.database, config, pepper(), clock, Random::system()).await;
        opened.expect("the accounts open")
    }

    /// The database as it is, for looking at it behind the back of the accounts.
    pub async fn raw(&self) -> AnyPool {
        sqlx::any::install_default_drivers();
        AnyPool::connect(&self.url).await.expect("the database answers")
    }

    /// Everything that is in it, as one text.
    pub async fn dump(&self) -> String {
        const TABLES: [&str; 19] = [
            "names",
            "users",
            "sessions",
            "refresh_tokens",
            "channels",
            "stream_keys",
            "follows",
            "avatars",
            "outbox",
            "channel_roles",
            "login_links",
            "invites",
            "audit",
            "locks",
            "chats",
            "chat_bans",
            "chat_terms",
            "chat_log",
            "settings",
        ];
        let (pool, mut dump) = (self.raw().await, String::new());
        for table in TABLES {
            let select = AssertSqlSafe(format!("SELECT * FROM {table}"));
            for row in sqlx::query(select).fetch_all(&pool).await.expect("a table") {
                for column in 0..row.len() {
                    if let Ok(text) = row.try_get::<String, _>(column) {
                        dump += &format!("{table}: {text}\n");
                    }
                }
            }
        }
        pool.close().await;
        dump
    }
}

/// The cheapest hash there is, so that the cases are about something else.
pub fn config() -> Config {
    Config { cost: Cost { memory_kib: 8, passes: 1, lanes: 1 }, ..Config::default() }
}

pub fn pepper() -> Pepper {
    Pepper([7; 32])
}

pub fn client() -> Client {
    Client { address: "192.0.2.1".parse().expect("an address"), agent: "test/1".to_owned() }
}

pub fn name(text: &str) -> ChannelName {
    text.parse().expect("a name")
}

pub fn new_account(username: &str) -> NewAccount {
    let email = Some(format!("{username}@example.org"));
    NewAccount { username: username.to_owned(), email, password: PASSWORD.to_owned(), invite: None }
}

pub async fn register(accounts: &Accounts, username: &str) -> User {
    accounts.register(client().address, new_account(username)).await.expect("an account")
}
