-- Forgetting: what belongs to a task and who names a content are found without reading everything.

CREATE INDEX leases_by_task ON leases (task);
CREATE INDEX artifacts_by_content ON artifacts (digest);
CREATE INDEX layers_by_content ON layers (digest);
CREATE INDEX logs_by_content ON logs (digest) WHERE digest IS NOT NULL;
CREATE INDEX pipelines_by_source ON pipelines (json_extract(source, '$.archive.digest'));

-- Caches go by their last use.
ALTER TABLE caches ADD COLUMN used_ms INTEGER NOT NULL DEFAULT 0;
UPDATE caches SET used_ms = saved_ms;
CREATE INDEX caches_by_content ON caches (digest);
CREATE INDEX caches_by_use ON caches (used_ms);

-- Files that are older than the store are not its own to remove: they may belong to one that was moved away.
DELETE FROM settings;
INSERT INTO settings (name, value)
SELECT 'began_ms', coalesce(min(created_ms) - 86400000, unixepoch() * 1000) FROM pipelines;
