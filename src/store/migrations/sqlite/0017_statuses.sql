-- What the providers of commits are told: by which token and of what, and what was not told yet.

ALTER TABLE repositories ADD COLUMN token BLOB;
ALTER TABLE repositories ADD COLUMN statuses TEXT NOT NULL DEFAULT 'nothing';
ALTER TABLE repositories ADD COLUMN api TEXT;

CREATE TABLE statuses (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    project     INTEGER NOT NULL REFERENCES projects (id),
    revision    TEXT NOT NULL,
    context     TEXT NOT NULL,
    state       TEXT NOT NULL,
    description TEXT NOT NULL,
    page        TEXT NOT NULL,
    made_ms     INTEGER NOT NULL,
    due_ms      INTEGER NOT NULL,
    tries       INTEGER NOT NULL
);
CREATE INDEX statuses_by_commit ON statuses (project, revision, context, id);
