-- With what of a project its jobs check its repository out over https.

ALTER TABLE repositories ADD COLUMN jobs_check_out_with TEXT NOT NULL DEFAULT 'app';
