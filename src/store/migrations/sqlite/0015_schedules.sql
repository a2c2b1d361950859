-- What starts by the clock: workflows with schedules in the last configuration of a branch, and schedules that people made.
-- Each with the last minute that it was started for.

CREATE TABLE scheduled_workflows (
    project  INTEGER NOT NULL REFERENCES projects (id),
    branch   TEXT NOT NULL,
    workflow TEXT NOT NULL,
    cron     TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    fired_ms INTEGER,
    PRIMARY KEY (project, branch, workflow, cron)
) WITHOUT ROWID;

CREATE TABLE schedules (
    id          BLOB PRIMARY KEY,
    project     INTEGER NOT NULL REFERENCES projects (id),
    name        TEXT NOT NULL,
    description TEXT,
    timetable   TEXT NOT NULL,
    parameters  TEXT NOT NULL,
    actor       TEXT NOT NULL,
    login       TEXT NOT NULL,
    created_ms  INTEGER NOT NULL,
    updated_ms  INTEGER NOT NULL,
    fired_ms    INTEGER
);
CREATE INDEX schedules_by_project ON schedules (project, created_ms);
