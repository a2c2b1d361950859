-- Setup pipelines: whether they were continued, and which of their workflows have the key to that.

ALTER TABLE pipelines ADD COLUMN state TEXT NOT NULL DEFAULT 'created';
-- Why it errored, a list of texts as JSON.
ALTER TABLE pipelines ADD COLUMN errors TEXT NOT NULL DEFAULT '[]';
-- SHA-256 of the call that continued it, so that a repeat of it is known.
ALTER TABLE pipelines ADD COLUMN continued BLOB;
ALTER TABLE workflows ADD COLUMN setup INTEGER NOT NULL DEFAULT 0;
