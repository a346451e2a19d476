//! Both databases, for tests that must hold on each: every case runs on SQLite by itself, and all of them on one real
//! PostgreSQL, each in a database of its own.
#![allow(dead_code, reason = "each test binary uses some of it")]

use std::{
    future::Future,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    pin::Pin,
    process::{Child, ChildStdout, Command, Stdio},
};

use freshet_control_plane::accounts::Database;
use futures_util::{StreamExt, stream};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;
use tokio::runtime::Handle;

/// What runs in an empty database, under its name.
pub type Case = (&'static str, fn(Place) -> Pin<Box<dyn Future<Output = ()>>>);

/// How many cases run on PostgreSQL at once.
const AT_ONCE: usize = 4;

/// `module: case, case; …`: for each `async fn case(_: impl From<Place>)` a test on SQLite, and one test for all of them on
/// PostgreSQL.
macro_rules! on_both_databases {
    ($($module:ident: $($case:ident),+;)+) => {
        mod on_sqlite {
            $(mod $module {
                $(#[tokio::test(flavor = "multi_thread")]
                async fn $case() {
                    crate::$module::$case(crate::databases::Place::sqlite().into()).await;
                })+
            })+
        }

        const CASES: &[crate::databases::Case] =
            &[$($((stringify!($case), |place| Box::pin(crate::$module::$case(place.into())))),+),+];

        #[tokio::test(flavor = "multi_thread")]
        async fn all_of_it_holds_on_postgresql_too() {
            crate::databases::hold_on_postgresql(CASES).await;
        }
    };
}
pub(crate) use on_both_databases;

/// Runs cases on one PostgreSQL.
///
/// # Panics
/// With the names of those that failed, once all have run.
pub async fn hold_on_postgresql(cases: &[Case]) {
    let server = Postgres::start();
    let run = |(case, run): &Case| {
        let (case, run, server) = (*case, *run, &server);
        async move {
            // The longest name that a database may have is shorter than some of these.
            let place = Place::postgres(server, &case[..case.len().min(63)]).await;
            // On a thread of its own, so that one that panics takes no other with it.
            let runtime = Handle::current();
            let ran = tokio::task::spawn_blocking(move || runtime.block_on(run(place))).await;
            ran.is_err().then_some(case)
        }
    };
    let failed: Vec<_> =
        stream::iter(cases).map(run).buffer_unordered(AT_ONCE).filter_map(async |failed| failed).collect().await;
    drop(server);
    assert!(failed.is_empty(), "on PostgreSQL: {failed:?}");
}

/// A new, empty database, and whatever stands behind it.
pub struct Place {
    /// As the accounts are told of it.
    pub database: Database,
    /// As `sqlx` is told of it.
    #[allow(dead_code, reason = "not each test binary asks the database itself")]
    pub url: String,
    _dir: Option<TempDir>,
}

impl Place {
    /// A file.
    pub fn sqlite() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        // A name that an address has to quote.
        let file = dir.path().join("accounts of 100 % #1?.db");
        let escaped =
            file.display().to_string().replace('%', "%25").replace(' ', "%20").replace('#', "%23").replace('?', "%3F");
        Self { database: Database::Sqlite(file), url: format!("sqlite://{escaped}"), _dir: Some(dir) }
    }

    /// A database on a server that is running.
    async fn postgres(server: &Postgres, name: &str) -> Self {
        let mut connection = PgConnection::connect(&server.url("postgres")).await.expect("the server answers");
        let create = format!("CREATE DATABASE \"{name}\"");
        sqlx::query(AssertSqlSafe(create)).execute(&mut connection).await.expect("a database");
        let url = server.url(name);
        Self { database: url.parse().expect("an address"), url, _dir: None }
    }
}

/// A PostgreSQL server. It is gone with its directory when this is dropped, or when the process ends in any other way.
struct Postgres {
    dir: PathBuf,
    script: Child,
    output: BufReader<ChildStdout>,
}

impl Postgres {
    /// Starts one. Takes about two seconds.
    fn start() -> Self {
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
