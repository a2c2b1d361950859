-- A store as version 1 left it: one task done with all that a task can store, one that waits.
PRAGMA application_id = 1382966344;
BEGIN;
CREATE TABLE _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
);
INSERT INTO _sqlx_migrations VALUES (1, 'first', '2026-11-24 00:29:09', 1, x'df5d9b6d227df5e9d233f2fa51c5d38648b518bdb3adc1c7e5264a2b4beee8793bdefed8d6384dea05921739f7d561ca', 16021676);
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE projects (
    id            INTEGER PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE,
    next_pipeline INTEGER NOT NULL DEFAULT 1,
    next_job      INTEGER NOT NULL DEFAULT 1
);
INSERT INTO projects VALUES (1, 'gh/acme/shop', 2, 3);
CREATE TABLE pipelines (
    id         BLOB PRIMARY KEY,
    project    INTEGER NOT NULL REFERENCES projects (id),
    number     INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    source     TEXT NOT NULL,
    git        TEXT NOT NULL,
    UNIQUE (project, number)
) WITHOUT ROWID;
INSERT INTO pipelines VALUES (x'01a20af4e2c975bc95380332e2772b17', 1, 1, 1795480150735, '{"archive":{"digest":"dd85b1d3b27fd4bf2253d1721c460058d88217f64329b6d4f75ef3893669f966","size":638}}', '{"revision":null,"branch":null,"tag":null,"url":null}');
CREATE TABLE secrets (
    pipeline BLOB PRIMARY KEY REFERENCES pipelines (id),
    sealed   BLOB NOT NULL
) WITHOUT ROWID;
INSERT INTO secrets VALUES (x'01a20af4e2c975bc95380332e2772b17', x'6b3d8ce7162b5cf69fd178ddb6a0143eb46e87e0c3f3f58fd6ceb13bb726af4ced7bf07cbf5f50be2dd71b3c2cd7bf8eb5f97841d92bf67c8bc91935');
CREATE TABLE workflows (
    id       BLOB PRIMARY KEY,
    pipeline BLOB NOT NULL REFERENCES pipelines (id),
    place    INTEGER NOT NULL,
    name     TEXT NOT NULL,
    status   TEXT NOT NULL,
    canceled INTEGER NOT NULL DEFAULT 0,
    UNIQUE (pipeline, place)
) WITHOUT ROWID;
INSERT INTO workflows VALUES (x'01a20af4e2cf723da5b4f5468732153d', x'01a20af4e2c975bc95380332e2772b17', 0, 'all', 'running', 0);
CREATE TABLE jobs (
    id         BLOB PRIMARY KEY,
    workflow   BLOB NOT NULL REFERENCES workflows (id),
    place      INTEGER NOT NULL,
    number     INTEGER NOT NULL,
    class      TEXT NOT NULL,
    definition TEXT NOT NULL,
    status     TEXT NOT NULL,
    started_ms INTEGER,
    ended_ms   INTEGER,
    UNIQUE (workflow, place)
) WITHOUT ROWID;
INSERT INTO jobs VALUES (x'01a20af4e2cf723da5b4f547aab129c7', x'01a20af4e2cf723da5b4f5468732153d', 0, 1, 'acme/linux', '{"name":"build","requires":[],"parallelism":1,"executor":"machine","resource_class":"acme/linux","environment":[],"contexts":[],"working_directory":"~/project","steps":[{"name":"Checkout code","when":"on_success","action":{"checkout":{"path":null}}},{"name":"write","when":"on_success","action":{"run":{"command":"echo hello from version one; mkdir -p out dep; echo art > out/a.txt; echo dep > dep/d; printf ''<testsuite><testcase classname=\"a\" name=\"b\"/></testsuite>'' > out/t.xml","shell":null,"environment":[],"background":false,"working_directory":null,"no_output_timeout_ms":600000}}},{"name":"Saving Cache","when":"on_success","action":{"save_cache":{"key":"v1-dep","paths":["dep"]}}},{"name":"Persisting to Workspace","when":"on_success","action":{"persist_to_workspace":{"root":".","paths":["out"]}}},{"name":"Uploading artifacts","when":"always","action":{"store_artifacts":{"path":"out/a.txt","destination":null}}},{"name":"Uploading test results","when":"always","action":{"store_test_results":{"path":"out"}}}]}', 'success', 1795480150738, 1795480151220);
INSERT INTO jobs VALUES (x'01a20af4e2cf723da5b4f54895eb84eb', x'01a20af4e2cf723da5b4f5468732153d', 1, 2, 'acme/other', '{"name":"waits","requires":["build"],"parallelism":1,"executor":"machine","resource_class":"acme/other","environment":[],"contexts":[],"working_directory":"~/project","steps":[{"name":"true","when":"on_success","action":{"run":{"command":"true","shell":null,"environment":[],"background":false,"working_directory":null,"no_output_timeout_ms":600000}}}]}', 'queued', NULL, NULL);
CREATE TABLE tasks (
    id          BLOB PRIMARY KEY,
    job         BLOB NOT NULL REFERENCES jobs (id),
    node_index  INTEGER NOT NULL,
    phase       TEXT NOT NULL,
    epoch       INTEGER NOT NULL DEFAULT 0,
    unclaims    INTEGER NOT NULL DEFAULT 0,
    canceled    INTEGER NOT NULL DEFAULT 0,
    runner      TEXT,
    host        TEXT,
    outcome     TEXT,
    message     TEXT,
    next_record INTEGER NOT NULL DEFAULT 0,
    queued_ms   INTEGER NOT NULL,
    claimed_ms  INTEGER,
    ended_ms    INTEGER,
    UNIQUE (job, node_index)
) WITHOUT ROWID;
INSERT INTO tasks VALUES (x'01a20af4e2cf723da5b4f549da67832c', x'01a20af4e2cf723da5b4f547aab129c7', 0, 'ended', 1, 0, 0, 'one', 'host-1', 'success', NULL, 13, 1795480150735, 1795480150738, 1795480151220);
INSERT INTO tasks VALUES (x'01a20af4e4b4709aa206413e205d1eb7', x'01a20af4e2cf723da5b4f54895eb84eb', 0, 'queued', 0, 0, 0, NULL, NULL, NULL, NULL, 0, 1795480151220, NULL, NULL);
CREATE TABLE leases (
    hash  BLOB PRIMARY KEY,
    task  BLOB NOT NULL REFERENCES tasks (id),
    epoch INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO leases VALUES (x'88a6480a626d513324a7041d9b0fc74887b3a47b09cbf26593f310d4d4cd6585', x'01a20af4e2cf723da5b4f549da67832c', 1);
CREATE TABLE steps (
    task        BLOB NOT NULL REFERENCES tasks (id),
    number      INTEGER NOT NULL,
    status      TEXT NOT NULL,
    exit_code   INTEGER,
    started_ms  INTEGER NOT NULL,
    duration_ms INTEGER,
    PRIMARY KEY (task, number)
) WITHOUT ROWID;
INSERT INTO steps VALUES (x'01a20af4e2cf723da5b4f549da67832c', 1, 'success', NULL, 1795480151044, 22);
INSERT INTO steps VALUES (x'01a20af4e2cf723da5b4f549da67832c', 2, 'success', 0, 1795480151067, 17);
INSERT INTO steps VALUES (x'01a20af4e2cf723da5b4f549da67832c', 3, 'success', NULL, 1795480151084, 11);
INSERT INTO steps VALUES (x'01a20af4e2cf723da5b4f549da67832c', 4, 'success', NULL, 1795480151096, 66);
INSERT INTO steps VALUES (x'01a20af4e2cf723da5b4f549da67832c', 5, 'success', NULL, 1795480151162, 49);
INSERT INTO steps VALUES (x'01a20af4e2cf723da5b4f549da67832c', 6, 'success', NULL, 1795480151212, 1);
CREATE TABLE logs (
    task   BLOB NOT NULL REFERENCES tasks (id),
    step   INTEGER NOT NULL,
    length INTEGER NOT NULL,
    digest TEXT,
    size   INTEGER,
    PRIMARY KEY (task, step)
) WITHOUT ROWID;
INSERT INTO logs VALUES (x'01a20af4e2cf723da5b4f549da67832c', 0, 295, NULL, NULL);
INSERT INTO logs VALUES (x'01a20af4e2cf723da5b4f549da67832c', 1, 28, NULL, NULL);
INSERT INTO logs VALUES (x'01a20af4e2cf723da5b4f549da67832c', 2, 23, NULL, NULL);
INSERT INTO logs VALUES (x'01a20af4e2cf723da5b4f549da67832c', 3, 28, NULL, NULL);
INSERT INTO logs VALUES (x'01a20af4e2cf723da5b4f549da67832c', 4, 53, NULL, NULL);
INSERT INTO logs VALUES (x'01a20af4e2cf723da5b4f549da67832c', 5, 25, NULL, NULL);
INSERT INTO logs VALUES (x'01a20af4e2cf723da5b4f549da67832c', 6, 46, NULL, NULL);
CREATE TABLE chunks (
    task        BLOB NOT NULL,
    step        INTEGER NOT NULL,
    start       INTEGER NOT NULL,
    length      INTEGER NOT NULL,
    stored      INTEGER NOT NULL,
    file_offset INTEGER,
    frame       BLOB
);
INSERT INTO chunks VALUES (x'01a20af4e2cf723da5b4f549da67832c', 0, 0, 295, 235, NULL, x'28b52ffd6027000d0700b6d034215067ac03806d3f95b8266adc2244c266e803b14a6306dc507860b60f8eaa61f5102e002b0029004ad3946d56b28d13c8a29a8655e220d422cc7c51ca0120a0a0f0cc35305247f9288fa42421a7b1157b702cd61d08879e553a8e5542a7b14ac6f6733f6325309261dbb2cc2090c459bc782dc8324b5916d518b784528d19c4e2ee0ded67cfd94c428b4f2a60a486cf4571fbe073dd9fb9f4503b2a2fe31d7b2efa61508e737eb5f024468a91fca4ef4dc67d6c477f18207c4f2a5c41f8a24a48c19eb07e7043f89ef73a842f3ac7fdc1b003030016536ad46540f331f3');
INSERT INTO chunks VALUES (x'01a20af4e2cf723da5b4f549da67832c', 1, 0, 28, 37, NULL, x'28b52ffd201ce10000436865636b6564206f757420322066696c65732c2036343120422e0a');
INSERT INTO chunks VALUES (x'01a20af4e2cf723da5b4f549da67832c', 2, 0, 23, 32, NULL, x'28b52ffd2017b9000068656c6c6f2066726f6d2076657273696f6e206f6e650a');
INSERT INTO chunks VALUES (x'01a20af4e2cf723da5b4f549da67832c', 3, 0, 28, 37, NULL, x'28b52ffd201ce1000053617665642063616368652076312d64657020283137392042292e0a');
INSERT INTO chunks VALUES (x'01a20af4e2cf723da5b4f549da67832c', 4, 0, 22, 31, NULL, x'28b52ffd2016b100005061636b656420322066696c65732c20363120422e0a');
INSERT INTO chunks VALUES (x'01a20af4e2cf723da5b4f549da67832c', 4, 22, 31, 40, NULL, x'28b52ffd201ff90000576f726b7370616365206c6179657220616464656420283233352042292e0a');
INSERT INTO chunks VALUES (x'01a20af4e2cf723da5b4f549da67832c', 5, 0, 25, 34, NULL, x'28b52ffd2019c9000053746f7265642031206172746966616374732c203420422e0a');
INSERT INTO chunks VALUES (x'01a20af4e2cf723da5b4f549da67832c', 6, 0, 46, 55, NULL, x'28b52ffd202e71010053746f7265642031207465737420726573756c7473206f662031207265706f7274732c2030206661696c65642e0a');
CREATE TABLE artifacts (
    task   BLOB NOT NULL REFERENCES tasks (id),
    path   TEXT NOT NULL,
    digest TEXT NOT NULL,
    size   INTEGER NOT NULL,
    PRIMARY KEY (task, path)
) WITHOUT ROWID;
INSERT INTO artifacts VALUES (x'01a20af4e2cf723da5b4f549da67832c', 'out/a.txt', 'e0a4e4d9746517c5c0252c10465c84c56aaa3b1094870231da81f05f63c9504e', 4);
CREATE TABLE caches (
    project  INTEGER NOT NULL REFERENCES projects (id),
    key      TEXT NOT NULL,
    digest   TEXT NOT NULL,
    size     INTEGER NOT NULL,
    saved_ms INTEGER NOT NULL,
    PRIMARY KEY (project, key)
) WITHOUT ROWID;
INSERT INTO caches VALUES (1, 'v1-dep', 'dd0bf6c754898c49690738e4fca8dd89fa63afed30f3d3e1f3b9acc7b90d0070', 179, 1795480151090);
CREATE TABLE layers (
    task    BLOB NOT NULL REFERENCES tasks (id),
    request INTEGER NOT NULL,
    digest  TEXT NOT NULL,
    size    INTEGER NOT NULL,
    PRIMARY KEY (task, request)
) WITHOUT ROWID;
INSERT INTO layers VALUES (x'01a20af4e2cf723da5b4f549da67832c', 4, '81c59e6f931df77023ab06ac8c4aa0c42b6fb74e07c51eece667ca98ca99e020', 235);
CREATE TABLE tests (
    task    BLOB NOT NULL REFERENCES tasks (id),
    request INTEGER NOT NULL,
    passed  INTEGER NOT NULL,
    failed  INTEGER NOT NULL,
    skipped INTEGER NOT NULL,
    cases   TEXT NOT NULL,
    PRIMARY KEY (task, request)
);
INSERT INTO tests VALUES (x'01a20af4e2cf723da5b4f549da67832c', 6, 1, 0, 0, '[{"classname":"a","name":"b","file":null,"result":"success","run_time":0.0,"message":null}]');
CREATE TABLE resource_classes (
    id          BLOB PRIMARY KEY,
    class       TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    created_ms  INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO resource_classes VALUES (x'01a20af4e22076f49da256f63bb2515d', 'acme/linux', 'for tests', 1795480150560);
INSERT INTO resource_classes VALUES (x'01a20af4e27c77f181a12a3f5c9a0410', 'acme/other', '', 1795480150652);
CREATE TABLE tokens (
    id         BLOB PRIMARY KEY,
    class      TEXT NOT NULL REFERENCES resource_classes (class),
    nickname   TEXT NOT NULL,
    hash       BLOB NOT NULL UNIQUE,
    created_ms INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO tokens VALUES (x'01a20af4e25875f3b692747a0505cf0d', 'acme/linux', 'default', x'82db15d21139fad36f0f4941d7b1963b08b584fa329ec8c5e2bc338baa924605', 1795480150616);
CREATE TABLE instances (
    class              TEXT NOT NULL,
    name               TEXT NOT NULL,
    hostname           TEXT NOT NULL,
    ip                 TEXT NOT NULL,
    version            TEXT NOT NULL,
    first_connected_ms INTEGER NOT NULL,
    last_connected_ms  INTEGER NOT NULL,
    last_used_ms       INTEGER,
    PRIMARY KEY (class, name)
) WITHOUT ROWID;
INSERT INTO instances VALUES ('acme/linux', 'one', 'host-1', '', '0.1.0', 1795480150717, 1795480150717, NULL);
CREATE INDEX pipelines_by_time ON pipelines (created_ms);
CREATE INDEX workflows_unfinished ON workflows (status) WHERE status IN ('running', 'failing');
CREATE UNIQUE INDEX chunks_in_order ON chunks (task, step, start);
COMMIT;
