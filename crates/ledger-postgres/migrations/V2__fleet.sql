-- What several processes share while they work, and what was taken out of the entries. Time is this
-- server's.

CREATE SEQUENCE nhi.fence;

CREATE TABLE nhi.lease (
    subject TEXT COLLATE "C" PRIMARY KEY,
    holder  TEXT NOT NULL,
    fence   BIGINT NOT NULL,
    until   TIMESTAMPTZ NOT NULL
);

-- What a tenant may still be asked now, in thousandths of a request, and until when it is left alone.
CREATE TABLE nhi.budget (
    tenant       TEXT COLLATE "C" PRIMARY KEY,
    tokens       BIGINT NOT NULL,
    at           TIMESTAMPTZ NOT NULL,
    frozen_until TIMESTAMPTZ NOT NULL
);

-- Entries that lie in a file now: the chain and the tree go on from where they ended.
CREATE TABLE nhi.archive (
    first_seq   BIGINT PRIMARY KEY,
    last_seq    BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    root        BYTEA NOT NULL CHECK (length(root) = 32),
    head        BYTEA NOT NULL CHECK (length(head) = 32),
    frontier    BYTEA NOT NULL,
    file_sha256 BYTEA NOT NULL CHECK (length(file_sha256) = 32),
    place       TEXT NOT NULL
);

ALTER TABLE nhi.scan ADD COLUMN skipped BIGINT NOT NULL DEFAULT 0;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'nhi_reader') THEN
        GRANT SELECT ON nhi.lease, nhi.budget, nhi.archive TO nhi_reader;
    END IF;
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'nhi_writer') THEN
        GRANT SELECT ON nhi.lease, nhi.budget, nhi.archive TO nhi_writer;
        GRANT INSERT, UPDATE, DELETE ON nhi.lease, nhi.budget TO nhi_writer;
        GRANT USAGE ON SEQUENCE nhi.fence TO nhi_writer;
    END IF;
END$$;
