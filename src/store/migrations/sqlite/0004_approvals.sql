-- Approvals: who gave one, as they said themselves; a job without tasks has '' for its class.

ALTER TABLE jobs ADD COLUMN approved_by TEXT;

-- A workflow on hold is not over.
DROP INDEX workflows_unfinished;
CREATE INDEX workflows_unfinished ON workflows (status) WHERE status IN ('running', 'failing', 'on_hold');
