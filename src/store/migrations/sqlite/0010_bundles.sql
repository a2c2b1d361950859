-- Bundles: many small artifacts as one content. An artifact that lies in one names the request that stored it.

CREATE TABLE bundles (
    task    BLOB NOT NULL REFERENCES tasks (id),
    request INTEGER NOT NULL,
    digest  TEXT NOT NULL,
    size    INTEGER NOT NULL,
    PRIMARY KEY (task, request)
) WITHOUT ROWID;
CREATE INDEX bundles_by_content ON bundles (digest);

ALTER TABLE artifacts ADD COLUMN bundle INTEGER;
-- Of its frame within the bundle, and the frame's bytes.
ALTER TABLE artifacts ADD COLUMN start INTEGER;
ALTER TABLE artifacts ADD COLUMN stored INTEGER;

-- The content of one in a bundle is no content of its own.
DROP INDEX artifacts_by_content;
CREATE INDEX artifacts_by_content ON artifacts (digest) WHERE bundle IS NULL;
