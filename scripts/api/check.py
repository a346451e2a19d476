"""Asks the REST API, through a real edge, all that its own description allows and much that it does not.

    freshet dev ──dev.json──▶ people (an administrator by the link, ada, zoe) ──▶ schemathesis, once for each of PHASES

On SQLite first, then, with fewer examples, on a PostgreSQL of its own. The seed is fixed and the number of examples has a
cap, so that a run is the same each time and short; `--examples` and `--seed` look further. Whatever was started is stopped
by its id, however this ends. Exits 0 only if every phase found nothing.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PASSWORD = "correct horse battery"
# How long a program may take to start, or the platform to get ready, in seconds.
PATIENCE_S = 60


@dataclasses.dataclass(frozen=True)
class Phase:
    """Who asks, and what of."""

    name: str
    # Whose access token is shown; None for nobody's.
    who: str | None
    # Arguments of schemathesis.
    asked: tuple[str, ...]
    # Of how many examples of each operation, for one of those that --examples names.
    share: float = 1.0


# Throttles hold: an address has 50 failures of signing in, confirming a password or registering in a quarter of an hour, and
# then those operations answer 429, which their description allows. So whoever needs a token has it before.
# Left out, for who asks would be out, and all that follows a row of 401:
# - POST /api/auth/logout: in a phase of its own, which is the last, by somebody whom nobody else needs.
# hooks.py leaves out what an administrator could do to the people of the other phases.
PHASES = (
    Phase("nobody", None, ("--exclude-path", "/api/auth/logout")),
    Phase("ada", "ada", ("--exclude-path", "/api/auth/logout", "--exclude-path-regex", "^/api/admin/")),
    Phase("admin", "admin", ("--exclude-path-regex", "^/api/auth/|^/api/me")),
    Phase("leaving", "zoe", ("--include-path", "/api/auth/logout")),
)


class Ended(Exception):
    """A signal came."""


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("binary", help="freshet")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--examples", type=int, default=20, help="of each operation, at most")
    arguments.add_argument("--database", choices=("sqlite", "postgres"), help="that one alone")
    arguments.add_argument("--phase", choices=[phase.name for phase in PHASES], help="that one alone")
    options = arguments.parse_args()
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGHUP, end)
    failed = []
    with tempfile.TemporaryDirectory(prefix="freshet-api-") as directory:
        # PostgreSQL runs as somebody else, and its socket is asked by whoever runs this.
        for database, share in (("sqlite", 1.0), ("postgres", 0.35)):
            if options.database in (None, database):
                home = pathlib.Path(directory) / database
                failed += [f"{phase} on {database}" for phase in check(options, database, share, home)]
    if failed:
        print(f"── the API broke its word: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def end(number: int, _: object) -> None:
    raise Ended(signal.Signals(number).name)


def check(options: argparse.Namespace, database: str, share: float, home: pathlib.Path) -> list[str]:
    """The phases that found something."""
    home.mkdir()
    with Postgres() if database == "postgres" else Nothing() as server, Freshet(options.binary, home, server.url) as freshet:
        tokens = people(freshet)
        failed = []
        for phase in PHASES:
            if options.phase in (None, phase.name):
                examples = max(2, round(options.examples * share * phase.share))
                print(f"── {phase.name} on {database}: {examples} examples of each operation", flush=True)
                if ask(freshet, phase, tokens.get(phase.who), examples, options.seed, home):
                    failed.append(phase.name)
        freshet.still_runs()
        return failed


def ask(freshet: "Freshet", phase: Phase, token: str | None, examples: int, seed: int, home: pathlib.Path) -> int:
    command = [str(pathlib.Path(sys.executable).with_name("st")), "--config-file", str(HERE / "schemathesis.toml"), "run"]
    command += ["--seed", str(seed), "--max-examples", str(examples), *phase.asked]
    if token is not None:
        command += ["--header", f"Authorization: Bearer {token}"]
    command.append(f"{freshet.url}/api/openapi.json")
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE)}
    with subprocess.Popen(command, cwd=home, env=environment, stdin=subprocess.DEVNULL) as run:
        try:
            return run.wait()
        finally:
            run.kill()


def people(freshet: "Freshet") -> dict[str, str]:
    """Access tokens, by name: of the first administrator, who came in by the link, and of two users."""
    tokens = {"admin": freshet.signed_in("/api/auth/login", {"link": freshet.told["admin_link"]}, 200)}
    for name in ("ada", "zoe"):
        new = {"username": name, "email": f"{name}@example.org", "password": PASSWORD}
        tokens[name] = freshet.signed_in("/api/auth/register", new, 201)
    return tokens


class Freshet:
    """`freshet dev` on free ports."""

    def __init__(self, binary: str, home: pathlib.Path, database_url: str):
        ports = [argument for kind in ("http", "https", "rtmp", "rtmps", "quic", "admin") for argument in (f"--{kind}-port", "0")]
        self.data, self.log = home / "data", home / "freshet.log"
        self.command = [binary, "dev", "--data", str(self.data), *ports, "--log-format", "json"]
        self.command += ["--set", f"accounts.database_url={database_url}"]

    def __enter__(self) -> "Freshet":
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self.told = until("freshet dev to be ready", self.read)
            self.url = self.told["http_url"]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def read(self) -> dict | None:
        """What it tells of itself, once it does."""
        self.still_runs()
        try:
            return json.loads((self.data / "dev.json").read_text())
        except FileNotFoundError:
            return None

    def still_runs(self) -> None:
        if self.process.poll() is not None:
            raise SystemExit(f"freshet dev has ended with {self.process.returncode}:\n{self.log.read_text()[-4000:]}")

    def signed_in(self, path: str, body: dict, status: int) -> str:
        """The access token, once the edge knows a control node and its keys."""

        def asked() -> dict | None:
            request = urllib.request.Request(f"{self.url}{path}", json.dumps(body).encode(), {"content-type": "application/json"})
            try:
                with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
                    if response.status != status:
                        raise SystemExit(f"{path} answered {response.status}")
                    return json.load(response)
            except urllib.error.HTTPError as error:
                if error.code != 503:
                    raise SystemExit(f"{path} answered {error.code}: {error.read()}") from error
                return None

        return until(path, asked)["access_token"]


class Nothing:
    """In the place of a database server: the accounts are in a file."""

    url = ""

    def __enter__(self) -> "Nothing":
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Postgres:
    """A PostgreSQL of its own: control-plane/tests/common/postgres.sh, which lasts until its standard input ends."""

    def __enter__(self) -> "Postgres":
        versions = pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb")
        newest = max(versions, key=lambda path: int(path.parent.parent.name), default=None)
        if newest is None:
            raise SystemExit("PostgreSQL is missing: install the Debian package `postgresql`")
        as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
        script = (ROOT / "control-plane/tests/common/postgres.sh").read_text()
        command = [*as_postgres, "sh", "-c", script, "postgres.sh", str(newest.parent)]
        # In a process group of its own, so that a signal to this one lets it clean up.
        self.script = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/", process_group=0)
        directory = self.script.stdout.readline().decode().strip()
        if not directory:
            raise SystemExit("PostgreSQL did not start")
        self.url = f"postgres://freshet@localhost/postgres?host={directory}&sslmode=disable"
        return self

    def __exit__(self, *_: object) -> None:
        self.script.stdin.close()
        self.script.stdout.read()
        self.script.wait()


def until(what: str, look):
    """What `look` finds."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(0.1)
    raise SystemExit(f"{what}: not within {PATIENCE_S} s")


if __name__ == "__main__":
    sys.exit(main())
