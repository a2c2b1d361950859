-- Jobs are asked for by their number too.

CREATE INDEX jobs_by_number ON jobs (number);
