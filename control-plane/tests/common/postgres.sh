#!/bin/sh
# A PostgreSQL of its own for whoever starts this: prints the directory of its socket when it takes connections, and lasts
# until standard input ends, which it does when the one who holds it exits, however that happens. Leaves nothing behind.
# Runs as whoever calls it, who is not root: PostgreSQL refuses that. $1: where initdb and pg_ctl are.
set -eu
bin=$1
dir=$(mktemp -d "${TMPDIR:-/tmp}/freshet-postgres-XXXXXX")
finish() {
  "$bin/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1 || true
  rm -rf "$dir"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

"$bin/initdb" -D "$dir/data" -U freshet --auth=trust --encoding=UTF8 --locale=C --no-sync >"$dir/log" 2>&1 ||
  { cat "$dir/log" >&2; exit 1; }
# What the tests say of durability they say of SQLite; PostgreSQL's own is not ours to test.
"$bin/pg_ctl" -D "$dir/data" -w -t 60 -l "$dir/log" start \
  -o "-c listen_addresses='' -c unix_socket_directories='$dir' -c fsync=off -c max_connections=300 -c shared_buffers=32MB" \
  >/dev/null 2>&1 || { cat "$dir/log" >&2; exit 1; }
echo "$dir"
cat >/dev/null
