-- What pipelines were made of: as written and as compiled, sealed.

CREATE TABLE configurations (
    pipeline BLOB PRIMARY KEY REFERENCES pipelines (id),
    sealed   BLOB NOT NULL
);
