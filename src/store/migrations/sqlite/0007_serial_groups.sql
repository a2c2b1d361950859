-- Serial groups: since when a job waits for its turn, and why it stands as it does where its status says too little.

ALTER TABLE jobs ADD COLUMN waits_ms INTEGER;
ALTER TABLE jobs ADD COLUMN reason TEXT;
