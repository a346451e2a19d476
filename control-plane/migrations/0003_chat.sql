-- What must outlive every hub of a channel's chat. Moderators and VIPs are in channel_roles, who follows in follows. A channel
-- that an operator made has no row in channels, and a chat nevertheless: so nothing here refers to that table.

CREATE TABLE chats (
  channel TEXT NOT NULL PRIMARY KEY,
  -- The newest mesh epoch in which somebody stored, and the newest version of that epoch's home.
  epoch BIGINT NOT NULL,
  version BIGINT NOT NULL,
  -- JSON.
  modes TEXT NOT NULL,
  before_shield TEXT,
  preset TEXT NOT NULL
);

CREATE TABLE chat_bans (
  channel TEXT NOT NULL,
  login TEXT NOT NULL,
  -- NULL for good.
  until_ms BIGINT,
  at_ms BIGINT NOT NULL,
  -- NULL where the account has been deleted.
  banned_by TEXT,
  reason TEXT NOT NULL,
  PRIMARY KEY (channel, login)
);
CREATE INDEX chat_bans_by_login ON chat_bans (login);

CREATE TABLE chat_terms (
  channel TEXT NOT NULL,
  pattern TEXT NOT NULL,
  action TEXT NOT NULL,
  -- In the order in which they were said.
  place BIGINT NOT NULL,
  PRIMARY KEY (channel, pattern)
);

CREATE TABLE chat_log (
  channel TEXT NOT NULL,
  seq BIGINT NOT NULL,
  at_ms BIGINT NOT NULL,
  -- NULL where the account has been deleted.
  actor TEXT,
  verb TEXT NOT NULL,
  target TEXT,
  message BIGINT,
  until_ms BIGINT,
  reason TEXT NOT NULL,
  PRIMARY KEY (channel, seq)
);
CREATE INDEX chat_log_by_time ON chat_log (channel, at_ms);
