//! One code path to SQLite and PostgreSQL: the same SQL, with `$N` placeholders, TEXT ids and BIGINT milliseconds.
//!
//! | | SQLite | PostgreSQL |
//! |---|---|---|
//! | writes | one connection, `BEGIN IMMEDIATE`, WAL, `synchronous=FULL`: what was committed survives a crash | a pool, READ COMMITTED |
//! | reads | a pool of their own, which no write holds up | the same pool |
//!
//! What must not happen twice is left to unique columns and to updates that name what they expect, because those mean the
//! same in both. Whoever needs a row for itself begins by updating it; locks are taken in the order locks, users, channels,
//! sessions, the rest, so that nobody waits in a circle.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use sqlx::{
    Any, AnyPool, SqlSafeStr, Transaction,
    any::{AnyConnectOptions, AnyPoolOptions},
    migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator},
};
use tokio::task::spawn_blocking;

/// How many connections read at once, and, with PostgreSQL, write.
pub const CONNECTIONS: u32 = 8;

/// For how long a query waits for a connection.
pub const CONNECTION_WAIT: Duration = Duration::from_secs(10);

/// Every change of the schema, in order. They are never edited: a database remembers their hashes.
const MIGRATIONS: [(i64, &str, &str); 5] = [
    (1, "accounts", include_str!("../../migrations/0001_accounts.sql")),
    (2, "outbox, roles, audit", include_str!("../../migrations/0002_outbox_roles_audit.sql")),
    (3, "chat", include_str!("../../migrations/0003_chat.sql")),
    (4, "registration", include_str!("../../migrations/0004_registration.sql")),
    (5, "name color", include_str!("../../migrations/0005_name_color.sql")),
];

/// Another process may hold SQLite's one writer for as long as this.
const SQLITE_SETUP: &str =
    "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON";

/// A query that hangs holds up those behind it.
const POSTGRES_SETUP: &str =
    "SET statement_timeout = '20s'; SET lock_timeout = '10s'; SET application_name = 'freshet'";

/// Where accounts are kept.
#[derive(Clone, PartialEq, Eq)]
pub enum Database {
    /// A file, made if need be, readable by its owner alone. For one control node.
    Sqlite(PathBuf),
    /// `postgres://user:password@host/database`. For any number of control nodes.
    Postgres(String),
}

/// The operator's: the text is the address of no database that we know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("database_url must begin with sqlite: (and name a file) or with postgres://")]
pub struct UnknownDatabase;

impl FromStr for Database {
    type Err = UnknownDatabase;

    /// Reads a `database_url`: `sqlite:accounts.db`, `sqlite:///var/lib/freshet/accounts.db`, `postgres://…`.
    fn from_str(url: &str) -> Result<Self, UnknownDatabase> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Self::Postgres(url.to_owned()));
        }
        let file = url.strip_prefix("sqlite:").ok_or(UnknownDatabase)?;
        let file = file.strip_prefix("//").unwrap_or(file);
        if file.is_empty() || file.contains([':', '?']) { Err(UnknownDatabase) } else { Ok(Self::Sqlite(file.into())) }
    }
}

impl fmt::Display for Database {
    /// Leaves the password out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(file) => write!(f, "SQLite at {}", file.display()),
            Self::Postgres(url) => {
                let place = url.rsplit_once('@').or_else(|| url.split_once("//")).map_or("", |(_, place)| place);
                write!(f, "PostgreSQL at {}", place.split('?').next().unwrap_or_default())
            }
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Why the accounts can't be opened. The operator's, all of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file can't be made. The remedy: name a directory that is there and can be written.
    #[error("{file}: {source}; name a file in a directory that is there and can be written")]
    File {
        /// Which.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// The database doesn't answer.
    #[error("{database}: {source}; see that it runs, that the address is right and that the user may connect")]
    Connect {
        /// Which.
        database: Database,
        /// Why.
        source: sqlx::Error,
    },
    /// The database was written by a newer version.
    #[error("the accounts were written by a newer version (migration {0}); start that one, or restore a backup")]
    Newer(i64),
    /// A migration failed; all before it are done, and it left nothing behind.
    #[error("the accounts can't be brought up to date: {0}; mend what it says and start again")]
    Migrate(MigrateError),
    /// Argon2id knows no such cost.
    #[error("no such cost of passwords: memory at least 8 KiB a lane, passes and lanes at least 1")]
    Cost,
}

/// Ours: the database failed. The remedy: see that it runs, is reachable and has room; then try again.
#[derive(Debug, thiserror::Error)]
#[error("the accounts database failed ({0}); see that it runs, is reachable and has room, then try again")]
pub struct StoreError(#[from] sqlx::Error);

/// Lets `?` make a failed query one of several reasons, each of which has `Store` for it.
macro_rules! store_failures {
    ($($error:ty),+ $(,)?) => {
        $(impl From<sqlx::Error> for $error {
            fn from(error: sqlx::Error) -> Self {
                Self::Store(error.into())
            }
        })+
    };
}
pub(super) use store_failures;

impl StoreError {
    pub(super) fn into_inner(self) -> sqlx::Error {
        self.0
    }
}

pub(super) type Tx = Transaction<'static, Any>;

/// The database. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Db {
    read: AnyPool,
    write: AnyPool,
    begin: &'static str,
}

impl Db {
    /// Opens the database and brings it up to date.
    pub async fn open(database: &Database) -> Result<Self, OpenError> {
        sqlx::any::install_default_drivers();
        let db = match database {
            Database::Sqlite(file) => {
                let failed = |source| OpenError::File { file: file.display().to_string(), source };
                let _alone = touch(file).await.map_err(failed)?;
                let url = sqlite_url(&file.canonicalize().map_err(failed)?);
                let write = pool(database, &url, 1, SQLITE_SETUP).await?;
                let read = pool(database, &url, CONNECTIONS, SQLITE_SETUP).await?;
                let db = Self { read, write, begin: "BEGIN IMMEDIATE" };
                db.migrate().await?;
                db
            }
            Database::Postgres(url) => {
                let write = pool(database, url, CONNECTIONS, POSTGRES_SETUP).await?;
                let db = Self { read: write.clone(), write, begin: "BEGIN ISOLATION LEVEL READ COMMITTED" };
                db.migrate().await?;
                db
            }
        };
        Ok(db)
    }

    /// For queries that change nothing.
    pub fn read(&self) -> &AnyPool {
        &self.read
    }

    /// For everything else. What isn't committed is undone.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        Ok(self.write.begin_with(self.begin).await?)
    }

    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }

    async fn migrate(&self) -> Result<(), OpenError> {
        let mut connection = self.write.acquire().await.map_err(|error| OpenError::Migrate(error.into()))?;
        let migrated = migrator().run_direct(None, &mut *connection, false).await;
        if migrated.is_err() {
            // The lock goes with its connection, which must not go back into the pool.
            let _ = connection.unlock().await;
            connection.close_on_drop();
        }
        migrated.map_err(|error| match error {
            MigrateError::VersionMissing(version) => OpenError::Newer(version),
            other => OpenError::Migrate(other),
        })
    }
}

fn migrator() -> Migrator {
    let migration = |(version, name, sql): (i64, &'static str, &'static str)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(MIGRATIONS.into_iter().map(migration).collect())
}

async fn pool(database: &Database, url: &str, connections: u32, setup: &'static str) -> Result<AnyPool, OpenError> {
    let failed = |source| OpenError::Connect { database: database.clone(), source };
    let options = AnyConnectOptions::from_str(url).map_err(failed)?;
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(CONNECTION_WAIT)
        .after_connect(move |connection, _| {
            Box::pin(async move { sqlx::raw_sql(setup).execute(connection).await.map(drop) })
        })
        .connect_with(options)
        .await
        .map_err(failed)
}

/// Makes the file, so that nobody else may read it; SQLite gives its helpers beside it the same rights. Waits until no other
/// process that does the same migrates it: a lock of the file as a whole, which is none of those that SQLite takes.
async fn touch(file: &Path) -> io::Result<File> {
    let file = file.to_owned();
    let touched = spawn_blocking(move || {
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(file)?;
        file.lock().map(|()| file)
    });
    touched.await.map_err(io::Error::other)?
}

fn sqlite_url(file: &Path) -> String {
    let mut url = "sqlite://".to_owned();
    for byte in file.to_string_lossy().bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => url.push(byte.into()),
            other => url.push_str(&format!("%{other:02X}")),
        }
    }
    url + "?mode=rw"
}

/// A time as the database has it.
pub(super) fn at(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// A time or a count as we have it.
pub(super) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// Whether a row was not inserted because what it belongs to was deleted at the same time.
pub(super) fn was_orphaned(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.is_foreign_key_violation())
}

/// The pattern for `LIKE … ESCAPE '\'` that finds `text` anywhere.
pub(super) fn containing(text: &str) -> String {
    let mut pattern = "%".to_owned();
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern + "%"
}

/// A row says what no version of ours has written.
pub(super) fn corrupt(what: &'static str) -> StoreError {
    StoreError(sqlx::Error::Decode(format!("{what} is none that we know").into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_url_names_a_file_or_a_server_and_its_password_never_shows() {
        let sqlite = |file: &str| Ok(Database::Sqlite(file.into()));
        assert_eq!("sqlite:accounts.db".parse(), sqlite("accounts.db"));
        assert_eq!("sqlite:///var/lib/a.db".parse(), sqlite("/var/lib/a.db"));
        for bad in ["", "sqlite:", "sqlite::memory:", "sqlite:a?mode=ro", "mysql://x", "/var/lib/a.db"] {
            assert_eq!(bad.parse::<Database>(), Err(UnknownDatabase), "{bad:?}");
        }
        let postgres: Database = "postgres://ada:secret@db:5432/freshet?sslmode=require".parse().expect("a server");
        assert_eq!(format!("{postgres} {postgres:?}"), "PostgreSQL at db:5432/freshet PostgreSQL at db:5432/freshet");
    }

    #[tokio::test]
    async fn what_sqlite_commits_survives_a_crash_and_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("accounts.db");
        let db = Db::open(&Database::Sqlite(file.clone())).await.expect("opened");
        for pool in [&db.write, &db.read] {
            let mut connection = pool.acquire().await.expect("a connection");
            let mode: String =
                sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *connection).await.expect("a mode");
            assert_eq!(mode, "wal");
            for (pragma, value) in
                [("PRAGMA synchronous", 2), ("PRAGMA foreign_keys", 1), ("PRAGMA busy_timeout", 10_000)]
            {
                let set: i64 = sqlx::query_scalar(pragma).fetch_one(&mut *connection).await.expect("a value");
                assert_eq!(set, value, "{pragma}");
            }
        }
        for entry in dir.path().read_dir().expect("a directory").map(|entry| entry.expect("a file")) {
            let mode = entry.metadata().expect("a file").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{:?}", entry.file_name());
        }
    }

    #[test]
    fn a_search_finds_wildcards_as_themselves() {
        assert_eq!(containing(r"50%_\"), r"%50\%\_\\%");
    }
}
