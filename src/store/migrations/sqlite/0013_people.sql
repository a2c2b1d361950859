-- People, their roles in organizations ('*' is every one), tokens of people and of projects, and what was done by whom.

CREATE TABLE people (
    id         BLOB PRIMARY KEY,
    login      TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    created_ms INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE members (
    person       BLOB NOT NULL REFERENCES people (id),
    organization TEXT NOT NULL,
    role         TEXT NOT NULL,
    PRIMARY KEY (person, organization)
) WITHOUT ROWID;

-- Of a person or of a project, which need not be there yet.
CREATE TABLE api_tokens (
    id         BLOB PRIMARY KEY,
    person     BLOB REFERENCES people (id),
    project    TEXT,
    scope      TEXT,
    name       TEXT NOT NULL,
    prefix     TEXT NOT NULL,
    hash       BLOB NOT NULL UNIQUE,
    created_ms INTEGER NOT NULL,
    used_ms    INTEGER,
    CHECK ((person IS NULL) <> (project IS NULL)),
    CHECK ((project IS NULL) = (scope IS NULL))
) WITHOUT ROWID;

CREATE TABLE audit (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms        INTEGER NOT NULL,
    actor        TEXT NOT NULL,
    action       TEXT NOT NULL,
    organization TEXT NOT NULL,
    subject      TEXT NOT NULL
);
CREATE INDEX audit_by_organization ON audit (organization, number);
CREATE INDEX audit_by_time ON audit (at_ms);

-- It is only added to; what is old goes.
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN
    SELECT RAISE(ABORT, 'what the audit log says is never changed');
END;
