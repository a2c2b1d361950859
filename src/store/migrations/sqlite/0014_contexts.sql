-- Contexts of organizations, what is to hold where one is used, and variables of contexts and projects, their values sealed.

CREATE TABLE contexts (
    id           BLOB PRIMARY KEY,
    organization TEXT NOT NULL,
    name         TEXT NOT NULL,
    created_ms   INTEGER NOT NULL,
    UNIQUE (organization, name)
) WITHOUT ROWID;

CREATE TABLE restrictions (
    id      BLOB PRIMARY KEY,
    context BLOB NOT NULL REFERENCES contexts (id),
    kind    TEXT NOT NULL,
    value   TEXT NOT NULL,
    UNIQUE (context, kind, value)
) WITHOUT ROWID;

CREATE TABLE context_variables (
    context    BLOB NOT NULL REFERENCES contexts (id),
    name       TEXT NOT NULL,
    sealed     BLOB NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    PRIMARY KEY (context, name)
) WITHOUT ROWID;

CREATE TABLE project_variables (
    project    INTEGER NOT NULL REFERENCES projects (id),
    name       TEXT NOT NULL,
    sealed     BLOB NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    PRIMARY KEY (project, name)
) WITHOUT ROWID;
