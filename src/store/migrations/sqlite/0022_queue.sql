-- Whose tasks go first, and how many may run at once.

ALTER TABLE resource_classes ADD COLUMN max_tasks INTEGER;
CREATE TABLE project_rules (
    project           INTEGER PRIMARY KEY REFERENCES projects (id),
    priority          INTEGER NOT NULL,
    max_tasks         INTEGER,
    cancels_redundant INTEGER NOT NULL
);
