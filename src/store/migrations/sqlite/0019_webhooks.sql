-- Webhooks that projects have sent, the secrets that sign them sealed, and what ended and was not told yet.

CREATE TABLE webhooks (
    id         BLOB PRIMARY KEY,
    project    INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    events     TEXT NOT NULL,
    url        TEXT NOT NULL,
    verify_tls INTEGER NOT NULL,
    sealed     BLOB,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX webhooks_by_project ON webhooks (project, created_ms);

CREATE TABLE webhook_events (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook  BLOB NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event    TEXT NOT NULL,
    pipeline BLOB NOT NULL REFERENCES pipelines (id),
    workflow BLOB NOT NULL,
    job      BLOB,
    made_ms  INTEGER NOT NULL,
    due_ms   INTEGER NOT NULL,
    tries    INTEGER NOT NULL
);
CREATE INDEX webhook_events_by_webhook ON webhook_events (webhook, id);
CREATE INDEX webhook_events_by_pipeline ON webhook_events (pipeline);
CREATE INDEX webhook_events_by_time ON webhook_events (due_ms);
