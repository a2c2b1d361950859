-- Published orbs. A version stays as it is; one that is `dev:x` is replaced by the next of its label.

CREATE TABLE orbs (
    name         TEXT NOT NULL,
    version      TEXT NOT NULL,
    digest       TEXT NOT NULL,
    source       TEXT NOT NULL,
    published_ms INTEGER NOT NULL,
    UNIQUE (name, version)
);
