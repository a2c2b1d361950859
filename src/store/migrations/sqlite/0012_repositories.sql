-- Repositories of projects, of whose pushes pipelines are made; the secret of their webhooks lies sealed.

CREATE TABLE repositories (
    project       INTEGER PRIMARY KEY REFERENCES projects (id),
    url           TEXT NOT NULL,
    provider      TEXT NOT NULL,
    class         TEXT,
    pull_requests INTEGER NOT NULL,
    sealed        BLOB NOT NULL,
    created_ms    INTEGER NOT NULL
);

-- Webhooks that were seen, by a hash: the newest of each project.
CREATE TABLE deliveries (
    project INTEGER NOT NULL REFERENCES projects (id),
    hash    BLOB NOT NULL,
    at_ms   INTEGER NOT NULL,
    PRIMARY KEY (project, hash)
) WITHOUT ROWID;
CREATE INDEX deliveries_by_time ON deliveries (project, at_ms);
