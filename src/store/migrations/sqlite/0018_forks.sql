-- What becomes of pull requests of forks, and caches that those who trust each other share: a fork's are its own.

ALTER TABLE repositories ADD COLUMN forks TEXT NOT NULL DEFAULT 'never';

CREATE TABLE caches_of_classes (
    project  INTEGER NOT NULL REFERENCES projects (id),
    trust    TEXT NOT NULL,
    key      TEXT NOT NULL,
    digest   TEXT NOT NULL,
    size     INTEGER NOT NULL,
    saved_ms INTEGER NOT NULL,
    used_ms  INTEGER NOT NULL,
    PRIMARY KEY (project, trust, key)
) WITHOUT ROWID;
INSERT INTO caches_of_classes (project, trust, key, digest, size, saved_ms, used_ms)
    SELECT project, '', key, digest, size, saved_ms, used_ms FROM caches;
DROP TABLE caches;
ALTER TABLE caches_of_classes RENAME TO caches;
CREATE INDEX caches_by_content ON caches (digest);
CREATE INDEX caches_by_use ON caches (used_ms);
