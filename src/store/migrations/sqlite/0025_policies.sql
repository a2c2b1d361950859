-- Policies of organizations, whether they decide about pipelines, and what they decided.

CREATE TABLE policy_bundles (
    id           BLOB PRIMARY KEY,
    organization TEXT NOT NULL,
    created_ms   INTEGER NOT NULL,
    -- All policies of it, as JSON.
    policies     TEXT NOT NULL
);

CREATE TABLE policy_rules (
    organization TEXT PRIMARY KEY,
    enabled      INTEGER NOT NULL,
    -- The one that holds.
    bundle       BLOB REFERENCES policy_bundles (id)
) WITHOUT ROWID;

CREATE TABLE policy_decisions (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    id           BLOB NOT NULL UNIQUE,
    organization TEXT NOT NULL,
    at_ms        INTEGER NOT NULL,
    bundle       BLOB REFERENCES policy_bundles (id),
    status       TEXT NOT NULL,
    branch       TEXT,
    project      TEXT NOT NULL,
    -- Both as JSON.
    decision     TEXT NOT NULL,
    metadata     TEXT NOT NULL,
    input        TEXT NOT NULL,
    took_ms      INTEGER NOT NULL
);
CREATE INDEX policy_decisions_by_organization ON policy_decisions (organization, number);
CREATE INDEX policy_decisions_by_age ON policy_decisions (at_ms);
CREATE INDEX policy_decisions_by_bundle ON policy_decisions (bundle);
