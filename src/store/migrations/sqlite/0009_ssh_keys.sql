-- SSH keys of projects: those that check out, and those that jobs ask for. The private half lies sealed.

CREATE TABLE ssh_keys (
    project     INTEGER NOT NULL REFERENCES projects (id),
    fingerprint TEXT NOT NULL,
    sha256      TEXT NOT NULL,
    checkout    INTEGER NOT NULL,
    hostname    TEXT,
    public_key  TEXT NOT NULL,
    sealed      BLOB NOT NULL,
    created_ms  INTEGER NOT NULL,
    PRIMARY KEY (project, fingerprint)
) WITHOUT ROWID;
