-- The colour that somebody has chosen for their name in chat, #rrggbb in lower case; NULL where none.
ALTER TABLE users ADD COLUMN color TEXT;
