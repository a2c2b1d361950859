-- Tests: which of them failed, which jobs have results, and what a job was told of its former runs.

ALTER TABLE tests ADD COLUMN failures TEXT NOT NULL DEFAULT '[]';
UPDATE tests SET failures = (
    SELECT json_group_array(json(c.value)) FROM json_each(tests.cases) c
    WHERE json_extract(c.value, '$.result') = 'failure'
) WHERE failed > 0;

-- Where a later run of the same job looks for its former ones. Without a branch: ''.
CREATE TABLE tested (
    project INTEGER NOT NULL REFERENCES projects (id),
    name    TEXT NOT NULL,
    branch  TEXT NOT NULL,
    job     BLOB NOT NULL REFERENCES jobs (id),
    PRIMARY KEY (project, name, branch, job)
) WITHOUT ROWID;
CREATE INDEX tested_by_job ON tested (job);
INSERT OR IGNORE INTO tested (project, name, branch, job)
SELECT p.project, json_extract(j.definition, '$.name'), coalesce(json_extract(p.git, '$.branch'), ''), j.id
FROM tests r JOIN tasks t ON t.id = r.task JOIN jobs j ON j.id = t.job
JOIN workflows w ON w.id = j.workflow JOIN pipelines p ON p.id = w.pipeline;

-- The same for all tasks of a job, as long as it runs.
CREATE TABLE former (
    job  BLOB PRIMARY KEY REFERENCES jobs (id),
    told TEXT NOT NULL
) WITHOUT ROWID;

-- The job whose failed tests alone this one runs again.
ALTER TABLE jobs ADD COLUMN failed_of BLOB;
