-- Who had pipelines made and workflows run again, and who answered jobs that waited, each as JSON; and which accounts at
-- providers are whose.

ALTER TABLE pipelines ADD COLUMN actor TEXT NOT NULL DEFAULT '{"kind":"unknown"}';
-- None: whoever had the pipeline made.
ALTER TABLE workflows ADD COLUMN actor TEXT;
ALTER TABLE jobs ADD COLUMN answered_by TEXT;

CREATE TABLE accounts (
    -- `gh/ada`, in small letters.
    account TEXT PRIMARY KEY,
    person  BLOB NOT NULL REFERENCES people (id)
) WITHOUT ROWID;
