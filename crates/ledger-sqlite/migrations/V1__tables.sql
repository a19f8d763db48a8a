-- Moments are INTEGER milliseconds UTC. Documents are canonical JSON, and *16 the first 16 bytes of
-- their SHA-256. Later versions add; they do not change what is here.

PRAGMA application_id = 0x4E484931;

CREATE TABLE ledger (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    id         TEXT NOT NULL,
    realm      TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    head_seq   INTEGER NOT NULL,
    head_hash  BLOB NOT NULL CHECK (length(head_hash) = 32)
) STRICT;

CREATE TABLE entry (
    seq      INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    subject  TEXT NOT NULL,
    rotation TEXT,
    body     BLOB NOT NULL,
    hash     BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE INDEX entry_subject ON entry (subject, seq);
CREATE INDEX entry_rotation ON entry (rotation, seq) WHERE rotation IS NOT NULL;
CREATE TRIGGER entry_kept BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'entries are kept'); END;
CREATE TRIGGER entry_fixed BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'entries are kept'); END;

-- What is too long for an entry, by its SHA-256; the entry holds the hash, so the chain covers it.
CREATE TABLE document (
    hash BLOB PRIMARY KEY CHECK (length(hash) = 32),
    body BLOB NOT NULL
) STRICT;

-- The frontier lets the next checkpoint go on without reading everything again.
CREATE TABLE checkpoint (
    size      INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL,
    root      BLOB NOT NULL CHECK (length(root) = 32),
    head      BLOB NOT NULL CHECK (length(head) = 32),
    frontier  BLOB NOT NULL,
    note      BLOB,
    published TEXT
) STRICT;

CREATE TABLE tenant (
    key        TEXT PRIMARY KEY,
    connection TEXT NOT NULL,
    pinned_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE integration (
    id            INTEGER PRIMARY KEY,
    key           TEXT NOT NULL UNIQUE,
    connection    TEXT NOT NULL,
    tenant        TEXT NOT NULL DEFAULT '',
    origin        TEXT NOT NULL DEFAULT 'discovered',
    declared      BLOB,
    applied       BLOB,
    observed      BLOB,
    d16           BLOB,
    a16           BLOB,
    o16           BLOB,
    journalled    INTEGER NOT NULL DEFAULT 0,
    first_seen_at INTEGER,
    last_seen_at  INTEGER,
    absent_since  INTEGER
) STRICT;
CREATE INDEX integration_connection ON integration (connection);

CREATE TABLE slot (
    id          INTEGER PRIMARY KEY,
    integration INTEGER NOT NULL REFERENCES integration,
    name        TEXT NOT NULL,
    generation  INTEGER NOT NULL,
    epoch       INTEGER NOT NULL,
    current     TEXT,
    promoted_at INTEGER,
    schedule    BLOB,
    sinks       BLOB,
    status      TEXT NOT NULL,
    next_due_at INTEGER,
    UNIQUE (integration, name)
) STRICT;
CREATE INDEX slot_due ON slot (next_due_at) WHERE next_due_at IS NOT NULL;

CREATE TABLE credential (
    id           INTEGER PRIMARY KEY,
    integration  INTEGER NOT NULL REFERENCES integration,
    slot         TEXT,
    vendor_id    TEXT NOT NULL,
    kind         TEXT NOT NULL,
    marker       TEXT,
    fingerprint  TEXT,
    created_at   INTEGER,
    expires_at   INTEGER,
    state        TEXT NOT NULL,
    journalled   INTEGER NOT NULL DEFAULT 0,
    last_used_at INTEGER,
    last_seen_at INTEGER,
    absent_since INTEGER,
    UNIQUE (integration, vendor_id)
) STRICT;

CREATE TABLE obligation (
    id          TEXT PRIMARY KEY,
    subject     TEXT NOT NULL,
    deed        TEXT NOT NULL,
    not_before  INTEGER NOT NULL,
    due_by      INTEGER NOT NULL,
    on_overdue  TEXT NOT NULL,
    state       TEXT NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    next_try_at INTEGER,
    detail      BLOB
) STRICT;
CREATE INDEX obligation_open ON obligation (next_try_at, id) WHERE state = 'open';

CREATE TABLE scan (
    tenant      TEXT NOT NULL,
    what        TEXT NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER,
    expected    INTEGER,
    read        INTEGER NOT NULL,
    failed      INTEGER NOT NULL,
    gaps        BLOB,
    PRIMARY KEY (tenant, what, started_at)
) STRICT, WITHOUT ROWID;

-- The only place for a name or an address, so that both can be erased and the chain stays whole.
CREATE TABLE person (
    id        TEXT PRIMARY KEY,
    display   TEXT,
    email     TEXT,
    erased_at INTEGER
) STRICT;
