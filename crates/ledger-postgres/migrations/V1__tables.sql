-- The same rows as in crates/ledger-sqlite/migrations, and the same meaning. Moments are BIGINT
-- milliseconds UTC. Documents are canonical JSON, and *16 the first 16 bytes of their SHA-256. Text is
-- compared byte by byte, whatever the database's locale. Later versions add; they do not change what is
-- here.

CREATE SCHEMA IF NOT EXISTS nhi;

CREATE TABLE nhi.version (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    tables INTEGER NOT NULL
);

CREATE TABLE nhi.ledger (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    id         TEXT NOT NULL,
    realm      TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    head_seq   BIGINT NOT NULL,
    head_hash  BYTEA NOT NULL CHECK (length(head_hash) = 32)
);

CREATE TABLE nhi.entry (
    seq      BIGINT PRIMARY KEY,
    at       BIGINT NOT NULL,
    kind     TEXT COLLATE "C" NOT NULL,
    subject  TEXT COLLATE "C" NOT NULL,
    rotation TEXT COLLATE "C",
    body     BYTEA NOT NULL,
    hash     BYTEA NOT NULL CHECK (length(hash) = 32)
);
CREATE INDEX entry_subject ON nhi.entry (subject, seq);
CREATE INDEX entry_rotation ON nhi.entry (rotation, seq) WHERE rotation IS NOT NULL;
CREATE FUNCTION nhi.keep_entries() RETURNS trigger LANGUAGE plpgsql
    AS $$BEGIN RAISE EXCEPTION 'entries are kept'; END$$;
CREATE TRIGGER entry_kept BEFORE DELETE ON nhi.entry
    FOR EACH ROW EXECUTE FUNCTION nhi.keep_entries();
CREATE TRIGGER entry_fixed BEFORE UPDATE ON nhi.entry
    FOR EACH ROW EXECUTE FUNCTION nhi.keep_entries();
CREATE TRIGGER entry_whole BEFORE TRUNCATE ON nhi.entry
    FOR EACH STATEMENT EXECUTE FUNCTION nhi.keep_entries();

-- What is too long for an entry, by its SHA-256; the entry holds the hash, so the chain covers it.
CREATE TABLE nhi.document (
    hash BYTEA PRIMARY KEY CHECK (length(hash) = 32),
    body BYTEA NOT NULL
);

-- The frontier lets the next checkpoint go on without reading everything again.
CREATE TABLE nhi.checkpoint (
    size      BIGINT PRIMARY KEY,
    at        BIGINT NOT NULL,
    root      BYTEA NOT NULL CHECK (length(root) = 32),
    head      BYTEA NOT NULL CHECK (length(head) = 32),
    frontier  BYTEA NOT NULL,
    note      BYTEA,
    published TEXT
);

CREATE TABLE nhi.tenant (
    key        TEXT COLLATE "C" PRIMARY KEY,
    connection TEXT NOT NULL,
    pinned_at  BIGINT NOT NULL
);

CREATE TABLE nhi.integration (
    key           TEXT COLLATE "C" PRIMARY KEY,
    connection    TEXT COLLATE "C" NOT NULL,
    tenant        TEXT COLLATE "C" NOT NULL DEFAULT '',
    origin        TEXT NOT NULL DEFAULT 'discovered',
    declared      BYTEA,
    applied       BYTEA,
    observed      BYTEA,
    d16           BYTEA,
    a16           BYTEA,
    o16           BYTEA,
    journalled    BOOLEAN NOT NULL DEFAULT FALSE,
    first_seen_at BIGINT,
    last_seen_at  BIGINT,
    absent_since  BIGINT
);
CREATE INDEX integration_connection ON nhi.integration (connection);

CREATE TABLE nhi.slot (
    integration TEXT COLLATE "C" NOT NULL REFERENCES nhi.integration,
    name        TEXT COLLATE "C" NOT NULL,
    generation  BIGINT NOT NULL,
    epoch       BIGINT NOT NULL,
    current     TEXT,
    promoted_at BIGINT,
    schedule    BYTEA,
    sinks       BYTEA,
    status      TEXT NOT NULL,
    next_due_at BIGINT,
    PRIMARY KEY (integration, name)
);
CREATE INDEX slot_due ON nhi.slot (next_due_at) WHERE next_due_at IS NOT NULL;

CREATE TABLE nhi.credential (
    integration  TEXT COLLATE "C" NOT NULL REFERENCES nhi.integration,
    slot         TEXT,
    vendor_id    TEXT COLLATE "C" NOT NULL,
    kind         TEXT NOT NULL,
    marker       TEXT,
    fingerprint  TEXT,
    created_at   BIGINT,
    expires_at   BIGINT,
    state        TEXT NOT NULL,
    journalled   BOOLEAN NOT NULL DEFAULT FALSE,
    last_used_at BIGINT,
    last_seen_at BIGINT,
    absent_since BIGINT,
    PRIMARY KEY (integration, vendor_id)
);

CREATE TABLE nhi.obligation (
    id          TEXT COLLATE "C" PRIMARY KEY,
    subject     TEXT COLLATE "C" NOT NULL,
    deed        TEXT NOT NULL,
    not_before  BIGINT NOT NULL,
    due_by      BIGINT NOT NULL,
    on_overdue  TEXT NOT NULL,
    state       TEXT NOT NULL,
    attempts    BIGINT NOT NULL DEFAULT 0,
    next_try_at BIGINT,
    detail      BYTEA
);
CREATE INDEX obligation_open ON nhi.obligation (next_try_at NULLS FIRST, id) WHERE state = 'open';

CREATE TABLE nhi.scan (
    tenant      TEXT COLLATE "C" NOT NULL,
    what        TEXT COLLATE "C" NOT NULL,
    started_at  BIGINT NOT NULL,
    finished_at BIGINT,
    expected    BIGINT,
    read        BIGINT NOT NULL,
    failed      BIGINT NOT NULL,
    gaps        BYTEA,
    PRIMARY KEY (tenant, what, started_at)
);

-- The only place for a name or an address, so that both can be erased and the chain stays whole.
CREATE TABLE nhi.person (
    id        TEXT COLLATE "C" PRIMARY KEY,
    display   TEXT,
    email     TEXT,
    erased_at BIGINT
);

-- Who may what, where the roles are there: a reader reads; a writer adds entries and changes rows, and
-- cannot lift the triggers, since the tables are not its own.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'nhi_reader') THEN
        GRANT USAGE ON SCHEMA nhi TO nhi_reader;
        GRANT SELECT ON ALL TABLES IN SCHEMA nhi TO nhi_reader;
    END IF;
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'nhi_writer') THEN
        GRANT USAGE ON SCHEMA nhi TO nhi_writer;
        GRANT SELECT ON ALL TABLES IN SCHEMA nhi TO nhi_writer;
        GRANT INSERT ON nhi.entry, nhi.document, nhi.checkpoint TO nhi_writer;
        GRANT INSERT, UPDATE ON nhi.ledger, nhi.scan, nhi.person TO nhi_writer;
        GRANT INSERT, UPDATE, DELETE ON nhi.tenant, nhi.integration, nhi.slot, nhi.credential,
            nhi.obligation TO nhi_writer;
    END IF;
END$$;
