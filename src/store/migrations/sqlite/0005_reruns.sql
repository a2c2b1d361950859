-- Reruns: further workflows of a pipeline. A job that is not run again names the one that has its results.

ALTER TABLE workflows ADD COLUMN rerun_of BLOB;
ALTER TABLE workflows ADD COLUMN auto_rerun INTEGER NOT NULL DEFAULT 0;
ALTER TABLE workflows ADD COLUMN max_auto_reruns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN origin BLOB;
