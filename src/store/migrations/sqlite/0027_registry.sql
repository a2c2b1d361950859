-- Namespaces of orbs, the orbs in them whether a version is published or not yet, and ids for both and for versions.

CREATE TABLE orb_namespaces (
    name         TEXT PRIMARY KEY,
    id           BLOB NOT NULL UNIQUE,
    -- None: it is known by what was published or imported in it alone.
    organization TEXT,
    created_ms   INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE orb_packages (
    name       TEXT PRIMARY KEY,
    namespace  TEXT NOT NULL REFERENCES orb_namespaces (name),
    id         BLOB NOT NULL UNIQUE,
    created_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX orb_packages_by_namespace ON orb_packages (namespace, name);

ALTER TABLE orbs ADD COLUMN id BLOB;
UPDATE orbs SET id = randomblob(16);
CREATE UNIQUE INDEX orbs_by_id ON orbs (id);

INSERT INTO orb_namespaces (name, id, organization, created_ms)
SELECT substr(name, 1, instr(name, '/') - 1) AS namespace, randomblob(16), NULL, min(published_ms)
FROM orbs GROUP BY namespace;
INSERT INTO orb_packages (name, namespace, id, created_ms)
SELECT name, substr(name, 1, instr(name, '/') - 1), randomblob(16), min(published_ms) FROM orbs GROUP BY name;
