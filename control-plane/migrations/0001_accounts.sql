-- Accounts, what they sign in with, their channels. The same text for SQLite and PostgreSQL: ids are TEXT, times BIGINT
-- milliseconds since 1970, names and addresses are normalised before they come here.

-- Every name that was ever given away. Rows are never deleted, so that nobody can become somebody who has left.
CREATE TABLE names (
  name TEXT NOT NULL PRIMARY KEY,
  taken_ms BIGINT NOT NULL
);

CREATE TABLE users (
  id TEXT NOT NULL PRIMARY KEY,
  username TEXT NOT NULL UNIQUE REFERENCES names (name),
  email TEXT UNIQUE,
  password TEXT,
  display_name TEXT NOT NULL,
  bio TEXT NOT NULL DEFAULT '',
  avatar TEXT,
  role TEXT NOT NULL DEFAULT 'user',
  created_ms BIGINT NOT NULL,
  disabled_ms BIGINT
);

CREATE TABLE avatars (
  user_id TEXT NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
  hash TEXT NOT NULL,
  png BYTEA NOT NULL
);
CREATE INDEX avatars_by_hash ON avatars (hash);

-- A session is the family of the refresh tokens that followed from one login. It is revoked by deleting it.
CREATE TABLE sessions (
  id TEXT NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  created_ms BIGINT NOT NULL,
  seen_ms BIGINT NOT NULL,
  expires_ms BIGINT NOT NULL,
  address TEXT NOT NULL,
  agent TEXT NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id, seen_ms);
CREATE INDEX sessions_by_expiry ON sessions (expires_ms);

CREATE TABLE refresh_tokens (
  hash TEXT NOT NULL PRIMARY KEY,
  session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  generation BIGINT NOT NULL,
  rotated_ms BIGINT
);
CREATE UNIQUE INDEX refresh_tokens_by_session ON refresh_tokens (session_id, generation);

CREATE TABLE channels (
  name TEXT NOT NULL PRIMARY KEY REFERENCES names (name),
  owner_id TEXT NOT NULL UNIQUE REFERENCES users (id) ON DELETE CASCADE,
  title TEXT NOT NULL DEFAULT '',
  category TEXT NOT NULL DEFAULT '',
  created_ms BIGINT NOT NULL
);

CREATE TABLE stream_keys (
  id TEXT NOT NULL PRIMARY KEY,
  channel TEXT NOT NULL REFERENCES channels (name) ON DELETE CASCADE,
  label TEXT NOT NULL,
  hash TEXT NOT NULL UNIQUE,
  last_four TEXT NOT NULL,
  created_ms BIGINT NOT NULL,
  UNIQUE (channel, label)
);

CREATE TABLE follows (
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  channel TEXT NOT NULL REFERENCES channels (name) ON DELETE CASCADE,
  created_ms BIGINT NOT NULL,
  PRIMARY KEY (user_id, channel)
);
CREATE INDEX follows_by_channel ON follows (channel, user_id);
