-- What the registry is told of a channel, who helps its owner, how people come in, and who did what.

ALTER TABLE channels ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';
ALTER TABLE channels ADD COLUMN visibility TEXT NOT NULL DEFAULT 'public';
ALTER TABLE channels ADD COLUMN takeover TEXT NOT NULL DEFAULT 'newest';
ALTER TABLE channels ADD COLUMN go_live TEXT NOT NULL DEFAULT 'auto';
-- Rises with every change that the registry must hear of.
ALTER TABLE channels ADD COLUMN seq BIGINT NOT NULL DEFAULT 1;

-- Channels of which the registry has not heard the latest. One row a channel, however often it changed.
CREATE TABLE outbox (
  channel TEXT NOT NULL PRIMARY KEY REFERENCES names (name),
  seq BIGINT NOT NULL,
  queued_ms BIGINT NOT NULL
);
CREATE INDEX outbox_by_age ON outbox (queued_ms, channel);
INSERT INTO outbox (channel, seq, queued_ms) SELECT name, seq, created_ms FROM channels;

CREATE TABLE channel_roles (
  channel TEXT NOT NULL REFERENCES channels (name) ON DELETE CASCADE,
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  role TEXT NOT NULL,
  created_ms BIGINT NOT NULL,
  PRIMARY KEY (channel, user_id)
);
CREATE INDEX channel_roles_by_user ON channel_roles (user_id);

CREATE TABLE login_links (
  hash TEXT NOT NULL PRIMARY KEY,
  user_id TEXT NOT NULL UNIQUE REFERENCES users (id) ON DELETE CASCADE,
  expires_ms BIGINT NOT NULL
);

CREATE TABLE invites (
  hash TEXT NOT NULL PRIMARY KEY,
  expires_ms BIGINT NOT NULL,
  uses_left BIGINT NOT NULL
);

CREATE TABLE audit (
  id TEXT NOT NULL PRIMARY KEY,
  at_ms BIGINT NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  target TEXT NOT NULL,
  details TEXT NOT NULL
);
CREATE INDEX audit_by_time ON audit (at_ms, id);

-- A row to be updated by whoever needs to be alone: the one lock that both databases have.
CREATE TABLE locks (
  name TEXT NOT NULL PRIMARY KEY,
  taken BIGINT NOT NULL
);
INSERT INTO locks (name, taken) VALUES ('admins', 0);
