//! What the cases run on: a database of their own, on SQLite or on a real PostgreSQL.

use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use freshet_control_plane::{
    accounts::{Accounts, Client, Config, Cost, Database, NewAccount, User},
    key::Pepper,
};
use freshet_proto::{clock::WallClock, id::ChannelName, random::Random};
use sqlx::{AnyPool, AssertSqlSafe, Connection, PgConnection, Row};
use tempfile::TempDir;

/// When the tests begin, in ms since 1970.
pub const START_MS: u64 = 1_800_000_000_000;

/// The password of everybody.
pub const PASSWORD: &str = "correct horse battery staple";

/// A database, and whatever stands behind it.
pub struct Bench {
    pub database: Database,
    pub url: String,
    _dir: Option<TempDir>,
}

impl Bench {
    pub fn sqlite() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        // A name that an address has to quote.
        let file = dir.path().join("accounts of 100 % #1?.db");
        let escaped =
            file.display().to_string().replace('%', "%25").replace(' ', "%20").replace('#', "%23").replace('?', "%3F");
        Self { database: Database::Sqlite(file), url: format!("sqlite://{escaped}"), _dir: Some(dir) }
    }

    /// A new, empty database on a server that is running.
    pub async fn postgres(server: &Postgres, name: &str) -> Self {
        let mut connection = PgConnection::connect(&server.url("postgres")).await.expect("the server answers");
        let create = format!("CREATE DATABASE \"{name}\"");
        sqlx::query(AssertSqlSafe(create)).execute(&mut connection).await.expect("a database");
        let url = server.url(name);
        Self { database: url.parse().expect("an address"), url, _dir: None }
    }

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
        const TABLES: [&str; 14] = [
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

/// A PostgreSQL server. It is gone with its directory when this is dropped, or when the process ends in any other way.
pub struct Postgres {
    dir: PathBuf,
    script: Child,
    output: BufReader<ChildStdout>,
}

impl Postgres {
    /// Starts one. Takes about two seconds.
    pub fn start() -> Self {
        let mut script = command(&programs(Path::new("/usr/lib/postgresql")));
        let mut script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell");
        let mut output = BufReader::new(script.stdout.take().expect("its output"));
        let mut dir = String::new();
        output.read_line(&mut dir).expect("the server's directory");
        assert!(!dir.trim().is_empty(), "PostgreSQL did not start; see what it wrote above");
        Self { dir: dir.trim().into(), script, output }
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://freshet@localhost/{database}?host={}&sslmode=disable", self.dir.display())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.script.stdin.take());
        let mut rest = String::new();
        while self.output.read_line(&mut rest).is_ok_and(|read| read > 0) {}
        self.script.wait().expect("the server stops");
        assert!(!self.dir.exists() || std::thread::panicking(), "{} is left behind", self.dir.display());
    }
}

/// The newest `initdb` and `pg_ctl` of those that Debian has in a directory.
fn programs(versions: &Path) -> PathBuf {
    let installed = std::fs::read_dir(versions).into_iter().flatten().flatten();
    let usable = installed.map(|version| version.path().join("bin")).filter(|bin| bin.join("initdb").exists());
    let number = |bin: &PathBuf| {
        bin.parent().and_then(Path::file_name).and_then(|version| version.to_str()?.parse::<u32>().ok()).unwrap_or(0)
    };
    usable.max_by_key(number).expect("PostgreSQL is missing: install the Debian package `postgresql`")
}

/// In a process group of its own, so that a signal to the tests lets it clean up; and as `postgres` for root.
fn command(bin: &Path) -> Command {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    let mut command = Command::new(if is_root { "setpriv" } else { "sh" });
    if is_root {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "sh"]);
    }
    command.args(["-c", include_str!("postgres.sh"), "postgres.sh"]).arg(bin).current_dir("/").process_group(0);
    command
}

#[test]
#[should_panic(expected = "install the Debian package `postgresql`")]
fn without_postgresql_the_tests_fail_and_name_its_package() {
    programs(Path::new("/nowhere"));
}
