-- Who may come in: what an administrator has said in place of the configuration, and invitations that can be told apart.

CREATE TABLE settings (
  name TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
);

ALTER TABLE invites ADD COLUMN created_ms BIGINT NOT NULL DEFAULT 0;
-- Who made it, as in the audit log; NULL where that was not written down.
ALTER TABLE invites ADD COLUMN created_by TEXT;
-- How many it was for.
ALTER TABLE invites ADD COLUMN uses BIGINT NOT NULL DEFAULT 0;
UPDATE invites SET uses = uses_left;
CREATE INDEX invites_by_time ON invites (created_ms, hash);
