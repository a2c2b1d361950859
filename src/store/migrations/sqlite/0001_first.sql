-- Ids are 16-byte UUIDs, times milliseconds since 1970, statuses the words of the protocol, structures JSON.

CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE projects (
    id            INTEGER PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE,
    next_pipeline INTEGER NOT NULL DEFAULT 1,
    next_job      INTEGER NOT NULL DEFAULT 1
);

CREATE TABLE pipelines (
    id         BLOB PRIMARY KEY,
    project    INTEGER NOT NULL REFERENCES projects (id),
    number     INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    source     TEXT NOT NULL,
    git        TEXT NOT NULL,
    UNIQUE (project, number)
) WITHOUT ROWID;
CREATE INDEX pipelines_by_time ON pipelines (created_ms);

-- Variables of a pipeline that still runs, encrypted.
CREATE TABLE secrets (
    pipeline BLOB PRIMARY KEY REFERENCES pipelines (id),
    sealed   BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE workflows (
    id       BLOB PRIMARY KEY,
    pipeline BLOB NOT NULL REFERENCES pipelines (id),
    place    INTEGER NOT NULL,
    name     TEXT NOT NULL,
    status   TEXT NOT NULL,
    canceled INTEGER NOT NULL DEFAULT 0,
    UNIQUE (pipeline, place)
) WITHOUT ROWID;
CREATE INDEX workflows_unfinished ON workflows (status) WHERE status IN ('running', 'failing');

CREATE TABLE jobs (
    id         BLOB PRIMARY KEY,
    workflow   BLOB NOT NULL REFERENCES workflows (id),
    place      INTEGER NOT NULL,
    number     INTEGER NOT NULL,
    class      TEXT NOT NULL,
    definition TEXT NOT NULL,
    status     TEXT NOT NULL,
    started_ms INTEGER,
    ended_ms   INTEGER,
    UNIQUE (workflow, place)
) WITHOUT ROWID;

CREATE TABLE tasks (
    id          BLOB PRIMARY KEY,
    job         BLOB NOT NULL REFERENCES jobs (id),
    node_index  INTEGER NOT NULL,
    phase       TEXT NOT NULL,
    epoch       INTEGER NOT NULL DEFAULT 0,
    unclaims    INTEGER NOT NULL DEFAULT 0,
    canceled    INTEGER NOT NULL DEFAULT 0,
    runner      TEXT,
    host        TEXT,
    outcome     TEXT,
    message     TEXT,
    next_record INTEGER NOT NULL DEFAULT 0,
    queued_ms   INTEGER NOT NULL,
    claimed_ms  INTEGER,
    ended_ms    INTEGER,
    UNIQUE (job, node_index)
) WITHOUT ROWID;

-- Every token ever given for a task, so that one of an old lease is told that it is fenced.
CREATE TABLE leases (
    hash  BLOB PRIMARY KEY,
    task  BLOB NOT NULL REFERENCES tasks (id),
    epoch INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE steps (
    task        BLOB NOT NULL REFERENCES tasks (id),
    number      INTEGER NOT NULL,
    status      TEXT NOT NULL,
    exit_code   INTEGER,
    started_ms  INTEGER NOT NULL,
    duration_ms INTEGER,
    PRIMARY KEY (task, number)
) WITHOUT ROWID;

-- How much of each log is stored, and where a sealed one lies.
CREATE TABLE logs (
    task   BLOB NOT NULL REFERENCES tasks (id),
    step   INTEGER NOT NULL,
    length INTEGER NOT NULL,
    digest TEXT,
    size   INTEGER,
    PRIMARY KEY (task, step)
) WITHOUT ROWID;

-- Independent zstd frames: small ones lie here, large ones at `file_offset` of the log's file or sealed object.
CREATE TABLE chunks (
    task        BLOB NOT NULL,
    step        INTEGER NOT NULL,
    start       INTEGER NOT NULL,
    length      INTEGER NOT NULL,
    stored      INTEGER NOT NULL,
    file_offset INTEGER,
    frame       BLOB
);
CREATE UNIQUE INDEX chunks_in_order ON chunks (task, step, start);

CREATE TABLE artifacts (
    task   BLOB NOT NULL REFERENCES tasks (id),
    path   TEXT NOT NULL,
    digest TEXT NOT NULL,
    size   INTEGER NOT NULL,
    PRIMARY KEY (task, path)
) WITHOUT ROWID;

CREATE TABLE caches (
    project  INTEGER NOT NULL REFERENCES projects (id),
    key      TEXT NOT NULL,
    digest   TEXT NOT NULL,
    size     INTEGER NOT NULL,
    saved_ms INTEGER NOT NULL,
    PRIMARY KEY (project, key)
) WITHOUT ROWID;

CREATE TABLE layers (
    task    BLOB NOT NULL REFERENCES tasks (id),
    request INTEGER NOT NULL,
    digest  TEXT NOT NULL,
    size    INTEGER NOT NULL,
    PRIMARY KEY (task, request)
) WITHOUT ROWID;

CREATE TABLE tests (
    task    BLOB NOT NULL REFERENCES tasks (id),
    request INTEGER NOT NULL,
    passed  INTEGER NOT NULL,
    failed  INTEGER NOT NULL,
    skipped INTEGER NOT NULL,
    cases   TEXT NOT NULL,
    PRIMARY KEY (task, request)
);


CREATE TABLE resource_classes (
    id          BLOB PRIMARY KEY,
    class       TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    created_ms  INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE tokens (
    id         BLOB PRIMARY KEY,
    class      TEXT NOT NULL REFERENCES resource_classes (class),
    nickname   TEXT NOT NULL,
    hash       BLOB NOT NULL UNIQUE,
    created_ms INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE instances (
    class              TEXT NOT NULL,
    name               TEXT NOT NULL,
    hostname           TEXT NOT NULL,
    ip                 TEXT NOT NULL,
    version            TEXT NOT NULL,
    first_connected_ms INTEGER NOT NULL,
    last_connected_ms  INTEGER NOT NULL,
    last_used_ms       INTEGER,
    PRIMARY KEY (class, name)
) WITHOUT ROWID;
