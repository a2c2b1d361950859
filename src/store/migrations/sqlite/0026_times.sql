-- When the bytes of a chunk were written, as the protocol's marks are stored; none where nobody noted it.
ALTER TABLE chunks ADD COLUMN marks BLOB;
