-- Lists of a project's pipelines and searches in some projects read those alone, the newest first.

CREATE INDEX pipelines_by_project ON pipelines (project, created_ms);
